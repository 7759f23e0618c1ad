"""Scores of numbered objects: those of each image, and of all objects of all images together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.measure.figures import Curve, Plot
from napari_apprentice.measure.instances import (
    ERRORS,
    InstanceScores,
    count_errors,
    error_image,
    score_instances,
)
from napari_apprentice.measure.pairs import no_mask
from napari_apprentice.tasks import TASKS

from ._labels import LabelScorer, cases_of_pairs
from ._scorer import Judged, Pooled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.measure.figures import Figure

    from ._scorer import Case

__all__ = ["SCORER", "InstanceScorer"]


class InstanceScorer(LabelScorer):
    """AP, F1, panoptic quality, counts; pooled, every object weighs the same."""

    def cases_of(
        self, pairs: Sequence[tuple[Path, Path]], classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Cases of files that are paired already; values number objects and have no classes."""
        if classes:
            raise BadInputError(
                "expected no class names where values number objects, found both",
                remedy="Leave out the classes, or score classes instead of objects.",
            )
        yield from ()
        return cases_of_pairs(pairs, (), no_mask)

    def judge(self, prediction: Prediction, annotation: Annotation) -> Judged:
        """Scores of one image, whatever made its objects; see `score_instances`."""
        if prediction.labels is None:
            raise BadInputError("expected a prediction with labels, found none")
        counts = None if annotation.extent.whole else annotation.counts()
        found = score_instances(prediction.labels, annotation.labels, counts=counts)
        return Judged(found.to_dict(), evidence=found)

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """Scores of all objects, and how they fall with the overlap that is asked for."""
        found: list[InstanceScores] = [case.evidence for case in cases]

        def scores(weights: NDArray[np.float64]) -> dict[str, float]:
            return InstanceScores.pooled(found, weights).to_dict()

        ranked = self.ranked(cases, {"ap50": "AP50", "f1_50": "F1", "pq": "PQ"})
        return Pooled(scores, figures=(_by_overlap(InstanceScores.pooled(found)), *ranked))

    def errors(self, prediction: Prediction, annotation: Annotation) -> Prediction | None:
        """Objects that were missed, are extra, merged or split; see `error_image`."""
        if prediction.labels is None:
            return None
        counts = None if annotation.extent.whole else annotation.counts()
        labels = error_image(prediction.labels, annotation.labels, counts=counts)
        found = count_errors(prediction.labels, annotation.labels, counts=counts)
        parts = [f"{number} {name}" for name, number in found.items() if number]
        summary = " · ".join(parts) or "every object was found"
        return Prediction(annotation.grid, labels=labels, classes=ERRORS, summary=summary)


def _by_overlap(found: InstanceScores) -> Figure:
    at = np.array(found.thresholds)
    curves = tuple(
        Curve(name, at, np.nan_to_num(values), dots=True)
        for name, values in (
            (f"AP, mean {found.mean_ap:.3f}", found.ap),
            ("F1", found.found.dice),
            ("precision", found.found.precision),
            ("recall", found.found.recall),
        )
    )
    ends = (float(at.min()), float(at.max()))
    return Plot(
        "Objects found, by the overlap asked for",
        "IoU from which an object counts as found",
        "score",
        curves,
        ends,
    )


SCORER = InstanceScorer(TASKS["instance"])
