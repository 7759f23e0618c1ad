"""Edits of numbered objects: a new number, merge, split, delete. Each is one edit that can be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .edits import AnnotationState

__all__ = ["delete_object", "merge_objects", "new_object", "split_object"]

_Box = tuple[slice, ...]


def new_object(state: AnnotationState) -> int:
    """Return the number of an object that does not exist yet.

    Raises
    ------
    BadInputError
        Where the labels' dtype holds no larger number.
    """
    value = int(state.labels.max(initial=0)) + 1
    if value > np.iinfo(state.labels.dtype).max:
        raise BadInputError(f"expected at most {value - 1} objects", path=state.name)
    return value


def delete_object(state: AnnotationState, value: int) -> None:
    """Turn an object into background.

    Raises
    ------
    BadInputError
        Where there is no such object; this holds for all functions here.
    """
    box, mask = _object(state, value)
    start = tuple(part.start for part in box)
    nothing = np.zeros(mask.shape, state.labels.dtype)
    state.paint(start, nothing, mask, name=f"Delete object {value}")


def merge_objects(state: AnnotationState, keep: int, other: int) -> None:
    """Give the voxels of one object the number of another."""
    _object(state, keep)
    box, mask = _object(state, other)
    values = np.full(mask.shape, keep, state.labels.dtype)
    start = tuple(part.start for part in box)
    state.paint(start, values, mask, name=f"Merge {other} into {keep}")


def split_object(state: AnnotationState, value: int) -> int:
    """Cut an object in two, or into its pieces where it hangs together no more; return the number of parts.

    Pieces first: erase a line and split. Otherwise by watershed on the distance to the border, from the two points
    that lie deepest, measured in the world so that thick slices do not mislead (Meyer 1994; the usual way to
    separate touching nuclei). The largest part keeps the number.

    Raises
    ------
    BadInputError
        Where there is no such object, or it has no waist to cut.
    """
    from scipy import ndimage

    box, mask = _object(state, value)
    parts, count = ndimage.label(mask)
    if count < 2:
        parts, count = _halves(mask, np.array(state.grid.spacing))
    if count < 2:
        raise BadInputError(
            f"expected object {value} to have a waist, found none",
            remedy="Erase a line through it first, then split.",
        )
    order = np.argsort(-np.bincount(parts[mask], minlength=count + 1)[1:], kind="stable") + 1
    first = new_object(state)
    values = np.zeros(mask.shape, state.labels.dtype)
    for rank, part in enumerate(order):
        values[parts == part] = value if rank == 0 else first + rank - 1
    start = tuple(part.start for part in box)
    state.paint(start, values, mask, name=f"Split object {value}")
    return int(count)


def _halves(mask: NDArray[np.bool_], spacing: NDArray[Any]) -> tuple[NDArray[Any], int]:
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    padded = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)
    depth = ndimage.gaussian_filter(depth, 1.0) * padded
    apart = max(1, round(0.5 * float(depth.max()) / float(spacing.min())))
    peaks = peak_local_max(depth, min_distance=apart, num_peaks=2, exclude_border=False)
    if len(peaks) < 2:
        return mask.astype(np.int32), 1
    seeds = np.zeros(padded.shape, np.int32)
    seeds[tuple(peaks.T)] = (1, 2)
    parts = watershed(-depth, seeds, mask=padded)
    return parts[(slice(1, -1),) * mask.ndim], 2


def _object(state: AnnotationState, value: int) -> tuple[_Box, NDArray[np.bool_]]:
    """Box around an object, and which voxels of it belong to the object."""
    if value <= 0:
        raise BadInputError(
            "expected an object, found background", remedy="Pick an object first (L)."
        )
    found = state.labels == value
    box = []
    for axis in range(found.ndim):
        others = tuple(a for a in range(found.ndim) if a != axis)
        where = np.flatnonzero(found.any(axis=others))
        if not len(where):
            raise BadInputError(
                f"there is no object {value} yet", remedy="Paint it, or pick another one (L)."
            )
        box.append(slice(int(where[0]), int(where[-1]) + 1))
    return tuple(box), found[tuple(box)]
