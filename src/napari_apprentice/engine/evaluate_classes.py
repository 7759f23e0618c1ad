"""Evaluation of a classifier: a table of predicted classes against class folders or a table of true ones."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.io import stem
from napari_apprentice.measure.classification import classification_scores
from napari_apprentice.measure.probabilities import probability_scores, roc_auc
from napari_apprentice.measure.report import CaseScores, Report

from .class_files import list_classes
from .class_tables import read_said

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event, Job

    from .class_files import ClassedFile
    from .class_tables import SaidClass

__all__ = ["evaluate_classes"]

_NAMED = 3


def evaluate_classes(truth: Path, prediction: Path) -> Job[Report]:
    """Score predicted classes.

    Parameters
    ----------
    truth
        A folder of class folders, or a CSV with the columns file and class.
    prediction
        CSV or JSON that ``predict`` wrote, or the folder it wrote to. Files pair by name, with as many folders before
        it as are needed to tell them apart.

    Yields
    ------
    Progress, Log
        A warning where one side has images that the other lacks: they are left out.

    Returns
    -------
    Report
        Per case whether the class is right and the probability given to the truth; ``mean`` holds the rates of the whole
        set, and ``confusion`` its matrix.

    Raises
    ------
    BadInputError
        Files that cannot be read, no pair at all, or names that do not tell the images apart.
    """
    yield Progress("reading the classes")
    known = yield from list_classes(truth)
    pairs = yield from _pairs(known, read_said(prediction), prediction)
    names = sorted({t.image_class for t, _ in pairs} | {c for _, s in pairs for c in _named_by(s)})
    number = {name: position for position, name in enumerate(names)}
    actual = np.array([number[t.image_class] for t, _ in pairs])
    predicted = np.array([number[s.image_class] for _, s in pairs])
    rates = classification_scores(predicted, actual, range(len(names)))
    scores = rates.flat(dict(enumerate(names)))
    shares = _shares(pairs, names)
    if shares is not None:
        scores |= probability_scores(shares, actual).flat() | _areas(shares, actual, scores)
    cases = [_case(t, s) for t, s in pairs]
    return Report(tuple(cases), scores, confusion=(tuple(names), rates.confusion.tolist()))


def _named_by(said: SaidClass) -> set[str]:
    return {said.image_class, *said.scores}


def _case(truth: ClassedFile, said: SaidClass) -> CaseScores:
    scores = {"accuracy": float(truth.image_class == said.image_class)}
    if said.scores:
        scores["probability"] = said.scores.get(truth.image_class, 0.0)
    return CaseScores(said.path, scores, {"truth": truth.image_class, "class": said.image_class})


def _areas(
    shares: NDArray[np.float64], actual: NDArray[np.intp], scores: Mapping[str, float]
) -> dict[str, float]:
    """Area under the ROC curve per class, under the keys that the other scores give to classes."""
    keys = [name.removeprefix("recall_") for name in scores if name.startswith("recall_")]
    return {f"roc_auc_{key}": roc_auc(shares[:, k], actual == k) for k, key in enumerate(keys)}


def _shares(
    pairs: Sequence[tuple[ClassedFile, SaidClass]], names: Sequence[str]
) -> NDArray[np.float64] | None:
    """Probabilities ``(N, K)``; None where an image has none."""
    if not all(said.scores for _, said in pairs):
        return None
    shares = np.array([[said.scores.get(name, 0.0) for name in names] for _, said in pairs])
    total = shares.sum(axis=1, keepdims=True)
    if shares.min() < 0 or not np.isfinite(shares).all() or total.min() <= 0:
        raise BadInputError("expected probabilities from 0 to 1, found others in the predictions")
    return np.asarray(shares / total)


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
