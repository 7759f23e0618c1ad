"""`Launcher`: starts jobs in a worker thread and tells the docks' thread how they go."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_apprentice.core.jobs import JobStatus

from .runner import JobRunner

if TYPE_CHECKING:
    from napari_apprentice.core.jobs import Event, Job

__all__ = ["Launcher"]

Action = Callable[[], None]
_SECONDS_BETWEEN_UPDATES = 0.05


class Launcher:
    """One job at a time, in a thread; what it says arrives through `post`.

    How a job stands is not told any more once another has begun; its result is never lost.

    Parameters
    ----------
    start
        Runs a function in a worker thread.
    post
        Runs a function on the docks' thread; may be called from any thread.
    """

    status_changed = Signal(JobStatus)
    """The job stands differently."""
    happened = Signal(object)
    """The job yielded an event."""

    def __init__(self, start: Callable[[Action], None], post: Callable[[Action], None]) -> None:
        self.runner = JobRunner()
        self._start, self._post = start, post
        self._done: Callable[[Any], None] = lambda _: None
        self._told = 0.0
        self.is_closed = False
        self.runner.changed.connect(self._on_runner_changed)
        self.runner.event.connect(self._on_runner_event)
        self.runner.returned.connect(self._on_runner_returned)

    def launch(self, name: str, job: Job[Any], done: Callable[[Any], None]) -> bool:
        """Start a job; false where another is at work.

        Parameters
        ----------
        name
            What it does, as the user reads it.
        job
            The work; closed where it is not started.
        done
            Called with the result, before the status says that the job has ended.
        """
        if self.is_closed or not self.runner.claim(name):
            job.close()
            return False
        self._done = done
        self._start(lambda: self.runner.run(name, job))
        return True

    def close(self) -> None:
        """Cancel what is at work; nothing arrives any more."""
        self.is_closed = True
        self.runner.cancel()

    # The three below run in the worker thread.

    def _on_runner_changed(self, status: JobStatus) -> None:
        """Pass a status on, but not more often than anyone can read."""
        now = time.monotonic()
        is_news = not status.is_running or status.progress.done == 0
        if is_news or now - self._told >= _SECONDS_BETWEEN_UPDATES:
            self._told = now
            self._hop(lambda: self.status_changed.emit(status))

    def _on_runner_event(self, event: Event) -> None:
        self._hop(lambda: self.happened.emit(event))

    def _on_runner_returned(self, result: Any) -> None:
        done = self._done
        self._post(lambda: None if self.is_closed else done(result))

    def _hop(self, action: Action) -> None:
        """Run on the docks' thread, unless by then all is closed or another job has begun."""
        generation = self.runner.generation

        def unless_late() -> None:
            if not self.is_closed and generation == self.runner.generation:
                action()

        self._post(unless_late)
