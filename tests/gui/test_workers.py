"""Jobs in threads of a real viewer: answers on the main thread, and an end whatever happens meanwhile."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from typing import Any

import pytest

from napari_apprentice.core.jobs import FinishReason
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.widgets._session import link_for, session_for
from napari_apprentice.widgets.predict import PredictDock
from napari_apprentice.widgets.workers import MainThread

from ._fakes import Engine


def test_functions_of_other_threads_run_on_the_main_thread_in_order(qtbot: Any) -> None:
    main, ran = MainThread(), []

    def work() -> None:
        for number in range(50):
            main.post(lambda number=number: ran.append((number, threading.current_thread())))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(5)
    assert ran == [], "nothing runs before the event loop does"
    qtbot.waitUntil(lambda: len(ran) == 50)
    assert [number for number, _ in ran] == list(range(50))
    assert {where for _, where in ran} == {threading.main_thread()}


def test_what_is_queued_is_dropped_after_close(qtbot: Any) -> None:
    main, ran = MainThread(), []
    thread = threading.Thread(target=lambda: main.post(lambda: ran.append(1)))
    thread.start()
    thread.join(5)
    main.close()
    main.post(lambda: ran.append(2))
    qtbot.wait(30)
    assert ran == []


def test_the_answer_arrives_on_the_main_thread_and_the_job_ends_in_its_own(
    viewer: Any, add_image: Callable[..., Any], engine: Engine, idle: Callable[[Any], None]
) -> None:
    add_image()
    session, heard = session_for(viewer), []
    session.predicted.connect(lambda _: heard.append(threading.current_thread()))
    session.status_changed.connect(lambda _: heard.append(threading.current_thread()))
    assert session.predict(PredictConfig())
    idle(session)
    assert len(heard) >= 3
    assert set(heard) == {threading.main_thread()}
    assert engine.threads == engine.closed_in
    assert engine.threads[0] is not threading.main_thread()


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("no")])
def test_an_error_of_any_kind_frees_the_button(
    viewer: Any,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
    error: Exception,
) -> None:
    # napari's own workers swallow a RuntimeError, and torch raises nothing else.
    engine.error = error
    add_image()
    session = session_for(viewer)
    session.predict(PredictConfig())
    idle(session)
    assert session.status.reason is FinishReason.ERRORED
    assert session.predict_problem() is None
    assert engine.threads == engine.closed_in


def test_cancel_leaves_no_layer(
    viewer: Any,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
    qtbot: Any,
) -> None:
    engine.go.clear()
    add_image()
    session = session_for(viewer)
    session.predict(PredictConfig())
    qtbot.waitUntil(lambda: bool(engine.threads), timeout=10_000)
    session.cancel()
    session.cancel()
    idle(session)
    assert session.status.reason is FinishReason.CANCELLED
    assert [layer.name for layer in viewer.layers] == ["nuclei"]


def test_closing_the_viewer_ends_the_job(
    small_session: None, make_napari_viewer: Callable[..., Any], engine: Engine, qtbot: Any
) -> None:
    engine.go.clear()
    viewer = make_napari_viewer()
    viewer.window.add_dock_widget(PredictDock(viewer), name="Predict")
    viewer.add_image(volume_data())
    session = session_for(viewer)
    session.predict(PredictConfig())
    qtbot.waitUntil(lambda: bool(engine.threads), timeout=10_000)
    viewer.close()
    qtbot.waitUntil(lambda: bool(engine.closed_in), timeout=5_000)
    qtbot.waitUntil(lambda: session.is_closed, timeout=5_000)
    assert session.status.reason is FinishReason.CANCELLED
    assert not session.predict(PredictConfig())


def volume_data() -> Any:
    import numpy as np

    return np.zeros((24, 32), np.uint16)


def test_a_layer_deleted_meanwhile_still_gets_its_answer(
    viewer: Any,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
    qtbot: Any,
) -> None:
    engine.go.clear()
    layer = add_image()
    session = session_for(viewer)
    session.predict(PredictConfig())
    qtbot.waitUntil(lambda: bool(engine.threads), timeout=10_000)
    viewer.layers.remove(layer)
    engine.go.set()
    idle(session)
    (answer,) = viewer.layers
    assert answer.name == "nuclei ▸ nuclei v1"
    assert tuple(answer.scale) == (0.25, 0.25)


def test_a_closed_dock_does_not_stop_the_job(
    viewer: Any,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
    qtbot: Any,
) -> None:
    engine.go.clear()
    add_image()
    dock = PredictDock(viewer)
    outer = viewer.window.add_dock_widget(dock, name="Predict")
    session = dock.session
    dock.button.click()
    qtbot.waitUntil(lambda: bool(engine.threads), timeout=10_000)
    viewer.window.remove_dock_widget(outer)
    dock.deleteLater()
    del dock, outer
    qtbot.wait(50)
    engine.go.set()
    idle(session)
    assert session.status.reason is FinishReason.COMPLETED
    assert "nuclei ▸ nuclei v1" in viewer.layers


def test_one_session_per_viewer_and_none_outlives_it(
    small_session: None, make_napari_viewer: Callable[..., Any]
) -> None:
    first, second = make_napari_viewer(), make_napari_viewer()
    assert session_for(first) is session_for(first)
    assert session_for(first) is not session_for(second)
    assert link_for(first)._viewer() is first
    gc.collect()
