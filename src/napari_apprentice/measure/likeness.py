"""How far two sets of feature vectors lie apart, and how varied one is: what is said of images that were made up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["frechet_distance", "kernel_distance", "variety"]


def frechet_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Fréchet distance between the normal distributions that fit two sets; 0 where they are the same.

    Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017, who take the features of another network.
    It comes out too high where a set has few rows for its columns: compare sets of equal size.

    Parameters
    ----------
    one, other
        ``(N, F)`` and ``(M, F)``, at least two rows each.
    """
    first, second = (np.asarray(rows, np.float64) for rows in (one, other))
    shift = first.mean(axis=0) - second.mean(axis=0)
    spread, against = (np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (first, second))
    values, vectors = np.linalg.eigh(spread)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ against @ root), 0, None)).sum()
    total = shift @ shift + np.trace(spread) + np.trace(against) - 2 * shared
    return float(max(0.0, total))


def kernel_distance(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Squared maximum mean discrepancy under a cubic kernel, without bias: right on average however few rows there are.

    Bińkowski et al., "Demystifying MMD GANs", ICLR 2018. Sets that are alike come out around 0, on either side of it.

    Parameters
    ----------
    one, other
        ``(N, F)`` and ``(M, F)``, at least two rows each.
    """
    first, second = (np.asarray(rows, np.float64) for rows in (one, other))

    def kernel(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((left @ right.T / left.shape[1] + 1.0) ** 3)

    def within(rows: NDArray[np.float64]) -> float:
        values = kernel(rows, rows)
        count = len(rows)
        return float((values.sum() - np.trace(values)) / (count * (count - 1)))

    return within(first) + within(second) - 2.0 * float(kernel(first, second).mean())


def variety(
    made: NDArray[np.floating],
    real: NDArray[np.floating],
    kinds: NDArray[np.integer] | None = None,
    real_kinds: NDArray[np.integer] | None = None,
) -> float:
    """How far the rows of one set lie from their mean, in units of the other's: 1 is as varied, 0 all the same.

    Parameters
    ----------
    made, real
        ``(N, F)`` and ``(M, F)``.
    kinds, real_kinds
        Of what kind each row is, ``(N,)`` and ``(M,)``: that of the least varied kind is returned, since kinds that differ from
        each other say nothing of whether rows of one kind do. None: all of one kind.
    """
    if kinds is None or real_kinds is None:
        return _variety(made, real)
    both = np.intersect1d(kinds, real_kinds)
    return min(
        (_variety(made[kinds == kind], real[real_kinds == kind]) for kind in both), default=1.0
    )


def _variety(made: NDArray[np.floating], real: NDArray[np.floating]) -> float:
    spread, known = (
        float(np.sqrt(np.var(np.asarray(rows, np.float64), axis=0).sum())) for rows in (made, real)
    )
    if known > 0:
        return spread / known
    return 1.0 if spread == 0 else float("inf")
