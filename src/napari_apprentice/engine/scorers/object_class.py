"""Scores of classes of objects: rates over all objects of an image, and over those of all images together."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.engine.object_files import object_names
from napari_apprentice.io import pair
from napari_apprentice.measure.classification import rates_of
from napari_apprentice.measure.figures import Matrix
from napari_apprentice.tasks import TASKS

from ._scorer import Case, Compared, Judged, Pooled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job

__all__ = ["SCORER", "ObjectClassScorer"]

_NOWHERE = Grid.regular("YX", (1, 1))


class ObjectClassScorer:
    """Accuracy, precision, recall and F1 per class; objects meet by their numbers, classes by their names."""

    def cases(
        self, truth: Path, prediction: Path, classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Pair label files with named objects, or tables of them, by name; see `object_names`."""
        yield Progress("finding files")
        return [
            Case(str(said), true.name, partial(_compared, true, said))
            for true, said in pair(truth, prediction)
        ]

    def judge(self, prediction: Prediction, annotation: Annotation) -> Judged:
        """Rates over the objects whose true class is known."""
        scores = TASKS["object_class"].score(prediction, annotation)
        return Judged(dict(scores), evidence=_pairs(prediction, annotation))

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """Rates over all objects of all images, and which class was taken for which."""
        names = sorted({name for case in cases for pair in case.evidence for name in pair})
        each = [_matrix(case.evidence, names) for case in cases]

        def scores(weights: NDArray[np.float64]) -> dict[str, float]:
            total = sum(w * m for w, m in zip(weights, each, strict=True))
            return rates_of(np.asarray(total), range(len(names))).flat(dict(enumerate(names)))

        matrix = np.sum(each, axis=0).astype(np.int64)
        figure = Matrix("Confusion matrix (objects)", tuple(names), matrix)
        return Pooled(scores, figures=(figure,), confusion=(tuple(names), matrix.tolist()))

    def errors(self, prediction: Prediction, annotation: Annotation) -> Prediction | None:
        """Objects as they are; only their class can be wrong."""
        return None


def _compared(truth: Path, said: Path) -> Compared:
    true, found = object_names(truth), object_names(said)
    for known, path in ((true, truth), (found, said)):
        if not known:
            raise BadInputError(
                "expected objects with a class, found none",
                path=path,
                remedy="Give a CSV with the columns label and class, or labels whose objects have names.",
            )
    names = sorted({name.casefold() for name in (*true.values(), *found.values())})
    shown = {name.casefold(): name for name in (*found.values(), *true.values())}
    classes = tuple(LabelClass(n, shown[name]) for n, name in enumerate(names, start=1))
    values = {entry.name.casefold(): entry.value for entry in classes}
    numbers = np.array(sorted(found))
    kinds = np.array([values[found[n].casefold()] for n in numbers.tolist()])
    prediction = Prediction(_NOWHERE, classes=classes, objects={"label": numbers, "class": kinds})
    annotation = Annotation(
        _NOWHERE,
        np.zeros((1, 1), np.uint8),
        classes,
        object_classes={n: values[name.casefold()] for n, name in true.items()},
    )
    lost = len(true.keys() - found.keys())
    note = f"{said}: {lost} objects of the truth have no predicted class" if lost else ""
    return Compared(prediction, annotation, note)


def _pairs(prediction: Prediction, annotation: Annotation) -> list[tuple[str, str]]:
    """Name of the true and of the predicted class of each object that has both."""
    true = _names(annotation.classes)
    said = _names(prediction.classes)
    numbers, kinds = (prediction.objects[name].tolist() for name in ("label", "class"))
    found = dict(zip(numbers, kinds, strict=True))
    return [
        (true[value], said[found[number]])
        for number, value in annotation.object_classes.items()
        if number in found
    ]


def _names(classes: Sequence[LabelClass]) -> Mapping[int, str]:
    return {entry.value: entry.name for entry in classes}


def _matrix(pairs: Sequence[tuple[str, str]], names: Sequence[str]) -> NDArray[np.float64]:
    number = {name: position for position, name in enumerate(names)}
    matrix = np.zeros((len(names), len(names)))
    for true, said in pairs:
        matrix[number[true], number[said]] += 1
    return matrix


SCORER = ObjectClassScorer()
