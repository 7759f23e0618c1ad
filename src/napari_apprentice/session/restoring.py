"""Restoring images: which methods there are, what to learn from, and how results compare with a clean image. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.engine.baselines import BASELINES, SmoothConfig, smooth
from napari_apprentice.engine.prepare import fits

from . import _jobs as jobs
from .choice import answers_with_image

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.split import TrainItem

    from .session import Session

__all__ = ["LESSONS", "Lesson", "Method", "methods", "restore", "score_job"]

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Method:
    """One way to restore an image.

    Parameters
    ----------
    name
        Of the model, or of the baseline.
    title
        What a person reads.
    is_model
        Whether it was learned.
    reason
        Why it cannot take the image, or None where it can.
    """

    name: str
    title: str
    is_model: bool
    reason: str | None = None

    @property
    def key(self) -> str:
        """The same for a method as long as it is there."""
        return f"{'model' if self.is_model else 'smooth'}:{self.name}"


@dataclass(frozen=True)
class Lesson:
    """What can be learned from.

    Parameters
    ----------
    title
        What a person reads.
    task
        Registry name of what is learned.
    folders
        How many folders it takes: 0 learns from the image that is worked on.
    explains
        How it is learned.
    """

    title: str
    task: str
    folders: int
    explains: str


LESSONS = {
    "image": Lesson(
        "this image alone",
        "restoration",
        0,
        "Voxels are hidden and guessed from those around them: noise cannot be guessed. No clean image is needed.",
    ),
    "noisy": Lesson(
        "a folder of noisy images",
        "restoration",
        1,
        "As from one image, but it learns more of what images like these look like.",
    ),
    "pairs": Lesson(
        "folders of noisy and clean images",
        "restoration",
        2,
        "The clean images, of the same names, are what it should say.",
    ),
    "normal": Lesson(
        "a folder of normal images",
        "anomaly",
        1,
        "It learns to rebuild normal images through a narrow middle; what it cannot rebuild is not normal.",
    ),
}


def methods(session: Session) -> list[Method]:
    """Models that answer with an image, those that fit first, then smoothing without learning."""
    volume = session.volume
    learned = [
        Method(spec.name, spec.name, True, None if volume is None else fits(volume, spec))
        for spec in session.specs.values()
        if answers_with_image(spec)
    ]
    plain = [Method(name, f"{b.title} (no learning)", False) for name, b in BASELINES.items()]
    return sorted(learned, key=lambda m: m.reason is not None) + plain


def restore(session: Session, method: Method, config: SmoothConfig) -> bool:
    """Apply a method to the image; ``session.predicted`` tells when it is done.

    Returns
    -------
    bool
        Whether it was started; ``session.refused`` says why not.
    """
    volume, key = session.volume, session.key
    if volume is None or key is None:
        session.refused.emit("Open or select an image first.")
        return False
    if method.is_model:
        job = jobs.predict_job(
            session.store,
            method.name,
            volume,
            None,
            session.preferences.predict,
            jobs.engine_predict,
        )
    else:
        job = smooth(volume, method.name, config)

    def done(prediction: Prediction) -> None:
        session.summary = prediction.summary if key == session.key else session.summary
        title = method.title.removesuffix(" (no learning)")
        session.predicted.emit(jobs.Predicted(key, volume, prediction, f"{volume.name} ▸ {title}"))

    return session.launch(f"Restoring {volume.name}", job, done)


def lesson_items(
    key: str, volume: Volume | None, frame: int, folders: Sequence[Path | None]
) -> Callable[[], Sequence[TrainItem]]:
    """Return what opens the images to learn from; call it in the worker.

    Parameters
    ----------
    key
        Of `LESSONS`.
    volume, frame
        The image that is worked on, and which of its frames is on show.
    folders
        As many as the lesson takes.
    """

    def items() -> Sequence[TrainItem]:
        from napari_apprentice.engine.files import read_images
        from napari_apprentice.engine.split import TrainItem

        if LESSONS[key].folders == 0:
            if volume is None:
                return []
            one = volume.frame(frame)
            return [TrainItem(one.name, one, Annotation.of_clean(one.grid.spatial))]
        first, *rest = [f for f in folders if f is not None]
        return run_to_end(read_images(first, rest[0] if rest else None))

    return items


def lesson_problem(key: str, volume: Volume | None, folders: Sequence[Path | None]) -> str | None:
    """Why nothing can be learned from that, or None where it can."""
    wanted = LESSONS[key].folders
    if wanted == 0:
        return "Open or select an image first." if volume is None else None
    if any(folder is None for folder in folders[:wanted]):
        return "Choose the folder." if wanted == 1 else "Choose both folders."
    try:
        _count(folders[:wanted])
    except ApprenticeError as error:
        return str(error)
    return None


def lesson_text(key: str, volume: Volume | None, folders: Sequence[Path | None]) -> str:
    """Say what would be learned from, and how."""
    lesson = LESSONS[key]
    if lesson_problem(key, volume, folders) is not None:
        return lesson.explains
    if lesson.folders == 0:
        return f"{volume.name if volume else ''}: {lesson.explains}"
    count, unit = _count(folders[: lesson.folders]), "pair" if lesson.folders == 2 else "image"
    return f"{count} {unit}{'' if count == 1 else 's'}. {lesson.explains}"


def _count(folders: Sequence[Path | None]) -> int:
    from napari_apprentice.io import list_images, pair

    first, *rest = [f for f in folders if f is not None]
    return len(pair(first, rest[0])) if rest else len(list_images(first))


def score_job(clean: Volume, others: Mapping[str, Volume]) -> Job[Scores]:
    """PSNR and SSIM of images against a clean one, by name; the data range is that of the clean one.

    Raises
    ------
    BadInputError
        Values that are not finite.
    GridMismatchError
        An image of another shape.
    """
    from napari_apprentice.measure.image_quality import channel_scores

    scores: Scores = {}
    shape = (-1, *clean.grid.spatial_shape)
    truth = clean.numpy().reshape(shape)
    for number, (name, volume) in enumerate(others.items()):
        yield Progress("comparing", number, len(others), "image")
        scores[name] = channel_scores(volume.numpy().reshape(shape), truth)
    return scores
