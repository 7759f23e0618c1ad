"""The main dock: an empty page, three steps on one session, keys, and room for everything."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QToolButton, QWidget
from superqt import QElidingLabel

from napari_apprentice.widgets.apprentice import KEYS, STEPS, ApprenticeDock
from napari_apprentice.widgets.correct import CorrectDock
from napari_apprentice.widgets.explain import ExplainDock
from napari_apprentice.widgets.learn import LearnDock
from napari_apprentice.widgets.predict import PredictDock

from ._fakes import Engine, annotate

OPEN = """
import sys, napari
from napari_apprentice.widgets.apprentice import ApprenticeDock
viewer = napari.Viewer(show=False)
dock = ApprenticeDock(viewer)
dock.empty.buttons["nuclei"].click()
print("loaded:", *(m for m in ("torch", "monai") if m in sys.modules))
viewer.close()
"""


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> ApprenticeDock:
    made = ApprenticeDock(viewer)
    qtbot.addWidget(made)
    made.resize(380, 700)
    made.show()
    return made


def test_docks_that_are_opened_together_are_tabs(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    frames = [
        viewer.window.add_dock_widget(made(viewer), area="right", name=name)
        for made, name in ((ApprenticeDock, "one"), (ExplainDock, "two"))
    ]
    window = frames[0].window()
    qtbot.waitUntil(lambda: window.tabifiedDockWidgets(frames[1]) == [frames[0]])
    assert not frames[1].visibleRegion().isEmpty()
    frames[1].hide()
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, frames[1])
    frames[1].show()
    qtbot.wait(20)
    assert not window.tabifiedDockWidgets(frames[1])  # where a person put it, it stays


def test_before_there_is_an_image_samples_are_offered_and_no_form(dock: ApprenticeDock) -> None:
    assert set(dock.empty.buttons) == {"brain-mri", "nuclei"}
    assert all(not b.icon().isNull() for b in dock.empty.buttons.values())
    assert not dock.predict.button.isVisible()
    assert dock.sizeHint().width() == 380


def test_a_sample_opens_with_its_scale_bar(dock: ApprenticeDock, viewer: Any) -> None:
    dock.empty.buttons["nuclei"].click()
    assert [layer.name for layer in viewer.layers] == ["nuclei"]
    assert viewer.canvas.overlays.scale_bar.visible
    assert dock.image.name.text() == "nuclei"
    assert dock.image.facts.text() == "Y 512 × X 512 · 0.25 µm · uint16"
    assert dock.predict.button.isVisible()
    assert dock.session.model == "nuclei v1"
    viewer.layers.clear()
    assert not dock.predict.button.isVisible()


def test_the_steps_share_one_session(dock: ApprenticeDock, add_image: Callable[..., Any]) -> None:
    add_image()
    assert dock.predict.session is dock.correct.session is dock.learn.session is dock.session
    for number, (name, kind) in enumerate(
        zip(STEPS, (PredictDock, CorrectDock, LearnDock), strict=True)
    ):
        dock.show_step(number)
        assert name in dock.tabs.tabText(number)
        assert isinstance(dock.steps.currentWidget(), kind)


def test_predict_correct_learn_and_use(
    dock: ApprenticeDock,
    viewer: Any,
    add_image: Callable[..., Any],
    idle: Callable[[Any], None],
) -> None:
    add_image()
    dock.press()
    idle(dock.session)
    assert dock.job.text.text() == "Predicting nuclei: done"
    dock.show_step(1)
    annotator = dock.correct.annotator
    annotator.correct(annotator.predictions()[0])
    assert not viewer.layers["nuclei ▸ nuclei v1"].visible, "it stays, hidden"
    dock.session.annotations[dock.session.key].finish_all()
    dock.show_step(2)
    dock.press()
    idle(dock.session)
    assert dock.learn.card.isVisible()
    dock.learn.card.use.click()
    idle(dock.session)
    assert dock.session.model == "nuclei v2"
    dock.show_step(0)
    dock.press()
    idle(dock.session)
    assert viewer.layers["nuclei ▸ nuclei v2"].visible
    annotation = viewer.layers["nuclei ▸ annotation"]
    assert not annotation.visible, "it would cover the new prediction"
    assert "annotation is hidden" in dock.predict.summary.text()
    dock.show_step(1)
    assert annotation.visible
    annotation.visible = False
    assert dock.correct.hidden.isVisible()
    dock.correct.hidden.click()
    assert annotation.visible
    assert not dock.correct.hidden.isVisible()


def test_a_newer_prediction_can_be_taken_over_where_nobody_said_anything(
    dock: ApprenticeDock,
    viewer: Any,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
) -> None:
    add_image()
    dock.press()
    idle(dock.session)
    dock.show_step(1)
    correct = dock.correct
    correct.beginning.correct.click()
    assert not correct.take_over.isVisible(), "it was made of this one"
    state = correct.annotator.state
    assert state is not None
    state.paint((2, 3), np.zeros((2, 6), np.uint8))
    state.paint((20, 20), np.full((2, 2), 2, np.uint8), author="model")
    dock.show_step(0)
    dock.press()
    idle(dock.session)
    dock.show_step(1)
    assert correct.take_over.isVisible()
    correct.take_over.click()
    assert not state.labels[2:4, 3:9].any(), "what a person said stays"
    assert not state.labels[20:22, 20:22].any()
    assert state.undo_name == "Take over prediction"
    state.undo()
    assert (state.labels[20:22, 20:22] == 2).all()


def test_painting_on_while_predicting_keeps_the_annotation_in_sight(
    dock: ApprenticeDock,
    viewer: Any,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
) -> None:
    add_image()
    dock.correct.annotator.start()
    engine.go.clear()
    dock.press()
    state = dock.correct.annotator.state
    assert state is not None
    state.paint((2, 3), np.ones((2, 6), np.uint8))
    engine.go.set()
    idle(dock.session)
    assert viewer.layers["nuclei ▸ annotation"].visible


def test_one_job_line_for_all_steps(
    dock: ApprenticeDock,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
    qtbot: Any,
) -> None:
    engine.go.clear()
    add_image()
    dock.press()
    qtbot.waitUntil(lambda: "tile 3 of 9" in dock.job.text.text())
    for number in range(3):
        dock.show_step(number)
        assert dock.job.cancel.isVisible()
    annotate(dock.session)
    assert "still at work" in dock.learn.button.toolTip()
    dock.job.cancel.click()
    idle(dock.session)
    assert not dock.job.cancel.isVisible()


@pytest.mark.parametrize(("key", "step"), [("2", 1), ("3", 2), ("1", 0)])
def test_keys_change_the_step(
    dock: ApprenticeDock, add_image: Callable[..., Any], qtbot: Any, key: str, step: int
) -> None:
    add_image()
    dock.activateWindow()
    dock.show_step((step + 1) % 3)
    qtbot.waitUntil(dock.isActiveWindow, timeout=5_000)
    qtbot.keyClick(dock, getattr(Qt.Key, f"Key_{key}"), Qt.KeyboardModifier.AltModifier)
    assert dock.steps.currentIndex() == step


def test_no_key_is_naparis_own() -> None:
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert len(taken) > 50
    ours = {key.replace("Return", "Enter") for key in KEYS}
    assert not ours & taken


def test_keys_are_listed(dock: ApprenticeDock) -> None:
    for key, does in KEYS.items():
        assert key in dock.help.toolTip()
        assert does in dock.help.toolTip()


@pytest.mark.parametrize("scale", [1.0, 1.5])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_nothing_is_cut_off(
    dock: ApprenticeDock,
    viewer: Any,
    add_image: Callable[..., Any],
    idle: Callable[[Any], None],
    qtbot: Any,
    scale: float,
    step: int,
) -> None:
    add_image(name="a very long name of a very long acquisition with every parameter in it_0001")
    dock.press()
    idle(dock.session)
    annotator = dock.correct.annotator
    annotator.correct(annotator.predictions()[0])
    font = dock.font()
    font.setPointSizeF(font.pointSizeF() * scale)
    dock.setFont(font)
    dock.show_step(step)
    qtbot.wait(50)
    assert dock.minimumSizeHint().width() <= 380
    page = dock.steps.currentWidget()
    for part in page.findChildren(QWidget):
        if isinstance(part, QLabel | QPushButton | QToolButton) and part.isVisible():
            right = part.mapTo(dock, part.rect().topRight()).x()
            assert right <= dock.width(), f"{part} {getattr(part, 'text', str)()!r}"
            is_elided = isinstance(part, QElidingLabel)
            wraps = isinstance(part, QLabel) and part.wordWrap()
            if not (is_elided or wraps):
                assert part.width() >= part.minimumSizeHint().width(), part.text()


def test_every_button_can_be_reached_and_says_what_it_does(
    dock: ApprenticeDock, add_image: Callable[..., Any]
) -> None:
    add_image()
    for page in (dock.predict, dock.learn):
        for button in page.findChildren(QPushButton):
            is_ours = button in vars(page).values()
            assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
            assert button.toolTip() or not is_ours, button.text()


@pytest.mark.slow
def test_opening_the_dock_and_a_sample_loads_neither_torch_nor_monai() -> None:
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", OPEN], capture_output=True, text=True, timeout=120
    )
    assert "loaded:" in run.stdout, run.stderr
    assert run.stdout.partition("loaded:")[2].split() == []
