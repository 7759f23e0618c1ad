"""How much noise there is at which brightness, and what to believe of a noisy value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import nnls

from napari_apprentice.measure.noise import details

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["believed", "noise_levels"]

_BINS = 24
_FEWEST = 50
_MOST = 2_000_000
_LEAST = 1e-8


def noise_levels(noisy: NDArray[Any], clean: NDArray[Any]) -> tuple[float, float]:
    """Measure the noise of one channel: its variance is about ``a · (brightness - lowest) + b``.

    Differences of neighbouring voxels cancel what is smooth, and their median absolute deviation heeds no edges (Donoho &
    Johnstone, Biometrika 81, 1994); binned by brightness they show shot noise, which grows with it (after Foi et al., IEEE TIP
    17, 2008).

    Parameters
    ----------
    noisy
        The image.
    clean
        About how it looks without noise: tells the brightness.

    Returns
    -------
    a, b
        Both not negative.
    """
    detail = details(noisy).ravel()
    light = _corner_mean(clean).ravel()
    step = max(1, detail.size // _MOST)
    detail, light = detail[::step], light[::step]
    if detail.size < _FEWEST:
        return 0.0, float((np.median(np.abs(detail)) / 0.6745) ** 2) if detail.size else 0.0
    order = np.argsort(light, kind="stable")
    parts = np.array_split(order, max(1, min(_BINS, detail.size // _FEWEST)))
    centre = np.array([light[p].mean() for p in parts]) - float(clean.min())
    variance = np.array([(np.median(np.abs(detail[p])) / 0.6745) ** 2 for p in parts])
    # Relative errors count alike: a bright bin must not outvote the dark ones.
    weight = 1.0 / np.maximum(variance, max(_LEAST, 1e-3 * float(variance.max())))
    rows = np.column_stack([np.maximum(centre, 0.0), np.ones(len(parts))]) * weight[:, np.newaxis]
    (slope, floor), _ = nnls(rows, variance * weight)
    return float(slope), float(floor)


def _corner_mean(image: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of each block of two voxels along every axis that is long enough: brightness of each of `details`."""
    result = np.asarray(image, dtype=np.float64)
    for axis, length in enumerate(image.shape):
        if length >= 2:
            first, second = (np.take(result, range(k, length // 2 * 2, 2), axis) for k in (0, 1))
            result = (first + second) / 2
    return result


def believed(
    guess: NDArray[Any],
    spread: NDArray[Any],
    noisy: NDArray[Any],
    levels: tuple[float, float],
    *,
    out: NDArray[np.float32],
) -> None:
    """Weigh a guess against the noisy value, each by how far it may be off: their mean under Gaussian assumptions.

    Parameters
    ----------
    guess
        Mean that the surroundings of each voxel suggest.
    spread
        Variance of the noisy value around it: of the guess and of the noise together.
    noisy
        The value itself.
    levels
        As of `noise_levels`.
    out
        Gets the result.
    """
    slope, floor = levels
    lowest = float(guess.min())
    noise = slope * np.maximum(guess - lowest, 0.0) + floor
    own = np.maximum(spread - noise, 0.0)
    share = own / np.maximum(own + noise, _LEAST)
    np.add(guess, share * (noisy - guess), out=out, casting="unsafe")
