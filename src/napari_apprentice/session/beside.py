"""`Beside`: work on an annotation that the window does not wait for, whatever else is at work. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from psygnal import Signal

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import FinishReason, JobStatus, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_apprentice.core.jobs import Job

    from ._working import Working

__all__ = ["Beside"]

T = TypeVar("T")

QUICK = 2**21
"""Voxels that are looked through at once: a worker would cost more than it saves."""


class Beside:
    """Runs a job as the one at work where nothing else is, else beside it; a small one at once.

    Parameters
    ----------
    session
        Whose jobs they are.
    """

    failed = Signal(str)
    """A job found something to refuse, or failed; the sentence says what."""

    def __init__(self, session: Working) -> None:
        self._session = session
        self._launcher = session.aside()
        self._names: set[str] = set()
        self._launcher.status_changed.connect(self._on_launcher_status)

    def close(self) -> None:
        """Tell nobody any more."""
        self._launcher.close()
        self.failed.disconnect()

    @property
    def problem(self) -> str | None:
        """Why nothing can be started now: one of these jobs is at work; else None."""
        for status in (self._session.status, self._launcher.runner.status):
            if status.is_running and status.name in self._names:
                return f"{status.name} is still at work: wait until it is done"
        return None

    def start(self, name: str, job: Job[T], done: Callable[[T], None], voxels: int) -> bool:
        """Start a job; `done` gets its result on the docks' thread.

        Parameters
        ----------
        name
            What it does, as people read it.
        job
            What it refuses (an `ApprenticeError`) is told by `failed`, where the button is.
        voxels
            How many it looks at.

        Returns
        -------
        bool
            Whether it was started; `failed` says why not.
        """
        if self.problem is not None:
            job.close()
            self.failed.emit(self.problem)
            return False
        heard = _heard(job)

        def end(found: T | ApprenticeError) -> None:
            if isinstance(found, ApprenticeError):
                self.failed.emit(str(found))
            else:
                done(found)

        if voxels <= QUICK:
            end(run_to_end(heard))
            return True
        self._names.add(name)
        launch = self._launcher.launch if self._session.busy else self._session.launch
        return launch(name, heard, end)

    def _on_launcher_status(self, status: JobStatus) -> None:
        if status.reason is FinishReason.ERRORED:
            self.failed.emit(str(status.error))


def _heard(job: Job[T]) -> Job[T | ApprenticeError]:
    """Turn a refusal into a result."""
    try:
        return (yield from job)
    except ApprenticeError as error:
        return error
