"""Edits that concern many numbered objects: lock, remove small ones, renumber; and going from one to the next."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_apprentice.core.edit import Edit, changed_blocks
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.measure.pairs import object_sizes

if TYPE_CHECKING:
    from .edits import AnnotationState

__all__ = ["lock_object", "next_object", "remove_small", "renumber", "small_size"]


def lock_object(state: AnnotationState, value: int, locked: bool = True) -> None:
    """Lock a finished object, so that no stroke and no tool changes it; or unlock it.

    Raises
    ------
    BadInputError
        Where there is no such object.
    """
    if value <= 0 or (locked and not (state.labels == value).any()):
        raise BadInputError(
            "expected an object to lock, found none", remedy="Pick an object first (L)."
        )
    if (value in state.locked) == locked:
        return
    one = frozenset({value})
    if locked:
        state.apply(Edit(f"Lock object {value}", locks=one))
    else:
        state.apply(Edit(f"Unlock object {value}", unlocks=one))


def small_size(state: AnnotationState) -> float:
    """Propose what is too small for an object: a tenth of the median size, to two digits; 0 where there is none.

    In the unit of `remove_small`.
    """
    _, voxels = object_sizes(state.labels)
    if not voxels.size:
        return 0.0
    return float(f"{float(np.median(voxels)) * prod(state.grid.spacing) / 10:.2g}")


def remove_small(state: AnnotationState, smallest: float) -> int:
    """Turn every object into background that is smaller than a size; locked ones stay. Return how many went.

    Parameters
    ----------
    smallest
        Area or volume in the grid's unit squared or cubed (µm², mm³, …); pixels or voxels where the spacing is not
        known.

    Raises
    ------
    BadInputError
        Where none is that small.
    """
    ids, voxels = object_sizes(state.labels)
    small = ids[voxels * prod(state.grid.spacing) < smallest]
    small = small[~np.isin(small, _locked_ids(state))]
    if not small.size:
        raise BadInputError("no object that is not locked is that small")
    gone = np.isin(state.labels, small.astype(state.labels.dtype))
    nothing = np.broadcast_to(np.zeros((), state.labels.dtype), gone.shape)
    start = (0,) * gone.ndim
    name = f"Remove {small.size} small object{'s' if small.size > 1 else ''}"
    state.paint(start, nothing, gone, name=name)
    return int(small.size)


def renumber(state: AnnotationState) -> int:
    """Number the objects 1, 2, 3, … in the order of their numbers now; locks go along. Return how many there are.

    Raises
    ------
    BadInputError
        Where they are so numbered already.
    """
    ids, _ = object_sizes(state.labels)
    if not ids.size or ids[-1] == ids.size:
        raise BadInputError("the objects are numbered without gaps already")
    labels = state.labels
    known = np.concatenate([[0], ids]).astype(labels.dtype)
    after = np.searchsorted(known, labels).astype(labels.dtype)
    there = np.isin(ids, _locked_ids(state))
    renamed = frozenset(int(v) + 1 for v in np.flatnonzero(there))
    blocks = changed_blocks((0,) * labels.ndim, labels, after)
    edit = Edit("Renumber objects", blocks, locks=renamed, unlocks=state.locked)
    state.apply(edit)
    return int(ids.size)


def next_object(state: AnnotationState, value: int, step: int = 1) -> tuple[int, tuple[int, ...]]:
    """Return the number after (or before) an object, round the end, and a voxel in the middle of that object.

    Locked objects are left out: they are finished.

    Parameters
    ----------
    value
        Number of the object in hand; it need not exist.
    step
        1 for the next, -1 for the one before.

    Raises
    ------
    BadInputError
        Where every object is locked, or there is none.
    """
    ids, _ = object_sizes(state.labels)
    ids = ids[~np.isin(ids, _locked_ids(state))]
    if not ids.size:
        raise BadInputError("no object is left that is not locked")
    side: Literal["right", "left"] = "right" if step > 0 else "left"
    at = int(np.searchsorted(ids, value, side=side)) - (0 if step > 0 else 1)
    number = int(ids[at % ids.size])
    places = np.argwhere(state.labels == number)
    nearest = np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()
    return number, tuple(int(v) for v in places[nearest])


def _locked_ids(state: AnnotationState) -> list[int]:
    return sorted(state.locked)
