"""Jobs in a worker thread, and what arrives of them on the docks' thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.jobs import Job, JobStatus, Progress
from napari_apprentice.session._launcher import Launcher

if TYPE_CHECKING:
    from collections.abc import Callable


def job(result: int) -> Job[int]:
    yield Progress("counting")
    return result


def run(action: Callable[[], None]) -> None:
    action()


def test_a_result_arrives_though_the_next_job_has_begun() -> None:
    waiting: list[Callable[[], None]] = []
    launcher = Launcher(run, waiting.append)
    told: list[JobStatus] = []
    launcher.status_changed.connect(told.append)
    found: list[int] = []
    assert launcher.launch("first", job(1), found.append)
    assert launcher.launch("second", job(2), found.append)  # before the docks heard of the first
    for action in waiting:
        action()
    assert found == [1, 2]
    assert {status.name for status in told} == {"second"}


def test_nothing_arrives_once_it_is_closed() -> None:
    waiting: list[Callable[[], None]] = []
    launcher = Launcher(run, waiting.append)
    found: list[int] = []
    launcher.launch("first", job(1), found.append)
    launcher.close()
    for action in waiting:
        action()
    assert not found
    assert not launcher.launch("second", job(2), found.append)
