"""Making images up: what to learn from, what a model makes, and files of it. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import Progress, run_to_end

from .choice import makes_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.split import TrainItem
    from napari_apprentice.engine.synthesise import Added, SynthesisConfig
    from napari_apprentice.models.store import ModelStore

    from .samples import Sample
    from .session import Session

__all__ = [
    "STEPS",
    "TASK",
    "Way",
    "add",
    "class_names",
    "makers",
    "picture_items",
    "picture_problem",
    "picture_text",
    "show_sheet",
    "show_way",
]

T = TypeVar("T")
TASK = "synthesis"
STEPS = 33
"""Images on the way from one to another, both ends among them."""


@dataclass(frozen=True)
class Way:
    """Which images lie between which two.

    Parameters
    ----------
    model, image_class
        What makes them, and of which class.
    first, last
        Seeds of both ends.
    """

    model: str
    image_class: str | None
    first: int
    last: int


def makers(session: Session) -> list[str]:
    """Names of the models that make images up."""
    return [name for name, spec in session.specs.items() if makes_images(spec)]


def class_names(session: Session, model: str | None) -> list[str]:
    """Classes of a model that tells more than one apart; empty of others."""
    spec = session.specs.get(model or "")
    names = [] if spec is None else [entry.name for entry in spec.classes]
    return names if len(names) > 1 else []


# -- learning -------------------------------------------------------------------------------


def picture_items(
    folder: Path | None, samples: Sequence[Sample]
) -> Callable[[], Sequence[TrainItem]]:
    """Return what opens the images to learn from; call it in the worker.

    Parameters
    ----------
    folder
        Of images, or of class folders; None: `samples`.
    samples
        Open images, all of one kind.
    """

    def items() -> Sequence[TrainItem]:
        from napari_apprentice.engine.class_files import list_kinds, open_classes
        from napari_apprentice.engine.split import TrainItem
        from napari_apprentice.tasks import ONE_KIND

        if folder is not None:
            files = run_to_end(list_kinds(folder, only=ONE_KIND.name))
            return run_to_end(open_classes(files))
        found = []
        for sample in samples:
            volume = sample.open()
            said = Annotation.of_image(volume.grid.spatial, ONE_KIND.name, (ONE_KIND,))
            found.append(TrainItem(sample.name, volume, said, sample.group))
        return found

    return items


def picture_problem(
    folder: Path | None, samples: Sequence[Sample], *, is_folder: bool
) -> str | None:
    """Why nothing can be learned from that, or None where it can."""
    if not is_folder:
        return None if samples else "Open some flat images first."
    if folder is None:
        return "Choose the folder."
    try:
        _counts(folder)
    except ApprenticeError as error:
        return str(error)
    return None


def picture_text(folder: Path | None, samples: Sequence[Sample], *, is_folder: bool) -> str:
    """Say what would be learned from."""
    hint = "A few dozen images are enough to begin with; hundreds are better. Class folders give a model that makes images of each class."
    if picture_problem(folder, samples, is_folder=is_folder) is not None:
        return hint
    if folder is None or not is_folder:
        return f"{len(samples)} open image{'s' if len(samples) > 1 else ''}, as one class."
    counts = _counts(folder)
    total = sum(counts.values())
    if len(counts) < 2:
        return f"{total} image{'s' if total > 1 else ''}, as one class."
    each = ", ".join(f"{count} {name}" for name, count in list(counts.items())[:6])
    return f"{total} images of {len(counts)} classes: {each}{' …' if len(counts) > 6 else ''}"


def _counts(folder: Path) -> dict[str, int]:
    from collections import Counter

    from napari_apprentice.engine.class_files import list_kinds
    from napari_apprentice.tasks import ONE_KIND

    return dict(Counter(f.image_class for f in run_to_end(list_kinds(folder, only=ONE_KIND.name))))


# -- making ---------------------------------------------------------------------------------


def show_sheet(
    session: Session,
    model: str,
    image_class: str | None,
    seed: int,
    show: Callable[[Volume], None],
) -> bool:
    """Make some images, to look at beside each other; false where another job is at work."""

    def job(store: ModelStore) -> Job[Volume]:
        from napari_apprentice.engine.synthesise import make_sheet

        return (yield from make_sheet(store.load(model), seed, image_class))

    return session.launch(f"Making images with {model}", _loaded(session.store, model, job), show)


def show_way(session: Session, way: Way, show: Callable[[list[Volume]], None]) -> bool:
    """Make the images between two; false where another job is at work."""

    def job(store: ModelStore) -> Job[list[Volume]]:
        from napari_apprentice.engine.synthesise import make_way

        model = store.load(way.model)
        return (yield from make_way(model, way.first, way.last, STEPS, way.image_class))

    title = f"Making images with {way.model}"
    return session.launch(title, _loaded(session.store, way.model, job), show)


def add(
    session: Session,
    model: str,
    image_class: str | None,
    folder: Path,
    config: SynthesisConfig,
    done: Callable[[Added], None],
) -> bool:
    """Write made-up images into a folder; false where another job is at work."""

    def job(store: ModelStore) -> Job[Added]:
        from napari_apprentice.engine.synthesise import add_images

        return (yield from add_images(store.load(model), folder, config, image_class))

    title = f"Adding images of {model}"
    return session.launch(title, _loaded(session.store, model, job), done)


def _loaded(store: ModelStore, model: str, job: Callable[[ModelStore], Job[T]]) -> Job[T]:
    """Load torch first, in the thread that runs the job, without stopping the window."""
    from napari_apprentice.engine.loading import load_libraries

    yield Progress(f"loading {model}")
    load_libraries(training=False)
    return (yield from job(store))
