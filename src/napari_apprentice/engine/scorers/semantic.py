"""Scores of semantic segmentation: overlap and surfaces case by case, voxels of all cases by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.measure._flat import class_keys
from napari_apprentice.measure.confusion import confusion_matrix
from napari_apprentice.measure.figures import Matrix
from napari_apprentice.tasks import TASKS

from ._labels import LabelScorer
from ._scorer import Judged, Pooled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.annotation import Annotation

__all__ = ["ERRORS", "SCORER", "SemanticScorer"]

ERRORS = (
    LabelClass(1, "false positive", "#D55E00"),
    LabelClass(2, "false negative", "#0072B2"),
    LabelClass(3, "wrong class", "#CC79A7"),
)
"""What the values of an image of errors mean."""


class SemanticScorer(LabelScorer):
    """Dice, surfaces and volumes of each case; the confusion of all voxels as a figure."""

    def judge(self, prediction: Prediction, annotation: Annotation) -> Judged:
        """Scores of one case, with its voxels counted by true and predicted class."""
        if prediction.labels is None:
            raise BadInputError("expected a prediction with labels, found none")
        judged = super().judge(prediction, annotation)
        names = {c.value: c.name for c in annotation.classes if c.value != 0}
        counts = None if annotation.extent.whole else annotation.counts()
        matrix = confusion_matrix(prediction.labels, annotation.labels, tuple(names), counts=counts)
        return Judged(judged.scores, evidence=(names, matrix))

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """Dice of every case and class, and which class was taken for which."""
        names: dict[int, str] = cases[0].evidence[0]
        titles = {"dice": "mean Dice"}
        if len(names) > 1:
            keys = class_keys(names)
            titles = {f"dice_{keys[value]}": f"Dice of {name}" for value, name in names.items()}
        ranked = self.ranked(cases, dict(list(titles.items())[:8]))
        if any(case.evidence[0] != names for case in cases):
            return Pooled(figures=ranked)
        total = np.sum([case.evidence[1] for case in cases], axis=0)
        classes = ("background", *names.values())
        return Pooled(figures=(*ranked, Matrix("Confusion matrix (voxels)", classes, total)))

    def errors(self, prediction: Prediction, annotation: Annotation) -> Prediction | None:
        """Voxels of a class where there is none, of none where there is one, and of another than the true one."""
        if prediction.labels is None:
            return None
        said, true = np.asarray(prediction.labels), np.asarray(annotation.labels)
        wrong = said != true
        if not annotation.extent.whole:
            wrong &= annotation.counts()
        labels = np.zeros(said.shape, np.uint8)
        labels[wrong] = 3
        labels[wrong & (true == 0)] = 1
        labels[wrong & (said == 0)] = 2
        counts = np.bincount(labels.ravel(), minlength=4)[1:]
        parts = [
            f"{n:,} {c.name}".replace(",", " ") for c, n in zip(ERRORS, counts, strict=True) if n
        ]
        summary = " · ".join(parts) + " voxels" if parts else "no voxel is wrong"
        return Prediction(annotation.grid, labels=labels, classes=ERRORS, summary=summary)


SCORER = SemanticScorer(TASKS["semantic"])
