"""Crop, resample, turn and flip whole images, with their grids."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError

from ._resample import resample
from .prepare import read, resize_nearest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Progress
    from napari_apprentice.core.volume import Volume

__all__ = ["box_of", "cropped", "flipped", "quarter_turned", "resampling"]

_MOST_VOXELS = 2**31


def cropped(volume: Volume, start: Sequence[int], stop: Sequence[int]) -> Volume:
    """Cut the box ``[start, stop)`` of spatial indices out of an image; what is left stays where it is in the world."""
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    return _changed(volume, volume.data[(..., *box)], volume.grid.crop(start, stop))


def box_of(
    labels: Any, *, value: int | None = None, margin: int = 0
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Box around what is labelled, as start and stop.

    Parameters
    ----------
    labels
        Integer array.
    value
        Only this label; None: all but 0.
    margin
        Voxels around it, as far as the image goes.

    Raises
    ------
    BadInputError
        There is no such label.
    """
    array = np.asarray(labels)
    mask = array == value if value else array != 0
    if not mask.any():
        raise BadInputError(
            f"expected label {value or 'above 0'}, found none", remedy="Label something first."
        )
    start, stop = [], []
    for axis, length in enumerate(mask.shape):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        start.append(max(0, int(used[0]) - margin))
        stop.append(min(length, int(used[-1]) + 1 + margin))
    return tuple(start), tuple(stop)


def resampling(volume: Volume, spacing: Sequence[float]) -> Generator[Progress, None, Volume]:
    """Bring an image to about a spacing, in the unit of its grid; its outer faces stay where they are in the world.

    Intensities are interpolated linearly, after a blur where they get coarser, and stay whole numbers where they were;
    labels keep their values.

    Raises
    ------
    BadInputError
        Another number of lengths than the image has axes, or a result that no memory could hold.
    """
    grid = _resampled_grid(volume, spacing)
    if volume.is_labels:
        lead = volume.data.shape[: len(volume.grid.axes) - volume.grid.ndim]
        return _changed(volume, resize_nearest(volume.numpy(), (*lead, *grid.spatial_shape)), grid)
    frames = []
    for number in range(volume.grid.length("T")):
        data = yield from read(volume.frame(number))
        frames.append(_as_kind((yield from resample(data, grid.spatial_shape)), volume.dtype))
    return _changed(volume, np.stack(frames).reshape(grid.shape), grid)


def _as_kind(data: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Interpolated values never leave the range of what they lie between: rounding is enough."""
    return np.rint(data).astype(dtype) if dtype.kind in "iu" else data


def _resampled_grid(volume: Volume, spacing: Sequence[float]) -> Grid:
    old = volume.grid
    if len(spacing) != old.ndim or not all(0 < s < np.inf for s in spacing):
        raise BadInputError(
            f"expected {old.ndim} lengths above 0 ({', '.join(old.spatial_axes)}), found {tuple(spacing)}"
        )
    voxels = float(np.prod(np.multiply(old.spatial_shape, old.spacing) / spacing))
    if voxels * old.length("T") * old.length("C") > _MOST_VOXELS:
        raise BadInputError(
            f"expected at most {_MOST_VOXELS:.2g} voxels, found {voxels:.2g}",
            remedy="Choose larger voxels.",
        )
    return old.resampled(spacing)


def quarter_turned(volume: Volume, turns: int) -> Volume:
    """Turn an image by so many times 90° against the clock within its planes, about its centre."""
    order = list(range(volume.grid.ndim))
    if turns % 2:
        order[-2:] = order[-1], order[-2]
    return _changed(
        volume, np.rot90(volume.numpy(), turns, axes=(-2, -1)), _about_centre(volume.grid, order)
    )


def flipped(volume: Volume, axis: int) -> Volume:
    """Mirror an image along one of its spatial axes (counted from the last, -1) about its centre."""
    return _changed(volume, np.flip(volume.numpy(), axis), volume.grid)


def _about_centre(grid: Grid, order: Sequence[int]) -> Grid:
    """The grid of an image whose axes were exchanged while the world's stayed: same directions, same centre."""
    n = grid.ndim
    matrix = grid.matrix
    shape = [grid.spatial_shape[o] for o in order]
    spacing = np.array(grid.spacing)
    centre = grid.to_world((np.array(grid.spatial_shape) - 1) / 2)
    matrix[:n, :n] = matrix[:n, :n] / spacing * spacing[list(order)]
    matrix[:n, n] = centre - matrix[:n, :n] @ ((np.array(shape) - 1) / 2)
    return replace(grid, shape=(*grid.shape[:-n], *map(int, shape)), affine=grid.freeze(matrix))


def _changed(volume: Volume, data: Any, grid: Grid) -> Volume:
    """The image with other voxels elsewhere; what its file said of its own does not hold any more."""
    return replace(volume, data=data, grid=grid, source=None, format=None, pyramid=(), metadata={})
