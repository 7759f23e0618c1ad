"""Uncertainty by test-time augmentation: how far the answer changes with changes of the image that should not matter."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_apprentice.core.jobs import Progress, retold
from napari_apprentice.engine._sliding import Clock, Plan, Runner
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import tile_for
from napari_apprentice.engine.device import choose_device
from napari_apprentice.engine.images import fitted
from napari_apprentice.tasks import TASKS

from ._explainer import OVERLAP, count_tiles, has_classes_in_places
from ._fields import finish, on_source, seeing
from ._painted import Painted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.prepare import Prepared
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = ["Variation", "entropy", "uncertainty_map", "variations"]

_SHIFT = 3
_BRIGHTNESS, _CONTRAST = 0.05, 0.05


@dataclass(frozen=True)
class Variation:
    """A change of an image that should not change the answer, and that can be taken back.

    Parameters
    ----------
    flips
        Spatial axes (of those that the network sees) along which it is mirrored.
    shift
        Voxels along each of them.
    gain, offset
        Of normalised intensities.
    """

    flips: tuple[int, ...]
    shift: tuple[int, ...]
    gain: float
    offset: float

    @property
    def _axes(self) -> tuple[int, ...]:
        return tuple(axis - len(self.shift) for axis in self.flips)

    def apply(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """Change ``(…, *spatial)``; what comes in from outside repeats the edge."""
        moved = _moved(data, self.shift)
        turned = np.flip(moved, self._axes)
        return np.ascontiguousarray(turned * self.gain + self.offset, dtype=np.float32)

    def undo(self, answer: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring an answer ``(…, *spatial)`` back to where the image lay."""
        back = np.flip(answer, self._axes)
        return _moved(back, [-step for step in self.shift])


def _moved(data: NDArray[Any], shift: Sequence[int]) -> NDArray[Any]:
    """Shift the last axes; the edge is repeated."""
    for axis, step in enumerate(shift, start=data.ndim - len(shift)):
        at = np.clip(np.arange(data.shape[axis]) - step, 0, data.shape[axis] - 1)
        data = np.take(data, at, axis=axis) if step else data
    return data


def variations(count: int, spec: ModelSpec, shape: Sequence[int], seed: int = 0) -> list[Variation]:
    """The image itself, then copies: mirrored where the model allows it, a little shifted, brighter, stronger.

    Parameters
    ----------
    count
        How many in all.
    spec
        Whose ``mirror_axes`` say along which axes left and right are alike.
    shape
        Spatial shape that the network sees; no axis is shifted by more than a tenth of it.
    seed
        Of the draws.
    """
    generator = np.random.default_rng(seed)
    made = [Variation((), (0,) * len(shape), 1.0, 0.0)]
    while len(made) < count:
        flips = tuple(axis for axis in spec.mirror_axes if generator.random() < 0.5)
        most = [min(_SHIFT, length // 10) for length in shape]
        shift = tuple(int(generator.integers(-step, step + 1)) for step in most)
        gain = 1 + _CONTRAST * float(generator.uniform(-1, 1))
        made.append(Variation(flips, shift, gain, _BRIGHTNESS * float(generator.uniform(-1, 1))))
    return made


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy along the first axis, from 0 (one class is sure) to 1 (all are as likely)."""
    safe = np.clip(probabilities, 1e-7, 1)
    return np.asarray(-(safe * np.log(safe)).sum(axis=0) / np.log(len(safe)), dtype=np.float32)


def uncertainty_map(
    volume: Volume, model: Model, count: int, config: ExplainConfig
) -> Job[Prediction]:
    """Show where the mean answer to varied copies of an image is unsure.

    Parameters
    ----------
    volume, model
        As of `class_map`.
    count
        How many copies, the image itself among them.
    config
        Its device, the size of objects where it is known, and the seed of the variations.

    Returns
    -------
    Prediction
        ``image``: the entropy of the mean probabilities, 0 sure to 1; of a whole image one value everywhere, with the mean
        probabilities as ``table``. Where boxes are found, of how many copies a voxel lies in one.
    """
    spec, began = model.spec, time.perf_counter()
    yield Progress("explaining")
    where, seed = choose_device(config.device).name, config.seed
    prepared = yield from seeing(volume, model, config, where)
    if not has_classes_in_places(spec):
        return (yield from _of_image(prepared, model, count, where, seed, began))
    mean = yield from _mean_answer(prepared, model, count, where, seed)
    heat = yield from on_source(entropy(mean), prepared)
    share = float((heat > 0.5).mean())
    summary = f"uncertainty of {count} passes: {share:.1%} of the voxels above 0.5"
    method = f"test-time augmentation, {count} passes"
    return finish(heat, prepared, model, method, where, began, image_class=None, summary=summary)


def _of_image(
    prepared: Prepared, model: Model, count: int, device: str, seed: int, began: float
) -> Job[Prediction]:
    from napari_apprentice.engine.image_scores import scores_of
    from napari_apprentice.tasks.image_class import probabilities

    spec = model.spec
    parts = yield from fitted(prepared, spec)
    network = model.network.to(device)
    shares = []
    for change in variations(count, spec, spec.tile, seed):
        data = torch.from_numpy(change.apply(parts))
        scores = yield from scores_of(network, data, device)
        shares.append(probabilities(scores, spec).mean(axis=0))
    every = np.array(shares)
    mean = every.mean(axis=0)
    unsure = float(entropy(mean.astype(np.float32)[:, np.newaxis])[0])
    best = int(mean.argmax())
    name = spec.classes[best].name
    spread = f"{every[:, best].min():.2f} – {every[:, best].max():.2f}"
    heat = np.full(prepared.source.shape, unsure, np.float32)
    method = f"test-time augmentation, {count} passes"
    answer = finish(
        heat,
        prepared,
        model,
        method,
        device,
        began,
        image_class=name,
        summary=f"{name} {mean[best]:.2f} ({spread} over {count} passes), uncertainty {unsure:.2f}",
    )
    table = {c.name: float(m) for c, m in zip(spec.classes, mean, strict=True)}
    return replace(answer, table=table)


def _mean_answer(
    prepared: Prepared, model: Model, count: int, device: str, seed: int
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Mean probabilities ``(K, *working)`` of the varied copies."""
    spec = model.spec
    tile = tile_for(spec, PredictConfig())
    plan = Plan(device=device, stitch=device, batch=1, tile=tile, overlap=OVERLAP)
    runner = _runner(model, plan)
    shape = prepared.data.shape[-spec.ndim :]
    clock = Clock(count * count_tiles(prepared.grid.shape, tile, OVERLAP))
    total: NDArray[np.uint16] | None = None
    for change in variations(count, spec, shape, seed):
        # On the working grid: a shift is taken back voxel by voxel there.
        copy = prepared.alone(change.apply(prepared.data), prepared.grid)
        answer = yield from retold(runner.run(copy, clock), _explaining)
        levels = change.undo(answer)
        total = levels.astype(np.uint16) if total is None else total + levels
    if total is None:
        raise ValueError("expected at least one pass, found none")
    return (total / np.float32(255 * count)).astype(np.float32)


def _runner(model: Model, plan: Plan) -> Runner:
    """How a network is run for probabilities voxel by voxel."""
    network, spec = model.build(), model.spec
    if getattr(network, "finds_boxes", False):
        return Runner(Painted(network, spec), plan, _levels)
    task: Any = TASKS[spec.task]

    def levels(answer: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = task.class_scores(answer[None], spec)[0]
        return _levels(scores.float().softmax(dim=0))

    return Runner(network, plan, levels)


def _explaining(now: Progress) -> Progress:
    return replace(now, stage="explaining")


def _levels(shares: torch.Tensor) -> torch.Tensor:
    """Probabilities as 0 … 255: a byte per class and voxel."""
    return (shares * 255).round_().to(torch.uint8)
