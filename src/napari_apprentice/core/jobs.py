"""Jobs: anything longer than a blink is a generator of typed, frozen events that returns a result."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .grid import Grid

__all__ = [
    "Event",
    "FinishReason",
    "Job",
    "JobState",
    "JobStatus",
    "Log",
    "Metric",
    "Preview",
    "Progress",
    "retold",
    "run_to_end",
]

E = TypeVar("E")
F = TypeVar("F")
R = TypeVar("R")


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Parameters
    ----------
    stage
        What is being done, as the user reads it: ``"predicting"``.
    done, total
        Finished and all units; total 0 means it cannot be known.
    unit
        What is counted: ``"tile"``, ``"step"``.
    seconds_left
        Estimate, where there is one.
    """

    stage: str
    done: int = 0
    total: int = 0
    unit: str = ""
    seconds_left: float | None = None

    @property
    def fraction(self) -> float | None:
        """Share done, 0 to 1, or None where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None


@dataclass(frozen=True)
class Metric:
    """One point of a curve: `name` is ``"loss"``, ``"dice"``, …; `seconds` since the start of the job."""

    name: str
    step: int
    value: float
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Preview:
    """A picture of work in progress, on its grid.

    `labels` tells an integer label image from intensities; `of` is the name of the image that labels are of, if of one.
    """

    name: str
    data: NDArray[Any]
    grid: Grid
    labels: bool = True
    of: str | None = None


@dataclass(frozen=True)
class Log:
    """A sentence for the job's log; level is ``"info"`` or ``"warning"``."""

    message: str
    level: str = "info"


Event: TypeAlias = Progress | Metric | Preview | Log
Job: TypeAlias = Generator[Event, None, R]


class JobState(Enum):
    """Where a job is in its life."""

    IDLE = "idle"
    RUNNING = "running"
    CANCELLING = "cancelling"


class FinishReason(Enum):
    """How the last job ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERRORED = "errored"


@dataclass(frozen=True)
class JobStatus:
    """One snapshot of a job: buttons, bars and messages are a pure function of it."""

    name: str = ""
    state: JobState = JobState.IDLE
    reason: FinishReason | None = None
    progress: Progress = field(default_factory=lambda: Progress(""))
    error: Exception | None = None
    log: tuple[str, ...] = ()
    warnings: int = 0

    @property
    def is_running(self) -> bool:
        """Whether a worker is at work, cancelling included."""
        return self.state is not JobState.IDLE


def run_to_end(job: Job[R], listen: Callable[[Event], None] | None = None) -> R:
    """Drive a job to its end in the calling thread and return its result.

    Parameters
    ----------
    job
        The generator to run.
    listen
        Called with every event; the job is closed if it raises.
    """
    with closing(job):
        while True:
            try:
                event = next(job)
            except StopIteration as stop:
                result: R = stop.value
                return result
            if listen is not None:
                listen(event)


def retold(job: Generator[E, None, R], tell: Callable[[E], F]) -> Generator[F, None, R]:
    """Run a job inside another one, with something else in the place of each of its events.

    Parameters
    ----------
    job
        The generator to run; closed when this one is.
    tell
        What to yield for an event.
    """
    with closing(job):
        while True:
            try:
                event = next(job)
            except StopIteration as stop:
                result: R = stop.value
                return result
            yield tell(event)
