"""From a function to a napari worker thread, and from any thread back to the main one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.qt.threading import FunctionWorker, create_worker
from qtpy.QtCore import QObject, Signal, Slot

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MainThread", "start_worker"]


class MainThread(QObject):
    """Runs functions on the thread it was made in; make it on the main thread.

    Functions handed over by that thread itself run at once, those of others in the order they came.
    """

    _posted = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._is_closed = False
        self._posted.connect(self._on_posted)

    def post(self, action: Callable[[], None]) -> None:
        """Have a function run; may be called from any thread, and does nothing after `close`."""
        if self._is_closed:
            return
        try:
            self._posted.emit(action)
        except RuntimeError:
            # Qt took the object down with the application while a worker was still at work.
            self._is_closed = True

    def close(self) -> None:
        """Run nothing any more, what is queued included."""
        self._is_closed = True

    @Slot(object)
    def _on_posted(self, action: Callable[[], None]) -> None:
        if not self._is_closed:
            action()


class _Cancellable(FunctionWorker):
    """A worker that passes napari's *quit* on: napari asks every worker to quit when a window closes."""

    on_quit: Callable[[], None] | None = None

    def quit(self) -> None:
        """Ask the work to end soon."""
        super().quit()
        if self.on_quit is not None:
            self.on_quit()


class _Named:
    """A function with a name that napari shows when it asks whether to close the window."""

    def __init__(self, function: Callable[[], None], name: str) -> None:
        self._function = function
        self._name = name

    def __call__(self) -> None:
        self._function()

    def __repr__(self) -> str:
        return self._name


def start_worker(function: Callable[[], None], cancel: Callable[[], None], name: str) -> Any:
    """Run a function in a worker thread that napari knows of, so that closing the window asks and cancels.

    `function` must not raise, least of all a ``RuntimeError``, which napari's workers swallow; `JobRunner.run` keeps
    that promise. A generator is never given to napari: it would be closed on the main thread, much later.

    Parameters
    ----------
    function
        The work.
    cancel
        Called from the main thread to end it soon.
    name
        What the user reads when closing the window.

    Returns
    -------
    FunctionWorker
        The started worker.
    """
    worker = create_worker(
        _Named(function, name),
        _start_thread=False,
        _worker_class=_Cancellable,
    )
    worker.on_quit = cancel
    worker.start()
    return worker
