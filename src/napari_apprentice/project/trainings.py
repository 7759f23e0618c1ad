"""Trainings that were interrupted: what was asked for lies beside their checkpoints, so that any later session can go on.

One folder per training: `request.json`, the annotations as they were when it began (one journal each), and the
checkpoints of the engine. The folder is locked while a window trains in it.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from napari_apprentice.core.errors import ApprenticeError, FormatError, JobError
from napari_apprentice.engine.checkpoints import LAST, peek_checkpoint
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.io._atomic import sync_folder

from . import _lock
from .journal import Journal, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_apprentice.core.annotation import Annotation

__all__ = [
    "Interrupted",
    "Request",
    "Source",
    "find_interrupted",
    "free_folder",
    "held",
    "mark",
    "prune_trainings",
    "read_annotations",
    "write_training",
]

_FILE = "request.json"
_KEPT = 3
_KEPT_DAYS = 30


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Plain):
    """One annotated image that is learned from; where it lies does not show."""

    image: str = Field(description="Mark of what the image is known by, see `mark`")
    name: str = Field(description="Name of the image, for the person")
    frame: int | None = Field(None, description="Time point, of a film")
    channels: tuple[int, ...] | None = Field(None, description="Channels that feed the model")
    group: str | None = None


class Request(_Plain):
    """One training as it was asked for."""

    version: Literal[1] = 1
    name: str
    task: str
    init: str | None
    config: TrainConfig
    sources: tuple[Source, ...]
    pairs: tuple[tuple[Path, Path], ...] = ()
    began: AwareDatetime


@dataclass(frozen=True)
class Interrupted:
    """A training that left a checkpoint, and that nobody is going on with now.

    Parameters
    ----------
    folder
        Where it lies.
    request
        What was asked for.
    seconds
        How long it had learned.
    saved
        When its last checkpoint was written.
    """

    folder: Path
    request: Request
    seconds: float
    saved: datetime


def mark(identity: str) -> str:
    """Return a mark of what an image is known by (a path, say), from which that cannot be read."""
    return hashlib.sha256(identity.encode()).hexdigest()[:24]


def free_folder(root: Path, name: str) -> Path:
    """Return a folder that does not exist yet, named after the model."""
    numbered = (root / (name if n == 1 else f"{name} ({n})") for n in range(1, 10_000))
    return next(folder for folder in numbered if not folder.exists())


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a folder and keep other windows from going on with what is in it.

    Raises
    ------
    BadInputError
        Another window is at work there.
    JobError
        The folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock.take(folder)
    except OSError as error:
        raise _cannot_write(error) from error
    try:
        yield
    finally:
        lock.release()


def write_training(folder: Path, request: Request, annotations: Sequence[Annotation]) -> None:
    """Write what a training starts from; `request.json` comes last, so that it stands for a whole record.

    Raises
    ------
    JobError
        The disk is full, or the folder cannot be written to.
    """
    for number, (source, said) in enumerate(zip(request.sources, annotations, strict=True)):
        Journal.create(_item(folder, number), Snapshot(source.name, said)).close()
    new = folder / f"{_FILE}.new"
    try:
        new.write_text(request.model_dump_json(indent=1), "utf-8")
        new.replace(folder / _FILE)
        sync_folder(folder)
    except OSError as error:
        raise _cannot_write(error) from error


def read_annotations(found: Interrupted) -> list[Annotation]:
    """Return the annotations as they were when the training began.

    Raises
    ------
    FormatError
        One of them cannot be read.
    """
    count = len(found.request.sources)
    return [Journal.recover(_item(found.folder, n)).snapshot.annotation for n in range(count)]


def _cannot_write(error: OSError) -> JobError:
    return JobError(
        f"expected to write beside the checkpoints, found: {error.strerror or error}",
        remedy="Free some space on the disk.",
    )


def _item(folder: Path, number: int) -> Path:
    return folder / f"annotation {number}"


def find_interrupted(root: Path) -> list[Interrupted]:
    """List the interrupted trainings in a folder, newest first; damaged ones and those at work are left out."""
    found = []
    for file in root.glob(f"*/{_FILE}"):
        with suppress(ApprenticeError, OSError):
            found.append(_read(file.parent))
    return sorted(found, key=lambda one: one.saved, reverse=True)


def _read(folder: Path) -> Interrupted:
    if _lock.is_taken(folder):
        raise FormatError("expected a training that nobody is at work on")
    try:
        request = Request.model_validate_json((folder / _FILE).read_text("utf-8"))
        seconds = float(peek_checkpoint(folder / LAST)["elapsed"])
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise FormatError("expected a training, found something else", path=folder) from error
    saved = datetime.fromtimestamp((folder / LAST).stat().st_mtime, UTC)
    return Interrupted(folder, request, seconds, saved)


def prune_trainings(root: Path, *, keep: int = _KEPT, days: int = _KEPT_DAYS) -> int:
    """Remove interrupted trainings that are neither among the newest nor young; return how many.

    Checkpoints are large, and what was learned can be learned again from the annotations.
    """
    oldest = datetime.now(UTC) - timedelta(days=days)
    gone = [one for one in find_interrupted(root)[keep:] if one.saved < oldest]
    for one in gone:
        shutil.rmtree(one.folder, ignore_errors=True)
    return len(gone)
