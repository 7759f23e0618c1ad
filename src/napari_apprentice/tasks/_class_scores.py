"""Scores of objects with classes: an object of another class is not the object that was looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.measure.instances import score_instances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.prediction import Prediction

__all__ = ["class_scores"]


def class_scores(prediction: Prediction, annotation: Annotation) -> dict[str, float]:
    """Average precision of each class whose objects are known, and their mean as ``ap``; empty where no class is told.

    Objects of unknown class are left out. The mean over classes is what COCO calls mAP (Lin et al., ECCV 2014).

    Parameters
    ----------
    prediction
        Numbered objects; without a column ``class`` all are of its first class.
    annotation
        With ``object_classes``.
    """
    if prediction.labels is None or len(set(annotation.object_classes.values())) < 2:
        return {}
    known = np.array(sorted(annotation.object_classes), dtype=annotation.labels.dtype)
    counts = annotation.counts()
    counts &= (annotation.labels == 0) | np.isin(annotation.labels, known)
    found = _found_by_name(prediction)
    scores = {}
    for entry in annotation.classes:
        own = [n for n, value in annotation.object_classes.items() if value == entry.value]
        truth = _only(annotation.labels, own)
        if not truth[counts].any():
            continue
        answer = _only(prediction.labels, found.get(entry.name.casefold(), []))
        scores[f"ap {entry.name}"] = score_instances(answer, truth, counts=counts).mean_ap
    return scores | {"ap": float(np.mean([*scores.values()]))} if scores else {}


def _found_by_name(prediction: Prediction) -> dict[str, list[int]]:
    """Numbers of the objects of each class, by its name in small letters."""
    labels = prediction.objects["label"].tolist()
    first = prediction.classes[0].value if prediction.classes else 0
    values = prediction.objects.get("class", np.full(len(labels), first)).tolist()
    pairs = list(zip(labels, values, strict=True))
    return {
        c.name.casefold(): [number for number, value in pairs if value == c.value]
        for c in prediction.classes
    }


def _only(labels: NDArray[Any], numbers: list[int]) -> NDArray[Any]:
    """The labels with these objects only."""
    kept = np.isin(labels, np.array(sorted(numbers), dtype=np.int64))
    return np.where(kept, labels, 0)
