"""The confusion matrix and the rates that follow from it, for voxels and for cases alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import ClassCodes, blocks, check_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["ClassCounts", "confusion_matrix"]


def confusion_matrix(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    classes: Sequence[int],
    *,
    counts: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """Count how often each class was predicted where each class is true.

    One pass over the data in blocks of bounded size, so arrays may be memory-mapped, Zarr or Dask.

    Parameters
    ----------
    prediction, truth
        Label arrays of one shape, any number of axes.
    classes
        The K label values to tell apart.
    counts
        Boolean array of the same shape: where the truth is known. Everywhere if ``None``.

    Returns
    -------
    NDArray[np.int64]
        Shape ``(K + 1, K + 1)``: rows are the truth, columns the prediction. Index 0 stands for
        every value that is not in `classes`, index i for ``classes[i - 1]``.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        Labels that are not whole numbers, a mask that is not boolean, or classes listed twice.
    """
    check_shapes(prediction, truth, counts)
    codes = ClassCodes(tuple(classes))
    size = len(codes.classes) + 1
    total = np.zeros(size * size, dtype=np.int64)
    for block in blocks(truth.shape):
        pairs = codes.encode(truth[block]).astype(np.intp)
        pairs *= size
        pairs += codes.encode(prediction[block])
        chosen = pairs.ravel() if counts is None else pairs[np.asarray(counts[block])]
        total += np.bincount(chosen, minlength=size * size)
    return total.reshape(size, size)


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """True and false positives and negatives, one value per class, and the rates made of them.

    Where a rate divides zero by zero it is NaN if the class occurs neither in the prediction nor in
    the truth (nothing was asked, nothing was said: left out of means), and 0 if it occurs in only
    one of them (an error that a mean must feel). Specificity is NaN where every voxel is of the
    class.

    Parameters
    ----------
    true_positive, false_positive, false_negative, true_negative
        Shape ``(K,)``.

    Notes
    -----
    Definitions: Taha & Hanbury, "Metrics for evaluating 3D medical image segmentation", BMC Medical
    Imaging 15:29 (2015), and Maier-Hein et al., "Metrics reloaded", Nature Methods 21 (2024).
    """

    true_positive: NDArray[np.int64]
    false_positive: NDArray[np.int64]
    false_negative: NDArray[np.int64]
    true_negative: NDArray[np.int64]

    @classmethod
    def from_confusion(cls, matrix: NDArray[np.int64]) -> ClassCounts:
        """Read them off a matrix of `confusion_matrix`, whose index 0 is "any other value"."""
        hit = np.diagonal(matrix)[1:]
        predicted = matrix.sum(axis=0)[1:]
        actual = matrix.sum(axis=1)[1:]
        rest = matrix.sum() - predicted - actual + hit
        return cls(hit, predicted - hit, actual - hit, rest)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """How often each class was predicted: TP + FP."""
        return self.true_positive + self.false_positive

    @property
    def actual(self) -> NDArray[np.int64]:
        """How often each class is true: TP + FN."""
        return self.true_positive + self.false_negative

    @property
    def dice(self) -> NDArray[np.float64]:
        """Dice coefficient, which is also the F1 score: 2 TP / (2 TP + FP + FN)."""
        return self._rate(2 * self.true_positive, self.predicted + self.actual)

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union, the Jaccard index: TP / (TP + FP + FN)."""
        return self._rate(self.true_positive, self.predicted + self.false_negative)

    @property
    def precision(self) -> NDArray[np.float64]:
        """Positive predictive value: TP / (TP + FP)."""
        return self._rate(self.true_positive, self.predicted)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Sensitivity, the true positive rate: TP / (TP + FN)."""
        return self._rate(self.true_positive, self.actual)

    @property
    def specificity(self) -> NDArray[np.float64]:
        """True negative rate: TN / (TN + FP)."""
        return _divide(self.true_negative, self.true_negative + self.false_positive, np.nan)

    def _rate(
        self, numerator: NDArray[np.int64], denominator: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        present = self.predicted + self.actual > 0
        return _divide(numerator, denominator, np.where(present, 0.0, np.nan))


def _divide(
    numerator: NDArray[np.int64],
    denominator: NDArray[np.int64],
    otherwise: float | NDArray[np.float64],
) -> NDArray[np.float64]:
    result = np.full(denominator.shape, otherwise, dtype=np.float64)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
