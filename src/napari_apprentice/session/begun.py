"""Beginning an annotation of labels that there are, or of what a crash left: copied beside the window. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.measure.boxes import join_boxes

from ._index import Layout
from .autosave import restore
from .bulk import layout_job, parts_of
from .edits import AnnotationState

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.notes import Notes

    from ._index import Box

__all__ = ["Begun", "Source", "begin_job", "blank", "restore_job"]

_FEW = 8  # labels nobody explained: up to so many values are classes, more are numbered objects
_LARGEST = int(np.iinfo(np.uint32).max)


@dataclass(frozen=True, eq=False)
class Begun:
    """An annotation that nobody worked on yet, and a copy of it for the journal."""

    state: AnnotationState
    base: Annotation


@dataclass(frozen=True, eq=False)
class Source:
    """Labels that an annotation begins with.

    Parameters
    ----------
    name
        Of the image.
    layer
        What the labels are called, for errors.
    grid
        Spatial grid of the image.
    labels
        Integer array on it.
    classes
        What the labels came with; empty where nobody explained them.
    of_model
        Classes of the chosen model.
    numbered
        Whether the labels are known to number objects.
    notes
        What is known of these.
    """

    name: str
    layer: str
    grid: Grid
    labels: NDArray[Any]
    classes: tuple[LabelClass, ...]
    of_model: tuple[LabelClass, ...]
    numbered: bool
    notes: Notes

    def explained(self, largest: int) -> tuple[LabelClass, ...]:
        """Classes of the labels; where nothing explains them, a class for each of a few values."""
        if self.classes:
            return self.classes
        unknown = 0 if self.numbered else largest
        if max(c.value for c in self.of_model) < unknown <= _FEW:
            return tuple(LabelClass(v, f"class {v}") for v in range(1, unknown + 1))
        return self.of_model


def blank(
    name: str,
    grid: Grid,
    classes: tuple[LabelClass, ...],
    *,
    objects: bool = False,
    places: Detections | None = None,
) -> Begun:
    """Begin from nothing: no voxel has to be copied.

    Parameters
    ----------
    name
        Of the image.
    grid
        Its spatial grid.
    classes
        What can be told apart.
    objects
        Whether objects are numbered.
    places
        Points and boxes in voxels of `grid`, where those are annotated and not voxels.
    """
    labels = np.zeros(grid.shape, _kind(classes, objects))
    state = AnnotationState(
        name, grid, labels, classes, _extent(objects, places), objects=objects, places=places
    )
    return Begun(state, state.annotation(np.broadcast_to(labels.dtype.type(0), labels.shape)))


def _kind(classes: tuple[LabelClass, ...], objects: bool) -> np.dtype[Any]:
    """As small as holds every number; values of classes may be large, as those of brain atlases are."""
    return np.dtype(np.uint32) if objects else np.min_scalar_type(max(c.value for c in classes))


def _extent(objects: bool, places: Detections | None = None) -> Extent:
    """Numbered objects and places are only understood whole: their strokes alone teach nothing."""
    return Extent(strokes=not objects and places is None)


def begin_job(source: Source) -> Job[Begun]:
    """Copy labels into an annotation.

    Raises
    ------
    BadInputError
        Labels below zero, or too large to be numbers of objects.
    """
    largest = yield from _largest_job(source)
    classes = source.explained(largest)
    objects = source.numbered or largest > max(c.value for c in classes)
    labels = np.empty(source.grid.shape, _kind(classes, objects))
    base = np.empty_like(labels)
    boxes: dict[int, Box] = {}
    parts = parts_of(labels)
    for done, part in enumerate(parts):
        yield Progress("copying labels", done, len(parts), "block")
        base[part] = labels[part] = np.asarray(source.labels[part])
        if objects:
            join_boxes(boxes, labels[part], [piece.start for piece in part])
    state = AnnotationState(
        source.name,
        source.grid,
        labels,
        classes,
        _extent(objects),
        objects=objects,
        notes=source.notes,
    )
    if objects:
        state.index.know(Layout(boxes))
    return Begun(state, state.annotation(base))


def _largest_job(source: Source) -> Job[int]:
    largest = 0
    parts = parts_of(source.labels)
    for done, part in enumerate(parts):
        yield Progress("reading labels", done, len(parts), "block")
        here = np.asarray(source.labels[part])
        low, high = int(here.min(initial=0)), int(here.max(initial=0))
        if low < 0 or high > _LARGEST:
            raise BadInputError(
                f"expected labels from 0 to {_LARGEST}, found {low if low < 0 else high}",
                path=source.layer,
                remedy="Set what is background to 0.",
            )
        largest = max(largest, high)
    return largest


def restore_job(folder: Path) -> Job[Begun]:
    """Bring back an annotation from its journal.

    Raises
    ------
    FormatError
        A journal that cannot be read.
    """
    yield Progress("reading what was saved")
    state = restore(folder)
    yield Progress("copying labels")
    base = state.annotation()
    if state.objects:
        state.index.know((yield from layout_job(state.labels)))
    return Begun(state, base)
