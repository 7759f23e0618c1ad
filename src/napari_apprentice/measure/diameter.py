"""The diameter of an object, were it round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["equivalent_diameter"]


def equivalent_diameter(size: ArrayLike, ndim: int) -> NDArray[np.float64]:
    """Diameter of the disk (2-D) or ball (3-D) of that area or volume.

    Parameters
    ----------
    size
        Area or volume, one or many, in some unit to the power of `ndim`.

    Returns
    -------
    ndarray
        float64, of the shape of `size`, in that unit.
    """
    extent = np.asarray(size, dtype=np.float64)
    root = np.sqrt(4 / np.pi * extent) if ndim == 2 else np.cbrt(6 / np.pi * extent)
    return np.asarray(root)
