"""A job ends for one reason, its `finally` runs in the worker, and the status says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from napari_apprentice.core.errors import BadInputError, JobError, OutOfMemoryError
from napari_apprentice.core.jobs import FinishReason, Job, JobState, Log, Progress
from napari_apprentice.session.runner import JobRunner, as_apprentice_error


def counting(steps: int, ends: list[str] | None = None) -> Job[str]:
    try:
        for done in range(steps):
            yield Progress("counting", done, steps, "step")
        return "result"
    finally:
        if ends is not None:
            ends.append(threading.current_thread().name)


def raising(error: Exception) -> Job[None]:
    yield Log("about to fail")
    raise error


def endless(started: threading.Event) -> Job[None]:
    while True:
        yield Progress("waiting")
        started.set()


def test_a_completed_job_returns_before_it_turns_idle() -> None:
    runner, said = JobRunner(), []
    runner.changed.connect(lambda status: said.append(status.state))
    runner.returned.connect(lambda result: said.append(result))
    runner.run("count", counting(2))
    running = JobState.RUNNING
    assert said == [running, running, running, "result", JobState.IDLE]
    assert runner.status.reason is FinishReason.COMPLETED
    assert runner.status.progress.done == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadInputError("expected labels, found none"), BadInputError),
        (RuntimeError("sizes of tensors must match"), JobError),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), OutOfMemoryError),
        (MemoryError(), OutOfMemoryError),
        (KeyError("x"), JobError),
        (StopAsyncIteration(), JobError),
    ],
)
def test_every_exception_becomes_a_readable_error(error: Exception, expected: type) -> None:
    runner = JobRunner()
    runner.run("fail", raising(error))
    assert runner.status.reason is FinishReason.ERRORED
    assert type(runner.status.error) is expected
    assert runner.status.log == ("about to fail",)
    assert not isinstance(runner.status.error, RuntimeError)


@pytest.mark.parametrize("signal", ["event", "returned"])
def test_a_listener_that_raises_ends_the_job_as_an_error(signal: str) -> None:
    def fail(_: object) -> None:
        raise BadInputError("the listener failed")

    runner, ends = JobRunner(), []
    getattr(runner, signal).connect(fail)
    runner.run("count", counting(2, ends))
    assert runner.status.reason is FinishReason.ERRORED
    assert str(runner.status.error) == "the listener failed"
    assert len(ends) == 1


def test_cancel_ends_at_the_next_event_and_closes_in_the_worker(
    start: Callable[..., None], threads: list[threading.Thread]
) -> None:
    runner, ends = JobRunner(), []
    runner.event.connect(lambda event: runner.cancel() if event.done == 3 else None)
    start(lambda: runner.run("count", counting(1000, ends)))
    threads[0].join(5)
    assert runner.status.reason is FinishReason.CANCELLED
    assert runner.status.progress.done == 3
    assert ends == [threads[0].name]


def test_cancelling_twice_or_with_nothing_at_work_changes_nothing() -> None:
    runner, states = JobRunner(), []
    runner.cancel()
    assert runner.status.state is JobState.IDLE
    runner.changed.connect(lambda status: states.append(status.state))
    runner.event.connect(lambda _: [runner.cancel(), runner.cancel()])
    runner.run("count", counting(5))
    assert states.count(JobState.CANCELLING) == 1
    runner.run("count", counting(1))
    assert runner.status.reason is FinishReason.CANCELLED, (
        "each run is cancelled by its own listener"
    )


def test_a_job_cancelled_before_it_starts_never_runs() -> None:
    runner, ends = JobRunner(), []
    assert runner.claim("count")
    runner.cancel()
    runner.run("count", counting(3, ends))
    assert runner.status.reason is FinishReason.CANCELLED
    assert ends == []


def test_a_second_job_is_refused_while_one_is_at_work(start: Callable[..., None]) -> None:
    runner, started = JobRunner(), threading.Event()
    start(lambda: runner.run("first", endless(started)))
    assert started.wait(5)
    assert not runner.claim("second")
    with pytest.raises(JobError, match="first"):
        runner.run("second", counting(1))
    assert runner.generation == 1
    runner.cancel()


def test_the_log_is_bounded() -> None:
    def talkative() -> Job[None]:
        for number in range(300):
            yield Log(f"line {number}", "info" if number % 100 else "warning")

    runner = JobRunner()
    runner.run("talk", talkative())
    assert len(runner.status.log) == 200
    assert runner.status.warnings == 3
    assert runner.status.log[-1] == "line 299"


def test_an_error_keeps_its_cause() -> None:
    cause: Any = ZeroDivisionError("by zero")
    error = as_apprentice_error(cause)
    assert error.__cause__ is cause
    assert str(error) == "ZeroDivisionError: by zero"
