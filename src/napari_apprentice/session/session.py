"""`Session`: what one viewer works on: its image, its model, its annotations and the job at work. No Qt."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal
from psygnal.containers import EventedDict

from napari_apprentice.core.home import user_folder
from napari_apprentice.core.jobs import JobStatus, Metric, Preview

from . import _jobs as jobs
from ._jobs import Candidate, Predicted
from ._launcher import Launcher
from .choice import ModelChoice, best_choice, model_choices
from .material import Folders, Material, describe_material, split_note, state_items
from .settings import Preferences

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import PredictConfig, TrainConfig
    from napari_apprentice.models.store import ModelStore

    from ._jobs import LearnRequest, Predictor, Trainer
    from .edits import AnnotationState

__all__ = ["Candidate", "Predicted", "Session"]

_Action = Callable[[], None]


class Session:
    """Application state of one viewer, shared by its docks.

    All signals are emitted through `post`, which in the application means: on the main thread.

    Parameters
    ----------
    store
        The models at hand.
    start
        Runs a function in a worker thread.
    post
        Runs a function on the thread of the docks; may be called from any thread. Default: at once.
    preferences
        What the forms start with.
    predict, train
        What does the work; default: the engine.
    folder
        Where training keeps its checkpoints.
    """

    image_changed = Signal()
    """Another image is worked on, or none."""
    model_changed = Signal()
    """Another model is chosen, or the list of models changed."""
    annotations_changed = Signal()
    """Something was annotated, or another annotation came or went."""
    status_changed = Signal(JobStatus)
    """The job at work stands differently."""
    predicted = Signal(Predicted)
    """A prediction is there."""
    metric_added = Signal(Metric)
    """One more point of a curve."""
    previewed = Signal(Preview)
    """A picture of the work in progress."""
    candidate_changed = Signal()
    """A model was learned and waits for a decision, or the decision was made."""
    refused = Signal(str)
    """Something could not be started; the sentence says why."""

    def __init__(
        self,
        store: ModelStore,
        start: Callable[[_Action], None],
        post: Callable[[_Action], None] = lambda action: action(),
        *,
        preferences: Preferences | None = None,
        predict: Predictor | None = None,
        train: Trainer | None = None,
        folder: Path | None = None,
    ) -> None:
        self.store = store
        self.preferences = preferences or Preferences()
        self._launcher = Launcher(start, post)
        self.runner = self._launcher.runner
        self.volume: Volume | None = None
        self.key: str | None = None
        self.model: str | None = None
        self.annotations: EventedDict[str, AnnotationState] = EventedDict()
        self.volumes: dict[str, Volume] = {}
        self.folders: Folders | None = None
        self.curve: list[Metric] = []
        self.candidate: Candidate | None = None
        self.interrupted: LearnRequest | None = None
        self.summary = ""
        self._predict = predict or jobs.engine_predict
        self._train = train or jobs.engine_train
        self._folder = folder
        self._specs: dict[str, ModelSpec] | None = None
        self._stop = threading.Event()
        self._launcher.status_changed.connect(self.status_changed.emit)
        self._launcher.happened.connect(self._on_job_happened)
        for happened in ("added", "removed", "changed"):
            getattr(self.annotations.events, happened).connect(self._on_annotations_replaced)

    # -- the image ------------------------------------------------------------------------

    def set_image(self, volume: Volume | None, key: str | None = None) -> None:
        """Work on another image, or on none.

        Parameters
        ----------
        volume
            The image.
        key
            What its annotation is filed under; default: the volume's name.
        """
        key = None if volume is None else key or volume.name
        if volume is self.volume and key == self.key:
            return
        if key != self.key:
            self.summary = ""
        self.volume, self.key = volume, key
        self._forget_volumes()
        if volume is not None and key is not None:
            self.volumes[key] = volume
        self._choose_model()
        self.image_changed.emit()
        self.model_changed.emit()

    def _forget_volumes(self) -> None:
        """Keep only volumes that someone annotated: the others may be large."""
        self.volumes = {k: v for k, v in self.volumes.items() if k in self.annotations}

    # -- models ---------------------------------------------------------------------------

    @property
    def specs(self) -> dict[str, ModelSpec]:
        """Descriptions of all models, by name."""
        if self._specs is None:
            self._specs = self.store.specs()
        return self._specs

    def choices(self) -> list[ModelChoice]:
        """All models, those that fit the image first."""
        return model_choices(self.specs, self.volume)

    @property
    def spec(self) -> ModelSpec | None:
        """Description of the chosen model."""
        return None if self.model is None else self.specs.get(self.model)

    def use_model(self, name: str) -> None:
        """Choose a model by name; an unknown name changes nothing."""
        if name in self.specs and name != self.model:
            self.model = name
            self.model_changed.emit()

    def refresh_models(self) -> None:
        """Read the list of models anew."""
        self._specs = None
        self._choose_model()
        self.model_changed.emit()

    def _choose_model(self) -> None:
        """Keep the chosen model while it fits, else offer the best one."""
        choices = self.choices()
        fitting = [c.name for c in choices if c.reason is None]
        if self.model not in fitting:
            self.model = best_choice(choices)

    # -- predict --------------------------------------------------------------------------

    @property
    def status(self) -> JobStatus:
        """How the job stands."""
        return self.runner.status

    def predict_problem(self) -> str | None:
        """Why *Predict* cannot be pressed now, or None where it can."""
        if self.volume is None:
            return "Open or select an image first."
        if self.spec is None:
            return (
                "No model fits this image: start one in Learn, or add one."
                if self.specs
                else ("There is no model yet: annotate a little in Correct, then Learn.")
            )
        if self.status.is_running:
            return f"{self.status.name} is still at work: wait, or cancel it."
        return None

    def cost(self, config: PredictConfig) -> str:
        """Say what a prediction will cost: ``"≈ 3 s on CPU · 0.2 GB"``; empty where nothing can be predicted."""
        if self.volume is None or self.spec is None:
            return ""
        return jobs.describe_cost(self.volume, self.spec, config)

    def predict(self, config: PredictConfig) -> bool:
        """Apply the chosen model to the image; `predicted` tells when it is done.

        Returns
        -------
        bool
            Whether it was started; `refused` says why not.
        """
        volume, key, model, problem = self.volume, self.key, self.model, self.predict_problem()
        if problem is not None or volume is None or key is None or model is None:
            self.refused.emit(problem or "")
            return False

        def done(prediction: Prediction) -> None:
            if key == self.key:
                self.summary = prediction.summary
            name = f"{volume.name} ▸ {model}"
            self.predicted.emit(Predicted(key, volume, prediction, name))

        job = jobs.predict_job(self.store, model, volume, config, self._predict)
        return self._launch(f"Predicting {volume.name}", job, done)

    # -- learn ----------------------------------------------------------------------------

    def set_folders(self, folders: Folders | None) -> None:
        """Learn from labelled images in folders too, or no longer."""
        self.folders = folders
        self.annotations_changed.emit()

    def material(self) -> Material:
        """What *Learn* would learn from."""
        return describe_material(self.annotations, self.folders)[0]

    def split_note(self, config: TrainConfig) -> str:
        """Say what would be held out to check the result; empty where that is decided when learning begins."""
        return split_note(state_items(self.annotations, self.volumes), config)

    def learn_problem(self) -> str | None:
        """Why *Learn* cannot be pressed now, or None where it can."""
        if self.status.is_running:
            return f"{self.status.name} is still at work: wait, or cancel it."
        if self.candidate is not None:
            return "Decide first about the model that was learned last."
        return self.material().problem

    def learn(self, config: TrainConfig, init: str | None, task: str = "semantic") -> bool:
        """Teach a model; `candidate_changed` tells when it is done.

        Parameters
        ----------
        config
            How long and how.
        init
            Name of the model to start from; None starts from nothing.
        task
            What to learn, where it starts from nothing.

        Returns
        -------
        bool
            Whether it was started; `refused` says why not.
        """
        problem = self.learn_problem()
        if problem is not None:
            self.refused.emit(problem)
            return False
        request = self._request(config, init, task)
        shutil.rmtree(request.folder, ignore_errors=True)
        return self._learn(request, resume=False)

    def _request(self, config: TrainConfig, init: str | None, task: str) -> LearnRequest:
        _, pairs = describe_material(self.annotations, self.folders)
        items = state_items(self.annotations, self.volumes)
        parent = None if init is None else self.specs.get(init)
        image = items[0].name if items else "my model"
        name = self.store.unique_name(jobs.next_name(parent, image))
        folder = (self._folder or user_folder() / "training") / name
        task = task if parent is None else parent.task
        return jobs.LearnRequest(name, tuple(items), pairs, init, task, config, folder)

    def resume(self) -> bool:
        """Go on with the training that was interrupted last."""
        if self.interrupted is None or self.status.is_running:
            self.refused.emit(self.learn_problem() or "There is no training to resume.")
            return False
        return self._learn(self.interrupted, resume=True)

    def _learn(self, request: LearnRequest, resume: bool) -> bool:
        self._stop.clear()
        self.interrupted = request
        if not resume:
            self.curve = []

        def done(result: Any) -> None:
            self.interrupted = None
            self.candidate = Candidate(result, request)
            self.candidate_changed.emit()

        job = jobs.learn_job(self.store, request, resume, self._stop, self._train)
        return self._launch(request.title, job, done)

    @property
    def is_learning(self) -> bool:
        """Whether the job at work is a training."""
        request = self.interrupted
        return request is not None and self.status.is_running and self.status.name == request.title

    def can_resume(self) -> bool:
        """Whether an interrupted training left a checkpoint to go on from."""
        request = self.interrupted
        return request is not None and not self.status.is_running and request.has_checkpoint()

    def stop(self) -> None:
        """End learning early and keep the best so far."""
        self._stop.set()

    def keep(self, use: bool) -> bool:
        """Save the model that was learned, and choose it or stay with the present one.

        Returns
        -------
        bool
            Whether saving was started.
        """
        candidate = self.candidate
        if candidate is None:
            return False

        def done(name: str) -> None:
            self.discard()
            self.refresh_models()
            if use:
                self.use_model(name)

        job = jobs.save_job(self.store, candidate)
        return self._launch(f"Saving {candidate.name}", job, done)

    def discard(self) -> None:
        """Drop the candidate and its checkpoints; a model that was saved stays."""
        if self.candidate is not None:
            shutil.rmtree(self.candidate.request.folder, ignore_errors=True)
            self.candidate = None
            self.candidate_changed.emit()

    # -- the job --------------------------------------------------------------------------

    def cancel(self) -> None:
        """Cancel the job at work; layers and models stay as they are."""
        self.runner.cancel()

    def close(self) -> None:
        """End everything: no signal comes any more, a job at work is cancelled, journals are written to the end."""
        if self.is_closed:
            return
        self._launcher.close()
        for state in self.annotations.values():
            if state.autosave is not None:
                state.autosave.close()

    @property
    def is_closed(self) -> bool:
        """Whether the viewer is gone."""
        return self._launcher.is_closed

    def private_names(self) -> list[str]:
        """Names of images and files, which do not belong into a report."""
        names = [v.name for v in self.volumes.values()]
        names += [v.source for v in self.volumes.values() if v.source]
        return names

    def _launch(self, name: str, job: Job[Any], done: Callable[[Any], None]) -> bool:
        if self._launcher.launch(name, job, done):
            return True
        self.refused.emit(f"{self.status.name} is still at work: wait, or cancel it.")
        return False

    def _on_job_happened(self, event: Event) -> None:
        if isinstance(event, Metric):
            self.curve.append(event)
            self.metric_added.emit(event)
        elif isinstance(event, Preview):
            self.previewed.emit(event)

    # -- annotations ----------------------------------------------------------------------

    def _on_annotations_replaced(self) -> None:
        for state in self.annotations.values():
            state.changed.connect(self._on_state_changed, unique=True)
        self._on_state_changed()

    def _on_state_changed(self) -> None:
        self.annotations_changed.emit()
