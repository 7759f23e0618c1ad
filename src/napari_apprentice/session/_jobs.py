"""The jobs that a session runs, as generators: loading and saving around the engine's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import Progress

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
    """

    key: str
    volume: Volume
    prediction: Prediction
    name: str


@dataclass(frozen=True, eq=False)
class LearnRequest:
    """One training as it was asked for: enough to go on with it.

    Parameters
    ----------
    name
        Of the new model.
    items
        Snapshots of annotations.
    pairs
        Image and label files that are learned from too.
    init
        Model to start from.
    task
        What is learned.
    config
        How.
    folder
        Where checkpoints go.
    """

    name: str
    items: tuple[TrainItem, ...]
    pairs: tuple[tuple[Path, Path], ...]
    init: str | None
    task: str
    config: TrainConfig
    folder: Path

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
        """Compare it with the model it started from: ``"held-out Dice 0.81 → 0.88"``."""
        from napari_apprentice.tasks import TASKS

        primary = TASKS[self.result.spec.task].primary
        title = score_title(primary)
        after = self.result.after.get(primary)
        before = (self.result.before or {}).get(primary)
        if after is None:
            return "learned; there was nothing to check it on"
        values = f"{after:.2f}" if before is None else f"{before:.2f} → {after:.2f}"
        if self.result.split.held_out:
            return f"held-out {title} {values}"
        return f"{title} {values}, on what it learned from (nothing was held out)"


def engine_predict(volume: Volume, model: Model, config: PredictConfig) -> Job[Prediction]:
    """Predict with the engine; torch is loaded in the thread that runs the job."""
    from napari_apprentice.engine.predict import predict

    return (yield from predict(volume, model, config))


def engine_train(items: Sequence[TrainItem], **how: Any) -> Job[TrainResult]:
    """Train with the engine; torch is loaded in the thread that runs the job."""
    from napari_apprentice.engine.train import train

    return (yield from train(items, **how))


def predict_job(
    store: ModelStore, name: str, volume: Volume, config: PredictConfig, predict: Predictor
) -> Job[Prediction]:
    """Load a model and apply it."""
    yield Progress(f"loading {name}")
    model = store.load(name)
    return (yield from predict(volume, model, config))


def learn_job(
    store: ModelStore,
    request: LearnRequest,
    resume: bool,
    stop: threading.Event,
    train: Trainer,
) -> Job[TrainResult]:
    """Open what is in folders, load the model to start from, and train."""
    from napari_apprentice.engine.files import open_pairs

    yield Progress("preparing")
    model = None if request.init is None else store.load(request.init)
    classes = () if model is None else model.spec.label_classes
    opened: list[TrainItem] = []
    if request.pairs:
        opened = yield from open_pairs(request.pairs, known=classes)
    return (
        yield from train(
            (*request.items, *opened),
            init=model,
            config=request.config,
            folder=request.folder,
            task=request.task,
            name=request.name,
            resume=resume,
            stop=stop,
        )
    )


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
