"""What all tasks share whose truth and answers are label images."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.engine.label_files import LabelPair, classes_in_files
from napari_apprentice.io import pair
from napari_apprentice.measure.figures import worst_first

from ._scorer import Case, Compared, Judged, Pooled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.measure.figures import Figure
    from napari_apprentice.tasks import Task

__all__ = ["LabelScorer", "cases_of_pairs"]


def cases_of_pairs(
    pairs: Sequence[tuple[Path, Path]],
    classes: Sequence[LabelClass],
    check: Callable[[Volume], None] = lambda _: None,
) -> list[Case]:
    """Cases of label files ``(truth, prediction)``.

    Parameters
    ----------
    check
        Refuses labels that cannot be scored.
    """
    said = tuple(classes)
    return [
        Case(str(prediction), truth.name, partial(_open, truth, prediction, said, check))
        for truth, prediction in pairs
    ]


def _open(
    truth: Path,
    prediction: Path,
    classes: tuple[LabelClass, ...],
    check: Callable[[Volume], None],
) -> Compared:
    opened = LabelPair.open(truth, prediction)
    check(opened.truth)
    check(opened.prediction)
    annotation = Annotation(opened.grid, opened.truth.numpy(), classes)
    said = Prediction(grid=opened.grid, labels=opened.prediction.numpy(), classes=classes)
    return Compared(said, annotation, opened.note)


class LabelScorer:
    """Scores of a task as it gives them for one image, and their mean.

    Parameters
    ----------
    task
        Whose ``score`` is asked.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def cases(
        self, truth: Path, prediction: Path, classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Pair label files by name; classes that are not given are found in the files."""
        return (yield from self.cases_of(pair(truth, prediction), classes))

    def cases_of(
        self, pairs: Sequence[tuple[Path, Path]], classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Cases of files that are paired already."""
        if not classes:
            classes = yield from classes_in_files(pairs)
        return cases_of_pairs(pairs, classes)

    def judge(self, prediction: Prediction, annotation: Annotation) -> Judged:
        """Scores of the task."""
        scores = self.task.score(prediction, annotation)
        return Judged({name: float(value) for name, value in scores.items()})

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """The task's main score of every case."""
        return Pooled(figures=self.ranked(cases, {self.task.primary: self.task.primary}))

    @staticmethod
    def ranked(cases: Sequence[Judged], titles: dict[str, str]) -> tuple[Figure, ...]:
        """A figure of some scores of every case, where there are enough."""
        plot = worst_first([case.scores for case in cases], titles, "score")
        return () if plot is None else (plot,)

    def errors(self, prediction: Prediction, annotation: Annotation) -> Prediction | None:
        """Nothing is known of the labels' meaning."""
        return None
