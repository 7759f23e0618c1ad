"""A newer prediction of objects, or of places, written into an annotation; what a person said stays. One edit, undoable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.edit import Edit, changed_blocks
from napari_apprentice.core.errors import GridMismatchError
from napari_apprentice.core.notes import Note

from .objects import new_object

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.notes import Notes

    from .edits import AnnotationState

__all__ = ["take_over_objects", "take_over_places"]

_MOSTLY = 0.5
_SAME_OBJECT = 0.5
"""Two places nearer than this share of the size of the object are one."""


def take_over_objects(
    state: AnnotationState, labels: NDArray[Any], notes: Notes, name: str = "Take over prediction"
) -> int:
    """Replace the objects that a model found and nobody touched by those of a newer prediction; return how many came.

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
        Labels of another shape.
    BadInputError
        More objects than the labels' dtype can number.
    """
    if tuple(labels.shape) != state.grid.shape:
        raise GridMismatchError(
            f"expected a prediction of {state.grid.shape}, found {tuple(labels.shape)}",
            path=state.name,
        )
    known = state.index.numbers()
    people = {n for n, note in state.notes.items() if note.by == "person"} | state.locked
    kept = np.isin(state.labels, np.array(sorted(people), dtype=np.int64))
    stays = state.protected() | kept
    numbers, sizes = np.unique(labels, return_counts=True)
    inside = _counted(labels, stays, numbers)
    chosen = (numbers > 0) & (inside < _MOSTLY * sizes)
    first = new_object(state, max(1, int(chosen.sum())))
    renamed = np.zeros(len(numbers), dtype=state.labels.dtype)
    renamed[chosen] = np.arange(first, first + int(chosen.sum()))
    after = np.where(stays, state.labels, renamed[np.searchsorted(numbers, labels)])
    left = set(np.unique(after).tolist())
    changes: dict[int, tuple[Note | None, Note | None]] = {
        int(n): (state.notes[int(n)], None)
        for n in known
        if int(n) not in left and int(n) in state.notes
    }
    changes |= {
        int(new): (None, notes.get(int(old), Note()))
        for old, new in zip(numbers[chosen], renamed[chosen], strict=True)
    }
    blocks = changed_blocks((0,) * after.ndim, state.labels, after)
    state.apply(Edit(name, blocks, author="model", notes=changes))
    return int(chosen.sum())


def _counted(
    labels: NDArray[Any], where: NDArray[np.bool_], numbers: NDArray[Any]
) -> NDArray[np.int64]:
    """How many voxels of each object lie in a mask."""
    found, counts = np.unique(labels[where], return_counts=True)
    inside = np.zeros(len(numbers), dtype=np.int64)
    inside[np.searchsorted(numbers, found)] = counts
    return inside


def take_over_places(
    state: AnnotationState, found: Detections, name: str = "Take over prediction"
) -> None:
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
