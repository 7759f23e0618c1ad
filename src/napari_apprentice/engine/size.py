"""Object size: images are zoomed so that their objects meet the size a network was trained at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.models.networks import NETWORKS, FitsObjects
from napari_apprentice.tasks import TASKS, ClassesObjects, FindsPlaces, ReadsBoxes, SizesObjects

from .prepare import has_spacing, turn, working_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import Task

    from .config import PredictConfig
    from .split import TrainItem

__all__ = [
    "LIMITS",
    "bounded",
    "known_zoom",
    "median_diameter",
    "placing",
    "planned_spec",
    "read_on",
    "seen_grid",
    "training_zoom",
    "zoom_to",
]

LIMITS = (0.1, 4.0)
"""Smallest and largest zoom: beyond, an image is mostly blur or mostly gone."""
_MOST_VOXELS = 2**27
"""Of a zoomed image: half a gigabyte a channel."""
_SAME = 0.15
_FEWEST = 3
_LEARNED = (10.0, 40.0)
"""Diameters in working voxels at which a new network learns: smaller objects are zoomed in on, larger ones away from."""


def zoom_to(wanted: float, found: float) -> float:
    """The zoom that brings a diameter to the wanted one; 1 where it is about that already."""
    if not found > 0:
        return 1.0
    zoom = wanted / found
    return 1.0 if abs(zoom - 1) <= _SAME else float(np.clip(zoom, *LIMITS))


def seen_grid(grid: Grid, spec: ModelSpec, zoom: float = 1.0) -> Grid:
    """The grid on which the network sees a volume on `grid`."""
    source = grid.spatial
    return working_grid(source.reoriented(*turn(source, spec)), spec, zoom)[0]


def known_zoom(grid: Grid, spec: ModelSpec, config: PredictConfig) -> float | None:
    """The zoom as far as it needs no look at the image; None where the size of objects is to be found first."""
    # Sizes that a model knows are arguments of its task: without any, the task's module need not be loaded.
    task: Any = TASKS[spec.task] if spec.task_args else None
    wanted = task.diameter(spec) if isinstance(task, SizesObjects) else None
    if wanted is None:
        return 1.0
    seen = seen_grid(grid, spec)
    if config.diameter is not None:
        zoom = zoom_to(wanted, config.diameter / seen.spacing[-1])
        return bounded(zoom, seen.shape[-spec.ndim :])
    return 1.0 if has_spacing(seen, spec) else None


def placing(
    seen: Grid, spec: ModelSpec
) -> tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]:
    """How a whole image is fitted to a model's tile.

    Parameters
    ----------
    seen
        The grid on which the network sees the image, see `seen_grid`.
    spec
        The model. Without a working spacing of its own the image is resized until it just fits, its proportions kept.

    Returns
    -------
    tuple
        Shape to which the image is resized along the axes that the model sees, which part of that is taken, and where in
        the tile it goes.
    """
    shape = seen.shape[-spec.ndim :]
    if spec.spacing is None:
        lengths = np.multiply(shape, seen.spacing[-spec.ndim :])
        # The largest length in which no axis outgrows the tile.
        per_voxel = float((lengths / spec.tile).max())
        shape = tuple(max(1, round(length / per_voxel)) for length in lengths)
    pairs = [_centred(length, size) for length, size in zip(shape, spec.tile, strict=True)]
    return shape, tuple(taken for taken, _ in pairs), tuple(place for _, place in pairs)


def _centred(length: int, size: int) -> tuple[slice, slice]:
    """Which part of an axis is taken, and where in the tile it goes."""
    if length <= size:
        return slice(0, length), slice((size - length) // 2, (size - length) // 2 + length)
    start = (length - size) // 2
    return slice(start, start + size), slice(0, size)


def bounded(zoom: float, shape: Sequence[int]) -> float:
    """Hold the zoom of an image within what memory bears; `shape` are the axes that are zoomed."""
    most = (_MOST_VOXELS / float(np.prod(shape))) ** (1 / len(shape))
    return float(min(zoom, max(1.0, most)))


def median_diameter(
    labels: NDArray[np.generic], grid: Grid, task: SizesObjects, spec: ModelSpec
) -> float | None:
    """Median diameter of the objects in voxels of the last axis; None where there are too few to tell."""
    diameters = task.diameters(labels, grid, spec)
    return float(np.median(diameters)) if len(diameters) >= _FEWEST else None


def training_zoom(item: TrainItem, task: Task, spec: ModelSpec) -> float:
    """How an annotated image is zoomed to be learned from: 1 for tasks without sizes, or with too few objects."""
    if not isinstance(task, SizesObjects):
        return 1.0
    wanted = task.diameter(spec)
    found = _on_working_grid(item, task, spec)
    if wanted is None or found is None:
        return 1.0
    return bounded(zoom_to(wanted, found), item.volume.grid.spatial_shape[-spec.ndim :])


def planned_spec(spec: ModelSpec, items: Sequence[TrainItem], task: Task) -> ModelSpec:
    """A new model's description with the size of the objects it is to learn.

    It is that of the annotated objects, held within what a network learns well. Where voxels have a size, the working
    spacing becomes the one at which objects are that large.
    """
    if isinstance(task, FindsPlaces | ClassesObjects):
        annotations = [item.annotation for item in items]
        return _fitted(task.planned(spec, annotations), annotations, task)
    if not isinstance(task, SizesObjects) or task.diameter(spec) is not None:
        return spec
    found = [_on_working_grid(item, task, spec) for item in items]
    known = [value for value in found if value is not None]
    if not known:
        return task.with_diameter(spec, float(np.mean(_LEARNED)))
    median = float(np.median(known))
    wanted = float(np.clip(median, *_LEARNED))
    if spec.spacing is not None:
        spacing = tuple(s * median / wanted for s in spec.spacing)
        spec = spec.model_copy(update={"spacing": spacing})
    return task.with_diameter(spec, wanted)


def _fitted(spec: ModelSpec, annotations: Sequence[Annotation], task: Task) -> ModelSpec:
    """The description with a network that suits the objects, where they matter to it."""
    if not isinstance(task, ReadsBoxes):
        return spec
    network = NETWORKS[spec.network]
    if not isinstance(network, FitsObjects):
        return spec
    args = network.args_for_objects(task.lengths(spec, annotations), spec.network_args)
    return spec.model_copy(update={"network_args": dict(args)})


def read_on(spec: ModelSpec, task: Task, factor: float) -> ModelSpec:
    """The description for reading an answer on a grid that is finer than the working one by `factor`."""
    if not isinstance(task, SizesObjects):
        return spec
    diameter = task.diameter(spec)
    return spec if diameter is None else task.with_diameter(spec, diameter * factor)


def _on_working_grid(item: TrainItem, task: SizesObjects, spec: ModelSpec) -> float | None:
    """Median diameter of an item's objects in working voxels, before any zoom."""
    annotation = item.annotation
    found = median_diameter(_counted(annotation), annotation.grid, task, spec)
    if found is None:
        return None
    grid = item.volume.grid.spatial
    return found * grid.spacing[-1] / seen_grid(grid, spec).spacing[-1]


def _counted(annotation: Annotation) -> NDArray[np.generic]:
    """Labels where they count, background elsewhere."""
    if annotation.extent.whole:
        return annotation.labels
    return np.where(annotation.counts(), annotation.labels, 0)
