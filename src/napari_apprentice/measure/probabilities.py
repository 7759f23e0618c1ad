"""Scores of a classifier's probabilities: ranking (ROC), calibration, and how surprised it was by the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError

from ._flat import nan_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Calibration",
    "PrecisionRecall",
    "Probabilities",
    "ProbabilityScores",
    "Ranking",
    "RocCurve",
    "calibration",
    "probability_scores",
    "roc_auc",
    "roc_curve",
]

_LEAST = 1e-12
_BINS = 15


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Rates at every threshold, from the strictest to the mildest; arrays of one length, starting at (0, 0).

    Parameters
    ----------
    false_positive_rate, true_positive_rate
        Share of the other cases, and of those of the class, whose score is at least the threshold.
    threshold
        Infinite at the start.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]
    threshold: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision and recall at every threshold, from the strictest to the mildest; arrays of one length.

    Parameters
    ----------
    recall, precision
        Share of the cases of the class that score at least the threshold, and share of the class among those.
    threshold
        Every score that occurs, descending.
    """

    recall: NDArray[np.float64]
    precision: NDArray[np.float64]
    threshold: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Calibration:
    """How often answers were right, over bins of how sure they were; only bins that hold a case.

    Parameters
    ----------
    confidence, accuracy
        Mean probability of the chosen class, and share of right answers.
    weight
        How many cases.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    weight: NDArray[np.float64]

    @property
    def error(self) -> float:
        """Expected calibration error; see `ProbabilityScores`."""
        distance = np.abs(self.confidence - self.accuracy)
        return float((self.weight * distance).sum() / self.weight.sum())


@dataclass(frozen=True, eq=False)
class ProbabilityScores:
    """Scores of probabilities ``(N, K)`` against the true class of each of N cases.

    Parameters
    ----------
    auc
        Area under the ROC curve of each class against the rest, shape ``(K,)``; NaN where all cases or none are of it.
    average_precision
        Area under the precision-recall curve of each class, shape ``(K,)``, without interpolation; NaN as for `auc`.
    log_loss
        Mean of minus the logarithm of the probability given to the truth, in nats.
    brier
        Mean squared distance of the probabilities from certainty about the truth, 0 to 2 (Brier 1950).
    calibration_error
        Expected calibration error of the chosen class: mean distance between how sure and how often right, over bins of
        equal width weighted by their cases (Naeini et al., AAAI 2015; Guo et al., ICML 2017).
    """

    auc: NDArray[np.float64]
    average_precision: NDArray[np.float64]
    log_loss: float
    brier: float
    calibration_error: float

    def flat(self) -> dict[str, float]:
        """Give the scores flat names; ``roc_auc`` is the mean over classes."""
        return {
            "roc_auc": nan_mean(self.auc),
            "average_precision": nan_mean(self.average_precision),
            "log_loss": self.log_loss,
            "brier": self.brier,
            "calibration_error": self.calibration_error,
        }


def probability_scores(
    probabilities: ArrayLike, truth: ArrayLike, *, bins: int = _BINS
) -> ProbabilityScores:
    """Compare probabilities with true classes.

    Parameters
    ----------
    probabilities
        Shape ``(N, K)``; rows add up to 1.
    truth
        Column of the true class of each case, shape ``(N,)``.
    bins
        Of the calibration error.

    Raises
    ------
    BadInputError
        Shapes that do not agree, no case, a class that there is not, or rows that are no probabilities.
    """
    return Probabilities(probabilities, truth, bins=bins).scores()


class Probabilities:
    """Probabilities of cases of known class, sorted once: sets drawn from them are scored without sorting again.

    Parameters
    ----------
    probabilities, truth, bins
        As of `probability_scores`, which raises the same errors.
    """

    def __init__(self, probabilities: ArrayLike, truth: ArrayLike, *, bins: int = _BINS) -> None:
        self.shares, self.actual = _checked(probabilities, truth)
        cases, count = np.arange(len(self.actual)), self.shares.shape[1]
        certain = np.zeros_like(self.shares)
        certain[cases, self.actual] = 1.0
        self.rankings = [Ranking(self.shares[:, k], self.actual == k) for k in range(count)]
        self._surprise = -np.log(np.maximum(self.shares[cases, self.actual], _LEAST))
        self._distance = ((self.shares - certain) ** 2).sum(axis=1)
        self._bins = bins

    def scores(self, weights: NDArray[np.float64] | None = None) -> ProbabilityScores:
        """Scores of the set in which each case counts so often, shape ``(N,)``; None: once."""
        share = np.ones(len(self.actual)) if weights is None else weights
        return ProbabilityScores(
            auc=np.array([ranking.auc(share) for ranking in self.rankings]),
            average_precision=np.array([r.average_precision(share) for r in self.rankings]),
            log_loss=float(np.average(self._surprise, weights=share)),
            brier=float(np.average(self._distance, weights=share)),
            calibration_error=calibration(
                self.shares, self.actual, bins=self._bins, weights=share
            ).error,
        )


def _checked(
    probabilities: ArrayLike, truth: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    shares = np.asarray(probabilities, dtype=np.float64)
    actual = np.asarray(truth)
    if shares.ndim != 2 or actual.shape != shares.shape[:1] or not actual.size:
        raise BadInputError(
            f"expected probabilities (N, K) and N classes, found {shares.shape} and {actual.shape}"
        )
    if actual.min() < 0 or actual.max() >= shares.shape[1]:
        raise BadInputError(
            f"expected classes 0 to {shares.shape[1] - 1}, found {actual.min()} to {actual.max()}"
        )
    off = np.abs(shares.sum(axis=1) - 1.0)
    if not np.isfinite(shares).all() or shares.min() < 0 or off.max() > 1e-3:
        worst = int(np.nanargmax(np.where(np.isfinite(off), off, np.inf)))
        raise BadInputError(
            f"expected probabilities that add up to 1, found {shares[worst].sum():.6g} in case {worst}"
        )
    return shares, actual.astype(np.intp)


def calibration(
    shares: NDArray[np.float64],
    actual: NDArray[np.intp],
    *,
    bins: int = _BINS,
    weights: NDArray[np.float64] | None = None,
) -> Calibration:
    """Compare how sure with how often right, over bins of equal width (a reliability diagram).

    Parameters
    ----------
    shares
        Probabilities ``(N, K)``.
    actual
        Column of the true class, shape ``(N,)``.
    bins
        How many.
    weights
        How often each case counts; None: once.
    """
    sure = shares.max(axis=1)
    right = shares.argmax(axis=1) == actual
    share = np.ones(len(actual)) if weights is None else weights
    # A bin holds its upper bound, as in the papers.
    number = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    weight = np.bincount(number, share, minlength=bins).astype(np.float64)
    held = weight > 0
    total = weight[held]
    return Calibration(
        confidence=np.bincount(number, share * sure, minlength=bins)[held] / total,
        accuracy=np.bincount(number, share * right, minlength=bins)[held] / total,
        weight=total,
    )


class Ranking:
    """Cases in the order of their score, those of equal score together.

    Parameters
    ----------
    scores, is_class
        One number and one truth value per case, shape ``(N,)``.
    """

    def __init__(self, scores: ArrayLike, is_class: ArrayLike) -> None:
        values = np.asarray(scores, dtype=np.float64)
        self._order = np.argsort(-values, kind="stable")
        values = values[self._order]
        self._is_class = np.asarray(is_class, dtype=bool)[self._order]
        changes = np.flatnonzero(np.diff(values)) + 1
        self._starts = np.concatenate([[0], changes]).astype(np.intp)
        self.thresholds = values[self._starts] if len(values) else values

    def counts(
        self, weights: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How many cases of the class, and others, have each score that occurs, descending."""
        share = np.ones(len(self._order)) if weights is None else weights[self._order]
        if not len(share):
            return share, share
        own = np.add.reduceat(share * self._is_class, self._starts)
        return own, np.add.reduceat(share, self._starts) - own

    def auc(self, weights: NDArray[np.float64] | None = None) -> float:
        """Area under the ROC curve; see `roc_auc`."""
        own, others = self.counts(weights)
        total = own.sum() * others.sum()
        if not total > 0:
            return float("nan")
        below = others.sum() - np.cumsum(others)
        return float((own * (below + others / 2)).sum() / total)

    def average_precision(self, weights: NDArray[np.float64] | None = None) -> float:
        """Precision, averaged over the steps of recall; see `ProbabilityScores`."""
        own, others = self.counts(weights)
        if not own.sum() > 0 or not others.sum() > 0:
            return float("nan")
        found = np.cumsum(own)
        chosen = found + np.cumsum(others)
        precision = np.divide(found, chosen, out=np.zeros_like(found), where=chosen > 0)
        return float((own * precision).sum() / own.sum())

    def roc(self) -> RocCurve:
        """Rates at every score that occurs; see `roc_curve`."""
        own, others = self._both()
        return RocCurve(
            false_positive_rate=np.append(0.0, np.cumsum(others) / others.sum()),
            true_positive_rate=np.append(0.0, np.cumsum(own) / own.sum()),
            threshold=np.append(np.inf, self.thresholds),
        )

    def precision_recall(self) -> PrecisionRecall:
        """Precision and recall at every score that occurs.

        Raises
        ------
        BadInputError
            Only cases of one kind.
        """
        own, others = self._both()
        found = np.cumsum(own)
        return PrecisionRecall(
            found / own.sum(), found / (found + np.cumsum(others)), self.thresholds
        )

    def _both(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        own, others = self.counts()
        if not own.sum() or not others.sum():
            raise BadInputError("expected cases of the class and others, found only one kind")
        return own, others


def roc_auc(scores: ArrayLike, is_class: ArrayLike) -> float:
    """Area under the ROC curve: how often a case of the class scores higher than one of the rest; ties count half.

    The Mann-Whitney statistic (Hanley & McNeil, Radiology 143, 1982). NaN where there are only cases of one kind.

    Parameters
    ----------
    scores, is_class
        One number and one truth value per case, shape ``(N,)``.
    """
    return Ranking(scores, is_class).auc()


def roc_curve(scores: ArrayLike, is_class: ArrayLike) -> RocCurve:
    """Rates at every score that occurs; see `roc_auc` for the parameters.

    Raises
    ------
    BadInputError
        Only cases of one kind.
    """
    return Ranking(scores, is_class).roc()
