"""A newer prediction of objects written into an annotation; what a person said stays. One edit, undoable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.edit import Edit, changed_blocks
from napari_apprentice.core.errors import GridMismatchError
from napari_apprentice.core.notes import Note

from .objects import new_object

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.notes import Notes

    from .edits import AnnotationState

__all__ = ["take_over_objects"]

_MOSTLY = 0.5


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
