"""Tiles: where a network looks, one box at a time, and how much each box counts."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "blend_weights",
    "halved",
    "mirrorings",
    "padding",
    "tile_shape",
    "tile_starts",
    "tiles",
]

# Gaussian of MONAI's sliding-window inferer and of nnU-Net: deviation an eighth of the tile.
_DEVIATION = 0.125
_LEAST_WEIGHT = 1e-3


def tile_shape(
    wish: Sequence[int], divisor: Sequence[int], *, at_least: bool = False
) -> tuple[int, ...]:
    """Round a tile to lengths that the network accepts.

    Parameters
    ----------
    wish
        Wanted lengths in working voxels, one per spatial axis the network sees.
    divisor
        Factor of every length along each axis (see `Network.divisor`).
    at_least
        Whether the tile has to hold what is wanted: a tile that was planned around whole images must not cut them.

    Returns
    -------
    tuple of int
        The nearest multiples, or the next, never a single divisor along all axes: the deepest level of a network must hold
        more than one voxel to be normalised.
    """
    rounded = math.ceil if at_least else round
    tile = [max(1, rounded(w / d)) * d for w, d in zip(wish, divisor, strict=True)]
    if tile == list(divisor):
        tile[-1] *= 2
    return tuple(tile)


def halved(tile: Sequence[int], divisor: Sequence[int]) -> tuple[int, ...]:
    """Halve a tile as far as the network allows; the same tile where it cannot be smaller."""
    half = tile_shape([t // 2 // d * d for t, d in zip(tile, divisor, strict=True)], divisor)
    return half if math.prod(half) < math.prod(tile) else tuple(tile)


def padding(shape: Sequence[int], tile: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Voxels to add before and after each axis so that at least one tile fits."""
    missing = [max(0, t - s) for s, t in zip(shape, tile, strict=True)]
    return tuple((m // 2, m - m // 2) for m in missing)


def tile_starts(length: int, tile: int, overlap: float) -> tuple[int, ...]:
    """First voxels of the tiles along one axis: regular steps, the last tile moved back to fit.

    Parameters
    ----------
    length
        Voxels along the axis; at least `tile`.
    tile
        Voxels of a tile.
    overlap
        Share of a tile that its neighbour repeats, 0 to below 1.
    """
    step = max(1, int(tile * (1.0 - overlap)))
    count = 1 + max(0, math.ceil((length - tile) / step))
    return tuple(min(i * step, length - tile) for i in range(count))


def tiles(shape: Sequence[int], tile: Sequence[int], overlap: float) -> tuple[tuple[int, ...], ...]:
    """First voxels of every tile, sorted so that the first axis grows slowest.

    Parameters
    ----------
    shape
        Lengths of the padded volume, each at least the tile's.
    tile
        Lengths of a tile.
    overlap
        Share of a tile that its neighbour repeats.
    """
    axes = [tile_starts(s, t, overlap) for s, t in zip(shape, tile, strict=True)]
    return tuple(itertools.product(*axes))


def mirrorings(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Every way to mirror a batch ``(B, C, *spatial)`` along some of these spatial axes, not at all first: axes to flip."""
    some = (itertools.combinations(axes, count) for count in range(len(axes) + 1))
    return [tuple(2 + axis for axis in chosen) for way in some for chosen in way]


def blend_weights(tile: Sequence[int]) -> NDArray[np.float32]:
    """Gaussian weight of each voxel of a tile, at least 0.001: float32 of the tile's shape.

    The middle of a tile sees more context than its border and counts more (as in MONAI and nnU-Net).
    """
    weights = np.ones((), dtype=np.float64)
    for length in tile:
        x = np.arange(length) - (length - 1) / 2.0
        weights = np.multiply.outer(weights, np.exp(-0.5 * (x / (_DEVIATION * length)) ** 2))
    result: NDArray[np.float32] = np.maximum(weights, _LEAST_WEIGHT).astype(np.float32)
    return result
