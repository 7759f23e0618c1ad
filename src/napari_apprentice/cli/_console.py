"""What the commands write: results to standard output, everything else to standard error."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.jobs import Log, Metric, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TextIO

    from napari_apprentice.core.jobs import Event

__all__ = ["Listener", "note", "print_json", "print_lines", "seconds_text", "table"]

_BAR = 20
_EVERY = 0.1
_EVERY_WITHOUT_TERMINAL = 15.0


def print_json(document: Any) -> None:
    """Write one JSON document to standard output; NaN and infinity, which JSON lacks, become null."""
    # ASCII only: names of files may hold characters that the terminal's encoding lacks.
    sys.stdout.write(json.dumps(_plain(document), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_lines(lines: Iterable[str]) -> None:
    """Write lines for a person to standard output."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def note(message: str) -> None:
    """Write one line for a person to standard error."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    """Align columns of text under their heads; the first to the left, the others to the right."""
    everything = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in everything) for column in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in everything
    ]


def seconds_text(seconds: float) -> str:
    """Say a duration: ``"8 s"``, ``"3 min"``, ``"1.5 h"``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


class Listener:
    """Shows a job's events on standard error: a bar in a terminal, a line now and then elsewhere.

    Parameters
    ----------
    stop
        Called at every event; raises where the person asked to stop.
    stream
        Where to write; standard error by default.
    """

    def __init__(
        self, stop: Callable[[], None] | None = None, stream: TextIO | None = None
    ) -> None:
        self._stop = stop
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._shown = 0.0
        self._width = 0
        self._metrics: Mapping[str, float] = {}
        self.name = ""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if self._stop is not None:
            self._stop()
        self._show(event)

    def _show(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, Metric):
            self._metrics = {**self._metrics, event.name: event.value}
            if event.name != "loss":
                self.line(f"step {event.step}: {event.name} {event.value:.3f}")
        elif isinstance(event, Log):
            self.line(f"{event.level}: {event.message}" if event.level != "info" else event.message)

    def line(self, message: str) -> None:
        """Write a line that stays, above the bar."""
        self.clear()
        self._stream.write(f"{self._prefix()}{message}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0

    def _prefix(self) -> str:
        return f"{self.name}: " if self.name else ""

    def _progress(self, event: Progress) -> None:
        now = time.monotonic()
        if now - self._shown < (_EVERY if self._terminal else _EVERY_WITHOUT_TERMINAL):
            return
        first, self._shown = not self._shown, now
        text = self._prefix() + describe(event) + self._loss()
        if self._terminal:
            text = text[: _columns() - 1]
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
            self._stream.flush()
        elif not first:
            self._stream.write(text + "\n")
            self._stream.flush()

    def _loss(self) -> str:
        return f" · loss {self._metrics['loss']:.3f}" if "loss" in self._metrics else ""


def describe(event: Progress) -> str:
    """Say how far a job is: ``"predicting [####----] tile 3 of 9 · 2 s left"``."""
    parts = [event.stage]
    if event.fraction is not None:
        filled = round(_BAR * event.fraction)
        parts.append(f"[{'#' * filled}{'-' * (_BAR - filled)}]")
        parts.append(f"{event.unit} {event.done} of {event.total}".strip())
    elif event.done:
        parts.append(f"{event.unit} {event.done}".strip())
    if event.seconds_left is not None:
        parts.append(f"· {seconds_text(event.seconds_left)} left")
    return " ".join(parts)


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
