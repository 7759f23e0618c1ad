"""The one family of errors: what was expected, what was found, where, and what to do about it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

__all__ = [
    "ApprenticeError",
    "BadInputError",
    "FormatError",
    "GridMismatchError",
    "JobError",
    "MissingDependencyError",
    "ModelError",
    "OutOfMemoryError",
    "SeriesChoiceError",
    "TrainingDivergedError",
    "naming",
]


class ApprenticeError(Exception):
    """An error that a user can act on, printed as one line.

    Parameters
    ----------
    message
        What was expected and what was found, without a full stop at the end.
    path
        The file, folder or layer at fault.
    remedy
        What to do about it, as a sentence.
    """

    exit_code: int = 1

    def __init__(
        self, message: str, *, path: Path | str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message.rstrip(".")
        self.path = None if path is None else str(path)
        self.remedy = remedy

    def __str__(self) -> str:
        where = "" if self.path is None else f"{self.path}: "
        what_to_do = "" if self.remedy is None else f". {self.remedy}"
        return f"{where}{self.message}{what_to_do}".replace("\n", " ")


class BadInputError(ApprenticeError):
    """What the user gave cannot be used (exit code 2)."""

    exit_code = 2


class FormatError(BadInputError):
    """A file is truncated, lies about itself, or is of a kind that cannot be read."""


class SeriesChoiceError(FormatError):
    """A file or folder holds several images, and which one is meant was not said.

    Parameters
    ----------
    series
        What there is to choose from (`napari_apprentice.io.Series`).
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        remedy: str | None = None,
        series: tuple[Any, ...] = (),
    ) -> None:
        super().__init__(message, path=path, remedy=remedy)
        self.series = series


class GridMismatchError(BadInputError):
    """Two things that must lie on one grid do not."""


class ModelError(BadInputError):
    """A model folder is broken, foreign, or does not fit the volume."""


class MissingDependencyError(BadInputError):
    """An optional library is needed and absent."""


class JobError(ApprenticeError):
    """A long job failed; never a ``RuntimeError``, which Qt workers swallow."""


class OutOfMemoryError(JobError):
    """Every step of the out-of-memory ladder was tried."""


class TrainingDivergedError(JobError):
    """The loss became NaN or infinite; the last good weights were kept."""


@contextmanager
def naming(path: Path | str | None) -> Iterator[None]:
    """Say of errors that name no file, folder or layer which one is at fault."""
    try:
        yield
    except ApprenticeError as error:
        if error.path is None and path is not None:
            error.path = str(path)
        raise
