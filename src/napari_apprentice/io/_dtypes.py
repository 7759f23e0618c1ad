"""Which dtype is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.volume import Volume

__all__ = ["smallest_integer", "storable"]


def smallest_integer(
    array: NDArray[Any], *, bits: tuple[int, ...] = (8, 16, 32, 64)
) -> np.dtype[Any]:
    """Smallest integer dtype that holds the values of an array: unsigned unless some are negative."""
    low, high = int(array.min()), int(array.max())
    for count in bits:
        choice = np.dtype(f"{'u' if low >= 0 else 'i'}{count // 8}")
        if np.iinfo(choice).min <= low and high <= np.iinfo(choice).max:
            return choice
    return array.dtype


def storable(volume: Volume, array: NDArray[Any]) -> NDArray[Any]:
    """Return the voxels in a dtype that other programs read.

    Labels (integers with class names) take the smallest unsigned dtype; booleans 8 bits; 64-bit integers 32 where
    the values fit; half precision becomes single.
    """
    dtype = array.dtype.newbyteorder("=")
    if dtype.kind == "b":
        dtype = np.dtype(np.uint8)
    elif dtype == np.float16:
        dtype = np.dtype(np.float32)
    elif dtype.kind in "iu" and volume.classes:
        dtype = smallest_integer(array)
    elif dtype.kind in "iu" and dtype.itemsize == 8:
        dtype = smallest_integer(array, bits=(32,))
    return array.astype(dtype, copy=False)
