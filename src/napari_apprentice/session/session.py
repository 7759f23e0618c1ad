"""`Session`: what one viewer works on: its image, its model, its annotations and the job at work. No Qt."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_apprentice.core.home import user_folder
from napari_apprentice.core.jobs import JobStatus, Metric, Preview

from . import _jobs as jobs
from ._jobs import Candidate, Predicted
from ._launcher import Launcher
from ._state import SessionState
from .identity import frame_key, identity
from .leftovers import Leftover, Leftovers
from .material import Folders, Material, describe_material, split_note, state_items

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import PredictConfig, TrainConfig
    from napari_apprentice.engine.split import TrainItem
    from napari_apprentice.models.store import ModelStore
    from napari_apprentice.project.trainings import Source

    from ._jobs import LearnRequest, Predictor, Trainer
    from .settings import Preferences

__all__ = ["Candidate", "Predicted", "Session"]

_Action = Callable[[], None]


class Session(SessionState):
    """Application state of one viewer and the jobs at work on it, shared by its docks.

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
        super().__init__(store, preferences)
        self._launcher = Launcher(start, post)
        self.runner = self._launcher.runner
        self.folders: Folders | None = None
        self.curve: list[Metric] = []
        self.candidate: Candidate | None = None
        self.interrupted: LearnRequest | None = None
        self.remark = ""
        self._predict = predict or jobs.engine_predict
        self._train = train or jobs.engine_train
        self._folder = folder or user_folder() / "training"
        self._leftovers = Leftovers(self._folder)
        self._stop = threading.Event()
        self._launcher.status_changed.connect(self.status_changed.emit)
        self._launcher.happened.connect(self._on_job_happened)

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

        said = self._corrections()

        def done(prediction: Prediction) -> None:
            if key == self.key:
                self.summary = prediction.summary
            name = f"{volume.name} ▸ {model}"
            is_annotating = said != self._corrections()
            self.predicted.emit(Predicted(key, volume, prediction, name, is_annotating))

        self.remark = ""
        job = jobs.predict_job(self.store, model, volume, self.channels, config, self._predict)
        return self.launch(f"Predicting {volume.name}", job, done)

    def _corrections(self) -> int:
        """How many corrections there are in the annotations of this session."""
        return sum(state.n_corrections for state in self.annotations.values())

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
        items = state_items(self.annotations, self.volumes, self.frames)
        return split_note([*items.values()], config)

    def learn_problem(self) -> str | None:
        """Why *Learn* cannot be pressed now, or None where it can."""
        if self.status.is_running:
            return f"{self.status.name} is still at work: wait, or cancel it."
        if self.candidate is not None:
            return "Decide first about the model that was learned last."
        return self.material().problem

    @staticmethod
    def tasks() -> dict[str, str]:
        """Titles of the tasks that can be learned, by name."""
        from napari_apprentice.tasks import TASKS

        return {name: task.title for name, task in TASKS.items()}

    def default_task(self) -> str:
        """Task of the chosen model, else the first there is."""
        return self.spec.task if self.spec is not None else next(iter(self.tasks()))

    def learn(self, config: TrainConfig, init: str | None, task: str | None = None) -> bool:
        """Teach a model; `candidate_changed` tells when it is done.

        Parameters
        ----------
        config
            How long and how.
        init
            Name of the model to start from; None starts from nothing.
        task
            What to learn, where it starts from nothing; default: `default_task`.

        Returns
        -------
        bool
            Whether it was started; `refused` says why not.
        """
        problem = self.learn_problem()
        if problem is not None:
            self.refused.emit(problem)
            return False
        if self.interrupted is not None:  # to go on with it was offered, and this is the answer
            shutil.rmtree(self.interrupted.folder, ignore_errors=True)
        task = task or self.default_task()
        return self._learn(self._request(config, init, task), resume=False)

    def _request(self, config: TrainConfig, init: str | None, task: str) -> LearnRequest:
        from napari_apprentice.project.trainings import Request, free_folder

        _, pairs = describe_material(self.annotations, self.folders)
        items = state_items(self.annotations, self.volumes, self.frames)
        parent = None if init is None else self.specs.get(init)
        image = self.volumes[next(iter(items))].name if items else "my model"
        name = self.store.unique_name(jobs.next_name(parent, image))
        plan = Request(
            name=name,
            task=task if parent is None else parent.task,
            init=init,
            config=config,
            sources=tuple(self._source(key, item, parent) for key, item in items.items()),
            pairs=pairs,
            began=datetime.now(UTC),
        )
        taken = tuple(items.values())
        return jobs.LearnRequest(plan, lambda: taken, free_folder(self._folder, name))

    def _source(self, key: str, item: TrainItem, parent: ModelSpec | None) -> Source:
        """What the next session needs to know about an annotated image."""
        from napari_apprentice.project.trainings import Source, mark

        volume, frame = self.volumes[key], self.frames.get(key)
        image = key if frame is None else key.removesuffix(frame_key("", frame))
        return Source(
            image=mark(identity(volume, frame)),
            name=volume.name,
            frame=frame,
            channels=self.channels_of(image, volume, parent),
            group=item.group,
        )

    def resume(self) -> bool:
        """Go on with the training that was interrupted last."""
        if self.interrupted is None or self.status.is_running:
            self.refused.emit(self.learn_problem() or "There is no training to resume.")
            return False
        return self._learn(self.interrupted, resume=True)

    def _is_needed(self, volume: Volume) -> bool:
        return self._leftovers.needs(volume)

    def leftover(self) -> Leftover | None:
        """Training of this image that an earlier session left unfinished; None while there is another to decide about."""
        busy = self.interrupted is not None or self.candidate is not None
        if self.volume is None or busy or self.status.is_running:
            return None
        return self._leftovers.of(self.volume, self.volumes.values())

    def resume_leftover(self) -> bool:
        """Go on with what an earlier session left."""
        left = self.leftover()
        problem = "There is no training to resume." if left is None else left.problem
        if left is None or problem is not None:
            self.refused.emit(problem or "")
            return False
        self.curve = []
        return self._learn(
            jobs.LearnRequest(left.found.request, left.items, left.found.folder), True
        )

    def discard_leftover(self) -> None:
        """Delete what an earlier session left."""
        left = self.leftover()
        if left is not None:
            shutil.rmtree(left.found.folder, ignore_errors=True)
            self._leftovers.forget()
            self.candidate_changed.emit()

    def _learn(self, request: LearnRequest, resume: bool) -> bool:
        self._stop.clear()
        self._leftovers.forget()
        self.interrupted = request
        if not resume:
            self.curve = []

        def done(result: Any) -> None:
            self.interrupted = None
            self.candidate = Candidate(result, request)
            self.candidate_changed.emit()

        job = jobs.learn_job(self.store, request, resume, self._stop, self._train)
        return self.launch(request.title, job, done)

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
        return self.launch(f"Saving {candidate.name}", job, done)

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

    def launch(self, name: str, job: Job[Any], done: Callable[[Any], None]) -> bool:
        """Start a job under a name that people read; `done` gets its result on the docks' thread.

        Returns
        -------
        bool
            Whether it was started; `refused` says why not.
        """
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
