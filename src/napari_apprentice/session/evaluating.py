"""What the Evaluate dock does: which evaluations there are, what is compared, and the jobs behind its buttons. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.units import unit_text
from napari_apprentice.engine.label_files import common_grid, find_classes
from napari_apprentice.io import list_images, open_volume, stem
from napari_apprentice.measure.texts import file_name, interval_text, number_text

from .text import score_title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import EvaluateConfig, PredictConfig
    from napari_apprentice.engine.evaluate import Evaluated
    from napari_apprentice.measure.figures import Figure
    from napari_apprentice.measure.report import Comparison, Report
    from napari_apprentice.models.store import Model, ModelStore

    from ._jobs import Predictor

__all__ = [
    "Evaluation",
    "Opened",
    "compare_job",
    "csv_job",
    "files_job",
    "html_job",
    "layer_tasks",
    "layers_job",
    "model_job",
    "open_case_job",
    "place_tasks",
    "places_job",
    "scored_tasks",
]

_LARGE = 2**29


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An evaluation, and what people call it.

    Parameters
    ----------
    name
        The model, the folder or the layer that was scored.
    found
        What was found.
    remark
        What the answers were told beforehand.
    """

    name: str
    found: Evaluated
    remark: str = ""

    @property
    def report(self) -> Report:
        """Its scores."""
        return self.found.report

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Its curves and matrices."""
        return self.report.figures

    def describe(self) -> str:
        """Say it in a line: ``"hippocampus-mri · 24 cases · Dice 0.89 (0.87 – 0.91)"``."""
        report, count = self.report, len(self.found.cases)
        text = f"{self.name} · {count} case{'s' if count != 1 else ''}"
        primary = _primary(self.found.task)
        value = report.mean.get(primary)
        if value is None:
            return text
        known = report.uncertainty
        pair = interval_text(known.mean.get(primary)) if known else ""
        sure = f" ({pair})" if pair else ""
        return f"{text} · {score_title(primary)} {number_text(value)}{sure}"


@dataclass(frozen=True, eq=False)
class Opened:
    """One case with all that there is to look at.

    Parameters
    ----------
    name
        Its file, without folders.
    prediction, annotation
        Of it.
    errors
        Where they differ; None where that has no place.
    image
        None where nobody knows its file.
    says
        What was wrong, in a line.
    """

    name: str
    prediction: Prediction
    annotation: Annotation
    errors: Prediction | None
    image: Volume | None
    says: str


def scored_tasks() -> list[tuple[str, str]]:
    """Title and name of every task whose answers can be scored from files; what has a class per voxel first."""
    from napari_apprentice.engine.scorers import SCORERS
    from napari_apprentice.tasks import TASKS, NumbersObjects, ReducesOutput, WholeImage

    def rank(name: str) -> tuple[bool, bool, bool]:
        task = TASKS[name]
        return (
            isinstance(task, WholeImage),
            not isinstance(task, ReducesOutput),
            isinstance(task, NumbersObjects),
        )

    return [
        (TASKS[name].title, name) for name in sorted(SCORERS.names(), key=rank) if name in TASKS
    ]


def layer_tasks() -> tuple[str, ...]:
    """Names of the tasks whose truth and answers both are labels layers."""
    from napari_apprentice.tasks import TASKS, FindsPlaces, ReducesOutput

    return tuple(
        name
        for _, name in scored_tasks()
        if isinstance(TASKS[name], ReducesOutput) and not isinstance(TASKS[name], FindsPlaces)
    )


def place_tasks() -> tuple[str, ...]:
    """Names of the tasks whose truth and answers both are layers of points or boxes."""
    from napari_apprentice.tasks import TASKS, FindsPlaces

    return tuple(name for _, name in scored_tasks() if isinstance(TASKS[name], FindsPlaces))


def _primary(task: str) -> str:
    from napari_apprentice.tasks import TASKS

    return TASKS[task].primary


# -- jobs -----------------------------------------------------------------------------------


def files_job(
    truth: Path,
    prediction: Path,
    task: str,
    config: EvaluateConfig,
    images: Path | None = None,
    groups: Path | None = None,
) -> Job[Evaluation]:
    """Score files against files; see `evaluate_files`.

    Parameters
    ----------
    images
        Where the images themselves lie, so that a case can be looked at.
    groups
        CSV with the columns name and group.
    """
    from napari_apprentice.engine.evaluate import evaluate_files

    yield Progress("evaluating")
    known = _groups(groups)
    found = yield from evaluate_files(truth, prediction, task=task, groups=known, config=config)
    return Evaluation(file_name(str(prediction)), with_images(found, images))


def _groups(path: Path | None) -> dict[str, str] | None:
    from napari_apprentice.engine.groups import read_groups

    return None if path is None else read_groups(path)


def with_images(found: Evaluated, folder: Path | None) -> Evaluated:
    """Cases with the images of the same names in a folder; a case without one stays as it is."""
    if folder is None:
        return found
    by_name = {stem(path): path for path in list_images(folder)}
    cases = [
        replace(case, image=by_name.get(stem(Path(case.key)), case.image)) for case in found.cases
    ]
    return replace(found, cases=tuple(cases))


def model_job(
    store: ModelStore,
    name: str,
    images: Path,
    truth: Path | None,
    config: EvaluateConfig,
    how: PredictConfig,
    predict: Predictor | None = None,
    groups: Path | None = None,
    unit: str = "pixel",
) -> Job[Evaluation]:
    """Apply a model to a folder and score it; see `evaluate_model`.

    Parameters
    ----------
    how
        How it is applied; of images in another unit than `unit` the diameter of the objects is estimated all the same.
    unit
        In which the diameter was told.
    """
    yield Progress(f"loading {name}")
    if predict is None:
        from napari_apprentice.engine.loading import load_libraries

        load_libraries(training=False)
    from napari_apprentice.engine.evaluate_model import evaluate_model
    from napari_apprentice.engine.predict import predict as engine_predict

    model = store.load(name)
    found = yield from evaluate_model(
        model,
        images,
        truth,
        groups=_groups(groups),
        config=config,
        how=how,
        apply=_in_unit(predict or engine_predict, unit),
    )
    return Evaluation(name, found, _size_told(model.spec, how, unit))


def _in_unit(predict: Predictor, unit: str) -> Predictor:
    """Forget the diameter that was told where an image counts in another unit: so many µm are not as many pixels."""

    def apply(volume: Volume, model: Model, config: PredictConfig) -> Job[Prediction]:
        if config.diameter is not None and volume.grid.unit != unit:
            config = config.model_copy(update={"diameter": None})
        return predict(volume, model, config)

    return apply


def _size_told(spec: ModelSpec, how: PredictConfig, unit: str) -> str:
    from napari_apprentice.tasks import TASKS, SizesObjects

    task = TASKS[spec.task]
    if how.diameter is None or not isinstance(task, SizesObjects) or task.diameter(spec) is None:
        return ""
    told = f"{how.diameter:.4g} {unit_text(unit)}"
    return f"In images in {unit_text(unit)} the objects were taken to be {told} wide, as told in Predict. "


def layers_job(
    truth: Volume, prediction: Volume, image: Volume | None, task: str, config: EvaluateConfig
) -> Job[Evaluation]:
    """Score one labels layer against another.

    Raises
    ------
    GridMismatchError
        They do not lie on one grid.
    """
    from napari_apprentice.tasks import TASKS, NumbersObjects

    yield Progress("evaluating", 0, 1, "case")
    if "T" in truth.grid.axes or "T" in prediction.grid.axes:
        raise BadInputError("expected labels of one time point, found a series")
    if any(one is not None and one.synthetic for one in (truth, prediction, image)):
        raise BadInputError(
            "expected a measured image to score on, found a made-up one",
            remedy="Choose layers of an image that no model made.",
        )
    grid, _ = common_grid(truth.grid, prediction.grid, Path(truth.name), Path(prediction.name))
    numbered = isinstance(TASKS[task], NumbersObjects)
    classes = () if numbered else find_classes([truth, prediction])
    annotation = Annotation(grid, truth.numpy(), classes)
    said = Prediction(grid, labels=prediction.numpy(), classes=classes)
    return (yield from _one_case((truth.name, annotation), (prediction.name, said), task, config))


def places_job(
    truth: tuple[str, Annotation],
    prediction: tuple[str, Prediction],
    task: str,
    config: EvaluateConfig,
) -> Job[Evaluation]:
    """Score points or boxes, with the names of their layers, against others on the same grid."""
    yield Progress("evaluating", 0, 1, "case")
    return (yield from _one_case(truth, prediction, task, config))


def _one_case(
    truth: tuple[str, Annotation],
    prediction: tuple[str, Prediction],
    task: str,
    config: EvaluateConfig,
) -> Job[Evaluation]:
    from napari_apprentice.engine.evaluate import evaluate_cases
    from napari_apprentice.engine.scorers import Case, Compared

    case = Case(prediction[0], truth[0], lambda: Compared(prediction[1], truth[1]))
    found = yield from evaluate_cases([case], task=task, config=config)
    return Evaluation(prediction[0], found)


def open_case_job(evaluation: Evaluation, number: int) -> Job[Opened]:
    """Read one case again, with its image where that is known, and find where it is wrong."""
    case, judged = evaluation.found.cases[number], evaluation.found.judged[number]
    yield Progress("opening")
    opened = case.open()
    yield Progress("opening")
    image = None if case.image is None else _in_memory(open_volume(case.image))
    yield Progress("finding errors")
    errors = evaluation.found.scorer.errors(opened.prediction, opened.annotation)
    facts = " · ".join(f"{name}: {value}" for name, value in judged.facts.items())
    says = (facts or _scores_text(judged.scores)) if errors is None else errors.summary
    name = file_name(case.name)
    return Opened(name, opened.prediction, opened.annotation, errors, image, says)


def _scores_text(scores: Mapping[str, float]) -> str:
    """The first two: ``"PSNR in dB 33.38 · SSIM 0.81"``."""
    few = list(scores.items())[:2]
    return " · ".join(f"{score_title(name)} {number_text(value)}" for name, value in few)


def _in_memory(volume: Volume) -> Volume:
    """Voxels that are read here and not while the window waits for them, unless they are many."""
    if (
        isinstance(volume.data, np.ndarray)
        or prod(volume.data.shape) * volume.dtype.itemsize > _LARGE
    ):
        return volume
    return replace(volume, data=volume.numpy(), pyramid=())


def compare_job(first: Evaluation, second: Evaluation, config: EvaluateConfig) -> Job[Comparison]:
    """Compare two evaluations on the cases that both have."""
    from napari_apprentice.engine.evaluate import compare

    names = (first.name, second.name)
    if names[0] == names[1]:
        names = (f"{first.name} (this)", f"{second.name} (before)")
    return (yield from compare(first.found, second.found, names, config))


def csv_job(report: Report, path: Path) -> Job[Path]:
    """Write the cases as a table."""
    yield Progress("writing")
    report.to_csv(path)
    return path


def html_job(report: Report | Comparison, path: Path, task: str) -> Job[Path]:
    """Write the report as one HTML page."""
    from napari_apprentice.engine.reporting import save_html

    yield Progress("writing")
    save_html(report, path, task=task)
    return path
