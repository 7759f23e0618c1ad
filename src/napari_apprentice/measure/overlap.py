"""Scores of overlap between two label arrays: Dice, IoU, precision, recall, specificity, volumes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import check_spacing
from .confusion import ClassCounts, confusion_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["OverlapScores", "overlap_scores"]


@dataclass(frozen=True, eq=False)
class OverlapScores:
    """Overlap per class, each array of shape ``(K,)`` in the order of `classes`.

    A class that occurs in neither array scores NaN and is left out of means; a class that occurs in
    only one of them scores 0. The formulas are those of `ClassCounts`.

    Parameters
    ----------
    classes
        The K label values.
    dice, iou, precision, recall, specificity
        Between 0 and 1, higher is better.
    volume, truth_volume
        Of the prediction and of the truth, where it counts: number of voxels times the product of
        the spacing (unit cubed in 3-D, squared in 2-D; plain voxels where no spacing is given).
    """

    classes: tuple[int, ...]
    dice: NDArray[np.float64]
    iou: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    specificity: NDArray[np.float64]
    volume: NDArray[np.float64]
    truth_volume: NDArray[np.float64]


def overlap_scores(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    classes: Sequence[int],
    *,
    counts: NDArray[np.bool_] | None = None,
    spacing: Sequence[float] | None = None,
) -> OverlapScores:
    """Compare two label arrays, class by class, in one pass and bounded memory.

    Parameters
    ----------
    prediction, truth
        Label arrays of one shape, any number of axes; NumPy, memory-mapped, Zarr or Dask.
    classes
        The label values to score, usually without the background.
    counts
        Boolean array of the same shape: where the annotation counts. Voxels outside are ignored.
    spacing
        Distance between voxel centres per axis, in the order of the axes.

    Returns
    -------
    OverlapScores
        One value per class.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        Labels that are not whole numbers, classes listed twice, or a bad spacing.
    """
    voxel = prod(check_spacing(spacing, truth.ndim))
    found = ClassCounts.from_confusion(confusion_matrix(prediction, truth, classes, counts=counts))
    return OverlapScores(
        classes=tuple(classes),
        dice=found.dice,
        iou=found.iou,
        precision=found.precision,
        recall=found.recall,
        specificity=found.specificity,
        volume=found.predicted.astype(np.float64) * voxel,
        truth_volume=found.actual.astype(np.float64) * voxel,
    )
