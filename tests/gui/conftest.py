"""A real viewer whose session has small models and small jobs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ._fakes import Engine, Store, spec, volume


@pytest.fixture(autouse=True)
def nothing_old_is_looked_through() -> None:
    """Keep what is loaded out of the collections napari runs after every viewer: with torch about they take half the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def engine() -> Iterator[Engine]:
    """What predicts and trains; nothing waits for it after the test."""
    made = Engine()
    yield made
    made.go.set()


@pytest.fixture
def store() -> Store:
    return Store(spec("nuclei v1"), spec("brain", 3))


@pytest.fixture
def small_session(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Give every viewer a session of small parts, with real threads."""
    from napari_apprentice.session.session import Session
    from napari_apprentice.widgets import _session

    def new_session(link: _session.ViewerLink) -> Session:
        return Session(
            store,
            link._start,
            link._main.post,
            predict=engine.predict,
            train=engine.train,
            folder=tmp_path / "training",
        )

    monkeypatch.setattr(_session.ViewerLink, "_new_session", new_session)
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))


@pytest.fixture
def viewer(small_session: None, make_napari_viewer_proxy: Callable[..., Any]) -> Any:
    """A viewer as plugins get it."""
    return make_napari_viewer_proxy()


@pytest.fixture
def add_image(viewer: Any) -> Callable[..., Any]:
    """Add a small image as our readers would."""
    from napari_apprentice.widgets.layers import layer_tuples

    def add(*args: Any, **kwargs: Any) -> Any:
        ((data, state, _),) = layer_tuples(volume(*args, **kwargs))
        return viewer.add_image(data, **state)

    return add


@pytest.fixture
def idle(qtbot: Any) -> Callable[[Any], None]:
    """Wait until a session has nothing at work, and its threads are gone: they hold on to the viewer."""
    from superqt.utils import WorkerBase

    def wait(session: Any) -> None:
        qtbot.waitUntil(lambda: not session.status.is_running, timeout=20_000)
        WorkerBase.await_workers(10_000)
        qtbot.wait(20)

    return wait
