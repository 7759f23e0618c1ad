"""Walking over an image with a network that answers voxel by voxel, or box by box, for maps instead of labels."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_apprentice.core.jobs import Progress, retold
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.engine._find_size import sizing
from napari_apprentice.engine._resample import resample
from napari_apprentice.engine._sliding import Plan, Runner
from napari_apprentice.engine._tune import tune
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import tile_for
from napari_apprentice.engine.prepare import preparing, restore
from napari_apprentice.engine.size import known_zoom
from napari_apprentice.engine.tiles import blend_weights, padding, tiles
from napari_apprentice.tasks import TASKS

from ._explainer import class_names, count_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.prepare import Prepared
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = [
    "Ask",
    "Each",
    "Scored",
    "commonest",
    "fast_network",
    "finish",
    "likeliest",
    "on_source",
    "seeing",
    "tiled",
]

Ask = Callable[[torch.Tensor], torch.Tensor]
"""From inputs ``(N, C, *tile)`` to what is said about them."""

Each = Callable[[torch.Tensor], Generator[None, None, "torch.Tensor | None"]]
"""From a tile ``(1, C, *tile)`` to its map ``(*tile)``, or None where there is nothing to show; yields now and then."""


def seeing(
    volume: Volume, model: Model, config: ExplainConfig, device: str
) -> Generator[Event, None, Prepared]:
    """The image as a prediction sees it: zoomed, too, where the model knows objects of one size only."""
    spec, task = model.spec, TASKS[model.spec.task]
    how = PredictConfig(diameter=config.diameter)
    zoom = known_zoom(volume.grid, spec, how)
    prepared = yield from preparing(volume, spec, zoom or 1.0)
    if zoom is not None:
        return prepared
    reduce: Any = getattr(task, "reduce", None)
    plan = Plan(device=device, stitch=device, batch=1, tile=tile_for(spec, how), overlap=0.0)
    runner = Runner(model.build(), plan, reduce and (lambda scores: reduce(scores, spec)))
    zoom, note = yield from sizing(prepared, runner, task, spec)
    if zoom != 1.0:
        prepared = yield from preparing(volume, spec, zoom)
    return replace(prepared, notes=(*prepared.notes, note))


class Scored:
    """A network that answers voxel by voxel or box by box, and what its task reads from its answer (`TellsClasses`)."""

    def __init__(self, network: Ask, spec: ModelSpec) -> None:
        self._network, self._spec = network, spec
        self._task: Any = TASKS[spec.task]

    def scores(self, data: torch.Tensor) -> torch.Tensor:
        """Scores ``(N, 1 + n, *places)`` of background and classes in tiles ``(N, C, *tile)``."""
        return self.read(self._network(data))

    def read(self, answer: torch.Tensor) -> torch.Tensor:
        """Those scores from an answer of the network."""
        scores: torch.Tensor = self._task.class_scores(answer, self._spec)
        return scores

    def told(self, scores: torch.Tensor) -> torch.Tensor:
        """Which class each place is given, ``(N, *places)``: 0 background, else its position from 1."""
        told: torch.Tensor = self._task.told(scores, self._spec)
        return told


def tiled(
    prepared: Prepared, spec: ModelSpec, overlap: float, each: Each, stage: str
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Blend the maps of all tiles into one on the working grid."""
    tile = tile_for(spec, PredictConfig())
    data = prepared.data
    lead = data.shape[1 : data.ndim - len(tile)]
    total = count_tiles(data.shape[1:], tile, overlap)
    result = np.zeros(data.shape[1:], np.float32)
    done = 0

    def counted(finished: int) -> Progress:
        nonlocal done
        done += finished
        return Progress(stage, done, total, "tile")

    for place in itertools.product(*(range(n) for n in lead)):
        # The leading axes of a volume that the network sees plane by plane.
        plane = np.moveaxis(data, 0, len(lead))[place]
        field = torch.from_numpy(np.ascontiguousarray(plane))
        result[place] = yield from retold(_field(field, tile, overlap, each), counted)
    return result


def _field(
    data: torch.Tensor, tile: Sequence[int], overlap: float, each: Each
) -> Generator[int, None, NDArray[np.float32]]:
    """The map of an array ``(C, *working)`` that the network sees all axes of; yields how many tiles were finished."""
    pad = padding(data.shape[1:], tile)
    padded = torch.nn.functional.pad(data, [v for pair in reversed(pad) for v in pair])
    weights = torch.from_numpy(blend_weights(tile))
    total, weight = torch.zeros(padded.shape[1:]), torch.zeros(padded.shape[1:])
    for start in tiles(padded.shape[1:], tile, overlap):
        place = tuple(slice(s, s + t) for s, t in zip(start, tile, strict=True))
        heat = yield from retold(each(padded[(slice(None), *place)][None]), lambda _: 0)
        if heat is not None:
            total[place] += heat.cpu() * weights
        weight[place] += weights
        yield 1
    crop = tuple(slice(b, b + n) for (b, _), n in zip(pad, data.shape[1:], strict=True))
    return (total / weight)[crop].numpy()


def fast_network(model: Model, device: str) -> Ask:
    """The network as predictions run it, without gradients."""
    network, layout = model.build().to(device, torch.float32).eval(), torch.contiguous_format
    if device == "cpu":
        network, layout = tune(network, model.spec.ndim)

    def run(data: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = network(data.contiguous(memory_format=layout))
        return answer

    return run


def commonest(
    network: Scored, prepared: Prepared, spec: ModelSpec, device: str
) -> Generator[Progress, None, int]:
    """Position of the class that most places are given."""
    counts = torch.zeros(len(class_names(spec)) + 1)

    def each(tile: torch.Tensor) -> Generator[None, None, None]:
        yield
        with torch.inference_mode():
            winner = network.told(network.scores(tile.to(device))).flatten().cpu()
        counts.add_(torch.bincount(winner, minlength=len(counts)))

    yield from tiled(prepared, spec, 0.0, each, "finding the commonest class")
    return int(counts[1:].argmax())


def likeliest(network: Ask, parts: torch.Tensor, device: str) -> int:
    """Position of the class that an image ``(N, C, *tile)`` as a whole most likely is of."""
    with torch.inference_mode():
        return int(network(parts.to(device)).softmax(dim=1).mean(dim=0).argmax())


def on_source(
    heat: NDArray[np.float32], prepared: Prepared
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Bring a map from the working grid to the image's own."""
    whole = yield from resample(heat[np.newaxis], prepared.turned.shape)
    return np.ascontiguousarray(restore(whole[0], prepared.order, prepared.flips))


def finish(
    heat: NDArray[np.float32],
    prepared: Prepared,
    model: Model,
    method: str,
    device: str,
    began: float,
    *,
    image_class: str | None,
    summary: str,
) -> Prediction:
    """The map as a prediction with its provenance."""
    seconds = time.perf_counter() - began
    parameters = {"method": method}
    made = Provenance(
        model.spec.name, model.fingerprint, device, seconds, parameters, notes=prepared.notes
    )
    return Prediction(
        prepared.source,
        image=np.clip(heat, 0, 1).astype(np.float32),
        image_class=image_class,
        summary=summary,
        provenance=made,
    )
