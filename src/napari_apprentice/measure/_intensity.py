"""Brightness, texture and colour of one object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.color import rgb2hsv

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["GrayRange", "color_of", "intensity_of", "texture_of"]

Values = dict[str, Any]
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))
_PERCENTILES = (5, 25, 75, 95)
STATISTICS = ("mean", "median", "sd", "min", "max", *(f"p{p}" for p in _PERCENTILES))
TEXTURES = ("contrast", "correlation", "homogeneity", "energy", "entropy")


@dataclass(frozen=True)
class GrayRange:
    """How intensities become gray levels.

    Parameters
    ----------
    low, high
        Intensities of the darkest and the brightest level; what lies beyond gets that level.
    levels
        How many.
    """

    low: float
    high: float
    levels: int

    @classmethod
    def around(cls, values: NDArray[Any], levels: int) -> GrayRange:
        """Span 99.8 % of the finite values, so that a few hot pixels do not squeeze the rest."""
        finite = values[np.isfinite(values)]
        if not finite.size:
            return cls(0.0, 1.0, levels)
        low, high = np.percentile(finite, (0.1, 99.9))
        return cls(float(low), float(high), levels)

    def quantize(self, crop: NDArray[Any], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """Levels 1, 2, … inside the mask, 0 outside and where there is no number."""
        known = mask & np.isfinite(crop)
        width = (self.high - self.low) or 1.0
        share = np.where(known, (crop.astype(float) - self.low) / width, 0.0)
        levels = np.clip(np.floor(share * self.levels), 0, self.levels - 1) + 1
        return np.where(known, levels, 0).astype(np.uint8)


def intensity_of(values: NDArray[Any]) -> Values:
    """Statistics of the intensities inside an object; NaN and infinity are left out, all NaN where nothing is left."""
    finite = values[np.isfinite(values)].astype(float)
    if not finite.size:
        return {f"intensity {name}": math.nan for name in STATISTICS}
    ordered = np.sort(finite)
    middle, *percentiles = (_percentile(ordered, p) for p in (50, *_PERCENTILES))
    found = (finite.mean(), middle, finite.std(), ordered[0], ordered[-1], *percentiles)
    return {f"intensity {name}": float(v) for name, v in zip(STATISTICS, found, strict=True)}


def _percentile(ordered: NDArray[np.float64], percent: float) -> float:
    """As `numpy.percentile`, which sorts anew and takes ten times as long for some hundred values."""
    at = (len(ordered) - 1) * percent / 100
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (at - low))


def texture_of(crop: NDArray[Any], mask: NDArray[np.bool_], gray: GrayRange) -> Values:
    """Haralick's measures of the gray levels of neighbouring voxels inside an object.

    Pairs at distance 1 in four directions are counted together, both ways round; in a volume within its planes.
    Haralick et al., "Textural features for image classification", IEEE TSMC 3(6) (1973).
    """
    planes = gray.quantize(crop, mask).reshape(-1, *crop.shape[-2:]).astype(np.int32)
    pairs = [_pairs(planes, step) for step in _STEPS]
    one, other = (np.concatenate(side) for side in zip(*pairs, strict=True))
    if not one.size:
        return {f"texture {name}": math.nan for name in TEXTURES}
    size = gray.levels + 1
    counts = np.bincount(one * size + other, minlength=size * size).reshape(size, size)
    both = (counts + counts.T).ravel()
    shares = both[both > 0] / both.sum()
    apart = (one - other).astype(float) ** 2
    found = {
        "contrast": apart.mean(),
        "correlation": _correlation(one, other),
        "homogeneity": (1 / (1 + apart)).mean(),
        "energy": math.sqrt((shares**2).sum()),
        "entropy": max(0.0, -(shares * np.log2(shares)).sum()),
    }
    return {f"texture {name}": float(found[name]) for name in TEXTURES}


def _pairs(
    planes: NDArray[np.int32], step: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Levels of all voxels inside that have a neighbour inside one step down and to the right, and of these neighbours."""
    down, right = step
    rows = planes.shape[1] - down
    one = planes[:, :rows, max(0, -right) : planes.shape[2] - max(0, right)]
    other = planes[:, down:, max(0, right) : planes.shape[2] + min(0, right)]
    known = (one > 0) & (other > 0)
    return one[known], other[known]


def _correlation(one: NDArray[np.int32], other: NDArray[np.int32]) -> float:
    """Of pairs that count both ways round; 1 where all levels are the same."""
    mean = (one.mean() + other.mean()) / 2
    first, second = one - mean, other - mean
    variance = ((first**2).mean() + (second**2).mean()) / 2
    return float((first * second).mean() / variance) if variance > 1e-15 else 1.0


def color_of(pixels: NDArray[Any], white: float) -> Values:
    """Mean hue, saturation and value of the pixels inside an object.

    Hue is an angle: its mean is that of directions, and counts a pixel the more the stronger its colour is.

    Parameters
    ----------
    pixels
        Shape ``(3, n)``: red, green and blue.
    white
        Brightest value that a colour can have.
    """
    known = pixels[:, np.isfinite(pixels).all(axis=0)].astype(float) / white
    if not known.size:
        return {"hue (°)": math.nan, "saturation": math.nan, "value": math.nan}
    hue, saturation, value = rgb2hsv(np.clip(known, 0, 1).T[np.newaxis])[0].T
    direction = (saturation * np.exp(2j * np.pi * hue)).sum()
    angle = math.degrees(np.angle(direction)) % 360 if abs(direction) > 1e-9 else math.nan
    return {"hue (°)": angle, "saturation": float(saturation.mean()), "value": float(value.mean())}
