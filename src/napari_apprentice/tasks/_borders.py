"""From numbered objects to what a network learns of them: interior, border, and border to a neighbour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_apprentice.core.annotation import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BACKGROUND", "BORDER", "INTERIOR", "TOUCHING", "border_kinds"]

BACKGROUND, INTERIOR, BORDER, TOUCHING = 0, 1, 2, 3
_LARGEST_SHARE = 0.4
"""Of an object's depth that may be border: however small it is, something is left inside."""


def border_kinds(
    labels: NDArray[Any], counts: NDArray[np.bool_], spacing: Sequence[float], width: float
) -> NDArray[np.uint8]:
    """Say of every voxel whether it is background, interior or border of its object.

    A face between two objects makes border on both sides, along every axis. A face to the background does so along
    axes that are fine enough to resolve the border. The faces of the image, and of the part that counts, make none:
    near the latter, where the object may go on or end, nothing is said.

    Parameters
    ----------
    labels
        Object numbers, 0 = background; any integers.
    counts
        Where the annotation counts; of the same shape.
    spacing
        Distance of voxel centres per axis, in units of `width`.
    width
        Of the border.

    Returns
    -------
    NDArray[np.uint8]
        0 background, 1 interior, 2 border, 3 border near another object, 255 not said.
    """
    touching, edge, cut = _faces(labels, counts, spacing, width)
    depth = _depth(touching | edge, spacing)
    reach = np.minimum(width, _LARGEST_SHARE * _deepest(labels, depth))
    inside = labels > 0
    border = inside & (depth <= reach)
    kinds = inside.astype(np.uint8)
    kinds[border] = BORDER
    kinds[border & (_depth(touching, spacing) <= reach)] = TOUCHING
    unknown = inside & ~border & (_depth(cut, spacing) <= width)
    kinds[unknown | ~counts] = IGNORE
    return kinds


def _faces(
    labels: NDArray[Any], counts: NDArray[np.bool_], spacing: Sequence[float], width: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Voxels of objects at a face to another object, to the background, and to where nothing was said."""
    touching, edge, cut = (np.zeros(labels.shape, bool) for _ in range(3))
    for axis in range(labels.ndim):
        lead = (slice(None),) * axis
        one, other = (*lead, slice(None, -1)), (*lead, slice(1, None))
        known = counts[one] & counts[other]
        differ = known & (labels[one] != labels[other])
        for here, there in ((one, other), (other, one)):
            mine, theirs = labels[here] > 0, labels[there] > 0
            touching[here] |= differ & mine & theirs
            if spacing[axis] / 2 <= width:
                edge[here] |= differ & mine & ~theirs
            cut[here] |= counts[here] & ~counts[there] & mine
    return touching, edge, cut


def _depth(seeds: NDArray[np.bool_], spacing: Sequence[float]) -> NDArray[np.float32]:
    """Distance of voxel centres from the outer faces of `seeds`; infinite where there are none."""
    if not seeds.any():
        return np.full(seeds.shape, np.inf, np.float32)
    distance = ndimage.distance_transform_edt(~seeds, sampling=tuple(spacing))
    return np.asarray(distance + min(spacing) / 2, dtype=np.float32)


def _deepest(labels: NDArray[Any], depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The depth of each voxel's object, 0 in the background."""
    inside = labels > 0
    _, compact = np.unique(labels[inside], return_inverse=True)
    deepest = np.zeros(labels.shape, np.float32)
    if compact.size:
        numbers = np.arange(int(compact.max()) + 1)
        deepest[inside] = np.asarray(ndimage.maximum(depth[inside], compact, numbers))[compact]
    return deepest
