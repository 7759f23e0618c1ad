"""Cutting one numbered object in two: at its waist, between two clicks, or along a line. Each is one edit."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError

from .objects import new_object, one_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._index import Box
    from .edits import AnnotationState

__all__ = ["split_along", "split_between", "split_object"]

_SPLINTER = 0.03
"""Share of an object below which a piece beside the line is no part of its own."""


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

    box, mask = one_object(state, value)
    parts, count = ndimage.label(mask)
    if count < 2:
        parts, count = _halves(mask, np.array(state.grid.spacing))
    if count < 2:
        raise BadInputError(
            f"expected object {value} to have a waist, found none",
            remedy="Erase a line through it first, then split.",
        )
    _number_parts(state, value, box, parts)
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
    box, mask = one_object(state, value)
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


def split_along(
    state: AnnotationState, line: NDArray[Any], axes: Sequence[int] | None = None
) -> int:
    """Cut the object that most of a line lies in along that line; return the number of parts.

    A line that ends within the object is prolonged straight on. In a volume the cut goes through all slices, as a
    knife does that is held upright on the slice in view. The largest part keeps the number.

    Parameters
    ----------
    line
        Its points in voxels, ``(k, n)``, at least two.
    axes
        The two axes it is drawn in; by default the last two.

    Raises
    ------
    BadInputError
        Where it crosses no object, or the object is locked.
    """
    from scipy import ndimage

    line = np.asarray(line, dtype=float)
    across = tuple(axes or range(line.shape[1] - 2, line.shape[1]))
    value = _under(state, line, across)
    box, mask = one_object(state, value)
    origin = np.array([box[a].start for a in across])
    shape = [mask.shape[a] for a in across]
    flat = line[:, across] - origin
    for path in (flat, _prolonged(flat, float(np.hypot(*shape)))):
        knife = _drawn(path, shape)
        upright = [shape[across.index(a)] if a in across else 1 for a in range(mask.ndim)]
        knife = (knife if across[0] < across[1] else knife.T).reshape(upright)
        parts, count = ndimage.label(mask & ~knife)
        if count > 1:
            return _number_parts(state, value, box, _grown(parts, mask, state.grid.spacing))
    raise BadInputError(
        f"expected a line across object {value}, found one along its border",
        remedy="Draw it from one side of the object to the other.",
    )


def _under(state: AnnotationState, line: NDArray[Any], across: Sequence[int]) -> int:
    """Return the object that most of a line lies in."""
    shape = np.array(state.grid.shape)
    flat = _drawn(line[:, across], [int(shape[a]) for a in across])
    where: list[Any] = [
        int(np.clip(round(v), 0, n - 1)) for v, n in zip(line[0], shape, strict=True)
    ]
    for axis, found in zip(across, np.nonzero(flat), strict=True):
        where[axis] = found
    values = state.labels[tuple(where)]
    values = values[values > 0]
    if not values.size:
        raise BadInputError(
            "expected a line across an object, found none under it",
            remedy="Draw it from one side of the object to the other.",
        )
    numbers, counts = np.unique(values, return_counts=True)
    return int(numbers[counts.argmax()])


def _drawn(path: NDArray[Any], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Boolean array: true under a path, whose pixels touch at least at corners; parts outside are left out."""
    from skimage.draw import line as line_pixels

    mask = np.zeros(shape, dtype=bool)
    points = np.round(path).astype(int)
    for one, other in pairwise(points):
        rows, columns = line_pixels(*one, *other)
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        mask[rows[inside], columns[inside]] = True
    return mask


def _prolonged(path: NDArray[Any], length: float) -> NDArray[Any]:
    """A path that goes straight on at both ends."""
    ends = []
    for end, inner in ((path[0], path[1]), (path[-1], path[-2])):
        way = end - inner
        ends.append(end + way / max(float(np.hypot(*way)), 1e-9) * length)
    return np.vstack([ends[0], path, ends[1]])


def _grown(parts: NDArray[Any], mask: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[Any]:
    """Give the voxels under the knife, and splinters, to the nearest part of some size."""
    from scipy import ndimage

    sizes = np.bincount(parts[mask])
    sizes[0] = 0
    smallest = min(_SPLINTER * mask.sum(), np.sort(sizes)[-2])
    kept = np.isin(parts, np.flatnonzero(sizes >= max(smallest, 1)))
    nearest = ndimage.distance_transform_edt(
        ~kept, sampling=spacing, return_distances=False, return_indices=True
    )
    return np.asarray(np.where(mask, parts[tuple(nearest)], 0))


def _number_parts(state: AnnotationState, value: int, box: Box, parts: NDArray[Any]) -> int:
    """Give the parts of an object numbers, the largest its own; return how many there are."""
    found, sizes = np.unique(parts[parts > 0], return_counts=True)
    order = found[np.argsort(-sizes, kind="stable")]
    first = new_object(state, len(order) - 1)
    values = np.zeros(parts.shape, state.labels.dtype)
    for rank, part in enumerate(order):
        values[parts == part] = value if rank == 0 else first + rank - 1
    start = tuple(part.start for part in box)
    state.paint(start, values, parts > 0, name=f"Split object {value}")
    return len(order)


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
