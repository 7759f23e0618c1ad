"""Figures of an evaluation as plain data: what a dock draws with its plots and a report as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Curve", "Figure", "Matrix", "Plot", "worst_first"]

_MOST_POINTS = 300


@dataclass(frozen=True, eq=False)
class Curve:
    """Points ``(x, y)``, joined by a line.

    Parameters
    ----------
    name
        For the legend, with the number that sums it up: ``"tumour, AUC 0.93"``.
    x, y
        Arrays of one length.
    dots
        Whether each point is a measurement of its own, and not one of a fine curve.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    dots: bool = False

    def thinned(self) -> Curve:
        """The same curve with at most some hundred points, the ends among them: more cannot be seen."""
        if len(self.x) <= _MOST_POINTS:
            return self
        chosen = np.unique(np.linspace(0, len(self.x) - 1, _MOST_POINTS).round().astype(int))
        return Curve(self.name, self.x[chosen], self.y[chosen], self.dots)


@dataclass(frozen=True, eq=False)
class Plot:
    """Curves in one pair of axes.

    Parameters
    ----------
    title, x_label, y_label
        Texts, with units.
    curves
        What is drawn.
    x_range, y_range
        Ends of the axes.
    diagonal
        Whether to draw the line ``y = x``: what chance, or perfect calibration, would be.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)
    diagonal: bool = False


@dataclass(frozen=True, eq=False)
class Matrix:
    """How often each true class (rows) was taken for each class (columns).

    Parameters
    ----------
    title
        With what is counted: ``"Confusion matrix (voxels)"``.
    names
        Of the classes.
    counts
        Shape ``(K, K)``.
    """

    title: str
    names: tuple[str, ...]
    counts: NDArray[Any]

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each true class, shape ``(K, K)``; rows without a case are 0."""
        counts = np.asarray(self.counts, dtype=np.float64)
        total = counts.sum(axis=1, keepdims=True)
        shares: NDArray[np.float64] = np.zeros_like(counts)
        np.divide(counts, total, out=shares, where=total > 0)
        return shares


Figure: TypeAlias = Plot | Matrix


def worst_first(
    cases: Sequence[Mapping[str, float]], titles: Mapping[str, str], label: str
) -> Plot | None:
    """A score of every case, in ascending order; None where fewer than two cases have one.

    Parameters
    ----------
    cases
        Scores of each case by name.
    titles
        Names of the scores to draw, and what the legend calls them.
    label
        Of the axis.
    """
    curves = []
    for name, title in titles.items():
        values = np.sort([v for v in (c.get(name, np.nan) for c in cases) if np.isfinite(v)])
        if len(values) > 1:
            curves.append(Curve(title, np.arange(1, len(values) + 1.0), values, dots=True))
    if not curves:
        return None
    most = max(len(curve.x) for curve in curves)
    low = min(0.0, *(float(curve.y.min()) for curve in curves))
    high = max(1.0, *(float(curve.y.max()) for curve in curves))
    title = "Score of every case, the worst first"
    return Plot(title, "case, by score", label, tuple(curves), (1.0, float(most)), (low, high))
