"""Ctrl-C that a job hears between two steps, so that nothing is left half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["interruptible"]


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Turn the first Ctrl-C into a question asked at each event; the second one breaks off at once.

    Yields a function that raises `KeyboardInterrupt` once Ctrl-C was pressed. A job that is closed by it between
    two events leaves whole files and a valid checkpoint, which an exception in the middle of a step could not promise.
    """
    pressed = threading.Event()

    def ask() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    def on_signal(number: int, frame: FrameType | None) -> None:
        if pressed.is_set():
            raise KeyboardInterrupt
        pressed.set()

    if threading.current_thread() is not threading.main_thread():
        yield ask
        return
    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield ask
    finally:
        signal.signal(signal.SIGINT, before)
