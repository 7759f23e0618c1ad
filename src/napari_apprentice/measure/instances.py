"""Scores of numbered objects: average precision, F1, panoptic quality, counts, split and merged objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError

from ._arrays import blocks
from ._flat import nan_mean
from .confusion import ClassCounts
from .pairs import Overlaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "ERRORS",
    "THRESHOLDS",
    "InstanceScores",
    "count_errors",
    "error_image",
    "match",
    "score_instances",
]

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""IoU from which on a prediction counts as found, by default."""
ERRORS = (
    LabelClass(1, "false positive", "#D55E00"),
    LabelClass(2, "false negative", "#0072B2"),
    LabelClass(3, "split", "#CC79A7"),
    LabelClass(4, "merge", "#F0E442"),
)
"""What the values of `error_image` mean."""
_COUNTS = ("true_positive", "false_positive", "false_negative", "true_negative")
_PANOPTIC = float(np.nextafter(0.5, 1.0))  # more than one half, as Kirillov et al. ask


@dataclass(frozen=True, eq=False)
class InstanceScores:
    """Scores of objects in one image, or of all images of a data set taken together.

    A rate is NaN where there is no object on either side, and 0 where there is none on one side.

    Parameters
    ----------
    thresholds
        The N values of IoU at which objects were matched.
    found
        True positives, false positives and false negatives per threshold, and the rates made of them: `precision`,
        `recall`, `dice` (of objects: F1) and `iou` (of objects: AP).
    panoptic
        The same for the one matching at IoU > 0.5, shapes ``(1,)``.
    panoptic_iou
        Sum of the IoU of the objects matched there.
    splits
        How many true objects were cut up: at least two predictions lie mostly in them.
    merges
        How many predictions join what is apart: at least two true objects lie mostly in them.
    """

    thresholds: tuple[float, ...]
    found: ClassCounts
    panoptic: ClassCounts
    panoptic_iou: float
    splits: int
    merges: int

    @property
    def n_true(self) -> int:
        """How many true objects were judged."""
        return int(self.panoptic.actual[0])

    @property
    def n_predicted(self) -> int:
        """How many predicted objects were judged."""
        return int(self.panoptic.predicted[0])

    @property
    def ap(self) -> NDArray[np.float64]:
        """Average precision per threshold, TP / (TP + FP + FN).

        So defined by the Data Science Bowl 2018 (Caicedo et al., Nature Methods 16, 2019) and used by StarDist
        (Schmidt et al., MICCAI 2018) and Cellpose. It is not the area under a precision-recall curve of COCO.
        """
        return self.found.iou

    @property
    def mean_ap(self) -> float:
        """Mean of `ap` over the thresholds."""
        return nan_mean(self.ap)

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the objects that were found (SQ); NaN where none was."""
        hits = int(self.panoptic.true_positive[0])
        return self.panoptic_iou / hits if hits else float("nan")

    @property
    def recognition_quality(self) -> float:
        """F1 at IoU > 0.5 (RQ)."""
        return float(self.panoptic.dice[0])

    @property
    def panoptic_quality(self) -> float:
        """SQ × RQ (Kirillov et al., "Panoptic segmentation", CVPR 2019)."""
        rate = self.recognition_quality
        return rate * self.segmentation_quality if rate > 0 else rate

    @classmethod
    def pooled(
        cls, cases: Iterable[InstanceScores], weights: Sequence[float] | NDArray[Any] | None = None
    ) -> InstanceScores:
        """Take images together: every object weighs the same, however many its image holds.

        Parameters
        ----------
        cases
            Scores of each image.
        weights
            How often each image counts; None: once.

        Raises
        ------
        BadInputError
            No image, or images scored at different thresholds.
        """
        gathered = list(cases)
        if not gathered or len({case.thresholds for case in gathered}) > 1:
            raise BadInputError("expected at least one image, all scored at the same thresholds")
        often = np.ones(len(gathered), np.int64) if weights is None else np.asarray(weights)

        def total(name: str) -> Any:
            return often @ np.array([getattr(case, name) for case in gathered])

        return cls(
            gathered[0].thresholds,
            _sum([case.found for case in gathered], often),
            _sum([case.panoptic for case in gathered], often),
            float(total("panoptic_iou")),
            int(total("splits")),
            int(total("merges")),
        )

    def to_dict(self) -> dict[str, float]:
        """Return flat names: ``ap``, ``ap50`` …, ``f1_50``, ``precision_50``, ``recall_50``, ``pq``, ``sq``, ``rq``, counts.

        F1, precision and recall are those of the lowest threshold.
        """
        lowest = int(np.argmin(self.thresholds))
        names = [f"{100 * threshold:.4g}".replace(".", "_") for threshold in self.thresholds]
        rates = {"f1": self.found.dice, "precision": self.found.precision}
        rates["recall"] = self.found.recall
        return {
            "ap": self.mean_ap,
            **{f"ap{name}": float(value) for name, value in zip(names, self.ap, strict=True)},
            **{f"{rate}_{names[lowest]}": float(v[lowest]) for rate, v in rates.items()},
            "pq": self.panoptic_quality,
            "sq": self.segmentation_quality,
            "rq": self.recognition_quality,
            "count": float(self.n_predicted),
            "truth_count": float(self.n_true),
            "splits": float(self.splits),
            "merges": float(self.merges),
        }


def score_instances(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    counts: NDArray[np.bool_] | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
) -> InstanceScores:
    """Score numbered objects against the true ones.

    Parameters
    ----------
    prediction, truth
        Integer arrays of one shape, 0 = background, any positive numbers; they need not be consecutive.
    counts
        Boolean array: where the annotation counts (``Annotation.counts()``); everywhere if not given. Objects of
        which less than half lies there are ignored on both sides, and the IoU of the others is that of the voxels
        there. A prediction is kept where it covers more than half of a true object that is judged.
    thresholds
        Of the IoU, each in (0, 1].

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        Boolean, float or negative labels; thresholds out of range.
    """
    overlaps = Overlaps.of(prediction, truth, counts)
    matches = [match(overlaps, threshold) for threshold in (*thresholds, _PANOPTIC)]
    hits = np.array([len(pairs) for pairs in matches], dtype=np.int64)
    found = ClassCounts(
        hits,
        len(overlaps.prediction_ids) - hits,
        len(overlaps.truth_ids) - hits,
        np.zeros_like(hits),
    )
    split, merged = _broken(overlaps)
    return InstanceScores(
        tuple(float(threshold) for threshold in thresholds),
        _part(found, slice(None, -1)),
        _part(found, slice(-1, None)),
        float(overlaps.iou[matches[-1]].sum()),
        len(split),
        len(merged),
    )


def match(overlaps: Overlaps, threshold: float) -> NDArray[np.intp]:
    """Pair true and predicted objects one to one: as many pairs as possible, of these the largest total IoU.

    Above an IoU of one half no object has two partners and nothing is to decide; below, a sparse assignment does.

    Parameters
    ----------
    overlaps
        Which objects overlap.
    threshold
        Smallest IoU of a pair, in (0, 1].

    Returns
    -------
    NDArray[np.intp]
        Positions of the chosen pairs in ``overlaps.rows`` and ``overlaps.columns``.

    Raises
    ------
    BadInputError
        A threshold out of range.
    """
    if not 0 < threshold <= 1:
        raise BadInputError(f"expected a threshold of IoU in (0, 1], found {threshold}")
    chosen = np.flatnonzero(overlaps.iou >= threshold)
    rows, columns = overlaps.rows[chosen], overlaps.columns[chosen]
    if len(np.unique(rows)) == len(rows) and len(np.unique(columns)) == len(columns):
        return chosen
    return chosen[_assigned(rows, columns, overlaps.iou[chosen])]


def _assigned(
    rows: NDArray[np.intp], columns: NDArray[np.intp], iou: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Solve the assignment; every row may also take a place of its own that costs more than any gain."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    _, row = np.unique(rows, return_inverse=True)
    _, column = np.unique(columns, return_inverse=True)
    n, m = int(row.max()) + 1, int(column.max()) + 1
    alone = np.arange(n)
    costs = np.concatenate([2 - iou, np.full(n, 2.0 + n)])
    places = (np.concatenate([row, alone]), np.concatenate([column, m + alone]))
    taken = min_weight_full_bipartite_matching(coo_array((costs, places), (n, m + n)).tocsr())
    partner = np.full(n, -1)
    partner[taken[0]] = taken[1]
    return np.flatnonzero(partner[row] == column)


def _broken(overlaps: Overlaps) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Positions of the true objects that are split, and of the predictions that merge."""
    rows, columns, shared = overlaps.rows, overlaps.columns, overlaps.shared
    mostly_in_truth = 2 * shared > overlaps.prediction_sizes[columns]
    mostly_in_prediction = 2 * shared > overlaps.truth_sizes[rows]
    parts = np.bincount(rows[mostly_in_truth], minlength=1)
    joined = np.bincount(columns[mostly_in_prediction], minlength=1)
    return np.flatnonzero(parts > 1), np.flatnonzero(joined > 1)


def error_image(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    counts: NDArray[np.bool_] | None = None,
    threshold: float = 0.5,
) -> NDArray[np.uint8]:
    """Show where the objects are that went wrong, as labels whose classes are `ERRORS`.

    Parameters
    ----------
    prediction, truth, counts
        As for `score_instances`.
    threshold
        IoU from which on an object counts as found.

    Returns
    -------
    NDArray[np.uint8]
        Of the same shape: 1 in predictions that match nothing, 2 in true objects that were missed, 3 in true objects
        that are split, 4 in predictions that merge; the larger value where several hold; 0 where all is right or
        nothing counts.

    Raises
    ------
    GridMismatchError, BadInputError
        As for `score_instances`.
    """
    overlaps = Overlaps.of(prediction, truth, counts)
    pairs = match(overlaps, threshold)
    split, merged = _broken(overlaps)
    of_truth = np.full(len(overlaps.truth_ids), 2, np.uint8)
    of_truth[overlaps.rows[pairs]] = 0
    of_truth[split] = 3
    of_prediction = np.full(len(overlaps.prediction_ids), 1, np.uint8)
    of_prediction[overlaps.columns[pairs]] = 0
    of_prediction[merged] = 4
    errors = np.zeros(truth.shape, np.uint8)
    for block in blocks(truth.shape):
        missed = _looked_up(truth[block], overlaps.truth_ids, of_truth)
        wrong = _looked_up(prediction[block], overlaps.prediction_ids, of_prediction)
        errors[block] = np.maximum(missed, wrong)
        if counts is not None:
            errors[block][~np.asarray(counts[block])] = 0
    return errors


def count_errors(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    *,
    counts: NDArray[np.bool_] | None = None,
    threshold: float = 0.5,
) -> dict[str, int]:
    """Count the objects that went wrong, by the names that people use: missed, extra, split, merged.

    Parameters and errors are those of `error_image`. An object that is split or merged may be missed as well.
    """
    overlaps = Overlaps.of(prediction, truth, counts)
    pairs = match(overlaps, threshold)
    split, merged = _broken(overlaps)
    return {
        "missed": len(overlaps.truth_ids) - len(pairs),
        "extra": len(overlaps.prediction_ids) - len(pairs),
        "split": len(split),
        "merged": len(merged),
    }


def _looked_up(
    labels: NDArray[Any], ids: NDArray[np.uint64], values: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Values of the objects at each voxel; 0 outside of them."""
    if not len(ids):
        return np.zeros(labels.shape, np.uint8)
    numbers = np.asarray(labels).astype(np.uint64)
    at = np.minimum(np.searchsorted(ids, numbers), len(ids) - 1)
    return np.asarray(np.where(ids[at] == numbers, values[at], 0), dtype=np.uint8)


def _sum(cases: Sequence[ClassCounts], weights: NDArray[Any]) -> ClassCounts:
    return ClassCounts(*(weights @ np.array([getattr(c, name) for c in cases]) for name in _COUNTS))


def _part(whole: ClassCounts, which: slice) -> ClassCounts:
    return ClassCounts(*(getattr(whole, name)[which] for name in _COUNTS))
