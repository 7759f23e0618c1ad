"""From rows of a network that answers anchor by anchor to boxes, one per object.

A row of n axes: middle and lengths of the anchor, shift in lengths of the anchor, natural logarithms of the lengths over the
anchor's, a logit per class (see `FindsBoxes` of the networks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["boxes_of_rows", "suppress_boxes", "suppress_crowd", "sure_boxes"]

_MOST_OCTAVES = 4.0
"""A box is at most e to this longer or shorter than its anchor."""
_MOST_PER_TILE = 2000


def boxes_of_rows(rows: torch.Tensor, ndim: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Middles and lengths ``(…, n)`` in voxels that rows ``(…, 4 n + classes)`` tell of."""
    middle, length, shift, scale = rows[..., : 4 * ndim].unflatten(-1, (4, ndim)).unbind(-2)
    factor = scale.clamp(-_MOST_OCTAVES, _MOST_OCTAVES).exp()
    return middle + shift * length, length * factor


def sure_boxes(
    rows: torch.Tensor, ndim: int, *, least: float, overlap: float
) -> NDArray[np.float32]:
    """Boxes ``(M, 2 n + classes)`` of a tile's rows ``(R, 4 n + classes)``: middles, lengths, probability of each class.

    Parameters
    ----------
    least
        Probability below which nothing is told.
    overlap
        Of two boxes that overlap (intersection over union) by more, the surer is told.
    """
    import torch

    shares = rows[:, 4 * ndim :].float().sigmoid()
    best = shares.amax(dim=1)
    chosen = torch.nonzero(best >= least)[:, 0]
    order = best[chosen].argsort(descending=True, stable=True)[:_MOST_PER_TILE]
    chosen = chosen[order]
    middles, lengths = boxes_of_rows(rows[chosen].float(), ndim)
    found = torch.cat([middles, lengths, shares[chosen]], dim=1).cpu().numpy()
    kept = suppress_crowd(found[:, :ndim], found[:, ndim : 2 * ndim], overlap)
    result: NDArray[np.float32] = found[kept].astype(np.float32)
    return result


def suppress_crowd(
    centres: NDArray[np.floating], sizes: NDArray[np.floating], overlap: float
) -> NDArray[np.bool_]:
    """As `suppress_boxes`, quicker for some thousand boxes of which many lie on one another."""
    low, high, volume = centres - sizes / 2, centres + sizes / 2, np.prod(sizes, axis=1)
    kept = np.zeros(len(centres), dtype=bool)
    left = np.arange(len(centres))
    while len(left):
        first, left = left[0], left[1:]
        kept[first] = True
        shared = np.minimum(high[left], high[first]) - np.maximum(low[left], low[first])
        inside = np.prod(np.maximum(shared, 0), axis=1)
        left = left[inside <= overlap * (volume[left] + volume[first] - inside)]
    return kept


def suppress_boxes(
    centres: NDArray[np.floating], sizes: NDArray[np.floating], overlap: float
) -> NDArray[np.bool_]:
    """Mark what to keep: of boxes that overlap by more than so much, the first alone; of any number, few on one another.

    Parameters
    ----------
    centres, sizes
        ``(N, n)`` each, surest first.
    overlap
        Intersection over union.
    """
    kept = np.ones(len(centres), dtype=bool)
    first, second = _neighbours(centres, sizes)
    close = _overlaps(centres, sizes, first, second) > overlap
    first, second = first[close], second[close]
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        if kept[a]:
            kept[b] = False
    return kept


def _neighbours(
    centres: NDArray[np.floating], sizes: NDArray[np.floating]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of boxes, in order and the surer first, that may touch: within the diagonal of one of them."""
    from scipy.spatial import cKDTree

    if len(centres) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    around = cKDTree(centres).query_ball_point(centres, np.linalg.norm(sizes, axis=1))
    one = np.repeat(np.arange(len(centres)), [len(others) for others in around])
    other = np.concatenate([np.asarray(others, np.int64) for others in around])
    low, high = np.minimum(one, other), np.maximum(one, other)
    pairs = np.unique((low * len(centres) + high)[low < high])
    return pairs // len(centres), pairs % len(centres)


def _overlaps(
    centres: NDArray[np.floating],
    sizes: NDArray[np.floating],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
) -> NDArray[np.floating]:
    """Intersection over union of pairs of boxes, ``(pairs,)``."""
    low, high = centres - sizes / 2, centres + sizes / 2
    shared = np.minimum(high[first], high[second]) - np.maximum(low[first], low[second])
    inside = np.prod(np.maximum(shared, 0), axis=1)
    volume = np.prod(sizes, axis=1)
    result: NDArray[np.floating] = inside / (volume[first] + volume[second] - inside)
    return result
