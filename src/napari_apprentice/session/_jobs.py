"""The jobs that a session runs, as generators: loading and saving around the engine's own."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import Progress

from .channels import Channels, fed
from .text import score_title

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import PredictConfig, TrainConfig
    from napari_apprentice.engine.split import TrainItem
    from napari_apprentice.engine.train import TrainResult
    from napari_apprentice.models.store import Model, ModelStore
    from napari_apprentice.project.trainings import Request

__all__ = ["Candidate", "LearnRequest", "Predicted", "Predictor", "Trainer"]


class Predictor(Protocol):
    """Applies a model; see `napari_apprentice.engine.predict.predict`."""

    def __call__(self, volume: Volume, model: Model, config: PredictConfig) -> Job[Prediction]:
        """Return the job."""
        ...


class Trainer(Protocol):
    """Teaches a network; see `napari_apprentice.engine.train.train`."""

    def __call__(
        self,
        items: Sequence[TrainItem],
        *,
        init: Model | None,
        config: TrainConfig,
        folder: Path,
        task: str,
        name: str,
        resume: bool,
        stop: threading.Event,
    ) -> Job[TrainResult]:
        """Return the job."""
        ...


@dataclass(frozen=True, eq=False)
class Predicted:
    """A prediction that has just been made.

    Parameters
    ----------
    key, volume
        The image it was made of, as it was when the job began.
    prediction
        The answer, on the grid of `volume`.
    name
        ``"nuclei ▸ nuclei v1"``.
    is_annotating
        Whether the person went on annotating the image meanwhile.
    """

    key: str
    volume: Volume
    prediction: Prediction
    name: str
    is_annotating: bool = False


@dataclass(frozen=True, eq=False)
class LearnRequest:
    """One training as it was asked for: enough to go on with it.

    Parameters
    ----------
    plan
        What was asked for, as it lies beside the checkpoints.
    items
        Returns snapshots of annotations and their images with all channels, in the order of ``plan.sources``; called in
        the worker.
    folder
        Where checkpoints go.
    """

    plan: Request
    items: Callable[[], Sequence[TrainItem]]
    folder: Path

    @property
    def name(self) -> str:
        """Name of the new model."""
        return self.plan.name

    @property
    def title(self) -> str:
        """Name of the job."""
        return f"Learning {self.name}"

    def has_checkpoint(self) -> bool:
        """Whether there is something to go on from."""
        return (self.folder / "last.safetensors").is_file()


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model that was learned and waits for a decision."""

    result: TrainResult
    request: LearnRequest

    @property
    def name(self) -> str:
        """Name it would be saved under."""
        return self.request.name

    def describe(self) -> str:
        """Compare it with the model it started from: ``"held-out Dice 0.81 → 0.88, on 3 images"``."""
        from napari_apprentice.tasks import TASKS, primary_of

        primary = primary_of(TASKS[self.result.spec.task], self.result.after)
        title = score_title(primary)
        after = self.result.after.get(primary)
        before = (self.result.before or {}).get(primary)
        if after is None:
            return "learned; there was nothing to check it on"
        values = f"{after:.2f}" if before is None else f"{before:.2f} → {after:.2f}"
        if self.result.split.held_out:
            return f"held-out {title} {values}{self._images_held_out()}"
        return f"{title} {values}, on what it learned from (nothing was held out)"

    def _images_held_out(self) -> str:
        """How many whole images were held out; nothing where both sides of the split are parts of the same."""
        split = self.result.split
        learned = {id(item.volume) for item in split.train}
        count = sum(id(item.volume) not in learned for item in split.held_out)
        return f", on {count} image{'s' if count > 1 else ''}" if count else ""


def engine_predict(volume: Volume, model: Model, config: PredictConfig) -> Job[Prediction]:
    """Predict with the engine; torch is loaded in the thread that runs the job."""
    from napari_apprentice.engine.predict import predict

    return (yield from predict(volume, model, config))


def engine_train(items: Sequence[TrainItem], **how: Any) -> Job[TrainResult]:
    """Train with the engine; torch is loaded in the thread that runs the job."""
    from napari_apprentice.engine.train import train

    return (yield from train(items, **how))


def _load_libraries(*, training: bool) -> None:
    from napari_apprentice.engine.loading import load_libraries

    load_libraries(training=training)


def predict_job(
    store: ModelStore,
    name: str,
    volume: Volume,
    channels: Channels | None,
    config: PredictConfig,
    predict: Predictor,
) -> Job[Prediction]:
    """Load a model and apply it to the channels that feed it."""
    yield Progress(f"loading {name}")
    if predict is engine_predict:  # before the weights, which need torch as well
        _load_libraries(training=False)
    model = store.load(name)
    answer = yield from predict(fed(volume, channels), model, config)
    if channels is None or answer.provenance is None:
        return answer
    names = [volume.channels[c] for c in channels]
    made = replace(
        answer.provenance, parameters={**answer.provenance.parameters, "channels": names}
    )
    return replace(answer, provenance=made)


def learn_job(
    store: ModelStore,
    request: LearnRequest,
    resume: bool,
    stop: threading.Event,
    train: Trainer,
) -> Job[TrainResult]:
    """Open what is in folders, load the model to start from, and train; what cannot be gone on with is removed."""
    from napari_apprentice.project.trainings import held, prune_trainings

    yield Progress("preparing")
    if train is engine_train:
        _load_libraries(training=True)
    is_ours = False
    try:
        with held(request.folder):
            is_ours = True
            prune_trainings(request.folder.parent)  # not the one that is held, however old
            return (yield from _trained(store, request, resume, stop, train))
    finally:
        if is_ours and not request.has_checkpoint():
            shutil.rmtree(request.folder, ignore_errors=True)


def _trained(
    store: ModelStore,
    request: LearnRequest,
    resume: bool,
    stop: threading.Event,
    train: Trainer,
) -> Job[TrainResult]:
    from napari_apprentice.project.trainings import write_training

    plan, items = request.plan, request.items()
    # Whole images leave no record of their sources: only this session can go on with them.
    is_recorded = len(items) == len(plan.sources)
    if is_recorded and not resume:
        write_training(request.folder, plan, [i.annotation for i in items])
    model = None if plan.init is None else store.load(plan.init)
    seen = list(items)
    if is_recorded:
        pairs = zip(items, plan.sources, strict=True)
        seen = [replace(i, volume=fed(i.volume, source.channels)) for i, source in pairs]
    opened = yield from _open_folders(plan, model)
    job = train(
        (*seen, *opened),
        init=model,
        config=plan.config,
        folder=request.folder,
        task=plan.task,
        name=plan.name,
        resume=resume,
        stop=stop,
    )
    return (yield from job)


def _open_folders(plan: Request, model: Model | None) -> Job[list[TrainItem]]:
    from napari_apprentice.engine.files import open_pairs

    classes = () if model is None else model.spec.label_classes
    if not plan.pairs:
        return []
    return (yield from open_pairs(plan.pairs, known=classes, task=plan.task))


def save_job(store: ModelStore, candidate: Candidate) -> Job[str]:
    """Save what was learned, under a name that is free by now."""
    yield Progress(f"saving {candidate.name}")
    spec = candidate.result.spec.model_copy(update={"name": store.unique_name(candidate.name)})
    return store.save(spec, candidate.result.state).spec.name


def describe_cost(volume: Volume, spec: ModelSpec, config: PredictConfig) -> str:
    """Say what a prediction will cost; empty where that cannot be told."""
    from napari_apprentice.engine.cost import estimate

    try:
        return estimate(volume, spec, config).describe()
    except ApprenticeError:
        return ""


def next_name(parent: ModelSpec | None, image: str) -> str:
    """Name a model after its parent with the version counted up, or after the image."""
    if parent is None:
        return f"{image} v1"
    match = re.fullmatch(r"(.*\S)\s+v(\d+)(?: \d+)?", parent.name)
    return f"{match[1]} v{int(match[2]) + 1}" if match else f"{parent.name} v2"
