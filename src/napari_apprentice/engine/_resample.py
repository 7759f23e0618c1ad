"""Resampling an image to another shape, an axis and a slab at a time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from napari_apprentice.core.jobs import Progress

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["resample", "slabs"]

_SLAB_BYTES = 16 * 2**20


def slabs(length: int, bytes_each: int) -> Iterator[slice]:
    """Cut an axis into parts of some megabytes: about a tenth of a second of work each."""
    size = max(1, _SLAB_BYTES // max(1, bytes_each))
    for low in range(0, length, size):
        yield slice(low, min(low + size, length))


def resample(
    data: NDArray[np.float32], shape: Sequence[int]
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Linear interpolation with outer faces kept, after a blur along axes that get coarser.

    The blur's width is the anti-aliasing rule of ``skimage.transform.resize``. Linear interpolation is separable:
    one axis after the other gives the same as all at once.

    Parameters
    ----------
    data
        ``(C, *spatial)``.
    shape
        Wanted spatial shape.
    """
    ratios = [new / old for old, new in zip(data.shape[1:], shape, strict=True)]
    # What shrinks most goes first: the rest has less to do.
    for axis in sorted(range(1, data.ndim), key=lambda a: ratios[a - 1]):
        if data.shape[axis] != shape[axis - 1]:
            data = yield from _along(data, axis, shape[axis - 1])
    return data


def _along(
    data: NDArray[np.float32], axis: int, new: int
) -> Generator[Progress, None, NDArray[np.float32]]:
    old = data.shape[axis]
    at = np.clip((np.arange(new) + 0.5) * (old / new) - 0.5, 0, old - 1)
    low, high = np.floor(at).astype(int), np.ceil(at).astype(int)
    share = (at - low).astype(np.float32).reshape(-1, *(1,) * (data.ndim - 1 - axis))
    result = np.empty((*data.shape[:axis], new, *data.shape[axis + 1 :]), np.float32)
    # Slabs hold whole lines along the axis.
    across = 1 if axis != 1 else data.ndim - 1
    line = 4 * math.prod(data.shape) // data.shape[across]
    for slab in slabs(data.shape[across], line):
        place = (*(slice(None),) * across, slab)
        block = data[place]
        if old > new:
            block = gaussian_filter1d(block, (old / new - 1) / 2, axis=axis, mode="nearest")
        below = np.take(block, low, axis=axis)
        result[place] = below + share * (np.take(block, high, axis=axis) - below)
        yield Progress("resampling")
    return result
