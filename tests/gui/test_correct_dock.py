"""The Correct dock in a real viewer: strokes, one undo, what counts, recovery, and everything that may go wrong."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import suppress

import napari
import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_apprentice.project.journal import journals_of
from napari_apprentice.widgets.annotating import AnnotationLabels
from napari_apprentice.widgets.correct import CorrectDock

from ._correct_bench import CLASSES, DEEP, FLAT, Bench, add_image, add_prediction


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def shared_viewer(qapp):
    """One viewer for most tests: opening one takes longer than testing it."""
    viewer = napari.Viewer(show=False)
    yield viewer
    viewer.close()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()
    del viewer
    gc.collect()


@pytest.fixture
def bench(shared_viewer):
    made = []

    def build(grid=FLAT, *args, **kwargs):
        clean()
        made.append(Bench(shared_viewer, grid, *args, **kwargs))
        return made[-1]

    def clean():
        for one in made:
            with suppress(RuntimeError):  # a test may have deleted it
                one.dock.deleteLater()
            for state in one.session.annotations.values():
                state.autosave.close()
            one.session.annotations.clear()
        made.clear()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        shared_viewer.layers.clear()
        shared_viewer.dims.ndisplay = 2
        shared_viewer.dims.order = tuple(range(shared_viewer.dims.ndim))

    yield build
    clean()


# -- beginning --------------------------------------------------------------------------------


def test_without_an_image_the_buttons_say_what_to_do(bench):
    b = bench(predict=False)
    b.viewer.layers.clear()
    dock = b.dock
    for button in (dock.beginning.correct, dock.beginning.start):
        assert not button.isEnabled()
        assert "image first" in button.toolTip()


def test_without_a_prediction_one_starts_from_nothing(bench):
    b = bench(predict=False)
    assert not b.dock.beginning.correct.isEnabled()
    assert "Predict first" in b.dock.beginning.correct.toolTip()
    b.begin()
    assert not b.state.labels.any()
    assert b.dock.pages.currentIndex() == 1


@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_a_prediction_becomes_an_annotation_in_the_same_place(bench, grid):
    b = bench(grid).begin()
    assert b.layer.name == "image ▸ annotation"
    assert b.layer.data is b.state.labels
    assert np.array_equal(b.layer.data, b.prediction.data)
    assert b.layer.data is not b.prediction.data
    assert not b.prediction.visible
    assert b.prediction in b.viewer.layers
    for name in ("scale", "translate", "units", "axis_labels"):
        assert np.array_equal(getattr(b.layer, name), getattr(b.image, name))
    assert b.viewer.layers.units == b.image.units
    assert b.state.classes == CLASSES
    assert not b.state.objects
    assert b.viewer.layers.selection.active is b.layer
    assert b.session.annotations[b.session.key] is b.state


def test_labels_of_another_shape_are_not_offered(bench):
    b = bench(predict=False)
    b.viewer.add_labels(np.ones((7, 9), int))
    b.viewer.layers.selection.active = b.image
    assert not b.dock.beginning.correct.isEnabled()


def test_a_layer_of_the_person_can_be_corrected_and_is_left_alone(bench):
    b = bench(predict=False)
    own = b.viewer.add_labels(np.full(FLAT.shape, 3, np.int64), name="mine")
    b.dock.beginning.correct.click()
    b.stroke((5, 5))
    assert (own.data == 3).all()
    assert [c.value for c in b.state.classes] == [1, 2, 3]


def test_an_annotation_is_known_as_labels_to_menus_and_writers(bench):
    b = bench().begin()
    assert b.layer.as_layer_data_tuple()[2] == "labels"


# -- strokes and undo ---------------------------------------------------------------------------


def test_a_stroke_is_one_correction(bench):
    b = bench().begin()
    b.stroke((40, 40), (40, 45), (40, 50))
    assert b.state.n_corrections == 1
    assert b.state.painted.sum() == (b.state.labels[34:47] == 1).sum() > 20
    b.dock.undo.click()
    assert np.array_equal(b.state.labels, b.prediction.data)
    assert not b.state.painted.any()
    assert "Nothing" in b.dock.undo.toolTip()
    b.dock.redo.click()
    assert b.state.painted.any()


def test_painting_over_what_is_right_confirms_it(bench):
    b = bench().begin()
    b.layer.brush_size = 3
    b.stroke((15, 15))
    assert b.state.painted.sum() == 9
    assert np.array_equal(b.state.labels, b.prediction.data)
    assert b.state.n_corrections == 1
    b.key("Control-Z")
    assert not b.state.painted.any()


def test_undo_is_one_history_by_key_by_button_and_by_napari(bench):
    b = bench().begin()
    states = [b.state.labels.copy()]
    for x, value in ((10, 1), (30, 2), (50, 1), (60, 0)):
        b.stroke((50, x), value=value)
        states.append(b.state.labels.copy())
    b.key("Control-Z")
    assert np.array_equal(b.layer.data, states[3])
    b.dock.undo.click()
    assert np.array_equal(b.layer.data, states[2])
    b.layer.undo()
    assert np.array_equal(b.layer.data, states[1])
    b.key("Control-Shift-Z")
    b.layer.redo()
    assert np.array_equal(b.layer.data, states[3])
    b.stroke((5, 5), value=2)
    assert not b.dock.redo.isEnabled()
    for _ in range(10):
        b.layer.undo()
    assert np.array_equal(b.layer.data, states[0])


def test_fill_polygon_and_other_plugins_are_edits_too(bench):
    b = bench().begin()
    before = b.state.labels.copy()
    b.layer.fill((15, 15), 2)
    b.layer.paint_polygon(np.array([[40, 5], [40, 20], [55, 20], [55, 5]]), 1)
    b.layer.data_setitem((np.array([0, 59]), np.array([0, 79])), 2)
    assert b.state.n_corrections == 3
    assert b.state.labels[0, 0] == b.state.labels[59, 79] == 2
    assert (b.state.labels[10:20, 10:20] == 2).all()
    for _ in range(3):
        b.layer.undo()
    assert np.array_equal(b.state.labels, before)


def test_undo_in_the_middle_of_a_stroke_waits(bench):
    b = bench().begin()
    b.stroke((5, 5), value=2)
    with b.layer.block_history():
        b.layer.paint((50, 50), 1)
        b.layer.undo()
        b.layer.paint((50, 60), 1)
    assert b.state.labels[5, 5] == 2
    b.layer.undo()
    assert b.state.labels[50, 50] == 0
    assert b.state.labels[5, 5] == 2


def test_an_array_put_in_place_of_ours_becomes_an_edit(bench):
    b = bench(DEEP).begin()
    before = b.state.labels.copy()
    b.layer.data = np.ones(DEEP.shape, np.int64)
    assert b.layer.data is b.state.labels
    assert (b.state.labels == 1).all()
    b.layer.undo()
    assert np.array_equal(b.layer.data, before)
    with notification_manager:
        b.layer.data = np.ones((3, 3), np.int64)
        b.layer.data = np.full(DEEP.shape, 999)
    assert np.array_equal(b.layer.data, before)
    assert np.array_equal(b.layer.scale, b.image.scale)
    assert np.array_equal(b.layer.translate, b.image.translate)


def test_strokes_reach_through_slices_where_asked(bench):
    b = bench(DEEP).begin()
    b.layer.brush_size = 9
    b.dock.tools.volume.click()
    b.stroke((3, 35, 40), value=2)
    depth = np.flatnonzero((b.state.painted).any(axis=(1, 2)))
    assert depth.tolist() == [2, 3, 4]  # slices are four times as thick as voxels are wide
    changed = (b.state.labels == 2) & (b.prediction.data != 2)
    assert np.array_equal(changed, b.state.painted & (b.prediction.data != 2))


def test_other_orders_of_the_axes_paint_in_the_slice_shown(bench):
    b = bench(DEEP).begin()
    b.viewer.dims.order = (1, 0, 2)
    b.layer.brush_size = 4
    b.stroke((3, 35, 40), value=2)
    assert np.flatnonzero(b.state.painted.any(axis=(0, 2))).tolist() == [35]
    b.dock.counting.slice.click()
    assert b.state.extent.slices[0][0] == 1


# -- classes --------------------------------------------------------------------------------------


def test_classes_are_chosen_by_button_and_key(bench):
    b = bench().begin()
    assert b.dock.classes.group.checkedId() == 1
    b.key("Control-2")
    assert b.layer.selected_label == 2
    assert b.dock.classes.group.checkedId() == 2
    b.layer.mode = "erase"
    assert b.dock.classes.group.checkedId() == -1
    b.dock.classes.group.button(1).click()
    assert b.layer.mode == "paint"
    assert b.layer.selected_label == 1
    b.key("Control-9")
    assert b.layer.selected_label == 1


def test_classes_are_added_renamed_and_undone(bench, qtbot):
    b = bench().begin()
    b.dock.classes.new.name.setText("membrane")
    b.dock.classes.new.add.click()
    assert [c.name for c in b.state.classes] == ["cell", "nucleus", "membrane"]
    b.key("Control-3")
    b.stroke((50, 50), value=3)
    assert len(b.layer.colormap.color_dict) >= 5
    b.dock.classes.renamed.emit(3, "cell")
    assert "exists" in b.dock.error.sentence.text()
    assert not b.dock.error.isHidden()
    b.dock.classes.renamed.emit(3, "wall")
    assert b.dock.classes.group.button(3).full.startswith("wall")
    b.dock.classes.recolored.emit(3, "#123456")
    b.layer.undo()
    b.layer.undo()
    b.layer.undo()
    b.layer.undo()
    assert [c.name for c in b.state.classes] == ["cell", "nucleus"]
    assert np.array_equal(b.state.labels, b.prediction.data)


def test_tools_follow_the_layer_and_the_layer_follows_the_tools(bench):
    b = bench().begin()
    tools = b.dock.tools
    tools.group.button(2).click()
    assert b.layer.mode == "fill"
    b.layer.mode = "polygon"
    assert tools.group.checkedId() == 3
    tools.size.setValue(17)
    assert b.layer.brush_size == 17
    b.layer.brush_size = 6
    assert tools.number.value() == 6
    assert not tools.volume.isEnabled()
    assert "flat" in tools.volume.toolTip()


# -- what counts ------------------------------------------------------------------------------------


def test_a_slice_is_finished_by_key_and_the_rest_dims(bench):
    b = bench(DEEP).begin()
    b.viewer.dims.set_point(0, 5.0 + 2.0 * 3)
    assert b.dock.counting.slice.full == "Finish slice 3"
    b.key("Shift-F")
    assert b.state.describe() == "slice 3 + strokes"
    veil = b.dock.annotator.veiling.layer
    assert veil.visible
    assert not np.asarray(veil.data[3]).any()
    assert np.asarray(veil.data[2]).all()
    assert b.viewer.layers.selection.active is b.layer
    b.viewer.dims.ndisplay = 3
    assert not veil.visible
    assert "3-D view" in b.dock.counting.slice.toolTip()
    b.viewer.dims.ndisplay = 2
    b.key("Shift-F")
    assert not veil.visible
    assert b.state.describe() == "strokes only"


def test_the_next_slice_is_one_where_the_newest_prediction_disagrees(bench):
    b = bench(DEEP).begin()
    b.viewer.dims.set_point(0, 5.0)
    b.key("Shift-F")
    b.key("Shift-N")
    assert b.dock.counting.slice.full == "Finish slice 1"
    newer = b.prediction.data.copy()
    newer[4, 0, 0] = 2
    add_prediction(b.viewer, DEEP, newer).visible = False
    b.viewer.layers.selection.active = b.layer
    b.key("Shift-N")
    assert b.dock.counting.slice.full == "Finish slice 4"
    for index in range(6):
        b.state.finish_slice(0, index)
    b.key("Shift-N")
    assert "Every slice" in b.dock.counting.hint.text()


def test_the_slice_that_the_model_is_least_sure_of_comes_first(bench):
    b = bench(DEEP).begin()
    counting = b.dock.counting
    assert not counting.doubtful.isEnabled()
    assert "Predict first" in counting.doubtful.toolTip()
    doubts = tuple(np.zeros(n, np.float32) for n in DEEP.shape)
    doubts[0][[1, 2, 4]] = 9, 40, 12
    doubts[2][33] = 3
    add_prediction(b.viewer, DEEP, doubts=doubts).visible = False
    b.viewer.layers.selection.active = b.layer
    counting.render_state()
    shown = []
    for _ in range(3):
        b.key("Shift-Down")
        shown.append(counting.slice.full)
    assert shown == ["Finish slice 2", "Finish slice 4", "Finish slice 2"]  # and from the beginning
    assert "40 voxels" in counting.hint.text()
    b.key("Shift-F")
    counting.doubtful.click()
    assert counting.slice.full == "Finish slice 4"
    b.key("Shift-F")
    b.key("Shift-Down")
    assert "No slice is left" in counting.hint.text()
    assert counting.slice.full == "Reopen slice 4"


def test_slices_of_another_plane_have_doubts_of_their_own(bench):
    b = bench(DEEP).begin()
    doubts = tuple(np.zeros(n, np.float32) for n in DEEP.shape)
    doubts[0][2], doubts[1][31] = 40, 7
    add_prediction(b.viewer, DEEP, doubts=doubts).visible = False
    b.viewer.layers.selection.active = b.layer
    b.viewer.dims.order = (1, 0, 2)
    b.key("Shift-Down")
    assert b.dock.counting.slice.full == "Finish slice 31"


def test_flat_images_say_why_there_are_no_slices(bench):
    b = bench().begin()
    assert not b.dock.counting.slice.isEnabled()
    assert "no slices" in b.dock.counting.slice.toolTip()


@pytest.mark.parametrize("grid", [FLAT, DEEP])
def test_a_box_is_drawn(bench, grid, qtbot):
    b = bench(grid).begin()
    depth = grid.ndim - 2
    b.dock.counting.depth.setValue(1)
    b.dock.counting.box.click()
    assert b.dock.counting.drawing.is_active
    shapes = b.viewer.layers.selection.active
    assert np.array_equal(shapes.scale, b.layer.scale)
    z = [2] * depth
    shapes.add_rectangles(
        np.array([[*z, 5.2, 7.7], [*z, 5.2, 20.1], [*z, 14.9, 20.1], [*z, 14.9, 7.7]])
    )
    qtbot.waitUntil(lambda: bool(b.state.extent.boxes))
    start, stop = b.state.extent.boxes[0]
    assert start[-2:] == (6, 8)
    assert stop[-2:] == (15, 21)
    assert (start[:-2], stop[:-2]) == (((1,), (4,)) if depth else ((), ()))
    assert shapes not in b.viewer.layers
    assert b.viewer.layers.selection.active is b.layer
    assert not b.dock.counting.box.isChecked()


def test_drawing_a_box_can_be_given_up_in_every_way(bench, qtbot):
    b = bench().begin()
    b.dock.counting.box.click()
    b.dock.counting.box.click()
    assert len(b.viewer.layers) == 3
    b.dock.counting.box.click()
    b.viewer.layers.remove(b.viewer.layers.selection.active)
    assert not b.dock.counting.box.isChecked()
    b.dock.counting.box.click()
    point = [[5.0, 5.0], [5.0, 5.1], [5.1, 5.1], [5.1, 5.0]]
    b.viewer.layers.selection.active.add_rectangles(np.array(point))
    qtbot.wait(20)
    assert b.dock.counting.drawing.is_active, "a click is no rectangle"
    assert not b.state.extent.boxes
    b.viewer.layers.remove(b.layer)
    b.dock.counting.drawing.stop()


def test_the_whole_image_and_strokes_can_be_taken_back(bench):
    b = bench().begin()
    assert b.state.describe() == "strokes only"
    b.dock.counting.strokes.click()
    assert b.state.extent.is_empty
    assert "Nothing is learned" in b.dock.counting.hint.text()
    b.dock.counting.whole.click()
    assert b.dock.counting.chip.text() == "whole image"
    b.dock.undo.click()
    assert b.state.extent.is_empty
    assert not b.dock.counting.whole.isChecked()


def test_the_view_is_a_box(bench):
    b = bench().begin()
    b.layer.corner_pixels = np.array([[10, 20], [29, 49]])
    b.dock.counting.view.click()
    assert b.state.extent.boxes == (((10, 20), (30, 50)),)


# -- numbered objects -----------------------------------------------------------------------------


def test_glued_objects_are_split_merged_and_deleted(bench):
    labels = np.zeros(FLAT.shape, np.uint16)
    y, x = np.ogrid[:60, :80]
    labels[(y - 30) ** 2 + (x - 30) ** 2 < 81] = 40
    labels[(y - 30) ** 2 + (x - 44) ** 2 < 81] = 40
    labels[5:10, 5:10] = 41
    b = bench(FLAT, labels, CLASSES[:1]).begin()
    assert b.state.objects
    assert b.state.describe() == "nothing yet"
    assert b.dock.objects.isVisibleTo(b.dock)
    b.layer.selected_label = 40
    b.key("Shift-S")
    assert set(np.unique(b.state.labels)) == {0, 40, 41, 42}
    b.key("Shift-J")
    b.layer.selected_label = 42
    assert set(np.unique(b.state.labels)) == {0, 40, 41}
    assert b.layer.selected_label == 40
    b.layer.selected_label = 41
    b.key("Shift-D")
    assert set(np.unique(b.state.labels)) == {0, 40}
    b.key("Shift-D")
    assert "no object 41" in b.dock.error.sentence.text()
    b.key("Shift-O")
    assert b.layer.selected_label == 41
    for _ in range(3):
        b.layer.undo()
    assert np.array_equal(b.state.labels, labels)


# -- what may go wrong ------------------------------------------------------------------------------


def test_a_deleted_layer_is_shown_again_with_everything(bench):
    b = bench().begin()
    b.stroke((50, 50))
    labels = b.state.labels.copy()
    b.viewer.layers.remove(b.layer)
    assert b.dock.pages.currentIndex() == 0
    assert b.dock.beginning.show_again.isVisibleTo(b.dock)
    b.dock.beginning.show_again.click()
    assert np.array_equal(b.layer.data, labels)
    b.layer.undo()
    assert np.array_equal(b.layer.data, b.prediction.data)


def test_another_image_has_an_annotation_of_its_own(bench):
    b = bench().begin()
    first = b.layer
    b.stroke((50, 50))
    other = add_image(b.viewer, DEEP, "other", "/data/other.tif")
    b.viewer.layers.selection.active = other
    assert b.dock.pages.currentIndex() == 0
    assert b.layer is None
    b.dock.beginning.start.click()
    assert b.layer is not first
    assert b.layer.data.shape == DEEP.shape
    assert len(b.session.annotations) == 2
    b.viewer.layers.selection.active = b.image
    assert b.layer is first
    b.dock.undo.click()
    assert np.array_equal(first.data, b.prediction.data)
    assert "Shift-F" not in b.viewer.layers[-1].keymap


def test_keys_are_bound_only_while_the_dock_is_open(bench, qtbot):
    b = bench().begin()
    layer = b.layer
    assert layer.keymap
    b.dock.deleteLater()
    qtbot.waitUntil(lambda: not layer.keymap)
    b.viewer.dims.ndisplay = 3
    b.viewer.layers.remove(layer)


def test_in_512_cubed_a_stroke_touches_only_its_neighbourhood(bench):
    b = bench(DEEP, predict=False)
    b.viewer.layers.clear()
    b.viewer.add_image(np.broadcast_to(np.float32(0), (512,) * 3), contrast_limits=(0, 1))
    b.begin()
    b.layer.brush_size = 20
    edits = []
    b.state.edited.connect(edits.append)
    b.stroke((256, 200, 90), (256, 200, 99))  # makes room, all at once, for what a person said
    tracemalloc.start()
    try:
        for i in range(6):
            b.stroke((256, 200, 100 + i), (256, 200, 140 + i), value=1 + i % 2)
        b.layer.undo()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 512**3 / 8  # a mask of the whole volume would take eight times as much
    b.dock.counting.toggle_slice()
    b.layer.undo()
    assert 0 < sum(edit.nbytes for edit in edits) < 2_000_000


# -- recovery ---------------------------------------------------------------------------------------


def crash(b):
    """End as a crash does: what is on the disk stays, nobody holds it any more."""
    b.state.autosave.flush()
    b.state.autosave._journal._lock.release()


def test_after_a_crash_everything_is_offered_and_restored(bench):
    b = bench(DEEP).begin()
    b.stroke((3, 30, 30), value=2)
    b.viewer.dims.set_point(0, 5.0)
    b.key("Shift-F")
    crash(b)
    again = bench(DEEP)
    bar = again.dock.recovery
    assert bar.isVisibleTo(again.dock)
    assert "2 edits" in bar.found.text()
    bar.restore.click()
    assert not bar.isVisibleTo(again.dock)
    assert np.array_equal(again.state.labels, b.state.labels)
    assert again.state.describe() == b.state.describe()
    assert again.state.n_corrections == 1
    again.stroke((1, 5, 5))
    again.state.autosave.close()
    assert len(journals_of("/data/image.tif")) == 1


def test_what_a_crash_left_can_be_discarded(bench):
    b = bench().begin()
    b.stroke((30, 30))
    crash(b)
    again = bench()
    again.dock.recovery.discard.click()
    assert not again.dock.recovery.isVisibleTo(again.dock)
    assert journals_of("/data/image.tif") == []


def test_a_full_disk_is_told_in_the_dock_and_work_goes_on(bench, tmp_path, monkeypatch, qtbot):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "file"))
    b = bench().begin()
    qtbot.waitUntil(lambda: "recovery copy" in b.dock.error.sentence.text())
    assert b.dock.error.isVisibleTo(b.dock)
    b.stroke((30, 30))
    assert b.state.n_corrections == 1


def test_two_docks_share_one_annotation(bench):
    b = bench().begin()
    second = CorrectDock(b.viewer, b.session, embedded=True)
    assert second.annotator.layer is b.layer
    b.stroke((30, 30))
    assert second.undo.full == b.dock.undo.full == "Undo brush"
    assert sum(isinstance(o, AnnotationLabels) for o in b.viewer.layers) == 1
    second.deleteLater()
