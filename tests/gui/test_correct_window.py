"""The Correct dock with a window of its own: a real mouse, and a window that closes in the middle."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from ._correct_bench import DEEP, FLAT, Bench


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))


def test_a_dragged_mouse_paints_and_erases(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    b = Bench(viewer, FLAT).begin()
    qtbot.waitExposed(viewer.window._qt_window)
    b.layer.brush_size = 5
    canvas = viewer.window._qt_viewer.canvas.native
    centre = QPoint(canvas.width() // 2, canvas.height() // 2)
    for mode in ("paint", "erase"):
        b.layer.mode = mode
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=centre)
        for step in range(1, 6):
            QTest.mouseMove(canvas, centre + QPoint(8 * step, 0))
            qtbot.wait(20)
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=centre + QPoint(40, 0))
    assert b.state.n_corrections == 2
    assert b.state.undo_name == "Erase"
    assert b.state.painted.any()
    assert not b.state.labels[b.state.painted].all()
    erased = b.state.labels.copy()
    b.key("Control-Z")
    assert (b.state.labels[b.state.painted] == 1).all()
    assert (b.state.labels != erased).any()
    b.dock.deleteLater()


def test_closing_the_viewer_in_the_middle_harms_nothing(make_napari_viewer, qtbot):
    b = Bench(make_napari_viewer(), DEEP).begin()
    b.viewer.window.add_dock_widget(b.dock)
    state = b.state
    b.dock.counting.box.click()
    b.stroke((3, 30, 30))
    b.viewer.close()
    qtbot.wait(20)
    state.finish_slice(0, 2)
    state.undo()
    state.autosave.close()
    assert state.n_corrections == 1
    assert not state.extent.slices
    assert state.autosave.problem == ""
