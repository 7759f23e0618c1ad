"""Boxes of a volume that a person sees a slice at a time: from which slice to which they go. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError

from .placing import still_there

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["deepened", "usual_depth", "with_slices"]


def deepened(
    shown: Detections,
    centres: NDArray[np.float64],
    sizes: NDArray[np.float64],
    axis: int,
    index: int,
    spacing: Sequence[float],
    boxes: Detections,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give rectangles of one slice the depth of their boxes, and new ones the usual depth around that slice.

    Parameters
    ----------
    shown
        The boxes that had a rectangle in the slice, in the order of their rectangles.
    centres, sizes
        The rectangles as they are now, ``(M, n)`` in voxels; what they say along `axis` does not count.
    axis, index
        The slice.
    spacing
        World units per voxel along each axis.
    boxes
        All boxes of the volume.

    Returns
    -------
    tuple
        Middles and lengths of boxes, ``(M, n)`` each, for `changed_places`.
    """
    plane = [n for n in range(shown.ndim) if n != axis]
    flat = Detections.of(shown.centres[:, plane], shown.sizes[:, plane])
    was, now = still_there(flat, centres[:, plane], sizes[:, plane])
    middles, lengths = centres.copy(), sizes.copy()
    for row in np.setdiff1d(np.arange(len(centres)), now):
        depth = usual_depth(boxes, axis, sizes[row], spacing)
        lengths[row, axis] = depth
        middles[row, axis] = index + (1 - depth % 2) / 2
    middles[now, axis], lengths[now, axis] = shown.centres[was, axis], shown.sizes[was, axis]
    return middles, lengths


def usual_depth(
    boxes: Detections, axis: int, lengths: NDArray[np.float64], spacing: Sequence[float]
) -> int:
    """Slices of a new box: the median of the others; the first is as deep, in world units, as it is wide.

    Parameters
    ----------
    boxes
        The others.
    axis
        Along which slices are counted.
    lengths
        Of what was drawn, in voxels along each axis; that along `axis` does not count.
    spacing
        World units per voxel along each axis.
    """
    if len(boxes):
        return max(1, round(float(np.median(boxes.sizes[:, axis]))))
    world = np.delete(lengths * np.asarray(spacing, dtype=float), axis)
    return max(1, round(float(world.mean()) / float(spacing[axis])))


def with_slices(
    places: Detections,
    rows: Sequence[int],
    axis: int,
    length: int,
    *,
    first: int | None = None,
    last: int | None = None,
) -> Detections:
    """Let some boxes begin in the slice `first`, or end in `last`; who says so is sure of them.

    A box that would end before it begins is one slice deep. `places` itself where they all did so already.

    Parameters
    ----------
    places
        All places.
    rows
        Which of them; each a box.
    axis, length
        Along which slices are counted, and how many there are.
    first, last
        Slices; an end that is not given stays where it is.

    Raises
    ------
    BadInputError
        A slice that there is not.
    """
    for index in (first, last):
        if index is not None and not 0 <= index < length:
            raise BadInputError(
                f"expected a slice from 0 to {length - 1}, found {index}",
                remedy="Choose a slice of the volume.",
            )
    some = list(rows)
    low, high = (edge[some, axis] for edge in places.corners())
    if first is not None:
        low, high = np.full(len(some), first - 0.5), np.maximum(high, first + 0.5)
    if last is not None:
        low, high = np.minimum(low, last - 0.5), np.full(len(some), last + 0.5)
    centres, sizes, scores = places.centres.copy(), places.sizes.copy(), places.scores.copy()
    centres[some, axis], sizes[some, axis], scores[some] = (low + high) / 2, high - low, 1.0
    after = Detections(centres, sizes, places.kinds, scores)
    return (
        places if _are_alike(after.select(np.array(some)), places.select(np.array(some))) else after
    )


def _are_alike(some: Detections, others: Detections) -> bool:
    pairs = ((some.centres, others.centres), (some.sizes, others.sizes))
    return all(np.array_equal(*pair) for pair in (*pairs, (some.scores, others.scores)))
