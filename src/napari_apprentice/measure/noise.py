"""How much noise is in an image, measured from differences of neighbouring voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["details", "noise_deviation"]

_MAD = 0.6745


def details(image: NDArray[Any]) -> NDArray[np.float64]:
    """Finest diagonal Haar wavelet of an image: of white noise it has the noise's own deviation.

    Blocks of two voxels along every axis that has two; an axis of odd length loses its last voxel.
    """
    result = np.asarray(image, dtype=np.float64)
    for axis, length in enumerate(image.shape):
        if length >= 2:
            first, second = (np.take(result, range(k, length // 2 * 2, 2), axis) for k in (0, 1))
            result = (first - second) / np.sqrt(2.0)
    return result


def noise_deviation(image: NDArray[Any]) -> float:
    """Standard deviation of the noise of one channel, in the units of the image.

    Median absolute value of the finest wavelet details over 0.6745 (Donoho & Johnstone, "Ideal spatial adaptation by wavelet
    shrinkage", Biometrika 81(3), 1994). Right for noise that is independent from voxel to voxel; where it grows with
    brightness, it is that of most of the image. Voxels that are NaN are left out.
    """
    found = details(image)
    found = np.abs(found[np.isfinite(found)])
    return float(np.median(found) / _MAD) if found.size else 0.0
