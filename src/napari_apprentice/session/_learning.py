"""`Learning`: the part of a session that teaches models. No Qt."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_apprentice.core.home import user_folder
from napari_apprentice.core.jobs import Metric, Preview

from . import _jobs as jobs
from ._jobs import Candidate
from ._working import Action, Working
from .choice import (
    answers_with_image,
    image_task,
    is_of_images,
    is_of_objects,
    kind_of_task,
    makes_images,
)
from .identity import frame_key, identity
from .leftovers import Leftover, Leftovers
from .material import (
    Folders,
    Material,
    describe_material,
    is_quick,
    said_kind,
    says,
    split_note,
    state_items,
)

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import TrainConfig
    from napari_apprentice.engine.split import TrainItem
    from napari_apprentice.models.store import ModelStore
    from napari_apprentice.project.trainings import Source

    from ._jobs import LearnRequest, Trainer
    from .settings import Preferences

__all__ = ["Learning"]


class Learning(Working):
    """Learns from the annotations of this session and from folders, goes on with what was interrupted, keeps the result.

    Parameters
    ----------
    store, start, post, preferences
        As of `Working`.
    train
        What does the work; default: the engine.
    folder
        Where training keeps its checkpoints.
    """

    metric_added = Signal(Metric)
    """One more point of a curve."""
    previewed = Signal(Preview)
    """A picture of the work in progress."""
    candidate_changed = Signal()
    """A model was learned and waits for a decision, or the decision was made."""

    def __init__(
        self,
        store: ModelStore,
        start: Callable[[Action], None],
        post: Callable[[Action], None],
        preferences: Preferences | None,
        train: Trainer | None,
        folder: Path | None,
    ) -> None:
        super().__init__(store, start, post, preferences)
        self.folders: Folders | None = None
        self.curve: list[Metric] = []
        self.candidate: Candidate | None = None
        self.interrupted: LearnRequest | None = None
        self._train = train or jobs.engine_train
        self._folder = folder or user_folder() / "training"
        self._leftovers = Leftovers(self._folder)
        self._stop = threading.Event()

    def set_folders(self, folders: Folders | None) -> None:
        """Learn from labelled images in folders too, or no longer."""
        self.folders = folders
        self.annotations_changed.emit()

    def material(self) -> Material:
        """What *Learn* would learn from."""
        return describe_material(self.annotations, self.folders)[0]

    def split_note(self, config: TrainConfig) -> str:
        """Say what would be held out to check the result; empty where that is decided when learning begins."""
        if not is_quick(
            self.annotations
        ):  # before anything is copied: it is asked after every stroke
            return ""
        items = state_items(self.annotations, self.volumes, self.frames)
        numbered = said_kind(self.annotations) == "objects"
        return split_note([*items.values()], config, numbered=numbered)

    def learn_problem(self, init: str | None = None) -> str | None:
        """Why *Learn* cannot be pressed now, or None where it can.

        Parameters
        ----------
        init
            Name of the model to start from; None starts from nothing.
        """
        return self.not_now or self.material().problem or self.start_problem(init)

    @property
    def not_now(self) -> str | None:
        """Why nothing at all can be learned now, or None where it can."""
        undecided = "Decide first about the model that was learned last."
        return self.busy or (undecided if self.candidate else None)

    def start_problem(self, init: str | None) -> str | None:
        """Why a model cannot learn from these annotations, or None where it can."""
        spec = None if init is None else self.specs.get(init)
        kind = said_kind(self.annotations)
        if spec is not None and is_of_images(spec):
            return f"{init} gives whole images a class: teach it in Classify, or start from another model."
        if spec is not None and is_of_objects(spec):
            return f"{init} classes objects that are there: teach it in Correct, or start from another model."
        if spec is not None and answers_with_image(spec):
            return f"{init} learns from images without labels: teach it in Restore, or start from another model."
        if spec is not None and makes_images(spec):
            return f"{init} makes images up: teach it in Synthesise, or start from another model."
        if spec is None or kind is None or kind_of_task(spec.task) == kind:
            return None
        does = {"objects": "numbers objects", "places": "finds points", "classes": "paints classes"}
        own = does[kind_of_task(spec.task)]
        if kind == "objects":
            own = "does not number objects"
        return f"{init} {own}, and your annotations {says(kind)}: start from another model, or from nothing."

    def default_start(self) -> str | None:
        """Model to start from: the chosen one, else the nearest that can learn from what was annotated; None where none can."""
        known = [self.model, *(c.name for c in self.choices() if c.reason is None)]
        return next((n for n in known if n is not None and self.start_problem(n) is None), None)

    def tasks(self) -> dict[str, str]:
        """Titles of the tasks that can be learned from what was annotated, by name."""
        from napari_apprentice.tasks import (
            TASKS,
            AnswersWithImage,
            ClassesObjects,
            MakesImages,
            WholeImage,
        )

        kind = said_kind(self.annotations)
        others = TASKS.fulfilling(WholeImage | MakesImages | ClassesObjects | AnswersWithImage)
        fitting = {
            name: task.title
            for name, task in TASKS.items()
            if name not in others and kind in (None, kind_of_task(name))
        }
        return dict(sorted(fitting.items(), key=lambda one: kind_of_task(one[0]) == "places"))

    def default_task(self) -> str:
        """Task of the chosen model where it can be learned from what was annotated, else the first that can."""
        tasks = self.tasks()
        wanted = None if self.spec is None else self.spec.task
        return wanted if wanted in tasks else next(iter(tasks))

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
        if not self._may_begin(self.learn_problem(init)):
            return False
        task = task or self.default_task()
        return self._learn(self._request(config, init, task), resume=False)

    def _may_begin(self, problem: str | None) -> bool:
        """Refuse where there is a problem; else drop the interrupted training, which this one takes the place of."""
        if problem is not None:
            self.refused.emit(problem)
            return False
        if self.interrupted is not None:  # to go on with it was offered, and this is the answer
            shutil.rmtree(self.interrupted.folder, ignore_errors=True)
        return True

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

    def learn_images(
        self,
        items: Callable[[], Sequence[TrainItem]],
        config: TrainConfig,
        init: str | None,
        name: str,
        task: str | None = None,
    ) -> bool:
        """Teach a model from images that need no labels; `candidate_changed` tells when it is done.

        Parameters
        ----------
        items
            Opens what is learned from; called in the worker.
        config, init
            As of `learn`.
        name
            What a model from nothing is named after.
        task
            What a model from nothing learns; default: the classes of whole images.

        Returns
        -------
        bool
            Whether it was started; `refused` says why not.
        """
        from napari_apprentice.project.trainings import Request, free_folder

        if not self._may_begin(self.not_now):
            return False
        parent = None if init is None else self.specs.get(init)
        free = self.store.unique_name(jobs.next_name(parent, name))
        task = (task or image_task()) if parent is None else parent.task
        plan = Request(
            name=free, task=task, init=init, config=config, sources=(), began=datetime.now(UTC)
        )
        request = jobs.LearnRequest(plan, items, free_folder(self._folder, free))
        return self._learn(request, resume=False)

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

    def _on_job_happened(self, event: Event) -> None:
        if isinstance(event, Metric):
            self.curve.append(event)
            self.metric_added.emit(event)
        elif isinstance(event, Preview) and self._is_open(event.of):
            self.previewed.emit(event)

    def _is_open(self, name: str | None) -> bool:
        """Whether labels of an image can be laid on it: not where it lies in a folder."""
        known = {state.name for state in self.annotations.values()}
        if self.volume is not None:
            known.add(self.volume.name)
        return name is None or name in known
