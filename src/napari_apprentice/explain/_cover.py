"""Occlusion: cover one part of an image after the other, and see which of them the answer needs. No gradients."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as functional

from napari_apprentice.core.jobs import Progress, retold
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import tile_for
from napari_apprentice.engine.device import choose_device
from napari_apprentice.engine.images import fitted, unfitted
from napari_apprentice.engine.size import placing
from napari_apprentice.engine.tiles import padding

from ._explainer import class_names, class_position, has_classes_in_places
from ._fields import (
    Ask,
    Scored,
    commonest,
    fast_network,
    finish,
    likeliest,
    on_source,
    seeing,
    tiled,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.prepare import Prepared
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = ["occlusion_map"]

_BATCH_VOXELS = 2**18
_HARDLY = 0.01
_Cells = Callable[[tuple[int, ...]], tuple[int, ...]]


def occlusion_map(
    volume: Volume,
    model: Model,
    image_class: str | None,
    config: ExplainConfig,
    *,
    cells: _Cells,
) -> Job[Prediction]:
    """Show how much a class needs each part of an image.

    Parameters
    ----------
    volume, model, image_class, config
        As of `class_map`.
    cells
        From the lengths of what the network sees of the image at once to the number of parts along each axis.

    Returns
    -------
    Prediction
        ``image``: the drop of the class's probability, in the voxels or anchors that are given it or in the image, where a part is
        covered with the mean of its channel; the largest drop is 1, unless there is none to speak of.
    """
    began, spec = time.perf_counter(), model.spec
    wanted = class_position(spec, image_class)
    yield Progress("explaining")
    where = choose_device(config.device).name
    prepared = yield from seeing(volume, model, config, where)
    network = fast_network(model, where)
    if has_classes_in_places(spec):
        heat, at = yield from _of_voxels(
            prepared, Scored(network, spec), spec, cells, wanted, where
        )
    else:
        heat, at = yield from _of_image(prepared, network, spec, cells, wanted, where)
    heat = np.maximum(heat, 0)
    strongest = float(heat.max())
    name = class_names(spec)[at]
    summary = f"needed for {name}: {_described(strongest)}"
    return finish(
        heat / max(strongest, _HARDLY),
        prepared,
        model,
        "occlusion",
        where,
        began,
        image_class=name,
        summary=summary,
    )


def _described(strongest: float) -> str:
    """A map is stretched to its largest drop, however small that is: then it says nothing, and this line says so."""
    if strongest < _HARDLY:
        return f"no single part, covering one takes less than {_HARDLY:g} of its probability"
    return f"covering a part takes up to {strongest:.2f} of its probability"


def _of_voxels(
    prepared: Prepared,
    network: Scored,
    spec: ModelSpec,
    cells: _Cells,
    wanted: int | None,
    device: str,
) -> Generator[Progress, None, tuple[NDArray[np.float32], int]]:
    """Map on the image's grid, and the position of the class."""
    known = wanted
    if known is None:
        known = yield from commonest(network, prepared, spec, device)
    channel, tile = known + 1, tile_for(spec, PredictConfig())
    lengths = prepared.data.shape[-len(tile) :]
    shown = tuple(
        slice(before, before + min(n, t))
        for n, t, (before, _) in zip(lengths, tile, padding(lengths, tile), strict=True)
    )
    parts = cells(_lengths(shown))

    def each(tile: torch.Tensor) -> Generator[None, None, torch.Tensor | None]:
        yield
        seen = tile.to(device)
        with torch.inference_mode():
            uncovered = network.scores(seen)
            mine = network.told(uncovered)[0] == channel
        if not bool(mine.any()):
            return None

        def share(scores: torch.Tensor) -> torch.Tensor:
            return scores.float().softmax(dim=1)[:, channel][:, mine].mean(dim=1)

        def ask(copies: torch.Tensor) -> torch.Tensor:
            return share(network.scores(copies))

        return (yield from _covered(seen, shown, parts, ask, share(uncovered)))

    heat = yield from tiled(prepared, spec, 0.0, each, "covering parts")
    return (yield from on_source(heat, prepared)), known


def _of_image(
    prepared: Prepared,
    network: Ask,
    spec: ModelSpec,
    cells: _Cells,
    wanted: int | None,
    device: str,
) -> Generator[Progress, None, tuple[NDArray[np.float32], int]]:
    images = torch.from_numpy((yield from fitted(prepared, spec)))
    position = likeliest(network, images, device) if wanted is None else wanted
    shown = placing(prepared.grid, spec)[2]
    parts = cells(_lengths(shown))

    def ask(copies: torch.Tensor) -> torch.Tensor:
        shares: torch.Tensor = network(copies).float().softmax(dim=1)
        return shares[:, position]

    def told(number: int) -> Callable[[None], Progress]:
        return lambda _: Progress("covering parts", number, len(images), "image")

    maps = []
    for number, image in enumerate(images):
        tile = image[None].to(device)
        with torch.inference_mode():
            uncovered = ask(tile)
        job = _covered(tile, shown, parts, ask, uncovered)
        drop = yield from retold(job, told(number))
        maps.append(drop.cpu().numpy())
    heat = yield from unfitted(np.stack(maps).astype(np.float32), prepared, spec)
    return heat, position


def _covered(
    tile: torch.Tensor,
    shown: tuple[slice, ...],
    cells: tuple[int, ...],
    ask: Ask,
    uncovered: torch.Tensor,
) -> Generator[None, None, torch.Tensor]:
    """Drop of what is asked for, ``(N,)`` of N copies, cell by cell, as a map ``(*tile)``; yields after each batch.

    Cells lie in the part of the tile that shows the image; around it the map is 0.
    """
    shape = tile.shape[2:]
    edges = [
        np.linspace(s.start, s.stop, c + 1).round().astype(int)
        for s, c in zip(shown, cells, strict=True)
    ]
    boxes = [
        tuple(slice(e[i], e[i + 1]) for e, i in zip(edges, at, strict=True))
        for at in itertools.product(*(range(c) for c in cells))
    ]
    # What is covered looks like nothing in particular: the mean of its channel.
    mean = tile[(slice(None), slice(None), *shown)].mean(
        dim=tuple(range(2, tile.ndim)), keepdim=True
    )
    size = max(1, min(16, _BATCH_VOXELS // shape.numel()))
    drops = []
    for start in range(0, len(boxes), size):
        yield
        chosen = boxes[start : start + size]
        copies = tile.repeat(len(chosen), *(1,) * (tile.ndim - 1))
        for copy, box in zip(copies, chosen, strict=True):
            copy[(slice(None), *box)] = mean[0]
        with torch.inference_mode():
            drops.append(uncovered - ask(copies))
    grid = torch.cat(drops).reshape(1, 1, *cells)
    mode = "trilinear" if grid.ndim == 5 else "bilinear"
    drop = functional.interpolate(grid, _lengths(shown), mode=mode, align_corners=False)[0, 0]
    result = drop.new_zeros(tuple(shape))
    result[shown] = drop
    return result


def _lengths(shown: tuple[slice, ...]) -> tuple[int, ...]:
    return tuple(s.stop - s.start for s in shown)
