"""How large the objects of an image are, asked of the network itself at several zooms."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.units import unit_text

from ._resample import resample
from ._sliding import Clock
from .device import is_out_of_memory
from .prepare import axis_zooms
from .size import LIMITS, bounded, zoom_to

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec

    from ._sliding import Runner
    from .prepare import Prepared

__all__ = ["Seen", "describe_size", "finding_zoom", "sizing"]

_ZOOMS = (1.0, 0.7, 1.4, 0.5, 2.0)
"""Nearer to one another than the size may be wrong by: with three, stained tissue was seen at a wrong one more often."""
_TILES_ACROSS = {2: 2, 3: 1}
"""Of the region that is looked at, by dimensions: one tile of a volume holds as many objects as several of a plane."""
_TRUST = 4
"""Power of the mean score: an object seen much too large falls into pieces of which the network is a little less sure."""
_SPREAD = 0.5
"""How far (in natural logarithms) the size found may lie from the model's until its answer counts little."""


@dataclass(frozen=True)
class Seen:
    """What was seen with one zoom: objects of a diameter in zoomed voxels, and how much that is to be believed."""

    zoom: float
    diameter: float
    quality: float


def finding_zoom(
    prepared: Prepared, runner: Runner, task: Any, spec: ModelSpec
) -> Generator[Progress, None, Seen | None]:
    """Find the zoom at which the network sees objects of the size it was trained at.

    A region of a few tiles is looked at with five zooms. The one in which the network is surest and finds what it
    expects is corrected by the size it found, and once more by the size found then.

    Parameters
    ----------
    prepared
        The image at zoom 1.
    runner
        The network.
    task
        A `Task` that `SizesObjects`.

    Returns
    -------
    Seen or None
        What was seen with the zoom to take; None where nothing is found with any.
    """
    wanted = task.diameter(spec)
    trials = []
    for zoom in _ZOOMS:
        trials.append((yield from _try(prepared, zoom, runner, task, spec)))
    best = max(trials, key=lambda trial: trial.quality)
    for _ in range(2):
        if not best.quality > 0:
            return None
        zoom = float(np.clip(best.zoom * wanted / best.diameter, *LIMITS))
        if zoom_to(zoom, best.zoom) == 1.0:
            return best
        again = yield from _try(prepared, zoom, runner, task, spec)
        if not again.quality > 0:
            return best
        best = again
    return best


def sizing(
    prepared: Prepared, runner: Runner, task: Any, spec: ModelSpec
) -> Generator[Event, None, tuple[float, str]]:
    """Ask the network for the size of the objects, and say what it is taken to be.

    Parameters
    ----------
    prepared, runner, task, spec
        As of `finding_zoom`.

    Returns
    -------
    tuple of float and str
        How the image is to be zoomed, and a note for people. 1 where nothing is found or memory runs out.
    """
    looking = finding_zoom(prepared, runner, task, spec)
    seen: Seen | None = None
    note = ""
    while True:
        try:
            next(looking)
        except StopIteration as stop:
            seen = stop.value
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            note = "memory ran out while the size of objects was looked for: the image is seen as it is"
            break
        yield Progress("finding the size of objects")
    note = note or describe_size(seen, prepared.grid)
    yield Log(note)
    return bounded(seen.zoom if seen else 1.0, prepared.grid.shape[-spec.ndim :]), note


def describe_size(seen: Seen | None, grid: Grid) -> str:
    """Say in the image's unit what size the objects are taken to be; `grid` is that of zoom 1."""
    if seen is None:
        return "no object found to tell the size of: the image is seen as it is"
    width = seen.diameter / seen.zoom * grid.spacing[-1]
    return f"objects taken to be about {width:.3g} {unit_text(grid.unit)} wide"


def _try(
    prepared: Prepared, zoom: float, runner: Runner, task: Any, spec: ModelSpec
) -> Generator[Progress, None, Seen]:
    """Look at the busiest region with one zoom."""
    part = yield from _zoomed(prepared, zoom, spec)
    dense = yield from runner.run(part, Clock(1))
    return _judged(task.decode(dense, part.grid, spec), zoom, task, spec)


def _judged(prediction: Prediction, zoom: float, task: Any, spec: ModelSpec) -> Seen:
    """The size of what was found, and how much it is to be believed."""
    scores = np.asarray(prediction.objects["score"], float)
    if prediction.labels is None or not len(scores):
        return Seen(zoom, 0.0, 0.0)
    diameters = task.diameters(prediction.labels, prediction.grid, spec)
    found = _weighted_median(diameters)
    area = diameters**spec.ndim
    trust = float((scores * area).sum() / area.sum())
    off = math.log(found / task.diameter(spec))
    return Seen(zoom, found, trust**_TRUST * math.exp(-0.5 * (off / _SPREAD) ** 2))


def _weighted_median(diameters: NDArray[np.float64]) -> float:
    """Median in which large objects weigh more: specks that noise makes are many."""
    ordered = np.sort(diameters)
    share = np.cumsum(ordered)
    return float(ordered[np.searchsorted(share, share[-1] / 2)])


def _zoomed(
    prepared: Prepared, zoom: float, spec: ModelSpec
) -> Generator[Progress, None, Prepared]:
    """The busiest region that fills some tiles at this zoom; of a volume for a 2-D network, of its busiest plane."""
    data = _plane(prepared.data, spec)
    plane = prepared.grid.plane() if spec.ndim < prepared.grid.ndim else prepared.grid
    zooms = axis_zooms(plane.spacing, zoom)
    across = _TILES_ACROSS[spec.ndim]
    sizes = [math.ceil(across * t / z) for t, z in zip(spec.tile, zooms, strict=True)]
    place = _busiest(data, sizes)
    region = data[(slice(None), *place)]
    shape = [max(1, round(n * z)) for n, z in zip(region.shape[1:], zooms, strict=True)]
    seen = yield from resample(np.ascontiguousarray(region), shape)
    grid = replace(plane, shape=region.shape[1:]).with_shape(shape)
    order = tuple(range(grid.ndim))
    flips = (False,) * grid.ndim
    return replace(
        prepared, data=seen, grid=grid, turned=grid, source=grid, order=order, flips=flips
    )


def _plane(data: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float32]:
    if data.ndim - 1 == spec.ndim:
        return data
    varied = [float(data[:, z].std()) for z in range(data.shape[1])]
    return data[:, int(np.argmax(varied))]


def _busiest(data: NDArray[np.float32], sizes: Sequence[int]) -> tuple[slice, ...]:
    """Of a few regions of these lengths, side by side, the one with the most contrast."""
    starts = [
        np.linspace(0, max(0, n - size), min(5, 1 + max(0, n - size) // max(1, size // 2)))
        for n, size in zip(data.shape[1:], sizes, strict=True)
    ]
    best, most = None, -1.0
    for corner in np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, len(sizes)):
        place = tuple(
            slice(int(c), int(c) + min(size, n))
            for c, size, n in zip(corner, sizes, data.shape[1:], strict=True)
        )
        varied = float(data[0][place].std())
        if varied > most:
            best, most = place, varied
    if best is None:
        raise ValueError("expected an image with voxels, found none")
    return best
