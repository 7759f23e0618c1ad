"""Edits of one numbered object: new, delete, merge, fill, keep the largest piece. Each can be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._index import Box
    from .edits import AnnotationState

__all__ = [
    "check_room",
    "delete_object",
    "fill_object",
    "keep_largest_piece",
    "merge_objects",
    "new_object",
    "one_object",
]


def new_object(state: AnnotationState, count: int = 1) -> int:
    """Return the number of an object that does not exist yet, the first of `count` such numbers.

    Raises
    ------
    BadInputError
        Where the labels' dtype holds no such numbers.
    """
    numbers = state.index.numbers()
    value = int(numbers[-1]) + 1 if numbers.size else 1
    check_room(state, value, count)
    return value


def check_room(state: AnnotationState, first: int, count: int) -> None:
    """Make sure that `count` numbers from `first` on fit into an annotation.

    Raises
    ------
    BadInputError
        Where the labels' dtype holds no such numbers.
    """
    largest = int(np.iinfo(state.labels.dtype).max)
    if first + count - 1 > largest:
        raise BadInputError(
            f"expected at most {largest} objects ({state.labels.dtype}), "
            f"found {first - 1} and {count} more",
            path=state.name,
            remedy="Renumber the objects, or convert the labels to uint32.",
        )


def delete_object(state: AnnotationState, value: int) -> None:
    """Turn an object into background.

    Raises
    ------
    BadInputError
        Where there is no such object, or it is locked; this holds for all functions here.
    """
    box, mask = one_object(state, value)
    start = tuple(part.start for part in box)
    nothing = np.zeros(mask.shape, state.labels.dtype)
    state.paint(start, nothing, mask, name=f"Delete object {value}")


def merge_objects(state: AnnotationState, keep: int, other: int) -> None:
    """Give the voxels of one object the number of another."""
    one_object(state, keep)
    box, mask = one_object(state, other)
    values = np.full(mask.shape, keep, state.labels.dtype)
    start = tuple(part.start for part in box)
    state.paint(start, values, mask, name=f"Merge {other} into {keep}")


def fill_object(state: AnnotationState, value: int) -> int:
    """Close the holes of an object, in 3-D those that are closed on all sides; return how many voxels were filled.

    Other objects within a hole stay.

    Raises
    ------
    BadInputError
        Where there is no hole; or as above.
    """
    from scipy import ndimage

    box, mask = one_object(state, value)
    holes = ndimage.binary_fill_holes(mask) & (state.labels[box] == 0)
    if not holes.any():
        raise BadInputError(f"object {value} has no hole")
    start = tuple(part.start for part in box)
    values = np.full(mask.shape, value, state.labels.dtype)
    state.paint(start, values, holes, name=f"Fill holes of object {value}")
    return int(np.count_nonzero(holes))


def keep_largest_piece(state: AnnotationState, value: int) -> int:
    """Turn all pieces of an object but the largest into background; return how many went.

    Voxels that touch at a corner hang together.

    Raises
    ------
    BadInputError
        Where it is of one piece; or as above.
    """
    from scipy import ndimage

    box, mask = one_object(state, value)
    pieces, count = ndimage.label(mask, np.ones((3,) * mask.ndim, bool))
    if count < 2:
        raise BadInputError(f"object {value} is of one piece")
    largest = int(np.argmax(np.bincount(pieces[mask])))
    start = tuple(part.start for part in box)
    nothing = np.zeros(mask.shape, state.labels.dtype)
    rest = mask & (pieces != largest)
    state.paint(start, nothing, rest, name=f"Keep the largest piece of object {value}")
    return int(count) - 1


def one_object(state: AnnotationState, value: int) -> tuple[Box, NDArray[np.bool_]]:
    """Return the box around an object, and which voxels of it belong to the object.

    Raises
    ------
    BadInputError
        Where there is no such object, or it is locked.
    """
    if value <= 0:
        raise BadInputError(
            "expected an object, found background", remedy="Pick an object first (L)."
        )
    if value in state.locked:
        raise BadInputError(f"object {value} is locked", remedy="Unlock it first.")
    found = state.index.mask(value)
    if found is None:
        raise BadInputError(
            f"there is no object {value} yet", remedy="Paint it, or pick another one (L)."
        )
    return found
