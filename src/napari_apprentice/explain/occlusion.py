"""Occlusion: cover one part of an image after the other, and see which of them the answer needs. No gradients."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as functional

from napari_apprentice.core.jobs import Progress
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import tile_for
from napari_apprentice.engine.device import choose_device
from napari_apprentice.engine.images import fitted, unfitted
from napari_apprentice.engine.prepare import preparing

from ._explainer import class_position, has_classes_per_voxel, whole_or_voxels
from ._fields import check, commonest, finish, on_source, tiled, tiles_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.prepare import Prepared
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = ["EXPLAINER", "Occlusion", "cells_of"]

_PREDICTED = 0.5
_CELLS = {2: 8, 3: 4}
_BATCH_VOXELS = 2**18
Ask = Callable[[torch.Tensor], torch.Tensor]
"""From copies ``(N, C, *tile)`` to how much of the class is left in each, ``(N,)``."""


def cells_of(tile: Sequence[int], config: ExplainConfig) -> tuple[int, ...]:
    """Cells along each axis of a tile: near to cubes, as many along the longest axis as asked for."""
    along = config.cells or _CELLS[len(tile)]
    size = max(tile) / along
    return tuple(max(1, round(length / size)) for length in tile)


class Occlusion:
    """How much less sure the answer gets without each part (Zeiler & Fergus, ECCV 2014)."""

    title = "Occlusion"
    description = "How much the answer needs each part of the image: covers one after the other; slow, needs no gradients"
    asks_class = True

    def problem(self, spec: ModelSpec) -> str | None:
        """Why it cannot explain this model; see `Explainer`."""
        return whole_or_voxels(spec)

    def predictions(self, grid: Grid, spec: ModelSpec, config: ExplainConfig) -> float:
        """A pass per cell of every tile, and one without a cover."""
        cells = math.prod(cells_of(tile_for(spec, PredictConfig()), config)) + 1
        if not has_classes_per_voxel(spec):
            return float(cells)
        return cells * tiles_of(grid, spec, 0.0) / tiles_of(grid, spec, _PREDICTED)

    def explain(
        self, volume: Volume, model: Model, config: ExplainConfig, image_class: str | None = None
    ) -> Job[Prediction]:
        """Map how much each part is needed for a class: the drop of its probability, the largest drop being 1."""
        began, spec = time.perf_counter(), model.spec
        check(self.problem(spec), spec)
        wanted = class_position(spec, image_class)
        yield Progress("explaining")
        prepared = yield from preparing(volume, spec)
        device = choose_device(config.device).name
        network = model.network.to(device).float().eval()
        if has_classes_per_voxel(spec):
            heat, at = yield from _of_voxels(prepared, network, spec, config, wanted, device)
        else:
            heat, at = yield from _of_image(prepared, network, spec, config, wanted, device)
        heat = np.maximum(heat, 0)
        strongest = float(heat.max())
        name = spec.classes[at].name
        summary = (
            f"needed for {name}: covering a part takes up to {strongest:.2f} of its probability"
        )
        return finish(
            heat / max(strongest, 1e-12),
            prepared,
            model,
            "occlusion",
            device,
            began,
            image_class=name,
            summary=summary,
        )


def _of_voxels(
    prepared: Prepared,
    network: torch.nn.Module,
    spec: ModelSpec,
    config: ExplainConfig,
    wanted: int | None,
    device: str,
) -> Generator[Progress, None, tuple[NDArray[np.float32], int]]:
    """Map on the image's grid, and the position of the class."""
    known = wanted
    if known is None:
        known = yield from commonest(network, prepared, spec, device)
    channel = known + 1

    def each(tile: torch.Tensor) -> Generator[None, None, torch.Tensor | None]:
        yield
        seen = tile.to(device)
        with torch.inference_mode():
            mine = network(seen).argmax(dim=1)[0] == channel
        if not bool(mine.any()):
            return None

        def ask(copies: torch.Tensor) -> torch.Tensor:
            shares: torch.Tensor = network(copies).float().softmax(dim=1)[:, channel]
            return shares[:, mine].mean(dim=1)

        return (yield from _covered(seen, cells_of(tile.shape[2:], config), ask))

    heat = yield from tiled(prepared, spec, 0.0, each, "covering parts")
    return (yield from on_source(heat, prepared)), known


def _of_image(
    prepared: Prepared,
    network: torch.nn.Module,
    spec: ModelSpec,
    config: ExplainConfig,
    wanted: int | None,
    device: str,
) -> Generator[Progress, None, tuple[NDArray[np.float32], int]]:
    parts = torch.from_numpy((yield from fitted(prepared, spec)))
    known = wanted
    if known is None:
        with torch.inference_mode():
            known = int(network(parts.to(device)).softmax(dim=1).mean(dim=0).argmax())
    position = known

    def ask(copies: torch.Tensor) -> torch.Tensor:
        shares: torch.Tensor = network(copies).float().softmax(dim=1)
        return shares[:, position]

    maps = []
    for number, part in enumerate(parts):
        job = _covered(part[None].to(device), cells_of(spec.tile, config), ask)
        while True:
            try:
                next(job)
                yield Progress("covering parts", number, len(parts), "image")
            except StopIteration as stop:
                maps.append(stop.value.cpu().numpy())
                break
    heat = yield from unfitted(np.stack(maps).astype(np.float32), prepared, spec)
    return heat, known


def _covered(
    tile: torch.Tensor, cells: tuple[int, ...], ask: Ask
) -> Generator[None, None, torch.Tensor]:
    """Drop of what is asked for, cell by cell, as a map ``(*tile)``; yields after each batch."""
    shape = tile.shape[2:]
    edges = [
        np.linspace(0, n, c + 1).round().astype(int) for n, c in zip(shape, cells, strict=True)
    ]
    boxes = [
        tuple(slice(e[i], e[i + 1]) for e, i in zip(edges, at, strict=True))
        for at in itertools.product(*(range(c) for c in cells))
    ]
    # What is covered looks like nothing in particular: the mean of its channel.
    mean = tile.mean(dim=tuple(range(2, tile.ndim)), keepdim=True)
    size = max(1, min(16, _BATCH_VOXELS // shape.numel()))
    with torch.inference_mode():
        whole = ask(tile)
    drops = []
    for start in range(0, len(boxes), size):
        yield
        chosen = boxes[start : start + size]
        copies = tile.repeat(len(chosen), *(1,) * (tile.ndim - 1))
        for copy, box in zip(copies, chosen, strict=True):
            copy[(slice(None), *box)] = mean[0]
        with torch.inference_mode():
            drops.append(whole - ask(copies))
    grid = torch.cat(drops).reshape(1, 1, *cells)
    mode = "trilinear" if grid.ndim == 5 else "bilinear"
    return functional.interpolate(grid, tuple(shape), mode=mode, align_corners=False)[0, 0]


EXPLAINER = Occlusion()
