"""Points and boxes as maps that a network can learn: how near a middle is, and how large the thing is.

Objects as points (Zhou et al., arXiv 1904.07850, 2019): a Gaussian at each middle, as wide as the object is large. All maps
are uint8, so that they are cut, mirrored and turned like labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.detections import Detections

__all__ = ["MIDDLE", "forget_sizes", "heat_maps", "log_sizes", "magnified_codes", "size_codes"]

MIDDLE = 254
"""Value of the voxel that holds a middle; all others are less."""
_PER_OCTAVE = 24
_SMALLEST = 0.5
_SIGMAS_PER_LENGTH = 6
_LEAST_SIGMA = 0.8
_REACH = 3.5
_SIZED = 0.3


def heat_maps(
    detections: Detections,
    kinds: NDArray[np.int64],
    count: int,
    shape: Sequence[int],
    *,
    boxes: int,
) -> NDArray[np.uint8]:
    """Draw the maps of one image.

    Parameters
    ----------
    detections
        With a size each, in voxels; those whose middle lies beyond the image are left out.
    kinds
        ``(N,)``: number of the class of each, from 0.
    count
        How many classes there are.
    shape
        Of the image.
    boxes
        Along how many of the last axes sizes are wanted; 0: none.

    Returns
    -------
    ndarray
        ``(boxes + count, *shape)`` uint8: sizes as codes (0: none here), then a heat map per class.
    """
    maps = np.zeros((boxes + count, *shape), np.uint8)
    best = np.zeros(shape, np.float32)
    inside = detections.in_image(shape)
    middles = detections.voxels(shape)
    for n in np.flatnonzero(inside):
        size = detections.sizes[n]
        box, heat = _bump(detections.centres[n], size, shape)
        peak = maps[boxes + int(kinds[n])][box]
        np.maximum(peak, (heat * (MIDDLE - 4)).astype(np.uint8), out=peak)
        nearest = (heat > _SIZED) & (heat > best[box])
        best[box][nearest] = heat[nearest]
        if boxes and detections.are_boxes[n]:
            for axis, code in enumerate(size_codes(size[len(size) - boxes :])):
                maps[axis][box][nearest] = code
    for n in np.flatnonzero(inside):  # last: no neighbour may cover a middle
        maps[boxes + int(kinds[n])][tuple(middles[n])] = MIDDLE
    return maps


def _bump(
    centre: NDArray[np.float64], size: NDArray[np.float64], shape: Sequence[int]
) -> tuple[tuple[slice, ...], NDArray[np.float32]]:
    """A Gaussian of height 1, and the box it fills."""
    box, factors = [], []
    for at, length, limit in zip(centre, size, shape, strict=True):
        sigma = max(_LEAST_SIGMA, float(length) / _SIGMAS_PER_LENGTH)
        low = max(0, int(np.floor(at - _REACH * sigma)))
        high = min(limit, int(np.ceil(at + _REACH * sigma)) + 1)
        box.append(slice(low, high))
        factors.append(np.exp(-0.5 * ((np.arange(low, high) - at) / sigma) ** 2))
    heat = factors[0]
    for factor in factors[1:]:
        heat = heat[..., None] * factor
    return tuple(box), heat.astype(np.float32)


def forget_sizes(maps: NDArray[np.uint8], said: Detections, boxes: int) -> None:
    """Where points have no size of their own, none is learned, in place."""
    if not len(said) or said.are_boxes.all():
        return
    from scipy.spatial import cKDTree

    shape = maps.shape[1:]
    places = np.argwhere(maps[0] > 0)
    if len(places):
        owner = cKDTree(said.voxels(shape)).query(places)[1]
        maps[(slice(0, boxes), *places[~said.are_boxes[owner]].T)] = 0


def size_codes(sizes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Lengths in voxels as codes 1…254, 24 per doubling from half a voxel."""
    codes = 1 + np.round(_PER_OCTAVE * np.log2(np.maximum(sizes, _SMALLEST) / _SMALLEST))
    return np.asarray(np.clip(codes, 1, IGNORE - 1), np.uint8)


def log_sizes(codes: torch.Tensor) -> torch.Tensor:
    """Binary logarithms of the lengths that codes stand for, float32."""
    return (codes.float() - 1) / _PER_OCTAVE + float(np.log2(_SMALLEST))


def magnified_codes(codes: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Codes ``(B, n, *spatial)`` of images magnified by `factors` ``(B,)``; 0 and 255 mean what they did."""
    import torch

    steps = (_PER_OCTAVE * factors.to(codes.device).log2()).round()
    moved = codes.float() + steps.view(-1, *(1,) * (codes.ndim - 1))
    known = (codes > 0) & (codes != IGNORE)
    return torch.where(known, moved.clamp(1, IGNORE - 1).to(codes.dtype), codes)
