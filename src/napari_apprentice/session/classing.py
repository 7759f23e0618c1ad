"""Classing objects: from the few that a person has classed a network learns to class the rest. No Qt."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.notes import Note

from .channels import default_channels, fed, outline
from .choice import is_of_objects, object_class_task
from .object_sets import class_the_rest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.config import TrainConfig
    from napari_apprentice.models.store import Model

    from .edits import AnnotationState
    from .session import Session

__all__ = ["Classed", "Classing", "classing_job", "round_config", "told_classes"]

_STEPS, _MORE_STEPS = 80, 40
_RATE, _MORE_RATE = 1e-2, 3e-3
_HOLD_OUT = 100
"""Objects a person has classed from which on a tenth of them is kept to see how good the answers are."""


@dataclass(frozen=True, eq=False)
class Classed:
    """What a round gave.

    Parameters
    ----------
    model
        What says so now.
    prediction
        Class, score and uncertainty of every object.
    learned
        From how many objects it learned in this round; 0: it was only asked.
    held_out
        Mean F1 of the classes on objects that were kept from it; None where there are too few.
    """

    model: Model
    prediction: Prediction
    learned: int
    held_out: float | None = None


def told_classes(state: AnnotationState) -> dict[int, int]:
    """Number → class value of the objects of which a person said the class, as far as they are there."""
    there = set(state.index.numbers().tolist())
    return {n: note.kind for n, note in state.notes.items() if note.is_told and n in there}


class Classing:
    """Classes the objects of an annotation, round by round.

    Parameters
    ----------
    session
        Whose image and models it is about.
    """

    done = Signal(str)
    """A round is over; the sentence says what came of it."""
    failed = Signal(str)
    """A round could not begin; the sentence says why."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._models: dict[str, Model] = {}

    def close(self, *_: object) -> None:
        """Tell nobody any more."""
        self.done.disconnect()
        self.failed.disconnect()

    def model(self) -> Model | None:
        """What the rounds on this image have taught so far; None before the first."""
        return self._models.get(self._session.annotation_key or "")

    def choices(self) -> list[tuple[str, str]]:
        """Name and hint of the stored models that fit the image, newest first."""
        volume = self._session.volume
        if volume is None:
            return []
        specs = [s for s in self._session.specs.values() if is_of_objects(s) and _fits(volume, s)]
        specs.sort(key=lambda spec: spec.created, reverse=True)
        return [(spec.name, ", ".join(c.name for c in spec.classes)) for spec in specs]

    def problem(self, state: AnnotationState, stored: str | None = None) -> str | None:
        """Why a round cannot begin, or None where it can.

        Parameters
        ----------
        stored
            Name of a stored model to start from.
        """
        if self._session.volume is None:
            return "Open or select an image first."
        kinds = {note.kind for note in state.notes.values() if note.is_told}
        if len(kinds) == 1 and stored is None:
            return "All objects that you classed are of one class: class a few of another one, too."
        if not kinds and stored is None:
            return (
                "Pick an object (L) and say of which class it is (Ctrl+1 …): "
                "a few of each of two classes or more."
            )
        return self._session.busy

    def classify(self, state: AnnotationState, stored: str | None = None) -> bool:
        """Learn from what the person said and class all other objects, as one edit; `done` tells.

        A round learns from all that was said so far, not from what the round before made of a part of it. With a stored
        model it starts from that; where the person has said too little to learn from, that model is asked as it is.

        Returns
        -------
        bool
            Whether it was started; `failed` says why not.
        """
        session, volume = self._session, self._session.volume
        problem = self.problem(state, stored)
        if problem is None and not state.index.numbers().size:
            problem = "There are no objects yet: find or paint some first."
        if problem is not None or volume is None:
            self.failed.emit(problem or "")
            return False
        key = session.annotation_key or ""
        told = told_classes(state)
        used = tuple(c for c in state.classes if c.value in set(told.values()))
        said = replace(state.annotation(), classes=used, object_classes=told)
        frame = volume.frame(session.frame or 0)
        name = session.store.unique_name(f"{volume.name} classes")
        job = _round(session, frame, said, stored, name)
        return session.launch(
            f"Classifying the objects of {volume.name}",
            job,
            lambda found: self._end(state, key, found),
        )

    def _end(self, state: AnnotationState, key: str, found: Classed) -> None:
        self._models[key] = found.model
        missing = _missing(state.classes, found.prediction.classes)
        for entry in missing:
            state.add_class(entry.name, entry.color)
        changed = class_the_rest(state, _notes(found.prediction, state.classes))
        told = f"{changed} objects classed; now {_counted(state)}"
        how = f"learned from {found.learned}" if found.learned else f"by {found.model.spec.name}"
        check = "" if found.held_out is None else f", held-out F1 {found.held_out:.2f}"
        self.done.emit(f"{told} ({how}{check})")

    def keep(self) -> bool:
        """Save what the rounds have taught as a model of its own.

        Returns
        -------
        bool
            Whether saving was started.
        """
        session, model = self._session, self.model()
        if model is None:
            self.failed.emit("Classify the rest first: that teaches a classifier.")
            return False

        def saved(name: str) -> None:
            session.refresh_models()
            self.done.emit(f"Kept as {name}.")

        return session.launch(f"Saving {model.spec.name}", _save_job(session, model), saved)


def _counted(state: AnnotationState) -> str:
    """How many objects there are of each class: ``"115 nucleus · 27 blurred nucleus"``."""
    there = set(state.index.numbers().tolist())
    counts = Counter(note.kind for number, note in state.notes.items() if number in there)
    return " · ".join(f"{counts[c.value]} {c.name}" for c in state.classes)


def _fits(volume: Volume, spec: ModelSpec) -> bool:
    from napari_apprentice.engine.prepare import fits

    seen = outline(volume, default_channels(volume, spec))
    return fits(seen, spec) is None and spec.ndim == volume.grid.ndim


def _missing(known: tuple[LabelClass, ...], found: tuple[LabelClass, ...]) -> list[LabelClass]:
    names = {entry.name.casefold() for entry in known}
    return [entry for entry in found if entry.name.casefold() not in names]


def _notes(prediction: Prediction, classes: tuple[LabelClass, ...]) -> dict[int, Note]:
    """What the model says of each object, with the values that the classes have in the annotation."""
    values = {entry.name.casefold(): entry.value for entry in classes}
    own = {entry.value: values[entry.name.casefold()] for entry in prediction.classes}
    columns = (prediction.objects[n].tolist() for n in ("label", "class", "score", "uncertainty"))
    return {
        number: Note(kind=own[kind], kind_by="model", kind_score=score, doubt=doubt)
        for number, kind, score, doubt in zip(*columns, strict=True)
    }


def _round(
    session: Session,
    volume: Volume,
    said: Annotation,
    stored: str | None,
    name: str,
) -> Job[Classed]:
    """Load what there is to start from, then `classing_job`."""
    from napari_apprentice.engine.loading import load_libraries

    yield Progress("preparing")
    seen, start = volume, None
    if stored is not None:
        load_libraries(training=True)  # before the weights, which need torch as well
        start = session.store.load(stored)
        seen = fed(volume, default_channels(volume, start.spec))
    return (yield from classing_job(seen, said, start, name))


def classing_job(volume: Volume, said: Annotation, start: Model | None, name: str) -> Job[Classed]:
    """Learn from the objects of known class, then class all of them.

    Parameters
    ----------
    volume
        One time point, with the channels that are looked at.
    said
        Numbers of the objects, and the class of some; with fewer than two classes nothing is learned.
    start
        What to go on from; None starts from nothing.
    name
        Of the model to be.

    Raises
    ------
    BadInputError
        Nothing to learn from and nothing to start from, or what does not fit.
    """
    from napari_apprentice.engine.classify_objects import classify_objects
    from napari_apprentice.engine.config import PredictConfig
    from napari_apprentice.engine.loading import load_libraries

    yield Progress("preparing")
    load_libraries(training=True)
    model, held_out, learned = start, None, 0
    if len(set(said.object_classes.values())) > 1 or start is None:
        model, held_out = yield from _taught(volume, said, start, name)
        learned = len(said.object_classes)
    if model is None:
        raise ApprenticeError("there is no model to ask")
    found = yield from classify_objects(volume, said.labels, model, PredictConfig())
    return Classed(model, found, learned, held_out)


def _taught(
    volume: Volume, said: Annotation, start: Model | None, name: str
) -> Job[tuple[Model, float | None]]:
    from napari_apprentice.engine.split import TrainItem
    from napari_apprentice.engine.train import train
    from napari_apprentice.models.store import Model

    item = TrainItem(volume.name, volume, said)
    config = round_config(said.object_classes, goes_on=start is not None)
    with tempfile.TemporaryDirectory() as folder:
        job = train(
            [item],
            init=start,
            config=config,
            folder=Path(folder),
            task=object_class_task(),
            name=name,
        )
        result = yield from job
    score = result.after.get("f1") if result.split.held_out else None
    yield Log(result.split.note)
    return Model(result.spec, result.state), score


def round_config(told: Mapping[int, int], *, goes_on: bool) -> TrainConfig:
    """How a round learns: a fixed number of steps that take seconds, fewer where it goes on from another."""
    from napari_apprentice.engine.config import TrainConfig

    return TrainConfig(
        steps=_MORE_STEPS if goes_on else _STEPS,
        learning_rate=_MORE_RATE if goes_on else _RATE,
        keep=0.0,
        checks=1,
        held_out=0.1 if len(told) >= _HOLD_OUT else 0.0,
    )


def _save_job(session: Session, model: Model) -> Job[str]:
    yield Progress(f"saving {model.spec.name}")
    free = session.store.unique_name(model.spec.name)
    spec = model.spec.model_copy(update={"name": free})
    return session.store.save(spec, model.state).spec.name
