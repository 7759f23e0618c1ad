"""Scores of points and boxes: F1 at a distance, FROC, and average precision of boxes.

By default a detection finds an object where it lies within the object's radius, half the mean side of its box, as in the
LUNA16 challenge (Setio et al., Medical Image Analysis 42, 2017).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError

from ._flat import class_keys, nan_mean
from ._matching import box_iou, match_by_distance, rank_hits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.detections import Detections

__all__ = [
    "FROC_RATES",
    "Case",
    "DetectionScores",
    "Ranked",
    "detection_scores",
    "mean_ap",
    "mistakes",
    "rank_boxes",
    "rank_points",
    "score_detections",
]

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per image at which LUNA16 takes the sensitivity."""


@dataclass(frozen=True)
class DetectionScores:
    """Counts of one image, or of all images of a set taken together.

    A rate is NaN where there is nothing on either side, and 0 where there is nothing on one.

    Parameters
    ----------
    found, missed, false
        True objects that were found and that were not, and detections of nothing.
    distance
        Sum of the distances between the pairs, in the unit of the grid.
    """

    found: float
    missed: float
    false: float
    distance: float

    @classmethod
    def pooled(
        cls, several: Iterable[DetectionScores], weights: NDArray[np.float64] | None = None
    ) -> DetectionScores:
        """Add up the counts of several images, each as often as `weights` says: every object weighs the same."""
        rows = np.array([(s.found, s.missed, s.false, s.distance) for s in several], float)
        sums = rows.reshape(-1, 4).T @ (np.ones(len(rows)) if weights is None else weights)
        return cls(*map(float, sums))

    @property
    def precision(self) -> float:
        """Share of the detections that are objects."""
        return self._share(self.false)

    @property
    def recall(self) -> float:
        """Share of the objects that were found."""
        return self._share(self.missed)

    def _share(self, others: float) -> float:
        if self.found + self.missed + self.false == 0:
            return float("nan")
        return self.found / (self.found + others) if self.found + others else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = 2 * self.found + self.missed + self.false
        return 2 * self.found / total if total else float("nan")

    def to_dict(self, unit: str) -> dict[str, float]:
        """Flat names and numbers; the mean distance of pairs carries its unit."""
        mean = self.distance / self.found if self.found else float("nan")
        return {
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            f"distance_{'px' if unit == 'pixel' else unit}": mean,
            "found": float(self.found),
            "missed": float(self.missed),
            "false": float(self.false),
        }


def score_detections(
    found: Detections,
    truth: Detections,
    spacing: Sequence[float],
    *,
    reach: float | None = None,
    counts: NDArray[np.bool_] | None = None,
) -> DetectionScores:
    """Pair detections with true objects, whatever their classes, and count.

    Parameters
    ----------
    found, truth
        On one grid.
    spacing
        Of its voxels.
    reach
        How far a detection may be from its object, in the unit of `spacing`; None: the radius of each object.
    counts
        Boolean image of where the truth counts. All are paired; an object counts where it lies, a detection of nothing
        too.
    """
    rows, columns, distances = _pairs(found, truth, spacing, reach)
    own = np.ones(len(truth), bool) if counts is None else truth.in_mask(counts)
    others = np.ones(len(found), bool) if counts is None else found.in_mask(counts)
    others[columns] = False
    hit = own[rows]
    n_found = int(hit.sum())
    return DetectionScores(
        n_found, int(own.sum()) - n_found, int(others.sum()), float(distances[hit].sum())
    )


def mistakes(
    found: Detections,
    truth: Detections,
    spacing: Sequence[float],
    *,
    reach: float | None = None,
    counts: NDArray[np.bool_] | None = None,
) -> tuple[Detections, Detections]:
    """Return the objects that were missed, and the detections of nothing; they are those that `score_detections` counts.

    Parameters
    ----------
    found, truth, spacing, reach, counts
        See `score_detections`.
    """
    rows, columns, _ = _pairs(found, truth, spacing, reach)
    missed = np.ones(len(truth), bool) if counts is None else truth.in_mask(counts)
    false = np.ones(len(found), bool) if counts is None else found.in_mask(counts)
    missed[rows], false[columns] = False, False
    return truth.select(missed), found.select(false)


def _pairs(
    found: Detections, truth: Detections, spacing: Sequence[float], reach: float | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Which objects were found by which detections, and how far these are from them."""
    scale = np.asarray(spacing, dtype=float)
    places = _reach(found, truth, spacing, reach)
    return match_by_distance(truth.centres * scale, found.centres * scale, places)


@dataclass(frozen=True, eq=False)
class Case:
    """One image to score: detections and truth on one grid, its spacing, and where the truth counts (None: all of it)."""

    found: Detections
    truth: Detections
    spacing: Sequence[float]
    counts: NDArray[np.bool_] | None = None

    def of(self, kind: int) -> Case:
        """Only what is of one class."""
        found, truth = self.found, self.truth
        return replace(
            self,
            found=found.select(found.kinds == kind),
            truth=truth.select(truth.kinds == kind),
        )


def detection_scores(
    cases: Sequence[Case], unit: str, names: Mapping[int, str], *, reach: float | None = None
) -> dict[str, float]:
    """All scores of some images taken together, under flat names.

    With several classes, ``f1`` is the mean over those that occur, ``f1_any`` that of objects whatever their class,
    and each class has its own.

    Parameters
    ----------
    unit
        Of the spacing.
    names
        Class names by value.
    reach
        See `score_detections`.
    """
    whole = _pooled(cases, reach)
    scores = whole.to_dict(unit)
    if any(c.truth.are_boxes.any() for c in cases) and all(c.found.are_boxes.all() for c in cases):
        inside = [(_inside(c.found, c.counts), _inside(c.truth, c.counts)) for c in cases]
        scores["ap50"] = mean_ap([f for f, _ in inside], [t for _, t in inside], list(names))
    if len(names) < 2:
        return scores
    each = {
        f"f1_{key}": _pooled([case.of(value) for case in cases], reach).f1
        for value, key in class_keys(names).items()
    }
    return {**scores, "f1": nan_mean(each.values()), "f1_any": whole.f1, **each}


def _pooled(cases: Sequence[Case], reach: float | None) -> DetectionScores:
    return DetectionScores.pooled(
        score_detections(c.found, c.truth, c.spacing, reach=reach, counts=c.counts) for c in cases
    )


def _inside(one: Detections, counts: NDArray[np.bool_] | None) -> Detections:
    return one if counts is None else one.select(one.in_mask(counts))


def _reach(
    found: Detections, truth: Detections, spacing: Sequence[float], reach: float | None
) -> NDArray[np.float64]:
    """How far a detection of each true object may be from it."""
    if reach is not None:
        if not (np.isfinite(reach) and reach > 0):
            raise BadInputError(f"expected a distance above 0, found {reach}")
        return np.full(len(truth), float(reach))
    scale = np.asarray(spacing, dtype=float)
    radii = (truth.sizes * scale).mean(axis=1) / 2
    unknown = ~np.isfinite(radii)
    if unknown.any():
        radii[unknown] = _usual_radius(found, truth, scale)
    return np.asarray(radii)


def _usual_radius(found: Detections, truth: Detections, scale: NDArray[np.float64]) -> float:
    """Radius of points: that of the boxes there are, else a third of the way to the next point, else two voxels."""
    from scipy.spatial import cKDTree

    for side in (truth, found):
        known = side.sizes[side.are_boxes]
        if len(known):
            return float(np.median((known * scale).mean(axis=1))) / 2
    if len(truth) < 2:
        return 2.0 * float(scale.min())
    places = truth.centres * scale
    return float(np.median(cKDTree(places).query(places, k=2)[0][:, 1])) / 3


# -- over all thresholds --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Ranked:
    """Detections with what became of each, of one image or of several.

    Parameters
    ----------
    scores, hits
        ``(M,)``: how sure each was, and whether it found an object that no surer one had found.
    truth
        Number of true objects.
    images
        Number of images.
    times
        ``(M,)``: how often each detection counts; None: once.
    """

    scores: NDArray[np.float32]
    hits: NDArray[np.bool_]
    truth: float
    images: float = 1
    times: NDArray[np.float64] | None = None

    @classmethod
    def pooled(
        cls, several: Iterable[Ranked], weights: NDArray[np.float64] | None = None
    ) -> Ranked:
        """Take the detections of several images together, each image as often as `weights` says."""
        all_ = list(several)
        often = np.ones(len(all_)) if weights is None else weights
        return cls(
            np.concatenate([r.scores for r in all_] or [np.zeros(0, np.float32)]),
            np.concatenate([r.hits for r in all_] or [np.zeros(0, bool)]),
            float(sum(w * r.truth for w, r in zip(often, all_, strict=True))),
            float(sum(w * r.images for w, r in zip(often, all_, strict=True))),
            np.repeat(often, [len(r.scores) for r in all_]),
        )

    def cumulated(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Hits and false positives at each threshold, from the surest down; equal scores come together."""
        order = np.argsort(-self.scores, kind="stable")
        last = np.append(np.diff(self.scores[order]) != 0, True)[: len(order)]
        hits = self.hits[order]
        often = np.ones(len(order)) if self.times is None else self.times[order]
        return np.cumsum(hits * often)[last], np.cumsum(~hits * often)[last]

    def froc(self, rates: Sequence[float] = FROC_RATES) -> dict[float, float]:
        """Share of the objects found at a mean number of false positives per image; NaN without objects.

        The threshold is the lowest that keeps to the rate.
        """
        hits, false = self.cumulated()
        curve = {}
        for rate in rates:
            allowed = int((false <= rate * self.images).sum())
            best = float(hits[allowed - 1]) if allowed else 0.0
            curve[rate] = best / self.truth if self.truth else float("nan")
        return curve

    def average_precision(self) -> float:
        """Area under precision over recall, precision made monotone (PASCAL VOC 2010 on); NaN without objects."""
        if not self.truth:
            return float("nan")
        hits, false = self.cumulated()
        precision = hits / np.maximum(hits + false, 1e-9)
        best = np.maximum.accumulate(precision[::-1])[::-1]
        steps = np.diff(hits / self.truth, prepend=0.0)
        return float((steps * best).sum())


def rank_points(
    found: Detections, truth: Detections, spacing: Sequence[float], reach: float | None = None
) -> Ranked:
    """Rank the detections of one image: the surest takes the nearest object in reach."""
    places = _reach(found, truth, spacing, reach)
    scale = np.asarray(spacing, dtype=float)

    def worth(number: int) -> NDArray[np.float64]:
        gaps = np.linalg.norm((truth.centres - found.centres[number]) * scale, axis=1)
        return np.where(gaps <= places, 1.0 / (1.0 + gaps), 0.0)

    return Ranked(found.scores, rank_hits(found.scores, len(truth), worth), len(truth))


def rank_boxes(found: Detections, truth: Detections, iou: float = 0.5) -> Ranked:
    """Rank the boxes of one image: the surest takes the one it overlaps most, from that IoU on."""
    known = truth.select(truth.are_boxes).corners()
    boxes = found.select(found.are_boxes)
    low, high = boxes.corners()

    def worth(number: int) -> NDArray[np.float64]:
        one = slice(number, number + 1)
        overlap = box_iou((low[one], high[one]), known)[0]
        return np.where(overlap >= iou, overlap, 0.0)

    count = len(known[0])
    return Ranked(boxes.scores, rank_hits(boxes.scores, count, worth), count)


def mean_ap(
    found: Sequence[Detections],
    truth: Sequence[Detections],
    kinds: Sequence[int],
    iou: float = 0.5,
) -> float:
    """Average precision of boxes over several images, averaged over the classes that occur in the truth."""
    each = []
    for kind in kinds:
        ranked = [
            rank_boxes(f.select(f.kinds == kind), t.select(t.kinds == kind), iou)
            for f, t in zip(found, truth, strict=True)
        ]
        each.append(Ranked.pooled(ranked).average_precision())
    return nan_mean(each)
