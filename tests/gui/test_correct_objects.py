"""Numbered objects in the Correct dock: every key, clicks in slices and in 3-D, locks under the brush."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from napari.utils.interactions import mouse_press_callbacks

from napari_apprentice.widgets._objects import KEYS

from ._correct_bench import CLASSES, DEEP, FLAT, Bench


@pytest.fixture
def bench(make_napari_viewer, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))
    made = []

    def build(grid, labels):
        made.append(Bench(make_napari_viewer(), grid, labels, CLASSES[:1]).begin())
        return made[-1]

    yield build
    for one in made:
        for state in one.session.annotations.values():
            state.autosave.close()


def flat_labels():
    """Object 40: a disk; 41: a square with a hole and a speck; 70 000: a dot."""
    labels = np.zeros(FLAT.shape, np.uint32)
    y, x = np.ogrid[:60, :80]
    labels[(y - 30) ** 2 + (x - 30) ** 2 < 81] = 40
    labels[10:20, 50:60], labels[14, 54], labels[50, 70] = 41, 0, 41
    labels[55, 5] = 70_000
    return labels


def click(bench, voxel, direction=None):
    """Press the mouse on a voxel of the annotation, as the canvas tells the layer."""
    layer, dims = bench.layer, bench.viewer.dims
    event = SimpleNamespace(
        position=layer.data_to_world(voxel),
        view_direction=direction,
        dims_displayed=list(dims.displayed),
        dims_point=list(dims.point),
        type="mouse_press",
        is_dragging=False,
        modifiers=[],
        button=1,
        pos=np.zeros(2),
    )
    mouse_press_callbacks(layer, event)


def test_the_brush_reaches_through_slices_in_the_3d_view_and_says_where_nothing_is_labelled(
    bench, monkeypatch
):
    labels = np.zeros(DEEP.shape, np.uint32)
    labels[1:5, 10:30, 10:40] = 3
    b = bench(DEEP, labels)
    told = []
    monkeypatch.setattr("napari_apprentice.widgets.annotating.show_info", told.append)
    b.layer.mode, b.layer.selected_label, b.layer.brush_size = "paint", 7, 9
    b.viewer.dims.ndisplay = 3
    assert b.layer.n_edit_dimensions == 3
    assert not b.dock.tools.volume.isEnabled()
    assert "3-D view" in b.dock.tools.volume.toolTip()
    click(b, (5, 5, 5), (-1.0, 0.0, 0.0))
    assert "Show slices" in told[0]
    assert not (b.state.labels == 7).any()
    click(b, (5, 20, 25), (-1.0, 0.0, 0.0))
    assert len(told) == 1
    assert len(np.unique(np.nonzero(b.state.labels == 7)[0])) > 1
    b.viewer.dims.ndisplay = 2
    assert b.layer.n_edit_dimensions == 2
    assert b.dock.tools.volume.isEnabled()
    click(b, (0, 5, 5))
    assert len(told) == 1
    assert b.state.labels[0, 5, 5] == 7


def test_every_tool_by_its_key_and_all_of_it_undone(bench, idle):
    labels = flat_labels()
    b = bench(FLAT, labels)
    objects, state, layer = b.dock.objects, b.state, b.layer
    b.key("Shift-Right")
    assert layer.selected_label == 40
    assert np.allclose(b.viewer.scene.camera.center[-2:], (15, 15), atol=0.6)
    b.key("Shift-X")
    click(b, (30, 25))
    assert objects.buttons["Shift+X"].full == "Click the other side"
    click(b, (30, 36))
    assert state.labels[30, 25] == 40
    assert state.labels[30, 36] == 70_001
    b.key("Shift-Right")
    assert layer.selected_label == 41
    b.key("Shift-H")
    assert state.labels[14, 54] == 41
    b.key("Shift-G")
    assert state.labels[50, 70] == 0
    b.key("Shift-J")
    click(b, (30, 36))
    assert state.labels[30, 36] == 41
    assert layer.selected_label == 41
    assert objects.smallest.suffix() == " µm²"
    objects.smallest.setValue(0.5)
    b.key("Shift-M")
    assert not (state.labels == 70_000).any()
    b.key("Shift-R")
    idle(b.session)
    assert set(np.unique(state.labels)) == {0, 1, 2}
    b.key("Shift-Left")
    b.key("Shift-D")
    b.key("Shift-D")
    assert "no object" in b.dock.error.sentence.text()
    while state.can_undo:
        layer.undo()
    assert np.array_equal(state.labels, labels)


def test_a_locked_object_withstands_brush_fill_and_other_plugins(bench):
    b = bench(FLAT, flat_labels())
    layer, objects = b.layer, b.dock.objects
    layer.selected_label = 40
    b.key("Shift-K")
    assert objects.title.text() == "Object 40 · locked"
    assert not objects.buttons["Shift+D"].isEnabled()
    assert "locked" in objects.buttons["Shift+D"].toolTip()
    before = layer.data.copy()
    layer.brush_size = 9
    b.stroke((30, 30), (30, 41), value=41)
    layer.paint((30, 20), 41)
    layer.fill((30, 30), 41)
    layer.paint_polygon([(25, 25), (25, 45), (35, 45), (35, 25)], 41)
    layer.data_setitem((np.array([30, 1]), np.array([30, 1])), 41)
    layer.data_setitem((np.array([2]), np.array([2])), 40)
    assert np.array_equal(layer.data == 40, before == 40)
    assert np.array_equal(layer._slice.image.raw == 40, before == 40)
    assert layer.data[30, 43] == layer.data[1, 1] == 41
    b.key("Shift-D")
    assert "locked" in b.dock.error.sentence.text()
    b.key("Shift-Right")
    b.key("Shift-Right")
    b.key("Shift-Right")
    assert layer.selected_label == 41  # past the locked one
    layer.selected_label = 40
    b.key("Shift-K")
    b.key("Shift-D")
    assert not (layer.data == 40).any()


def test_clicks_reach_objects_in_slices_and_in_the_3d_view(bench):
    labels = np.zeros(DEEP.shape, np.uint32)
    labels[1:5, 10:20, 8:40] = 300
    b = bench(DEEP, labels)
    b.key("Shift-Right")
    assert b.layer.selected_label == 300
    assert b.viewer.dims.current_step[0] in (2, 3)
    b.viewer.dims.ndisplay = 3
    b.key("Shift-X")
    looking = np.array([1.0, 0.0, 0.0])
    click(b, (0, 30, 45), looking)  # beside every object: waits on
    click(b, (0, 15, 12), looking)
    click(b, (0, 15, 36), looking)
    assert (b.state.labels[1:5, 10:20, 8:22] == 300).all()
    assert (b.state.labels[1:5, 10:20, 26:40] == 301).all()


def deep_labels():
    """Touching in a volume of thick slices: 7 two cubes side by side; 8 with a hollow; 9 beside it; 12 a speck."""
    labels = np.zeros(DEEP.shape, np.uint32)
    labels[1:5, 4:14, 4:26] = 7
    labels[1:5, 20:32, 10:22], labels[2:4, 24:28, 14:18] = 8, 0
    labels[1:5, 20:32, 22:34] = 9
    labels[0, 2, 45] = 12
    return labels


def test_every_tool_in_a_volume_by_its_key_and_all_of_it_undone(bench, qtbot):
    labels = deep_labels()
    b = bench(DEEP, labels)
    state, objects = b.state, b.dock.objects
    b.viewer.dims.set_point(0, b.layer.data_to_world((3, 0, 0))[0])
    b.key("Shift-L")
    (line,) = (o for o in b.viewer.layers if o.name == "draw a line")
    line.add_lines(np.array([[3, 2, 15], [3, 16, 15]]))
    qtbot.waitUntil(lambda: state.can_undo, timeout=2_000)
    assert {len(np.unique(state.labels[z, 4:14, 4:26])) for z in range(1, 5)} == {
        2
    }  # through all slices
    b.layer.selected_label = 8
    b.key("Shift-H")
    assert (state.labels[2:4, 24:28, 14:18] == 8).all()
    b.key("Shift-J")
    b.layer.selected_label = 9  # as the picker does
    assert (state.labels[1:5, 20:32, 22:34] == 8).all()
    assert objects.smallest.suffix() == " µm³"
    b.key("Shift-M")
    assert not (state.labels == 12).any()
    b.key("Shift-K")
    b.key("Shift-D")
    assert "locked" in b.dock.error.sentence.text()
    b.key("Shift-Left")
    assert b.layer.selected_label == 7
    assert b.viewer.dims.current_step[0] in (2, 3)
    b.key("Shift-D")
    assert not (state.labels == 7).any()
    b.viewer.dims.ndisplay = 3
    b.key("Shift-L")
    assert "Show slices first" in b.dock.error.sentence.text()
    while state.can_undo:
        b.layer.undo()
    assert np.array_equal(state.labels, labels)


def test_add_by_click_is_offered_as_soon_as_a_model_that_finds_objects_is_chosen(bench):
    b = bench(FLAT, flat_labels())
    button = b.dock.objects.buttons["Shift+A"]
    b.session.use_model("nuclei-centres")
    assert not button.isEnabled()
    assert "nuclei-centres finds no objects" in button.toolTip()
    b.session.use_model("nuclei")
    assert button.isEnabled()


def test_waiting_for_clicks_can_be_given_up(bench):
    b = bench(FLAT, flat_labels())
    split = b.dock.objects.buttons["Shift+X"]
    b.layer.selected_label = 40
    for again in ("Shift-X", "Shift-J", "Shift-Right"):
        b.key("Shift-X")
        assert split.isChecked()
        b.key(again)
        assert not split.isChecked()
        b.dock.objects._give_up()
    click(b, (30, 25))
    click(b, (30, 36))
    assert not b.state.can_undo


def test_keys_are_listed_in_the_tooltips(bench):
    b = bench(FLAT, flat_labels())
    b.layer.selected_label = 40
    for key, button in b.dock.objects.buttons.items():
        assert key in KEYS
        assert f"({key})" in button.toolTip() or not button.isEnabled()
