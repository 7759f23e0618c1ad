"""Cutting a volume into boxes that fit in memory, so that saving never holds all of it."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError

from ._dtypes import fitting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.volume import Array, Volume

__all__ = ["BYTES", "boxes", "contiguous", "grown", "part", "read", "stored_dtype", "stream"]

BYTES = 16 * 2**20
"""About how much is read at once."""


def grown(shape: Sequence[int], unit: Sequence[int], room: int) -> tuple[int, ...]:
    """Lengths of a box of whole units, last axes first, of about `room` voxels, and of one unit at least."""
    box = [min(u, n) for u, n in zip(unit, shape, strict=True)]
    for axis in reversed(range(len(shape))):
        times = max(1, min(room // max(1, math.prod(box)), -(-shape[axis] // box[axis])))
        box[axis] = min(shape[axis], box[axis] * times)
    return tuple(box)


def contiguous(shape: Sequence[int], room: int) -> tuple[int, ...]:
    """Lengths of a box of about `room` voxels that is one run in C order."""
    return grown(shape, (1,) * len(shape), room)


def boxes(shape: Sequence[int], box: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Boxes that cover an array, in C order."""
    starts = (range(0, n, step) for n, step in zip(shape, box, strict=True))
    for corner in itertools.product(*starts):
        yield tuple(
            slice(c, min(c + step, n)) for c, step, n in zip(corner, box, shape, strict=True)
        )


def read(array: Array, box: tuple[slice, ...]) -> NDArray[Any]:
    """Voxels of a box."""
    return np.asarray(array[box])


def stored_dtype(volume: Volume) -> np.dtype[Any]:
    """The dtype in which a volume is written, see `fitting`; looks at the voxels, box by box, only where it must.

    Raises
    ------
    BadInputError
        Neither whole nor real numbers.
    """
    dtype = volume.dtype
    if dtype.kind not in "biuf":
        raise BadInputError(f"expected whole or real numbers, found {dtype}", path=volume.source)
    plain = dtype.kind in "bf" or (dtype.itemsize < 8 and not volume.is_labels)
    low, high = (0, 0) if plain else _range(volume)
    return fitting(dtype, low, high, labels=volume.is_labels)


def _range(volume: Volume) -> tuple[int, int]:
    shape = volume.grid.shape
    box = contiguous(shape, BYTES // volume.dtype.itemsize)
    parts = (read(volume.data, one) for one in boxes(shape, box))
    ranges = [(int(part.min()), int(part.max())) for part in parts]
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def stream(volume: Volume, order: str, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """Voxels in the order of a file, part by part; one after the other they are the whole in C order.

    Parameters
    ----------
    volume
        Where they come from.
    order
        The volume's axes in the file's order, slowest first.
    dtype
        What they become.
    """
    shape = tuple(volume.grid.length(axis) for axis in order)
    for box in boxes(shape, contiguous(shape, BYTES // dtype.itemsize)):
        yield part(volume, order, box, dtype)


def part(volume: Volume, order: str, box: tuple[slice, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """One box of `stream`; `box` is in the file's order."""
    at = [volume.grid.axes.index(axis) for axis in order]
    source = [slice(None)] * len(at)
    for i, one in zip(at, box, strict=True):
        source[i] = one
    found = read(volume.data, tuple(source)).transpose(at)
    return np.ascontiguousarray(found, dtype)
