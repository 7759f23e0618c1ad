"""A newer prediction written into an annotation; what a person said stays. One edit, undoable."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.edit import Edit
from napari_apprentice.core.errors import GridMismatchError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.notes import Note
from napari_apprentice.measure.boxes import join_boxes

from ._index import Layout
from .bulk import Found, changes_job, numbers_table, parts_of
from .objects import check_room, new_object

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Extent
    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.notes import NoteChanges, Notes

    from ._index import Box
    from .edits import AnnotationState

__all__ = ["take_over_classes_job", "take_over_objects_job", "take_over_places"]

_NAME = "Take over prediction"
_STAGE = "taking over"
_MOSTLY = 0.5
_SAME_OBJECT = 0.5
"""Two places nearer than this share of the size of the object are one."""


def take_over_classes_job(
    state: AnnotationState, labels: NDArray[Any], name: str = _NAME
) -> Job[Found]:
    """Find the edit that writes a model's labels over everything that nobody finished or painted.

    Parameters
    ----------
    labels
        Class values on the annotation's grid.

    Raises
    ------
    GridMismatchError
        At once, for labels of another shape.
    """
    _check_shape(state, labels)
    said, revision = _Protected.of(state), state.revision

    def after(box: Box) -> NDArray[Any]:
        return np.where(said.stays(box), state.labels[box], labels[box])

    def job() -> Job[Found]:
        blocks = yield from changes_job(state.labels, parts_of(labels), after, _STAGE)
        return Found(Edit(name, blocks, author="model"), revision)

    return job()


def take_over_objects_job(
    state: AnnotationState, labels: NDArray[Any], notes: Notes, name: str = _NAME
) -> Job[Found]:
    """Find the edit that replaces the objects that a model found and nobody touched by those of a newer prediction.

    Objects of a person, locked ones, finished parts and places that a person emptied stay as they are. An object of the
    prediction that lies mostly there is left out; any other is cut off there.

    Parameters
    ----------
    labels
        Numbered objects on the annotation's grid.
    notes
        What the model says of them.

    Raises
    ------
    GridMismatchError
        At once, for labels of another shape.
    BadInputError
        More objects than the labels' dtype can number.
    """
    _check_shape(state, labels)
    said, revision, known = _Protected.of(state), state.revision, dict(state.notes)
    first = new_object(state)

    def job() -> Job[Found]:
        sizes, inside = yield from _counts_job(labels, said)
        chosen = [n for n, size in sizes.items() if inside.get(n, 0) < _MOSTLY * size]
        check_room(state, first, len(chosen))
        new = np.arange(first, first + len(chosen)).astype(state.labels.dtype)
        rename = numbers_table(np.array(chosen, np.int64), new)
        boxes: dict[int, Box] = {}

        def after(box: Box) -> NDArray[Any]:
            found = np.where(said.stays(box), state.labels[box], rename(labels[box]))
            join_boxes(boxes, found, [part.start for part in box])
            return found

        blocks = yield from changes_job(state.labels, parts_of(labels), after, _STAGE)
        pairs = zip(chosen, new.tolist(), strict=True)
        told = {number: notes.get(old, Note()) for old, number in pairs}
        edit = Edit(name, blocks, author="model", notes=_changes(known, told, boxes))
        return Found(edit, revision, Layout(boxes))

    return job()


def _changes(known: Notes, told: Notes, left: Container[int]) -> NoteChanges:
    """What becomes of the notes: those of objects that are gone are forgotten."""
    gone: dict[int, tuple[Note | None, Note | None]] = {
        n: (note, None) for n, note in known.items() if n not in left
    }
    return gone | {n: (None, note) for n, note in told.items()}


def _check_shape(state: AnnotationState, labels: NDArray[Any]) -> None:
    if tuple(labels.shape) != state.grid.shape:
        raise GridMismatchError(
            f"expected a prediction of {state.grid.shape}, found {tuple(labels.shape)}",
            path=state.name,
        )


@dataclass(frozen=True, eq=False)
class _Protected:
    """Where a model may not write: what is finished or painted, and objects of a person."""

    labels: NDArray[Any]
    extent: Extent
    painted: NDArray[np.bool_] | None
    of_people: Callable[[NDArray[Any]], NDArray[Any]] | None

    @classmethod
    def of(cls, state: AnnotationState) -> _Protected:
        """Take what an annotation says now."""
        people = {n for n, note in state.notes.items() if note.by == "person"} | state.locked
        numbers = np.array(sorted(people), np.int64)
        table = numbers_table(numbers, np.ones(numbers.size, bool)) if people else None
        return cls(state.labels, state.extent, state.painted, table)

    def stays(self, box: Box) -> NDArray[np.bool_]:
        """Boolean array of a box."""
        stays = self.extent.mask_in(box, self.labels.shape)
        if self.painted is not None:
            stays = stays | self.painted[box]
        return stays if self.of_people is None else stays | self.of_people(self.labels[box])


def _counts_job(
    labels: NDArray[Any], said: _Protected
) -> Job[tuple[dict[int, int], dict[int, int]]]:
    """Count the voxels of each object, and those of them where nothing may be written."""
    sizes: Counter[int] = Counter()
    inside: Counter[int] = Counter()
    parts = parts_of(labels)
    for done, box in enumerate(parts):
        yield Progress("comparing", done, len(parts), "block")
        found = labels[box]
        sizes.update(_counted(found))
        inside.update(_counted(found[said.stays(box)]))
    return dict(sorted(sizes.items())), inside


def _counted(values: NDArray[Any]) -> dict[int, int]:
    """How many voxels each object has among some; background is left out."""
    numbers, counts = np.unique(values, return_counts=True)
    pairs = zip(numbers.tolist(), counts.tolist(), strict=True)
    return {number: count for number, count in pairs if number > 0}


def take_over_places(state: AnnotationState, found: Detections, name: str = _NAME) -> None:
    """Put newer places in the place of those that nobody finished or placed; one edit, undoable.

    What lies where it is finished and what a person placed, moved or drew stays; what the model found in the finished part,
    or where a person placed something, is left out.

    Parameters
    ----------
    found
        What a model found in the whole image, in voxels of the annotation's grid.
    """
    if state.places is None:
        return
    finished = state.extent.mask(state.grid.shape)
    kept = state.places.select(state.places.in_mask(finished) | (state.places.scores == 1))
    open_ones = found.in_image(state.grid.shape) & ~found.in_mask(finished)
    new = found.select(open_ones)
    new = new.select(~_are_near(new, kept, state.grid.spacing))
    state.set_places(kept.joined(new), name, author="model")


def _are_near(new: Detections, kept: Detections, spacing: tuple[float, ...]) -> NDArray[np.bool_]:
    """Which of the new ones are about the same object as one that is kept."""
    from scipy.spatial import cKDTree

    if not len(kept) or not len(new):
        return np.zeros(len(new), dtype=bool)
    distance = cKDTree(kept.centres * spacing).query(new.centres * spacing)[0]
    both = new.joined(kept)
    lengths = (both.sizes[both.are_boxes] * spacing).mean(axis=1)
    usual = np.median(lengths) if len(lengths) else 2 * max(spacing)
    return np.asarray(distance < _SAME_OBJECT * usual)
