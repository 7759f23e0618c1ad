"""Scores of a classifier, of images or objects, from the predicted and true class of each case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError

from ._flat import class_keys, flatten, nan_mean
from .confusion import ClassCounts, confusion_matrix

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["ClassificationScores", "classification_scores", "rates_of"]


@dataclass(frozen=True, eq=False)
class ClassificationScores:
    """Scores of a classifier; arrays of shape ``(K,)`` in the order of `classes`.

    Per class each of the others counts as "not this one" (one versus rest). A class without a case
    in prediction and truth is NaN and left out of means; one that occurs in only one of them
    scores 0.

    Parameters
    ----------
    classes
        The K class values.
    confusion
        Shape ``(K, K)``: rows are the truth, columns the prediction.
    accuracy
        Share of cases whose class is right.
    balanced_accuracy
        Mean recall over the classes that have a true case (Brodersen et al., ICPR 2010): what
        accuracy would be if every class were equally frequent.
    precision, recall, f1, specificity
        As in `ClassCounts`; f1 is the harmonic mean of precision and recall.
    """

    classes: tuple[int, ...]
    confusion: NDArray[np.int64]
    accuracy: float
    balanced_accuracy: float
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]
    specificity: NDArray[np.float64]

    def flat(self, class_names: Mapping[int, str]) -> dict[str, float]:
        """Give the scores flat names: ``accuracy``, ``f1`` (mean over classes), ``f1_<class>``.

        Parameters
        ----------
        class_names
            Name of every class value in `classes`.
        """
        keys = class_keys({value: class_names[value] for value in self.classes}).values()
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            **flatten("precision", self.precision, keys),
            **flatten("recall", self.recall, keys),
            **flatten("f1", self.f1, keys),
            **flatten("specificity", self.specificity, keys),
        }


def classification_scores(
    prediction: ArrayLike, truth: ArrayLike, classes: Sequence[int]
) -> ClassificationScores:
    """Compare predicted with true classes.

    Parameters
    ----------
    prediction, truth
        Class value of each case, shape ``(N,)``.
    classes
        All K class values, 0 included if it is one.

    Returns
    -------
    ClassificationScores
        Over all cases and per class.

    Raises
    ------
    GridMismatchError
        The vectors differ in length.
    BadInputError
        No case at all, more than one axis, or a value that is not in `classes`.
    """
    predicted, actual = np.asarray(prediction), np.asarray(truth)
    if actual.ndim != 1 or actual.size == 0:
        raise BadInputError(f"expected one class value per case, found shape {actual.shape}")
    matrix = confusion_matrix(predicted, actual, classes)
    if matrix[0].any() or matrix[:, 0].any():
        strange = sorted(({*predicted.tolist()} | {*actual.tolist()}) - {*classes})
        raise BadInputError(f"expected classes {tuple(classes)}, found also {strange}")
    return rates_of(matrix[1:, 1:], classes)


def rates_of(matrix: NDArray[Any], classes: Sequence[int]) -> ClassificationScores:
    """Rates that follow from a confusion matrix.

    Parameters
    ----------
    matrix
        Shape ``(K, K)``: rows are the truth, columns the prediction; at least one case.
    classes
        All K class values.
    """
    rates = ClassCounts.from_confusion(np.pad(matrix, ((1, 0), (1, 0))))
    return ClassificationScores(
        classes=tuple(classes),
        confusion=matrix,
        accuracy=float(rates.true_positive.sum() / matrix.sum()),
        balanced_accuracy=nan_mean(rates.recall[rates.actual > 0]),
        precision=rates.precision,
        recall=rates.recall,
        f1=rates.dice,
        specificity=rates.specificity,
    )
