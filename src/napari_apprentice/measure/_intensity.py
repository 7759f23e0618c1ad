"""Brightness, texture and colour of one object."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.color import rgb2hsv
from skimage.feature import graycomatrix, graycoprops

if TYPE_CHECKING:
    from numpy.typing import NDArray


__all__ = ["GrayRange", "color_of", "intensity_of", "texture_of"]

Values = dict[str, Any]
_ANGLES = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
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
    percentiles = np.percentile(finite, (50, *_PERCENTILES))
    found = (
        finite.mean(),
        percentiles[0],
        finite.std(),
        finite.min(),
        finite.max(),
        *percentiles[1:],
    )
    return {f"intensity {name}": float(v) for name, v in zip(STATISTICS, found, strict=True)}


def texture_of(crop: NDArray[Any], mask: NDArray[np.bool_], gray: GrayRange) -> Values:
    """Haralick's measures of the gray levels of neighbouring voxels inside an object.

    Pairs at distance 1 in four directions are counted together, both ways round; in a volume within its planes.
    Haralick et al., "Textural features for image classification", IEEE TSMC 3(6) (1973).
    """
    planes = gray.quantize(crop, mask).reshape(-1, *crop.shape[-2:])
    size = gray.levels + 1
    pairs = np.zeros((size, size), dtype=np.float64)
    for plane in planes:
        counted = graycomatrix(plane, [1], _ANGLES, levels=size, symmetric=True)
        pairs += counted.sum(axis=(2, 3))
    inside = pairs[1:, 1:]
    total = inside.sum()
    if not total:
        return {f"texture {name}": math.nan for name in TEXTURES}
    matrix = inside[:, :, np.newaxis, np.newaxis] / total
    values = {n: float(graycoprops(matrix, n)[0, 0]) for n in TEXTURES if n != "entropy"}
    shares = inside[inside > 0] / total
    values["entropy"] = max(0.0, float(-(shares * np.log2(shares)).sum()))
    return {f"texture {name}": values[name] for name in TEXTURES}


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
