"""Scores of classes of whole images: rates of the set, ranking, calibration, and which class was taken for which."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.engine.class_files import list_classes
from napari_apprentice.engine.class_tables import read_said
from napari_apprentice.io import stem
from napari_apprentice.measure.classification import rates_of
from napari_apprentice.measure.figures import Curve, Matrix, Plot
from napari_apprentice.measure.probabilities import Probabilities, calibration

from ._scorer import Case, Compared, Judged, Pooled

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.engine.class_files import ClassedFile
    from napari_apprentice.engine.class_tables import SaidClass
    from napari_apprentice.measure.figures import Figure

__all__ = ["SCORER", "ImageClassScorer"]

_NAMED = 3
_MOST_CURVES = 8
_NOWHERE = Grid.regular("YX", (1, 1))


class ImageClassScorer:
    """Per case whether the class is right and the probability given to the truth; all rates are of the set."""

    def cases(
        self, truth: Path, prediction: Path, classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Pair a table of predicted classes with class folders or a table of true ones; no image is opened.

        Files pair by name, with as many folders before it as are needed to tell them apart. What only one side has is
        left out, with a warning.

        Raises
        ------
        BadInputError
            Files that cannot be read, no pair at all, or names that do not tell the images apart.
        """
        yield Progress("reading the classes")
        known = yield from list_classes(truth)
        pairs = yield from _pairs(known, read_said(prediction), prediction)
        names = sorted({n for t, s in pairs for n in (t.image_class, s.image_class, *s.scores)})
        said = tuple(LabelClass(value, name) for value, name in enumerate(names, start=1))
        return [
            Case(s.path, str(t.path), partial(_compared, t, s, said), t.path, t.group)
            for t, s in pairs
        ]

    def judge(self, prediction: Prediction, annotation: Annotation) -> Judged:
        """Whether the class is right, and the probability given to the truth."""
        true, said = annotation.image_class, prediction.image_class
        if true is None or said is None:
            raise BadInputError("expected a class of the whole image in prediction and truth")
        # A model may write a class's name in other letters than the folder.
        known = {name.casefold(): name for name in (said, *prediction.table)}
        true = known.get(true.casefold(), true)
        scores = {"accuracy": float(true == said)}
        if prediction.table:
            scores["probability"] = float(prediction.table.get(true, 0.0))
        evidence = (true, said, dict(prediction.table))
        return Judged(scores, {"truth": true, "class": said}, evidence)

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """Rates of the set, its confusion matrix, and where there are probabilities ROC, PR and reliability curves.

        Raises
        ------
        BadInputError
            Numbers that are no probabilities.
        """
        found = _Set(cases)
        matrix = found.matrix(np.ones(len(cases))).astype(np.int64)
        names = tuple(found.names)
        figures = (Matrix("Confusion matrix (images)", names, matrix), *found.curves())
        return Pooled(found.scores, True, figures, (names, matrix.tolist()))

    def errors(self, prediction: Prediction, annotation: Annotation) -> Prediction | None:
        """A wrong class has no place in the image."""
        return None


class _Set:
    """Cases as arrays."""

    def __init__(self, cases: Sequence[Judged]) -> None:
        said = [case.evidence for case in cases]
        self.names = sorted({name for true, best, table in said for name in (true, best, *table)})
        number = {name: position for position, name in enumerate(self.names)}
        self.actual = np.array([number[true] for true, _, _ in said])
        self.predicted = np.array([number[best] for _, best, _ in said])
        shares = _shares([table for *_, table in said], self.names)
        self.probabilities = None if shares is None else Probabilities(shares, self.actual)

    def matrix(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        size = len(self.names)
        pairs = self.actual * size + self.predicted
        counts = np.bincount(pairs, weights, minlength=size * size).astype(np.float64)
        return counts.reshape(size, size)

    def scores(self, weights: NDArray[np.float64]) -> dict[str, float]:
        names = dict(enumerate(self.names))
        scores = rates_of(self.matrix(weights), tuple(names)).flat(names)
        if self.probabilities is None:
            return scores
        found = self.probabilities.scores(weights)
        keys = [name.removeprefix("recall_") for name in scores if name.startswith("recall_")]
        areas = {
            f"{score}_{key}": float(value)
            for score, values in (
                ("roc_auc", found.auc),
                ("average_precision", found.average_precision),
            )
            for key, value in zip(keys, values, strict=True)
        }
        return {**scores, **found.flat(), **areas}

    def curves(self) -> tuple[Figure, ...]:
        """ROC and precision-recall curves of the classes that are hardest to tell, and how honest the probabilities are."""
        if self.probabilities is None:
            return ()
        areas = self.probabilities.scores().auc
        hardest = [int(k) for k in np.argsort(areas)[:_MOST_CURVES] if not np.isnan(areas[k])]
        roc, recall = [], []
        for k in sorted(hardest):
            ranking, name = self.probabilities.rankings[k], self.names[k]
            rates, found = ranking.roc(), ranking.precision_recall()
            text = f"{name}, AUC {ranking.auc():.3f}"
            roc.append(Curve(text, rates.false_positive_rate, rates.true_positive_rate))
            text = f"{name}, AP {ranking.average_precision():.3f}"
            recall.append(Curve(text, found.recall, found.precision))
        more = (
            ""
            if len(areas) <= _MOST_CURVES
            else f", the {len(hardest)} hardest of {len(areas)} classes"
        )
        one = ("false positive rate", "true positive rate (recall)")
        drawn: list[Figure] = []
        if roc:
            drawn.append(Plot(f"ROC{more}", *one, tuple(roc), diagonal=True))
            drawn.append(Plot(f"Precision and recall{more}", "recall", "precision", tuple(recall)))
        return (*drawn, _reliability(self.probabilities))


def _reliability(probabilities: Probabilities) -> Plot:
    found = calibration(probabilities.shares, probabilities.actual)
    name = f"calibration error {found.error:.3f}"
    curve = Curve(name, found.confidence, found.accuracy, dots=True)
    return Plot(
        "Reliability",
        "probability of the chosen class",
        "share that is right",
        (curve,),
        diagonal=True,
    )


def _shares(tables: Sequence[dict[str, float]], names: Sequence[str]) -> NDArray[np.float64] | None:
    """Probabilities ``(N, K)``; None where an image has none."""
    if not all(tables):
        return None
    shares = np.array([[table.get(name, 0.0) for name in names] for table in tables])
    total = shares.sum(axis=1, keepdims=True)
    if shares.min() < 0 or not np.isfinite(shares).all() or total.min() <= 0:
        raise BadInputError("expected probabilities from 0 to 1, found others in the predictions")
    return np.asarray(shares / total)


def _compared(truth: ClassedFile, said: SaidClass, classes: tuple[LabelClass, ...]) -> Compared:
    annotation = Annotation.of_image(_NOWHERE, truth.image_class, classes)
    prediction = Prediction(
        _NOWHERE, classes=classes, table=dict(said.scores), image_class=said.image_class
    )
    return Compared(prediction, annotation)


def _pairs(
    truth: Sequence[ClassedFile], said: Sequence[SaidClass], source: Path
) -> Generator[Event, None, list[tuple[ClassedFile, SaidClass]]]:
    left, right = _keyed([t.path for t in truth], [Path(s.path) for s in said], source)
    by_key = dict(zip(right, said, strict=True))
    pairs = [(t, by_key[key]) for key, t in zip(left, truth, strict=True) if key in by_key]
    if not pairs:
        raise BadInputError(
            f"expected predictions of the images of the truth, such as {truth[0].name}, "
            f"found others, such as {said[0].path}",
            path=source,
        )
    lacking = [t.name for key, t in zip(left, truth, strict=True) if key not in by_key]
    foreign = [s.path for key, s in zip(right, said, strict=True) if key not in set(left)]
    for names, what in (
        (lacking, "images without a prediction"),
        (foreign, "predictions without a truth"),
    ):
        if names:
            shown = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
            yield Log(f"{len(names)} {what} left out: {shown}", "warning")
    return pairs


def _keyed(
    one: Sequence[PurePath], other: Sequence[PurePath], source: Path
) -> tuple[list[str], list[str]]:
    """Names of both sides, with as few folders as tell the images of each side apart."""
    most = max(len(path.parts) for path in (*one, *other))
    for count in range(1, most + 1):
        keys = [_key(path, count) for path in one], [_key(path, count) for path in other]
        if all(len(set(side)) == len(side) for side in keys):
            return keys
    raise BadInputError(
        "expected every image once, found one more often", path=source, remedy="Leave out doubles."
    )


def _key(path: PurePath, count: int) -> str:
    parent = path.parts[-count:-1]
    return "/".join((*parent, stem(Path(path.name))))


SCORER = ImageClassScorer()
