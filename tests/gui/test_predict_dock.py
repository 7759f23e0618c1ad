"""*Predict*: what it shows is a function of the session, and what it adds lies on the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject, Qt

from napari_apprentice.core.jobs import FinishReason, JobState, JobStatus, Progress
from napari_apprentice.widgets._parts import JobLine
from napari_apprentice.widgets.layers import METADATA
from napari_apprentice.widgets.predict import PredictDock

from ._fakes import Engine, Store, out_of_memory, spec


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> PredictDock:
    made = PredictDock(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


def test_without_an_image_it_says_what_to_do(dock: PredictDock) -> None:
    assert not dock.button.isEnabled()
    assert dock.button.toolTip() == "Open or select an image first."
    assert dock.cost.text().strip() == ""


def test_models_that_do_not_fit_are_greyed_with_the_reason(
    dock: PredictDock, add_image: Callable[..., Any]
) -> None:
    add_image()
    assert dock.models.currentText() == "nuclei v1"
    assert dock.models.itemText(1) == "brain — expects 3-D"
    assert not dock.models.model().item(1).isEnabled()
    assert "expects 3-D" in dock.models.itemData(1, Qt.ItemDataRole.ToolTipRole)
    assert dock.cost.text().startswith("≈")
    assert dock.cost.text().endswith("GB")
    assert dock.button.isEnabled()


def test_no_model_at_all_is_said(dock: PredictDock, store: Store, add_image: Any) -> None:
    store.all.clear()
    dock.session.refresh_models()
    add_image()
    assert not dock.button.isEnabled()
    assert "annotate a little" in dock.button.toolTip()
    assert dock.models.currentText() == "no model yet"


def test_the_answer_is_a_new_layer_on_the_image(
    dock: PredictDock, viewer: Any, add_image: Callable[..., Any], idle: Callable[[Any], None]
) -> None:
    image = add_image()
    own = viewer.add_labels(np.full((24, 32), 5, np.uint8), name="nuclei ▸ nuclei v1")
    viewer.layers.selection.active = image
    dock.button.click()
    assert not dock.button.isEnabled()
    assert "still at work" in dock.button.toolTip()
    idle(dock.session)
    answer = viewer.layers["nuclei ▸ nuclei v1 [1]"]
    assert own.data.min() == 5, "a layer a person made is never overwritten"
    for name in ("scale", "translate", "units", "axis_labels"):
        np.testing.assert_array_equal(getattr(answer, name), getattr(image, name))
    assert answer.contour == 1
    assert "class" in answer.features
    assert not dock.coloring.isVisible(), "classes have colours of their own"
    assert answer.metadata[METADATA]["provenance"]["model"] == "nuclei v1"
    assert dock.summary.text() == "1 nucleus"
    assert dock.button.isEnabled()
    assert dock.session.volume is not None
    assert dock.session.volume.name == "nuclei", "the answer is not the next image"


def test_a_second_answer_hides_the_first(
    dock: PredictDock, viewer: Any, add_image: Callable[..., Any], idle: Callable[[Any], None]
) -> None:
    add_image()
    for _ in range(2):
        dock.button.click()
        idle(dock.session)
    first, second = viewer.layers[1:]
    assert (first.visible, second.visible) == (False, True)


def test_progress_and_cancel(
    dock: PredictDock,
    viewer: Any,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
    qtbot: Any,
) -> None:
    engine.go.clear()
    add_image()
    line = dock.findChild(JobLine)
    dock.button.click()
    qtbot.waitUntil(lambda: line.text.text() == "predicting · tile 3 of 9 · 2 s left")
    assert line.bar.isVisible()
    assert line.bar.value() == round(1000 * 2 / 9)
    line.cancel.click()
    idle(dock.session)
    assert not line.bar.isVisible()
    assert line.text.text() == "Predicting nuclei: cancelled"
    assert len(viewer.layers) == 1
    assert dock.button.isEnabled()


def test_progress_is_painted_with_the_window_not_at_once(dock: PredictDock, qtbot: Any) -> None:
    class Painted(QObject):
        times = 0

        def eventFilter(self, _: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
            self.times += event.type() == QEvent.Type.Paint
            return False

    line, painted = dock.findChild(JobLine), Painted()
    running = JobStatus("Predicting", JobState.RUNNING, progress=Progress("predicting", 1, 9))
    line.set_status(running)
    qtbot.waitExposed(dock)
    line.bar.installEventFilter(painted)
    qtbot.waitUntil(lambda: painted.times > 0)
    painted.times = 0
    line.set_status(replace(running, progress=Progress("predicting", 5, 9)))
    assert painted.times == 0
    assert line.bar.value() == round(1000 * 5 / 9)
    qtbot.waitUntil(lambda: painted.times > 0)


def test_an_error_is_a_sentence_with_details(
    dock: PredictDock,
    add_image: Callable[..., Any],
    engine: Engine,
    idle: Callable[[Any], None],
    qapp: Any,
) -> None:
    engine.error = out_of_memory()
    add_image(name="Doe^Jane")
    line = dock.findChild(JobLine)
    dock.button.click()
    idle(dock.session)
    assert dock.session.status.reason is FinishReason.ERRORED
    assert line.error.isVisible()
    assert line.error.sentence.text() == "⚠ memory ran out. Take a smaller tile."
    assert not line.error.details.isVisible()
    line.error.more.click()
    assert line.error.details.isVisible()
    line.error.copy.click()
    copied = qapp.clipboard().text()
    assert "OutOfMemoryError" in copied
    assert "Doe" not in copied
    assert dock.button.isEnabled()
    engine.error = None
    dock.button.click()
    idle(dock.session)
    assert not line.error.isVisible()


def test_a_wrong_setting_is_said_and_stops_the_button(
    dock: PredictDock, add_image: Callable[..., Any]
) -> None:
    add_image()
    dock.form.row("overlap").value = "2"
    assert not dock.button.isEnabled()
    assert dock.refusal.sentence.text().startswith("⚠ Tile overlap")
    dock.form.row("overlap").value = "0.25"
    assert dock.button.isEnabled()
    assert not dock.refusal.isVisible()


def test_the_dock_follows_the_selected_image_and_its_place(
    dock: PredictDock, viewer: Any, add_image: Callable[..., Any]
) -> None:
    first = add_image(name="first")
    add_image((4, 24, 32), name="second")
    assert dock.session.volume is not None
    assert dock.session.volume.name == "second"
    viewer.layers.selection.active = first
    assert dock.session.volume.name == "first"
    first.scale = (0.5, 0.5)
    assert dock.session.volume.grid.spacing == (0.5, 0.5)
    first.name = "renamed"
    assert dock.session.volume.name == "renamed"
    viewer.layers.selection.clear()
    assert dock.session.volume.name == "renamed"
    viewer.layers.remove(first)
    assert dock.session.volume.name == "second"
    viewer.layers.clear()
    assert dock.session.volume is None
    viewer.add_image(np.zeros((1, 1, 2, 3, 4)))
    assert dock.session.volume is None
    assert "Split Stack" in dock.refusal.sentence.text()


def test_two_channels_go_together_where_a_model_wants_both(
    dock: PredictDock, viewer: Any, store: Store
) -> None:
    from dataclasses import replace

    from napari_apprentice.widgets.layers import layer_tuples

    from ._fakes import volume

    one = volume()
    both = replace(
        one,
        data=np.stack([one.numpy()] * 2),
        grid=one.grid.with_channels(2),
        channels=("DAPI", "GFP"),
    )
    for data, state, _ in layer_tuples(both):
        viewer.add_image(data, **state)
    assert dock.session.volume is not None
    assert dock.session.volume.channels == ("GFP",)
    store.all["two"] = spec("two", channels=("a", "b"))
    dock.session.refresh_models()
    viewer.layers.selection.active = viewer.layers[0]
    assert dock.session.volume.channels == ("DAPI", "GFP")
    assert dock.session.model == "two"


def test_a_model_for_one_channel_takes_a_colour_image_by_a_click(
    dock: PredictDock, viewer: Any, idle: Callable[[Any], None]
) -> None:
    viewer.add_image(np.zeros((24, 32, 3), np.uint8), rgb=True, name="stained")
    assert dock.session.model == "nuclei v1"
    assert dock.channels.isVisible()
    (one,) = dock.channels.lists
    assert [one.itemText(i) for i in range(one.count())] == ["red", "green", "blue"]
    one.setCurrentIndex(2)
    assert dock.session.channels == (2,)
    assert dock.button.isEnabled()
    dock.button.click()
    idle(dock.session)
    facts = viewer.layers["stained ▸ nuclei v1"].metadata[METADATA]
    assert facts["provenance"]["parameters"]["channels"] == ["blue"]
    viewer.add_image(np.zeros((24, 32)), name="gray")
    assert not dock.channels.isVisible()
