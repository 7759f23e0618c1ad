"""Which detection is which true object: by distance or by overlap, one to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["box_iou", "match_by_distance", "rank_hits"]

_FAR = 1e6


def match_by_distance(
    truth: NDArray[np.float64], found: NDArray[np.float64], reach: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pair places one to one: as many pairs as can be, and of those the nearest together (Hungarian assignment).

    Groups that cannot reach each other are solved apart, so that an image of ten thousand cells needs no matrix of
    ten thousand squared.

    Parameters
    ----------
    truth, found
        ``(N, n)`` and ``(M, n)`` places in one unit.
    reach
        ``(N,)``: how far a detection of each true object may be from it, that distance included.

    Returns
    -------
    tuple of ndarray
        Numbers of the true objects, of the detections, and the distance of each pair.
    """
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns, distances = _near(truth, found, reach)
    if not len(rows):
        return rows, columns, distances
    count = len(truth) + len(found)
    links = coo_matrix((np.ones(len(rows)), (rows, len(truth) + columns)), shape=(count, count))
    _, group = connected_components(links, directed=False)
    order = np.argsort(group[rows], kind="stable")
    ends = np.flatnonzero(np.diff(group[rows][order])) + 1
    chosen = []
    for part in np.split(order, ends):
        own, of_row = np.unique(rows[part], return_inverse=True)
        other, of_column = np.unique(columns[part], return_inverse=True)
        most = float(distances[part].max())
        # Every pair in reach is worth more than any saving of distance elsewhere.
        cost = np.full((len(own), len(other)), _FAR * (1.0 + most))
        cost[of_row, of_column] = distances[part]
        picked = {
            (int(own[r]), int(other[c])) for r, c in zip(*linear_sum_assignment(cost), strict=True)
        }
        chosen += [k for k in part if (int(rows[k]), int(columns[k])) in picked]
    kept = np.array(sorted(chosen, key=lambda k: int(rows[k])), dtype=np.int64)
    return rows[kept], columns[kept], distances[kept]


def _near(
    truth: NDArray[np.float64], found: NDArray[np.float64], reach: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All pairs in reach of each other: numbers of both sides, and their distance."""
    from scipy.spatial import cKDTree

    nothing = np.zeros(0, np.int64)
    if not len(truth) or not len(found):
        return nothing, nothing, np.zeros(0)
    # A little more than the reach, so that rounding in the tree leaves nothing out at the very edge.
    lists = cKDTree(found).query_ball_point(truth, reach * (1 + 1e-9) + 1e-12)
    rows = np.repeat(np.arange(len(truth)), [len(one) for one in lists])
    columns = np.array([k for one in lists for k in one], dtype=np.int64)
    distances = np.linalg.norm(truth[rows] - found[columns], axis=1)
    inside = distances <= reach[rows]
    return rows[inside], columns[inside], distances[inside]


def rank_hits(
    scores: NDArray[np.float32], count: int, worth: Callable[[int], NDArray[np.float64]]
) -> NDArray[np.bool_]:
    """Say which detections hit: surest first, each takes the best true object that is left, as PASCAL VOC has it.

    Parameters
    ----------
    scores
        ``(M,)``.
    count
        How many true objects there are.
    worth
        How well a detection, by its number, fits each true object ``(count,)``; 0: not at all.

    Returns
    -------
    ndarray
        ``(M,)`` bool.
    """
    hits = np.zeros(len(scores), dtype=bool)
    left = np.ones(count, dtype=bool)
    for number in np.argsort(-scores, kind="stable") if count else ():
        fitting = np.where(left, worth(int(number)), 0.0)
        best = int(fitting.argmax())
        if fitting[best] > 0:
            hits[number], left[best] = True, False
    return hits


def box_iou(
    one: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Intersection over union of boxes given by lower and upper corners: ``(M, n)`` and ``(N, n)`` give ``(M, N)``."""
    low = np.maximum(one[0][:, None], other[0][None])
    high = np.minimum(one[1][:, None], other[1][None])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    volumes = [(b - a).prod(axis=1) for a, b in (one, other)]
    iou: NDArray[np.float64] = shared / (volumes[0][:, None] + volumes[1][None] - shared)
    return iou
