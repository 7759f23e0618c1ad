"""Grad-CAM: where in an image the evidence for a class was, from the gradient of its score."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as functional

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.engine.device import choose_device
from napari_apprentice.engine.images import fitted, unfitted
from napari_apprentice.engine.prepare import preparing
from napari_apprentice.models.networks import NETWORKS, answers_per_image

from ._explainer import OVERLAP, class_names, class_position
from ._fields import Scored, commonest, finish, likeliest, on_source, seeing, tiled

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.prepare import Prepared
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = ["class_map", "grad_cam", "voxel_map"]


def class_map(
    volume: Volume, model: Model, image_class: str | None, config: ExplainConfig
) -> Job[Prediction]:
    """Show where in an image a classifier saw evidence for a class.

    Parameters
    ----------
    volume
        One time point.
    model
        Of whole images.
    image_class
        Name of the class to ask for; None: the one that the model finds most likely.
    config
        Its device, and the size of objects where it is known.

    Yields
    ------
    Progress
        One per part of the image (its planes, for a 2-D model).

    Returns
    -------
    Prediction
        ``image`` is the map on the image's own grid, float32, 0 to 1 (the strongest evidence in it).

    Raises
    ------
    BadInputError
        A model that answers voxel by voxel, a class it does not know, or an image that does not fit.
    """
    began, spec = time.perf_counter(), model.spec
    if not answers_per_image(NETWORKS[spec.network]):
        raise BadInputError(
            f"expected a model that gives whole images a class, {spec.name} answers voxel by voxel"
        )
    wanted = class_position(spec, image_class)
    yield Progress("explaining")
    prepared = yield from preparing(volume, spec)
    parts = torch.from_numpy((yield from fitted(prepared, spec)))
    where = choose_device(config.device).name
    network = model.network.to(where)
    if wanted is None:
        wanted = likeliest(network, parts, where)
    maps = []
    for number, part in enumerate(parts):
        yield Progress("explaining", number, len(parts), "image")
        maps.append(grad_cam(network, part[None].to(where), wanted)[0].cpu().numpy())
    heat = yield from unfitted(np.stack(maps), prepared, spec)
    return _evidence(heat, prepared, model, wanted, "Grad-CAM", where, began)


def voxel_map(
    volume: Volume, model: Model, image_class: str | None, config: ExplainConfig
) -> Job[Prediction]:
    """Show where in an image a network saw evidence for the voxels, or the boxes, of a class.

    Seg-Grad-CAM (Vinogradova et al., AAAI 2020): the gradient of the class's scores, summed over the voxels that are given
    the class, with respect to the coarsest features of the network, tile by tile. Box by box the sum is over the anchors that
    are given the class, and the features are those of every level that they are told from. Scores are those that the task
    reads from the answer (`TellsClasses`).

    Parameters, events and errors are those of `class_map`; without a class, that of most voxels or anchors is asked for.
    """
    began, spec = time.perf_counter(), model.spec
    wanted = class_position(spec, image_class)
    yield Progress("explaining")
    where = choose_device(config.device).name
    prepared = yield from seeing(volume, model, config, where)
    network = model.network.to(where).float().eval()
    asked = Scored(network, spec)
    if wanted is None:
        wanted = yield from commonest(asked, prepared, spec, where)

    def each(tile: torch.Tensor) -> Generator[None, None, torch.Tensor | None]:
        yield
        return _tile_map(network, asked, tile.to(where), wanted + 1)

    heat = yield from tiled(prepared, spec, OVERLAP, each, "explaining")
    heat = yield from on_source(heat, prepared)
    return _evidence(heat, prepared, model, wanted, "Seg-Grad-CAM", where, began)


def _evidence(
    heat: NDArray[np.float32],
    prepared: Prepared,
    model: Model,
    position: int,
    method: str,
    device: str,
    began: float,
) -> Prediction:
    """A map as a share of its strongest evidence."""
    heat = heat / max(float(heat.max()), 1e-12)
    name = class_names(model.spec)[position]
    told = f"evidence for {name}"
    return finish(heat, prepared, model, method, device, began, image_class=name, summary=told)


def _tile_map(
    network: torch.nn.Module, asked: Scored, tile: torch.Tensor, channel: int
) -> torch.Tensor | None:
    """Map of one tile ``(1, C, *tile)``; None where it holds nothing of the class."""
    with torch.enable_grad():
        features, scores = _looked_at(network, asked, tile.detach().clone().requires_grad_())
        mine = asked.told(scores) == channel
        if not bool(mine.any()):
            return None
        slopes = torch.autograd.grad(scores[:, channel][mine].sum(), features)
    # The mean of a slope is less where a level has more places: summed up again, levels weigh what they tell of.
    maps = []
    for level, slope in zip(features, slopes, strict=True):
        heat = _weighted(network, level, slope, tile)
        maps.append(heat * level.shape[2:].numel())
    return torch.stack(maps).sum(dim=0)[0]


def _looked_at(
    network: torch.nn.Module, asked: Scored, tile: torch.Tensor
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The features by which a tile is explained, and the scores of its places."""
    if getattr(network, "finds_boxes", False):
        pyramid: Any = network
        levels: list[torch.Tensor] = pyramid.features(tile)
        return levels, asked.read(pyramid.rows(levels))
    with _Coarsest(network, tile) as kept:
        scores = asked.scores(tile)
    if kept.features is None:
        raise _no_places()
    return [kept.features], scores


def _no_places() -> BadInputError:
    return BadInputError(
        "expected a network with features that have places", remedy="Explain it another way."
    )


def _placed(network: torch.nn.Module, output: Any, seen: torch.Tensor) -> torch.Tensor | None:
    """What a layer says of the places of images ``(N, C, *spatial)``, slices laid where they are from; None where it tells of none."""
    if not isinstance(output, torch.Tensor):
        return None
    unfolded = getattr(network, "unfolded", None)
    placed: torch.Tensor | None = output if unfolded is None else unfolded(output, seen)
    has_places = placed is not None and placed.ndim == seen.ndim and max(placed.shape[2:]) > 1
    return placed if has_places else None


class _Coarsest:
    """Keeps the last of the coarsest features that still have places, while a network runs."""

    def __init__(self, network: torch.nn.Module, seen: torch.Tensor) -> None:
        self.features: torch.Tensor | None = None
        self._network, self._seen, self._fewest = network, seen, math.inf
        self._leaves = [m for m in network.modules() if not list(m.children())]

    def __enter__(self) -> _Coarsest:
        self._handles = [leaf.register_forward_hook(self._keep) for leaf in self._leaves]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _keep(self, module: torch.nn.Module, inputs: Any, output: Any) -> None:
        placed = _placed(self._network, output, self._seen)
        if placed is None or not output.requires_grad:
            return
        if placed.shape[2:].numel() <= self._fewest:
            self.features, self._fewest = output, placed.shape[2:].numel()


def _weighted(
    network: torch.nn.Module, features: torch.Tensor, slope: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    """Features weighted by their mean gradient, without what speaks against the class, ``(N, *spatial)`` of what was seen."""
    of, by = _placed(network, features, seen), _placed(network, slope, seen)
    if of is None or by is None:
        raise _no_places()
    weights = by.mean(dim=tuple(range(2, by.ndim)), keepdim=True)
    heat = (weights * of.detach()).sum(dim=1, keepdim=True).clamp_min(0)
    mode = "trilinear" if heat.ndim == 5 else "bilinear"
    return functional.interpolate(heat, seen.shape[2:], mode=mode, align_corners=False)[:, 0]


def grad_cam(network: torch.nn.Module, images: torch.Tensor, position: int) -> torch.Tensor:
    """Maps ``(N, *spatial)`` of the evidence for one class, in images ``(N, C, *spatial)``.

    The last features that still have places, weighted by the mean gradient of the class's score with respect to each of
    them, without what speaks against it (Selvaraju et al., ICCV 2017). Each map is between 0 and the strength of its
    own strongest evidence.

    Raises
    ------
    BadInputError
        The network has no features with places.
    """
    kept: list[torch.Tensor] = []

    def keep(module: torch.nn.Module, inputs: Any, output: Any) -> None:
        if _placed(network, output, images) is not None:
            kept[:] = [output]

    leaves = [m for m in network.modules() if not list(m.children())]
    # Pooling only makes the same features coarser.
    handles = [m.register_forward_hook(keep) for m in leaves if "Pool" not in type(m).__name__]
    network.eval()
    try:
        with torch.enable_grad():
            scores = network(images.detach().clone().requires_grad_())
            if not kept:
                raise _no_places()
            (slope,) = torch.autograd.grad(scores[:, position].sum(), kept[0])
    finally:
        for handle in handles:
            handle.remove()
    return _weighted(network, kept[0], slope, images)
