"""Evaluation: predictions on disk against the truth on disk, case by case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.io import open_labels
from napari_apprentice.measure.instances import InstanceScores, score_instances
from napari_apprentice.measure.report import CaseScores, Report
from napari_apprentice.tasks import TASKS, NumbersObjects

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.tasks import Task

__all__ = ["evaluate_instances", "evaluate_pairs", "find_classes"]

_MOST_CLASSES = 254


def evaluate_pairs(
    pairs: Sequence[tuple[Path, Path]],
    *,
    task: str = "semantic",
    classes: Sequence[LabelClass] = (),
) -> Job[Report]:
    """Score predictions against the truth, each pair on its own grid.

    Parameters
    ----------
    pairs
        Files of the truth and of its prediction.
    task
        Registry name of the task whose scores are wanted; of one that numbers objects, see `evaluate_instances`.
    classes
        What the label values mean. Without it, the values found in any of the files are the classes, under the names
        the files give them, so that every case is scored on the same ones.

    Yields
    ------
    Progress, Log
        One progress event per case; a log where a file says less about its grid than its partner.

    Returns
    -------
    Report
        A case is named by the path of its prediction.

    Raises
    ------
    BadInputError
        No pairs, a file that cannot be read, or no labelled voxel anywhere.
    GridMismatchError
        A prediction that does not lie on the grid of its truth.
    """
    _require(pairs)
    chosen = TASKS[task]
    if isinstance(chosen, NumbersObjects):
        if classes:
            raise BadInputError(
                "expected no class names where values number objects, found both",
                remedy="Leave out the classes, or score classes instead of objects.",
            )
        return (yield from evaluate_instances(pairs))
    if not classes:
        classes = yield from _classes_in_files(pairs)
    cases = []
    for number, pair in enumerate(pairs):
        opened = yield from _opened(pairs, number)
        scores = opened.score(chosen, tuple(classes))
        cases.append(CaseScores(str(pair[1]), scores))
    yield Progress("evaluating", len(pairs), len(pairs), "case")
    return Report.from_cases(cases)


def evaluate_instances(pairs: Sequence[tuple[Path, Path]]) -> Job[Report]:
    """Score numbered objects against the true ones, whatever made them; see `score_instances`.

    Parameters
    ----------
    pairs
        Files of the truth and of its prediction.

    Yields
    ------
    Progress, Log
        As `evaluate_pairs` does.

    Returns
    -------
    Report
        Its ``pooled`` scores weigh every object the same, its means every image.

    Raises
    ------
    BadInputError, GridMismatchError
        No pairs, a file that cannot be read, negative labels, or a prediction on another grid.
    """
    _require(pairs)
    found: list[InstanceScores] = []
    for number in range(len(pairs)):
        opened = yield from _opened(pairs, number)
        found.append(score_instances(opened.prediction.numpy(), opened.truth.numpy()))
    yield Progress("evaluating", len(pairs), len(pairs), "case")
    names = (str(prediction) for _, prediction in pairs)
    cases = (CaseScores(name, s.to_dict()) for name, s in zip(names, found, strict=True))
    return Report.from_cases(cases, pooled=InstanceScores.pooled(found).to_dict())


def _require(pairs: Sequence[tuple[Path, Path]]) -> None:
    if not pairs:
        raise BadInputError(
            "expected at least one pair of truth and prediction, found none",
            remedy="Give two files, or two folders with files of the same names.",
        )


def _opened(pairs: Sequence[tuple[Path, Path]], number: int) -> Generator[Event, None, _Pair]:
    """Open one pair, and tell about it."""
    yield Progress("evaluating", number, len(pairs), "case")
    opened = _Pair.open(*pairs[number])
    if opened.note:
        yield Log(opened.note, "warning")
    return opened


def find_classes(
    volumes: Iterable[Volume], known: Sequence[LabelClass] = ()
) -> tuple[LabelClass, ...]:
    """Classes that occur in label volumes, under the names of the files, else those of `known`, else ``class 1``.

    Raises
    ------
    BadInputError
        More values than classes can be told apart: most likely object numbers.
    """
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    for volume in volumes:
        found = {int(value) for value in np.unique(volume.numpy()) if value != 0}
        for value in sorted(found | set(volume.classes)):
            name = volume.classes.get(value, "")
            names[value] = names.get(value) or name
        colors = {**volume.colors, **colors}
        if len(names) > _MOST_CLASSES:
            raise BadInputError(
                f"expected at most {_MOST_CLASSES} classes, found {len(names)} label values",
                path=volume.source,
                remedy="If these are object numbers, choose a task for objects; else give each class one value.",
            )
    others = {entry.value: entry for entry in known}
    return tuple(
        LabelClass(value, names[value], colors.get(value, ""))
        if names[value]
        else others.get(value, LabelClass(value, _unnamed(value)))
        for value in sorted(names)
    )


def _unnamed(value: int) -> str:
    return f"class {value}"


def _classes_in_files(
    pairs: Sequence[tuple[Path, Path]],
) -> Generator[Progress, None, tuple[LabelClass, ...]]:
    """Classes in all files; the volumes are read again for scoring, so that one pair at a time is in memory."""
    known: dict[int, LabelClass] = {}
    for number, pair in enumerate(pairs):
        yield Progress("finding classes", number, len(pairs), "case")
        for label_class in find_classes(open_labels(path) for path in pair):
            before = known.get(label_class.value)
            if before is None or before.name == _unnamed(before.value):
                known[label_class.value] = label_class
    if not known:
        raise BadInputError(
            "expected labelled voxels in the truth or the predictions, found only background",
            path=pairs[0][0].parent,
            remedy="Check that these are label images.",
        )
    return tuple(known[value] for value in sorted(known))


@dataclass(frozen=True, eq=False)
class _Pair:
    """A truth and its prediction on one grid."""

    truth: Volume
    prediction: Volume
    grid: Grid
    note: str = ""

    @classmethod
    def open(cls, truth_path: Path, prediction_path: Path) -> _Pair:
        truth, prediction = open_labels(truth_path), open_labels(prediction_path)
        grid, note = _common_grid(truth.grid, prediction.grid, truth_path, prediction_path)
        return cls(truth, prediction, grid, note)

    def score(self, task: Task, classes: tuple[LabelClass, ...]) -> dict[str, float]:
        """Scores of the whole volume."""
        annotation = Annotation(self.grid, self.truth.numpy(), classes)
        said = Prediction(grid=self.grid, labels=self.prediction.numpy(), classes=classes)
        return {name: float(value) for name, value in task.score(said, annotation).items()}


def _common_grid(
    truth: Grid, prediction: Grid, truth_path: Path, prediction_path: Path
) -> tuple[Grid, str]:
    """The grid to score on; where only one file knows its spacing, that one's, with a note."""
    if prediction == truth:
        return truth, ""
    if (prediction.axes, prediction.shape) != (truth.axes, truth.shape):
        raise GridMismatchError(
            f"expected a prediction of {_size(truth)} like its truth {truth_path.name}, "
            f"found {_size(prediction)}",
            path=prediction_path,
            remedy="Predict on the image that the truth was drawn on.",
        )
    if prediction.unit == "pixel":
        return truth, f"{prediction_path}: no voxel size in the file; that of the truth was used"
    if truth.unit == "pixel":
        return (
            prediction,
            f"{truth_path}: no voxel size in the file; that of the prediction was used",
        )
    raise GridMismatchError(
        f"expected the place of its truth {truth_path.name} ({_place(truth)}), "
        f"found {_place(prediction)}",
        path=prediction_path,
        remedy="Both must lie on one grid; save the prediction with the geometry of its image.",
    )


def _size(grid: Grid) -> str:
    return " × ".join(
        f"{axis} {length}" for axis, length in zip(grid.axes, grid.shape, strict=True)
    )


def _place(grid: Grid) -> str:
    spacing = " × ".join(f"{value:.6g}" for value in grid.spacing)
    corner = ", ".join(f"{value:.6g}" for value in grid.to_world([0] * grid.ndim))
    return f"spacing {spacing} {grid.unit}, first voxel at {corner}"
