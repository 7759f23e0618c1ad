"""`JobRunner`: drives a job to its end in the calling thread and says at every moment how it stands."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_apprentice.core.errors import ApprenticeError, JobError, OutOfMemoryError
from napari_apprentice.core.jobs import (
    FinishReason,
    JobState,
    JobStatus,
    Log,
    Progress,
)

if TYPE_CHECKING:
    from napari_apprentice.core.jobs import Event, Job

__all__ = ["JobRunner", "as_apprentice_error"]

_LOG_LINES = 200


class JobRunner:
    """Runs one job at a time; knows nothing of threads or Qt.

    ```
    IDLE ── claim ──▶ RUNNING ── cancel ──▶ CANCELLING
      ▲                  │ returned / raised      │ at the next event
      └──────────────────┴────────────────────────┘
    ```

    Signals are emitted in the thread that calls `run`. Listeners elsewhere note `generation` with what they
    queue, and drop what belongs to an older one.
    """

    changed = Signal(JobStatus)
    """A new snapshot of the status."""
    event = Signal(object)
    """One event of the job, as it was yielded."""
    returned = Signal(object)
    """The result of a job that ran to its end."""

    def __init__(self) -> None:
        self._status = JobStatus()
        self._lock = threading.Lock()
        self._cancel = threading.Event()
        self._generation = 0

    @property
    def status(self) -> JobStatus:
        """How the job stands now, or how the last one ended."""
        return self._status

    @property
    def generation(self) -> int:
        """Number of the job that was claimed last."""
        return self._generation

    def claim(self, name: str) -> bool:
        """Reserve the runner for a job that another thread will `run`; false where one is at work."""
        with self._lock:
            if self._status.is_running:
                return False
            self._generation += 1
            self._cancel.clear()
            self._status = JobStatus(name, JobState.RUNNING, progress=Progress("starting"))
        self.changed.emit(self._status)
        return True

    def cancel(self) -> None:
        """Ask the job to end at its next event; a second call changes nothing."""
        with self._lock:
            if self._status.state is not JobState.RUNNING:
                return
            self._cancel.set()
            self._status = replace(self._status, state=JobState.CANCELLING)
        self.changed.emit(self._status)

    def run(self, name: str, job: Job[Any]) -> None:
        """Drive a job; every exception ends here, as the status' error.

        The job's ``finally`` runs in this thread, before the status turns idle.

        Raises
        ------
        JobError
            Another job is at work.
        """
        is_claimed = self._status.is_running and self._status.name == name
        if not is_claimed and not self.claim(name):
            job.close()
            raise JobError(
                f"expected no job at work, found {self._status.name!r}",
                remedy="Wait until it is done, or cancel it.",
            )
        try:
            with closing(job):
                while not self._cancel.is_set():
                    self._tell(next(job))
            self._end(FinishReason.CANCELLED)
        except StopIteration as stop:
            self._finish(stop.value)
        except Exception as error:  # noqa: BLE001 - the one place where a job's faults become a status
            self._end(FinishReason.ERRORED, as_apprentice_error(error))

    def _tell(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._set(progress=event)
        elif isinstance(event, Log):
            log = (*self._status.log, event.message)[-_LOG_LINES:]
            self._set(log=log, warnings=self._status.warnings + (event.level == "warning"))
        self.event.emit(event)

    def _finish(self, result: Any) -> None:
        try:
            self.returned.emit(result)
        except Exception as error:  # noqa: BLE001 - a listener's fault is the job's fault
            self._end(FinishReason.ERRORED, as_apprentice_error(error))
        else:
            self._end(FinishReason.COMPLETED)

    def _end(self, reason: FinishReason, error: Exception | None = None) -> None:
        self._set(state=JobState.IDLE, reason=reason, error=error)

    def _set(self, **changes: Any) -> None:
        with self._lock:
            self._status = replace(self._status, **changes)
        self.changed.emit(self._status)


def as_apprentice_error(error: Exception) -> ApprenticeError:
    """Turn any exception into one that a user can read; ours pass through, the cause stays attached.

    psygnal wraps what a listener raises; the wrapped error is what counts.
    """
    if isinstance(error, ApprenticeError):
        return error
    cause = error.__cause__
    if type(error).__name__ == "EmitLoopError" and isinstance(cause, Exception):
        return as_apprentice_error(cause)
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        wrapped: ApprenticeError = OutOfMemoryError(
            "memory ran out",
            remedy="Close other programs, or take another device or a smaller tile.",
        )
    else:
        wrapped = JobError(f"{type(error).__name__}: {text}")
    wrapped.__cause__ = error
    return wrapped
