"""Scores of a classifier's probabilities: ranking (ROC), calibration, and how surprised it was by the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

from napari_apprentice.core.errors import BadInputError

from ._flat import nan_mean

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["ProbabilityScores", "RocCurve", "probability_scores", "roc_auc", "roc_curve"]

_LEAST = 1e-12


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
class ProbabilityScores:
    """Scores of probabilities ``(N, K)`` against the true class of each of N cases.

    Parameters
    ----------
    auc
        Area under the ROC curve of each class against the rest, shape ``(K,)``; NaN where all cases or none are of it.
    log_loss
        Mean of minus the logarithm of the probability given to the truth, in nats.
    brier
        Mean squared distance of the probabilities from certainty about the truth, 0 to 2 (Brier 1950).
    calibration_error
        Expected calibration error of the chosen class: mean distance between how sure and how often right, over bins of
        equal width weighted by their cases (Naeini et al., AAAI 2015; Guo et al., ICML 2017).
    """

    auc: NDArray[np.float64]
    log_loss: float
    brier: float
    calibration_error: float

    def flat(self) -> dict[str, float]:
        """Give the scores flat names; ``roc_auc`` is the mean over classes."""
        return {
            "roc_auc": nan_mean(self.auc),
            "log_loss": self.log_loss,
            "brier": self.brier,
            "calibration_error": self.calibration_error,
        }


def probability_scores(
    probabilities: ArrayLike, truth: ArrayLike, *, bins: int = 15
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
    shares, actual = _checked(probabilities, truth)
    cases = np.arange(len(actual))
    certain = np.zeros_like(shares)
    certain[cases, actual] = 1.0
    return ProbabilityScores(
        auc=np.array([roc_auc(shares[:, k], actual == k) for k in range(shares.shape[1])]),
        log_loss=float(-np.log(np.maximum(shares[cases, actual], _LEAST)).mean()),
        brier=float(((shares - certain) ** 2).sum(axis=1).mean()),
        calibration_error=_calibration_error(shares, actual, bins),
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


def _calibration_error(shares: NDArray[np.float64], actual: NDArray[np.intp], bins: int) -> float:
    sure = shares.max(axis=1)
    right = shares.argmax(axis=1) == actual
    # A bin holds its upper bound, as in the papers.
    number = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(number, minlength=bins)
    distance = np.abs(
        np.bincount(number, sure, minlength=bins) - np.bincount(number, right, minlength=bins)
    )
    return float(distance.sum() / count.sum())


def roc_auc(scores: ArrayLike, is_class: ArrayLike) -> float:
    """Area under the ROC curve: how often a case of the class scores higher than one of the rest; ties count half.

    From the ranks, as the Mann-Whitney statistic (Hanley & McNeil, Radiology 143, 1982). NaN where there are only cases
    of one kind.

    Parameters
    ----------
    scores, is_class
        One number and one truth value per case, shape ``(N,)``.
    """
    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    chosen = np.asarray(is_class, dtype=bool)
    positive, negative = int(chosen.sum()), int((~chosen).sum())
    if not positive or not negative:
        return float("nan")
    above = ranks[chosen].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def roc_curve(scores: ArrayLike, is_class: ArrayLike) -> RocCurve:
    """Rates at every score that occurs; see `roc_auc` for the parameters.

    Raises
    ------
    BadInputError
        Only cases of one kind.
    """
    values = np.asarray(scores, dtype=np.float64)
    chosen = np.asarray(is_class, dtype=bool)
    if chosen.all() or not chosen.any():
        raise BadInputError("expected cases of the class and others, found only one kind")
    order = np.argsort(-values, kind="stable")
    values, chosen = values[order], chosen[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    true, false = np.cumsum(chosen)[last], np.cumsum(~chosen)[last]
    return RocCurve(
        false_positive_rate=np.append(0.0, false / false[-1]),
        true_positive_rate=np.append(0.0, true / true[-1]),
        threshold=np.append(np.inf, values[last]),
    )
