"""Labels that cover a part of an image, put onto the whole image's grid."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

__all__ = ["labels_onto"]

_SAME = 1e-2  # of a voxel


def labels_onto(labels: Volume, grid: Grid) -> Volume:
    """Fill labels up with background to the grid of their image.

    Many programs leave slices without labels out of a segmentation (DICOM-SEG, NRRD). Voxels are not moved, turned or
    resampled: where the voxels of both grids do not lie on each other, the labels come back as they are.

    Parameters
    ----------
    labels
        Labels whose voxels are some of the image's.
    grid
        Spatial grid of the image.

    Returns
    -------
    Volume
        On `grid`, or unchanged.
    """
    own = labels.grid
    if own == grid or (own.axes, own.unit, own.world) != (grid.axes, grid.unit, grid.world):
        return labels
    n = grid.ndim
    between = np.linalg.inv(grid.matrix) @ own.matrix
    start = np.round(between[:n, n]).astype(int)
    stop = start + own.spatial_shape
    drift = np.abs(between[:n, :n] - np.eye(n)) @ np.array(own.spatial_shape)
    off = max(float(drift.max()), float(np.abs(between[:n, n] - start).max()))
    if off > _SAME or (start < 0).any() or (stop > grid.spatial_shape).any():
        return labels
    filled = np.zeros(grid.spatial_shape, labels.dtype)
    filled[tuple(map(slice, start, stop))] = labels.numpy()
    return replace(labels, data=filled, grid=grid, pyramid=())
