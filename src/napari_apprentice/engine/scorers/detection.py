"""Scores of points and boxes: those of each image, of all images together, and FROC."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.engine.place_files import SaidPlaces, classes_of
from napari_apprentice.io import pair
from napari_apprentice.measure.detection import (
    FROC_RATES,
    DetectionScores,
    Ranked,
    mistakes,
    rank_boxes,
    rank_points,
    score_detections,
)
from napari_apprentice.measure.figures import Curve, Plot, worst_first
from napari_apprentice.measure.instances import ERRORS
from napari_apprentice.tasks import TASKS, FindsPlaces

from ._scorer import Case, Compared, Judged, Pooled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.jobs import Job

__all__ = ["SCORER", "DetectionScorer"]

_ERRORS = ERRORS[:2]
_LARGE = 2**20
_NO_SCALE = "no voxel size in the files: distances are in pixels"


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What pooling needs of one image."""

    counts: DetectionScores
    points: Ranked
    boxes: Ranked | None
    unit: str


class DetectionScorer:
    """F1, precision, recall, distance and AP50 per image; pooled also the sensitivity at rates of false positives.

    Parameters
    ----------
    task
        That finds places.
    """

    def __init__(self, task: Any) -> None:
        self.task = task

    def cases(
        self, truth: Path, prediction: Path, classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Pair tables of places, or labels of numbered objects, by name."""
        pairs = pair(truth, prediction)
        if not classes:
            read = []
            for number, both in enumerate(pairs):
                yield Progress("finding classes", number, len(pairs), "case")
                read += [SaidPlaces.read(path) for path in both]
            classes = classes_of(read, ())
        open_ = partial(_opened, task=cast("FindsPlaces", self.task), classes=tuple(classes))
        return [Case(str(p), t.name, partial(open_, t, p)) for t, p in pairs]

    def judge(self, prediction: Prediction, annotation: Annotation) -> Judged:
        """Scores of one image; detections of nothing and missed objects count where the annotation does."""
        scores = self.task.score(prediction, annotation)
        found, truth = prediction.detections, annotation.detections
        if found is None or truth is None:
            raise BadInputError("expected points or boxes on both sides, found none")
        counts = None if annotation.extent.whole else annotation.counts()
        grid, reach = annotation.grid, annotation.reach
        inside = (
            (found, truth)
            if counts is None
            else (found.select(found.in_mask(counts)), truth.select(truth.in_mask(counts)))
        )
        evidence = _Evidence(
            score_detections(found, truth, grid.spacing, reach=reach, counts=counts),
            rank_points(*inside, grid.spacing, reach),
            rank_boxes(*inside) if truth.are_boxes.any() else None,
            grid.unit,
        )
        return Judged({name: float(value) for name, value in scores.items()}, evidence=evidence)

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """Every object weighs the same; classes are not told apart."""
        found: list[_Evidence] = [case.evidence for case in cases]
        units = {e.unit for e in found}
        unit = units.pop() if len(units) == 1 else "pixel"

        def scores(weights: NDArray[np.float64]) -> dict[str, float]:
            counts = DetectionScores.pooled((e.counts for e in found), weights).to_dict(unit)
            known = [(e.boxes, w) for e, w in zip(found, weights, strict=True) if e.boxes]
            if known:
                boxes = Ranked.pooled((b for b, _ in known), np.array([w for _, w in known]))
                counts["ap50"] = boxes.average_precision()
            froc = Ranked.pooled((e.points for e in found), weights).froc()
            named = {f"sensitivity_at_{rate:g}_fp": value for rate, value in froc.items()}
            several = "f1_any" in cases[0].scores
            renamed = {"f1": "f1_any", "ap50": "ap50_any"} if several else {}
            return {renamed.get(name, name): value for name, value in counts.items()} | named

        ranked = worst_first([case.scores for case in cases], {"f1": "F1"}, "score")
        figures = (_froc(Ranked.pooled(e.points for e in found)),)
        return Pooled(scores, figures=figures if ranked is None else (*figures, ranked))

    def errors(self, prediction: Prediction, annotation: Annotation) -> Prediction | None:
        """Points on the objects that were missed, and on the detections of nothing."""
        found, truth = prediction.detections, annotation.detections
        if found is None or truth is None:
            return None
        grid, counts = annotation.grid, None if annotation.extent.whole else annotation.counts()
        missed, false = mistakes(found, truth, grid.spacing, reach=annotation.reach, counts=counts)
        places = np.concatenate([false.centres, missed.centres])
        counted = (len(false), len(missed))
        wrong = Detections.of(places, None, np.repeat([c.value for c in _ERRORS], counted))
        said = ((len(missed), "missed"), (len(false), "extra"))
        summary = " · ".join(f"{n} {what}" for n, what in said if n) or "every object was found"
        return Prediction(grid, classes=_ERRORS, detections=wrong, summary=summary)


def _opened(
    truth: Path, prediction: Path, *, task: FindsPlaces, classes: tuple[LabelClass, ...]
) -> Compared:
    said, guess = SaidPlaces.read(truth), SaidPlaces.read(prediction)
    if said.ndim != guess.ndim:
        raise BadInputError(
            f"expected places with {said.ndim} axes like the truth, found {guess.ndim}",
            path=prediction,
            remedy="Predict on the image that the truth belongs to.",
        )
    places, found = said.alone(classes, task), guess.alone(classes, task)
    scale = said.scale or guess.scale
    spacing, unit = scale or ((1.0,) * said.ndim, "pixel")
    # Tables do not say how large their image was: any that holds them all will do.
    shape = (_LARGE,) * said.ndim if said.labels is None else said.labels.grid.spatial_shape
    grid = Grid.regular("ZYX"[3 - said.ndim :], shape, spacing, unit=unit)
    answer = Prediction(grid=grid, classes=classes, detections=found)
    truth_said = Annotation.of_places(grid, places, classes)
    return Compared(answer, truth_said, "" if scale else _NO_SCALE)


def _froc(ranked: Ranked) -> Plot:
    """Objects found over false positives per image."""
    hits, false = ranked.cumulated()
    share = hits / max(ranked.truth, 1)
    most = max(FROC_RATES)
    rate = false / max(ranked.images, 1)
    inside = rate <= most
    curve = Curve("sensitivity", np.append(0.0, rate[inside]), np.append(0.0, share[inside]))
    return Plot(
        "Objects found, by the false positives allowed (FROC)",
        "false positives per image",
        "share of the objects found",
        (curve,),
        (0.0, most),
    )


SCORER = DetectionScorer(TASKS["detection"])
