"""Images to be classified one after the other: what a person says about each, and what a model says. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_apprentice.core.annotation import MOST_CLASSES, Annotation, LabelClass
from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.volume import Volume
from napari_apprentice.project.said import Said, SaidLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.engine.config import PredictConfig
    from napari_apprentice.engine.split import TrainItem
    from napari_apprentice.models.store import ModelStore

    from ._working import Working
    from .samples import Sample

__all__ = [
    "Gallery",
    "answer_job",
    "ask",
    "explain",
    "why_job",
]


class Gallery:
    """Images, which of them is looked at, and the classes that were given to them."""

    changed = Signal()
    """Another image is looked at, or something was said about one."""

    def __init__(self) -> None:
        self.samples: tuple[Sample, ...] = ()
        self.classes: tuple[LabelClass, ...] = ()
        self.said: dict[int, str] = {}
        self.answers: dict[int, Prediction] = {}
        self.at = self.from_before = 0
        self._log: SaidLog | None = None
        self._before: list[tuple[int, str | None]] = []

    # -- what there is ----------------------------------------------------------------------

    def set_samples(
        self,
        samples: Iterable[Sample],
        said: Mapping[int, str] | None = None,
        *,
        source: str | None = None,
    ) -> None:
        """Look at other images; classes that a person gave them in an earlier session are there again.

        Parameters
        ----------
        samples
            In their order.
        said
            Classes that are known already, by position; what a person said about an image goes before.
        source
            What all of them are known by from one session to the next; None where nothing is to be kept.

        Raises
        ------
        BadInputError
            What was kept cannot be read; the images are there all the same.
        """
        self.samples = tuple(samples)
        self.said, self.answers, self.at = dict(said or {}), {}, 0
        self.from_before = 0
        self._before.clear()
        self._log = SaidLog(source) if source is not None else None
        kept = Said()
        try:
            kept = self._take_up()
        finally:
            self._meet((*kept.classes, *self.said.values()))
            self.changed.emit()

    def _take_up(self) -> Said:
        if self._log is None:
            return Said()
        kept = self._log.read(sample.known_by for sample in self.samples)
        places = [n for n, sample in enumerate(self.samples) if sample.known_by in kept.images]
        self.said |= {n: kept.images[self.samples[n].known_by] for n in places}
        self.at = next((n for n in range(len(self.samples)) if n not in self.said), 0)
        self.from_before = len(places)
        return kept

    def _meet(self, names: Sequence[str]) -> None:
        """Take up the classes that images come with; where none of them is known, those there were are of other images."""
        known = {entry.name.casefold() for entry in self.classes}
        if names and not any(name.casefold() in known for name in names):
            self.classes = ()
        for name in dict.fromkeys(names):
            self._know(name)

    def _keep(self, at: int) -> None:
        """Write down what is said about an image by now."""
        if self._log is None:
            return
        name = self.said.get(at)
        value = next((c.value for c in self.classes if c.name == name), 0)
        self._log.write(self.samples[at].known_by, name, value)

    @property
    def sample(self) -> Sample | None:
        """The image that is looked at."""
        return self.samples[self.at] if self.at < len(self.samples) else None

    def describe(self) -> str:
        """Say how far it is: ``"12 of 120 have a class: 7 CXR, 5 Hand"``."""
        if not self.samples:
            return ""
        given = list(self.said.values())
        each = ", ".join(f"{given.count(c.name)} {c.name}" for c in self.classes if c.name in given)
        few = f"{len(given)} of {len(self.samples)} have a class"
        before = f" · {self.from_before} from an earlier session" if self.from_before else ""
        return (f"{few}: {each}" if each else few) + before

    # -- going about ------------------------------------------------------------------------

    def go(self, at: int) -> None:
        """Look at another image, round the ends."""
        if self.samples:
            self.at = at % len(self.samples)
            self.changed.emit()

    def step(self, by: int) -> None:
        """Look at the next image (1) or the one before (-1)."""
        self.go(self.at + by)

    def next_unsure(self) -> bool:
        """Look at the image without a class that the model is least sure of; false where there is none."""
        open_ = [n for n in self.answers if n not in self.said and n != self.at]
        if not open_:
            return False
        self.go(min(open_, key=lambda n: max(self.answers[n].table.values(), default=0.0)))
        return True

    # -- classes ----------------------------------------------------------------------------

    def add_class(self, name: str) -> None:
        """Add a class; one that there is already changes nothing.

        Raises
        ------
        BadInputError
            An empty name, or too many classes.
        """
        if not name.strip():
            raise BadInputError("expected a class name, found an empty one")
        self._know(name.strip())
        self.changed.emit()

    def use_classes(self, classes: Iterable[LabelClass]) -> None:
        """Add the classes of a model, where none was said yet."""
        if not self.classes:
            self.classes = tuple(classes)
            self.changed.emit()

    def _know(self, name: str) -> None:
        if any(c.name.casefold() == name.casefold() for c in self.classes):
            return
        value = max((c.value for c in self.classes), default=0) + 1
        if value > MOST_CLASSES:
            raise BadInputError(f"expected at most {MOST_CLASSES} classes")
        self.classes = (*self.classes, LabelClass(value, name))

    def say(self, name: str) -> None:
        """Give the image a class, and look at the next one that has none.

        Raises
        ------
        BadInputError
            It cannot be kept for the next session; it is said all the same.
        """
        if self.sample is None:
            return
        at, count = self.at, len(self.samples)
        self._before.append((at, self.said.get(at)))
        self.said[at] = name
        ahead = ((at + n) % count for n in range(1, count))
        self.at = next((n for n in ahead if n not in self.said), (at + 1) % count)
        self.changed.emit()
        self._keep(at)

    def undo(self) -> bool:
        """Take back the class that was given last, and look at that image; false where there is nothing to take back.

        Raises
        ------
        BadInputError
            It cannot be kept for the next session; it is taken back all the same.
        """
        if not self._before:
            return False
        at, was = self._before.pop()
        if was is None:
            self.said.pop(at, None)
        else:
            self.said[at] = was
        self.go(at)
        self._keep(at)
        return True

    def save(self, path: Path) -> int:
        """Write a table of the images that have a class, as trainings read it; return how many there are.

        Raises
        ------
        BadInputError
            No image has a class, or the table cannot be written.
        """
        from napari_apprentice.engine.class_files import save_classes

        rows = [
            (sample.file or sample.name, self.said[n])
            for n, sample in enumerate(self.samples)
            if n in self.said
        ]
        save_classes(rows, path)
        return len(rows)

    # -- learning ---------------------------------------------------------------------------

    def problem(self) -> str | None:
        """Why nothing can be learned yet, or None where it can."""
        if not self.samples:
            return "Choose images first."
        given = set(self.said.values())
        if len(given) < 2:
            found = f"only {given.pop()}" if given else "none"
            return f"Give images of two classes or more a class; there is {found} yet."
        return None

    def lesson(self) -> Callable[[], Sequence[TrainItem]]:
        """Return what opens the images that have a class; call it in the worker."""
        chosen = [(self.samples[n], name) for n, name in sorted(self.said.items())]
        classes = self.classes

        def items() -> list[TrainItem]:
            from napari_apprentice.engine.split import TrainItem

            found = []
            for sample, name in chosen:
                volume = _opened(sample)
                said = Annotation.of_image(volume.grid.spatial, name, classes)
                found.append(TrainItem(sample.name, volume, said, sample.group))
            return found

        return items


class _Unreadable:
    """Voxels that cannot be read: training names the image and goes on without it."""

    shape, dtype = (1, 1), np.dtype(np.uint8)

    def __init__(self, error: ApprenticeError) -> None:
        self._error = error

    def __getitem__(self, key: Any) -> Any:
        raise self._error

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._error


def _opened(sample: Sample) -> Volume:
    try:
        return sample.open()
    except ApprenticeError as error:
        return Volume(_Unreadable(error), Grid.regular("YX", (1, 1)), name=sample.name)


def answer_job(
    store: ModelStore, name: str, samples: Sequence[Sample], config: PredictConfig
) -> Job[dict[int, Prediction]]:
    """Ask a model about every image; one that cannot be read or does not fit is named and left out."""
    from napari_apprentice.engine.loading import load_libraries
    from napari_apprentice.engine.predict import predict

    yield Progress(f"loading {name}")
    load_libraries(training=False)
    model = store.load(name)
    answers: dict[int, Prediction] = {}
    for number, sample in enumerate(samples):
        yield Progress("looking", number, len(samples), "image")
        try:
            job = predict(sample.open(), model, config)
            answers[number] = yield from _without_progress(job, sample.name)
        except ApprenticeError as error:
            yield Log(f"left out: {sample.name}: {error.message}", "warning")
    return answers


def ask(session: Working, gallery: Gallery, model: str) -> bool:
    """Ask a model about all images of a gallery; false where another job is at work."""
    samples = gallery.samples

    def done(answers: dict[int, Prediction]) -> None:
        if gallery.samples is samples:  # else others are looked at by now
            gallery.answers = answers
            gallery.changed.emit()

    job = answer_job(session.store, model, samples, session.preferences.predict)
    return session.launch(f"Asking {model}", job, done)


def explain(
    session: Working, gallery: Gallery, model: str, show: Callable[[Prediction], None]
) -> bool:
    """Ask a model for the evidence for its answer about the image that is looked at; `show` gets a map of it."""
    sample, answer = gallery.sample, gallery.answers.get(gallery.at)
    if sample is None or answer is None or answer.image_class is None:
        return False

    def done(answer: Prediction) -> None:
        if gallery.sample is sample:
            show(answer)

    job = why_job(session.store, model, sample, answer.image_class)
    return session.launch(f"Asking {model} why", job, done)


def why_job(store: ModelStore, name: str, sample: Sample, image_class: str) -> Job[Prediction]:
    """Ask where in an image a model saw evidence for a class; the answer is a map on the image's grid."""
    from napari_apprentice.engine.loading import load_libraries

    yield Progress(f"loading {name}")
    load_libraries(training=False)
    from napari_apprentice.explain import EXPLAINERS, ExplainConfig

    way = EXPLAINERS["gradcam"]
    return (yield from way.explain(sample.open(), store.load(name), ExplainConfig(), image_class))


def _without_progress(job: Job[Prediction], name: str) -> Job[Prediction]:
    """Pass on only what a job logs: a bar for each of a thousand images says nothing."""
    while True:
        try:
            event = next(job)
        except StopIteration as stop:
            answer: Prediction = stop.value
            return answer
        if isinstance(event, Log):
            yield replace(event, message=f"{name}: {event.message}")
