"""`Working`: the part of a session that has one job at work. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_apprentice.core.jobs import JobStatus

from ._launcher import Launcher
from ._state import SessionState

if TYPE_CHECKING:
    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.models.store import ModelStore

    from .settings import Preferences

__all__ = ["Action", "Working"]

Action = Callable[[], None]


class Working(SessionState):
    """Starts jobs, says how they stand, ends them.

    Parameters
    ----------
    store, preferences
        As of `SessionState`.
    start
        Runs a function in a worker thread.
    post
        Runs a function on the thread of the docks; may be called from any thread.
    """

    status_changed = Signal(JobStatus)
    """The job at work stands differently."""
    refused = Signal(str)
    """Something could not be started; the sentence says why."""

    def __init__(
        self,
        store: ModelStore,
        start: Callable[[Action], None],
        post: Callable[[Action], None],
        preferences: Preferences | None,
    ) -> None:
        super().__init__(store, preferences)
        self._start, self._post = start, post
        self._launcher = Launcher(start, post)
        self._asides: list[Launcher] = []
        self.runner = self._launcher.runner
        self._launcher.status_changed.connect(self.status_changed.emit)
        self._launcher.happened.connect(self._on_job_happened)

    def aside(self) -> Launcher:
        """Something to run small jobs with, beside the one at work; it closes with the session."""
        launcher = Launcher(self._start, self._post)
        self._asides.append(launcher)
        return launcher

    @property
    def status(self) -> JobStatus:
        """How the job stands."""
        return self.runner.status

    @property
    def busy(self) -> str | None:
        """Why nothing can be started now, or None where it can."""
        running = self.status.is_running
        return f"{self.status.name} is still at work: wait, or cancel it." if running else None

    def cancel(self) -> None:
        """Cancel the job at work; layers and models stay as they are."""
        self.runner.cancel()

    def close(self) -> None:
        """End everything: no signal comes any more, a job at work is cancelled, journals are written to the end."""
        if self.is_closed:
            return
        for launcher in (self._launcher, *self._asides):
            launcher.close()
        for state in self.annotations.values():
            if state.autosave is not None:
                state.autosave.close()

    @property
    def is_closed(self) -> bool:
        """Whether the viewer is gone."""
        return self._launcher.is_closed

    def private_names(self) -> list[str]:
        """Names of images and files, which do not belong into a report."""
        names = [v.name for v in self.volumes.values()]
        names += [v.source for v in self.volumes.values() if v.source]
        return names

    def launch(self, name: str, job: Job[Any], done: Callable[[Any], None]) -> bool:
        """Start a job under a name that people read; `done` gets its result on the docks' thread.

        Returns
        -------
        bool
            Whether it was started; `refused` says why not.
        """
        if self._launcher.launch(name, job, done):
            return True
        self.refused.emit(self.busy or "")
        return False

    def _on_job_happened(self, event: Event) -> None:
        """Hear an event of the job at work."""
