"""Bootstrap: how far a score of a set of cases could be off, from the cases drawn again and again with replacement."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Interval", "Statistic", "Uncertainty", "difference", "interval", "means_of", "resample"]

Statistic: TypeAlias = "Callable[[NDArray[np.float64]], Mapping[str, float]]"
"""Scores of a set, from how often each of its N cases counts, shape ``(N,)``."""
Interval = tuple[float, float]

_SECONDS = 0.1


@dataclass(frozen=True)
class Uncertainty:
    """Intervals of scores, and how they came about.

    Parameters
    ----------
    level
        Share of resamples that an interval covers, for example 0.95.
    resamples
        How often cases were drawn.
    seed
        Of the draws.
    units
        How many cases, or groups of them, there were to draw from.
    grouped
        Whether whole groups were drawn: images of one patient say less than as many of several.
    mean, pooled
        Interval of each score that has one.
    """

    level: float
    resamples: int
    seed: int
    units: int
    grouped: bool = False
    mean: Mapping[str, Interval] = field(default_factory=dict)
    pooled: Mapping[str, Interval] = field(default_factory=dict)

    def describe(self) -> str:
        """Say it in a line: ``"95 % intervals from 1000 bootstrap resamples of 24 cases"``."""
        what = "groups" if self.grouped else "cases"
        drawn = f"{self.resamples} bootstrap resamples of {self.units} {what}"
        return f"{100 * self.level:g} % intervals from {drawn}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "level": self.level,
            "resamples": self.resamples,
            "seed": self.seed,
            "units": self.units,
            "grouped": self.grouped,
            "mean": {name: list(pair) for name, pair in self.mean.items()},
            "pooled": {name: list(pair) for name, pair in self.pooled.items()},
        }


def means_of(cases: Sequence[Mapping[str, float]]) -> Statistic:
    """Statistic of the mean of each score over the cases where it is not NaN.

    Parameters
    ----------
    cases
        Scores of each case by name; one that a case lacks counts as NaN.
    """
    names = list(dict.fromkeys(name for scores in cases for name in scores))
    rows = [[scores.get(name, np.nan) for name in names] for scores in cases]
    values = np.array(rows, dtype=np.float64).reshape(len(cases), len(names))

    def means(weights: NDArray[np.float64]) -> dict[str, float]:
        drawn = weights > 0  # an infinite score times a weight of 0 would be NaN
        chosen, share = values[drawn], weights[drawn]
        known = ~np.isnan(chosen)
        total = share @ known
        summed = share @ np.where(known, chosen, 0.0)
        mean = np.divide(summed, total, out=np.full(len(names), np.nan), where=total > 0)
        return dict(zip(names, mean.tolist(), strict=True))

    return means


def resample(
    statistics: Sequence[Statistic],
    count: int,
    groups: Sequence[str] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Generator[Progress, None, list[dict[str, NDArray[np.float64]]]]:
    """Compute statistics of sets drawn with replacement; all of them see the same draws, so that they can be compared.

    Parameters
    ----------
    statistics
        What to compute.
    count
        How many cases there are.
    groups
        Group of each case; then whole groups are drawn (the cluster bootstrap, Davison & Hinkley 1997, 3.8).
    resamples, seed
        How many draws, and what makes them repeatable.

    Yields
    ------
    Progress
        Often enough to be cancelled.

    Returns
    -------
    list of dict
        For each statistic the values of each score, shape ``(resamples,)``.

    Raises
    ------
    BadInputError
        Fewer than two units to draw from, or groups that are not those of the cases.
    """
    if groups is not None and len(groups) != count:
        raise BadInputError(f"expected a group for each of {count} cases, found {len(groups)}")
    found: list[list[Mapping[str, float]]] = [[] for _ in statistics]
    told = 0.0
    for number, weights in enumerate(_draws(count, groups, resamples, seed)):
        if time.perf_counter() - told > _SECONDS:
            yield Progress("estimating intervals", number, resamples, "resample")
            told = time.perf_counter()
        for values, statistic in zip(found, statistics, strict=True):
            values.append(statistic(weights))
    return [_columns(values) for values in found]


def _draws(
    count: int, groups: Sequence[str] | None, resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """How often each case counts, once per resample."""
    member = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    units = int(member.max()) + 1 if count else 0
    if units < 2:
        raise BadInputError(f"expected at least two cases or groups to draw from, found {units}")
    generator = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = generator.integers(units, size=units)
        yield np.bincount(drawn, minlength=units)[member].astype(np.float64)


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, NDArray[np.float64]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}


def interval(values: NDArray[np.float64], level: float = 0.95) -> Interval | None:
    """Percentile interval of resampled scores (Efron & Tibshirani 1993, 13.3).

    None where the score did not apply in more than half of the resamples, or is infinite.

    Parameters
    ----------
    values
        Of each resample; NaN where it does not apply.
    level
        Share of them that the interval covers.
    """
    known = values[~np.isnan(values)]
    if 2 * len(known) < len(values) or not len(known) or not np.isfinite(known).all():
        return None
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def difference(
    first: Mapping[str, NDArray[np.float64]],
    second: Mapping[str, NDArray[np.float64]],
    level: float = 0.95,
) -> dict[str, Interval]:
    """Intervals of first minus second, score by score, over the same draws (paired)."""
    both = {name: first[name] - second[name] for name in first if name in second}
    found = {name: interval(values, level) for name, values in both.items()}
    return {name: pair for name, pair in found.items() if pair is not None}
