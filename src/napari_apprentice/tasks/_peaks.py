"""From heat maps to places: peaks, finer than a voxel, one per object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["find_peaks", "suppress"]

_MOST_PEAKS = 100_000
_SURE = 1e-6


def find_peaks(
    heat: NDArray[Any], least: float, blur: Sequence[float] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float32]]:
    """Find the peaks of a map of logits.

    Parameters
    ----------
    heat
        ``(*spatial)``.
    least
        Lowest logit of a peak.
    blur
        Standard deviations in voxels of a Gaussian over the probabilities, so that an uneven top is one peak.

    Returns
    -------
    tuple of ndarray
        Voxels ``(N, n)``, the same finer than a voxel, and the logits; surest first, at most a hundred thousand.
    """
    from scipy import ndimage

    values = heat.astype(np.float32)
    if blur is not None:
        values = _blurred(values, blur)
    top = ndimage.maximum_filter(values, size=3, mode="nearest") == values
    top &= values >= least
    voxels = np.argwhere(top)
    height = values[top]
    order = np.argsort(-height, kind="stable")[:_MOST_PEAKS]
    voxels, height = voxels[order], height[order]
    return voxels, voxels + _offsets(values, voxels), height


def _blurred(values: NDArray[np.float32], blur: Sequence[float]) -> NDArray[np.float32]:
    from scipy import ndimage, special

    shares = ndimage.gaussian_filter(special.expit(values), blur, mode="nearest")
    return np.asarray(special.logit(np.clip(shares, _SURE, 1 - _SURE)), np.float32)


def _offsets(values: NDArray[np.float32], voxels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Top of the parabola through each peak and its two neighbours, axis by axis: the logarithm of a Gaussian is one."""
    offsets = np.zeros(voxels.shape)
    if not len(voxels):
        return offsets
    middle = _log_sigmoid(values[tuple(voxels.T)])
    for axis in range(voxels.shape[1]):
        low, high = voxels.copy(), voxels.copy()
        low[:, axis] -= 1
        high[:, axis] += 1
        inside = (low[:, axis] >= 0) & (high[:, axis] < values.shape[axis])
        before, after = (_log_sigmoid(values[tuple(p[inside].T)]) for p in (low, high))
        bend = before - 2 * middle[inside] + after
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = np.where(bend < -1e-6, 0.5 * (before - after) / bend, 0.0)
        offsets[inside, axis] = np.clip(shift, -0.5, 0.5)
    return offsets


def _log_sigmoid(values: NDArray[np.float32]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = -np.logaddexp(0.0, -values.astype(np.float64))
    return result


def suppress(
    places: NDArray[np.float64], radii: NDArray[np.float64], spacing: Sequence[float]
) -> NDArray[np.bool_]:
    """Mark what to keep: of places nearer to each other than the radius of the surer one, that one alone.

    Parameters
    ----------
    places
        ``(N, n)`` in voxels, surest first.
    radii
        ``(N,)`` in the unit of `spacing`.
    spacing
        Of the voxels.
    """
    from scipy.spatial import cKDTree

    kept = np.ones(len(places), dtype=bool)
    if not len(places):
        return kept
    world = places * np.asarray(spacing, dtype=float)
    around = cKDTree(world).query_ball_point(world, radii)
    for number, others in enumerate(around):
        if kept[number]:
            later = [k for k in others if k > number]
            kept[later] = False
    return kept
