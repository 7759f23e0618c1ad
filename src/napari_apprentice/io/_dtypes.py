"""Which dtype is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["fitting", "smallest_integer"]

_ALL = (8, 16, 32, 64)


def smallest_integer(array: NDArray[Any]) -> np.dtype[Any]:
    """Smallest integer dtype that holds the values of an array: unsigned unless some are negative."""
    return _smallest(int(array.min()), int(array.max()), _ALL) or array.dtype


def _smallest(low: int, high: int, bits: tuple[int, ...]) -> np.dtype[Any] | None:
    for count in bits:
        choice = np.dtype(f"{'u' if low >= 0 else 'i'}{count // 8}")
        if np.iinfo(choice).min <= low and high <= np.iinfo(choice).max:
            return choice
    return None


def fitting(dtype: np.dtype[Any], low: int, high: int, *, labels: bool) -> np.dtype[Any]:
    """Return the dtype that other programs read, for whole numbers from `low` to `high`.

    Labels take the smallest unsigned dtype; booleans 8 bits; 64-bit integers 32 where
    the values fit; half precision becomes single.
    """
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype == np.float16:
        return np.dtype(np.float32)
    own = dtype.newbyteorder("=")
    if dtype.kind in "iu" and labels:
        return _smallest(low, high, _ALL) or own
    if dtype.kind in "iu" and dtype.itemsize == 8:
        return _smallest(low, high, (32,)) or own
    return own
