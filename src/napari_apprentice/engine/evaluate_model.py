"""Evaluation of a model on images with a known truth: predicted, scored, kept small."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import Log, Progress, retold
from napari_apprentice.io import pair
from napari_apprentice.tasks import TASKS, NumbersObjects, WholeImage

from .class_files import list_classes, open_classes
from .config import EvaluateConfig, PredictConfig
from .evaluate import evaluate_judged, in_groups
from .files import open_pairs
from .made_up import measured_pairs
from .predict import predict
from .scorers import Case, Compared, scorer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.models.store import Model

    from .evaluate import Evaluated
    from .scorers import Judged
    from .split import TrainItem

__all__ = ["aligned", "evaluate_model"]


def evaluate_model(
    model: Model,
    images: Path,
    truth: Path | None = None,
    *,
    groups: Mapping[str, str] | None = None,
    config: EvaluateConfig | None = None,
    how: PredictConfig | None = None,
    apply: Callable[[Any, Model, PredictConfig], Job[Prediction]] = predict,
) -> Job[Evaluated]:
    """Apply a model to every image and score its answers.

    An image that cannot be predicted is named and left out. Predictions are kept packed, so that a person can look at
    them; nothing is written.

    Parameters
    ----------
    model
        Of any task that is scored.
    images, truth
        Folders (or files) of images and of their truth, as ``train`` takes them: labels that pair by file name; of whole
        images class folders alone, or a table of classes.
    groups, config
        See `evaluate_files`.
    how
        How the model is applied.
    apply
        What applies it.

    Yields
    ------
    Progress, Log
        One progress event per image.

    Raises
    ------
    BadInputError
        No image that can be read, or predicted.
    """
    spec = model.spec
    found = yield from _items(spec, images, truth)
    pairs = yield from measured_pairs(*found)
    scorer = scorer_of(spec.task)
    cases: list[Case] = []
    judged: list[Judged] = []
    faults: list[ApprenticeError] = []
    for number, (item, path) in enumerate(pairs):
        now = Progress("predicting", number, len(pairs), "image")
        yield now
        try:
            answer = yield from _told(apply(item.volume, model, how or PredictConfig()), now)
            annotation = with_classes(item.annotation, spec)
            answer = aligned(answer, annotation)
            judged.append(scorer.judge(answer, annotation))
        except ApprenticeError as error:
            error.path = error.path or item.name
            yield Log(f"left out: {error}", "warning")
            faults.append(error)
            continue
        cases.append(Case(str(path), str(path), _packed(answer, annotation), path, item.group))
    if not cases:
        raise faults[0]
    return (
        yield from evaluate_judged(in_groups(cases, groups), judged, task=spec.task, config=config)
    )


def _items(
    spec: ModelSpec, images: Path, truth: Path | None
) -> Job[tuple[list[TrainItem], list[Path]]]:
    """Images with their truth, and the files they came from."""
    if isinstance(TASKS[spec.task], WholeImage):
        classed = yield from list_classes(images, truth)
        items = yield from open_classes(classed, known=spec.label_classes)
        paths = {file.name: file.path for file in classed}
        return items, [paths[item.name] for item in items]
    pairs = pair(images, truth or images)
    items = yield from open_pairs(pairs, known=spec.label_classes, task=spec.task)
    return items, [image for image, _ in pairs]


def with_classes(annotation: Annotation, spec: ModelSpec) -> Annotation:
    """The annotation with the classes of the model that it lacks: finding them where they are not is an error, too."""
    if isinstance(TASKS[spec.task], NumbersObjects | WholeImage):
        return annotation
    names = {c.name.casefold() for c in annotation.classes}
    values = {c.value for c in annotation.classes}
    free = max(values, default=0) + 1
    added: list[LabelClass] = []
    for entry in spec.classes:
        if entry.name.casefold() in names or entry.auxiliary:
            continue
        value = free if entry.value in values else entry.value
        added.append(LabelClass(value, entry.name, entry.color))
        values.add(value)
        free = max(free, value) + 1
    return replace(annotation, classes=(*annotation.classes, *added))


def aligned(prediction: Prediction, annotation: Annotation) -> Prediction:
    """The prediction with the label values that the truth gives to classes of the same names."""
    labels = prediction.labels
    if labels is None or prediction.objects or not annotation.classes:
        return prediction
    by_name = {c.name.casefold(): c.value for c in annotation.classes}
    moved = {c.value: by_name.get(c.name.casefold(), c.value) for c in prediction.classes}
    if all(value == new for value, new in moved.items()):
        return prediction
    table = np.arange(int(max(labels.max(initial=0), *moved)) + 1)
    for value, new in moved.items():
        table[value] = new
    return replace(prediction, labels=table[labels], classes=annotation.classes)


def _packed(prediction: Prediction, annotation: Annotation) -> Callable[[], Compared]:
    """Keep labels compressed until someone looks: those of hundreds of images would fill the memory."""
    said = None if prediction.labels is None else _pack(prediction.labels)
    small = replace(prediction, labels=None)
    # Of whole images the labels are one zero for all voxels already.
    true = _pack(annotation.labels) if annotation.image_class is None else None
    empty = replace(
        annotation, labels=np.broadcast_to(np.zeros((), np.uint8), annotation.grid.shape)
    )

    def opened() -> Compared:
        answer = small if said is None else replace(small, labels=_unpack(*said))
        known = empty if true is None else replace(empty, labels=_unpack(*true))
        return Compared(answer, known)

    return opened


_Packed = tuple[bytes, "tuple[int, ...]", "np.dtype[Any]"]


def _pack(labels: NDArray[Any]) -> _Packed:
    return zlib.compress(np.ascontiguousarray(labels).tobytes(), 1), labels.shape, labels.dtype


def _unpack(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(data), dtype).reshape(shape)


def _told(job: Job[Prediction], now: Progress) -> Job[Prediction]:
    """Run a job and tell how far all of them are, in place of how far it is; each event is a chance to cancel."""

    def news(event: Event) -> Event:
        return event if isinstance(event, Log) and event.level == "warning" else now

    return retold(job, news)
