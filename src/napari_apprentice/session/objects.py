"""Edits of one numbered object: new, delete, merge, split, fill, keep the largest piece. Each can be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .edits import AnnotationState

__all__ = [
    "delete_object",
    "fill_object",
    "keep_largest_piece",
    "merge_objects",
    "new_object",
    "split_between",
    "split_object",
]

_Box = tuple[slice, ...]


def new_object(state: AnnotationState, count: int = 1) -> int:
    """Return the number of an object that does not exist yet, the first of `count` such numbers.

    Raises
    ------
    BadInputError
        Where the labels' dtype holds no such numbers.
    """
    value = int(state.labels.max(initial=0)) + 1
    largest = int(np.iinfo(state.labels.dtype).max)
    if value + count - 1 > largest:
        raise BadInputError(
            f"expected at most {largest} objects ({state.labels.dtype}), "
            f"found {value - 1} and {count} more",
            path=state.name,
            remedy="Renumber the objects, or convert the labels to uint32.",
        )
    return value


def delete_object(state: AnnotationState, value: int) -> None:
    """Turn an object into background.

    Raises
    ------
    BadInputError
        Where there is no such object, or it is locked; this holds for all functions here.
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
    first = new_object(state, count - 1)
    values = np.zeros(mask.shape, state.labels.dtype)
    for rank, part in enumerate(order):
        values[parts == part] = value if rank == 0 else first + rank - 1
    start = tuple(part.start for part in box)
    state.paint(start, values, mask, name=f"Split object {value}")
    return int(count)


def split_between(state: AnnotationState, one: Sequence[int], other: Sequence[int]) -> int:
    """Cut an object between two of its voxels; return the number of the new one, which holds `other`.

    Where the object has a waist between them, the cut is there (watershed on the distance to the border, measured in
    the world); where it has none, half-way between the two along paths inside of the object.

    Parameters
    ----------
    one, other
        Voxels on the two sides, one index per axis.

    Raises
    ------
    BadInputError
        Voxels that are the same, lie outside, or belong to different objects or to none; or as above.
    """
    inside = np.array([one, other]) >= 0
    if not (inside & (np.array([one, other]) < state.grid.shape)).all():
        raise BadInputError(f"expected voxels within {state.grid.shape}, found {one} and {other}")
    value, second = int(state.labels[tuple(one)]), int(state.labels[tuple(other)])
    box, mask = _object(state, value)
    if value != second or tuple(one) == tuple(other):
        raise BadInputError(
            f"expected two places in object {value}, found "
            + ("one" if value == second else f"one in {f'object {second}' if second else 'none'}"),
            remedy="Click one side of an object, then its other side.",
        )
    start = tuple(part.start for part in box)
    seeds = [tuple(int(v) for v in np.subtract(point, start)) for point in (one, other)]
    far = _far_side(mask, np.array(state.grid.spacing), *seeds)
    number = new_object(state)
    values = np.full(mask.shape, number, state.labels.dtype)
    state.paint(start, values, far, name=f"Split object {value}")
    return number


def fill_object(state: AnnotationState, value: int) -> int:
    """Close the holes of an object, in 3-D those that are closed on all sides; return how many voxels were filled.

    Other objects within a hole stay.

    Raises
    ------
    BadInputError
        Where there is no hole; or as above.
    """
    from scipy import ndimage

    box, mask = _object(state, value)
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

    box, mask = _object(state, value)
    pieces, count = ndimage.label(mask, np.ones((3,) * mask.ndim, bool))
    if count < 2:
        raise BadInputError(f"object {value} is of one piece")
    largest = int(np.argmax(np.bincount(pieces[mask])))
    start = tuple(part.start for part in box)
    nothing = np.zeros(mask.shape, state.labels.dtype)
    rest = mask & (pieces != largest)
    state.paint(start, nothing, rest, name=f"Keep the largest piece of object {value}")
    return int(count) - 1


def _far_side(
    mask: NDArray[np.bool_],
    spacing: NDArray[Any],
    one: tuple[int, ...],
    other: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Which voxels belong to `other` rather than to `one`."""
    from skimage.segmentation import watershed

    depth = _depth(mask, spacing)
    basins = watershed(-depth, mask=mask)
    if basins[one] != basins[other]:
        seeds = (basins == basins[one]) + 2 * (basins == basins[other])
        return np.asarray(watershed(-depth, seeds, mask=mask) == 2)
    near, far = (_path_length(mask, spacing, point) for point in (one, other))
    return np.asarray(mask & (far < near))


def _path_length(
    mask: NDArray[np.bool_], spacing: NDArray[Any], point: tuple[int, ...]
) -> NDArray[Any]:
    """Length of the shortest way to `point` inside of an object; infinite where there is none."""
    from skimage.graph import MCP_Geometric

    costs = np.where(mask, 1.0, -1.0)
    lengths, _ = MCP_Geometric(costs, sampling=tuple(spacing)).find_costs([point])
    return np.asarray(lengths)


def _depth(mask: NDArray[np.bool_], spacing: NDArray[Any]) -> NDArray[Any]:
    """Distance to the border in the world, smoothed a little so that its noise makes no basins of its own."""
    from scipy import ndimage

    padded = np.pad(mask, 1)
    depth = ndimage.distance_transform_edt(padded, sampling=spacing)
    smooth = ndimage.gaussian_filter(depth, 1.0) * padded
    return np.asarray(smooth[(slice(1, -1),) * mask.ndim])


def _halves(mask: NDArray[np.bool_], spacing: NDArray[Any]) -> tuple[NDArray[Any], int]:
    from skimage.feature import peak_local_max
    from skimage.segmentation import watershed

    depth = _depth(mask, spacing)
    apart = max(1, round(0.5 * float(depth.max()) / float(spacing.min())))
    peaks = peak_local_max(depth, min_distance=apart, num_peaks=2, exclude_border=False)
    if len(peaks) < 2:
        return mask.astype(np.int32), 1
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = (1, 2)
    return watershed(-depth, seeds, mask=mask), 2


def _object(state: AnnotationState, value: int) -> tuple[_Box, NDArray[np.bool_]]:
    """Box around an object, and which voxels of it belong to the object."""
    if value <= 0:
        raise BadInputError(
            "expected an object, found background", remedy="Pick an object first (L)."
        )
    if value in state.locked:
        raise BadInputError(f"object {value} is locked", remedy="Unlock it first (Shift+K).")
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
