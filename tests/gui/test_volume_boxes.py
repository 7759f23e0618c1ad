"""Boxes of a volume in the real viewer: a rectangle per slice, from which slice to which, all of it undone and kept."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Shapes

from napari_apprentice.core.detections import Detections
from napari_apprentice.session.autosave import restorable, restore
from napari_apprentice.session.identity import identity
from napari_apprentice.session.material import state_items
from napari_apprentice.widgets._evaluated_places import truth_and_answer
from napari_apprentice.widgets._evaluated_sources import FOLDERS, Sources

from ._correct_bench import DEEP
from .test_points import home, make_bench  # noqa: F401 - fixtures

pytestmark = pytest.mark.gui


def deep() -> Detections:
    """Slices 1 … 3, none quite (the nearest is 4), and 0 … 1."""
    centres = [(2.0, 10.0, 10.0), (3.6, 30.0, 20.0), (0.0, 20.0, 40.0)]
    sizes = [(3.0, 8.0, 6.0), (0.4, 4.0, 4.0), (2.5, 5.0, 5.0)]
    return Detections.of(centres, sizes, [1, 2, 1], [0.9, 0.6, 0.35])


def rectangle(index, low, high):
    corners = (low, (low[0], high[1]), high, (high[0], low[1]))
    return np.array([(index, *one) for one in corners], float)


@pytest.fixture
def bench(make_bench):  # noqa: F811
    """Boxes of a volume in hand, slice 2 on show; slices are four times as thick as voxels are wide."""
    one = make_bench(DEEP)
    one.predict(deep())
    go_to(one, 2)
    one.dock.beginning.correct.click()
    one.page.as_boxes.click()
    assert isinstance(one.layer, Shapes)
    return one


def go_to(bench, index, axis=0):
    bench.viewer.dims.set_point(axis, (5.0 + 2.0 * index) if axis == 0 else 0.5 * index)


def heights(bench):
    """Slice in which each rectangle stands."""
    return [float(one[0, 0]) for one in bench.layer.data]


def test_each_slice_shows_a_rectangle_of_each_box_that_passes_through(bench):
    seen = {}
    for index in range(6):
        go_to(bench, index)
        seen[index] = bench.layer.rows_seen.tolist()
        assert heights(bench) == [index] * len(seen[index])
        assert f"{len(seen[index])} in this slice" in bench.page.count.text()
    assert seen == {0: [2], 1: [0, 2], 2: [0], 3: [0], 4: [1], 5: []}
    assert not bench.state.can_undo
    assert "3 boxes" in bench.page.count.text()


def test_a_rectangle_that_is_dragged_changes_its_box_in_all_slices(bench):
    layer, state = bench.layer, bench.state
    go_to(bench, 1)
    layer.data = [rectangle(1, (6, 7), (20, 13)), layer.data[1]]
    assert state.places.centres[0].tolist() == [2, 13, 10]
    assert state.places.sizes[0].tolist() == [3, 14, 6]
    assert state.places.scores.tolist() == pytest.approx([1.0, 0.6, 0.35])
    go_to(bench, 3)
    np.testing.assert_allclose(layer.data[0], rectangle(3, (6, 7), (20, 13)))
    bench.page.undo.click()
    np.testing.assert_allclose(layer.data[0], rectangle(3, (6, 7), (14, 13)))
    np.testing.assert_array_equal(state.places.sizes, deep().sizes)


def test_a_new_box_has_the_usual_depth_and_the_slice_in_its_middle(bench):
    layer, places = bench.layer, lambda: bench.state.places
    bench.page.pick(2)
    layer.add_rectangles(rectangle(2, (25, 25), (31, 29)))
    assert places().sizes[-1].tolist() == [2, 6, 4]  # the median of 3, 0.4 and 2.5, in whole slices
    assert places().centres[-1].tolist() == [2.5, 28, 27]
    assert (places().kinds[-1], places().scores[-1]) == (2, 1.0)
    bench.state.set_places(Detections.none(3), "Delete all")
    assert len(layer.data) == 0
    layer.add_rectangles(rectangle(2, (10, 10), (24, 20)))
    assert places().sizes.tolist() == [[3, 14, 10]]  # 12 voxels of 0.5 µm are 3 slices of 2 µm
    assert places().centres.tolist() == [[2, 17, 15]]


def test_a_box_is_told_where_it_begins_and_ends(bench):
    layer, state, row = bench.layer, bench.state, bench.page.slices
    assert not row.begins.isEnabled()
    assert "Select a box first" in row.begins.toolTip()
    layer.selected_data = {0}
    assert (row.first.value(), row.last.value()) == (1, 3)
    row.last.setValue(4)
    assert (state.places.centres[0].tolist(), state.places.sizes[0, 0]) == ([2.5, 10, 10], 4.0)
    go_to(bench, 5)
    assert layer.held == (0,)  # in hand still, though it has no rectangle here
    row.ends.click()
    assert heights(bench) == [5]
    assert set(layer.selected_data) == {0}
    assert state.places.sizes[0, 0] == 5.0
    go_to(bench, 2)
    row.begins.click()
    assert (row.first.value(), row.last.value()) == (2, 5)
    assert bench.page.undo.full == "Undo change slices"
    for _ in range(3):
        bench.page.undo.click()
    np.testing.assert_array_equal(state.places.sizes, deep().sizes)
    assert layer.held == (0,)
    assert state.places.scores.tolist() == pytest.approx([0.9, 0.6, 0.35])


def test_deleting_a_rectangle_deletes_the_box_and_undo_brings_it_back(bench):
    layer, state = bench.layer, bench.state
    layer.selected_data = {0}
    layer.remove_selected()
    assert state.places.centres[:, 0].tolist() == [3.6, 0.0]
    assert (len(layer.data), layer.held) == (0, ())
    go_to(bench, 1)
    assert layer.rows_seen.tolist() == [1]
    bench.page.undo.click()
    assert len(layer.data) == 2
    np.testing.assert_array_equal(state.places.centres, deep().centres)


def test_class_and_score_are_of_boxes_in_any_slice(bench):
    layer, state = bench.layer, bench.state
    go_to(bench, 1)
    bench.page.threshold.setValue(50)
    assert (layer.edge_color[:, 3] > 0).tolist() == [True, False]
    layer.selected_data = {0}
    bench.page.pick(2)
    assert state.places.kinds.tolist() == [2, 2, 1]
    bench.page.delete.click()
    assert state.places.centres[:, 0].tolist() == [2.0, 3.6]


def test_another_plane_shows_and_changes_the_same_boxes(bench):
    layer = bench.layer
    bench.viewer.dims.order = (1, 0, 2)
    go_to(bench, 10, axis=1)
    assert layer.rows_seen.tolist() == [0]
    assert "(Y)" in bench.page.slices.title.text()
    corners = np.asarray(layer.data[0]).copy()
    corners[corners[:, 0] == corners[:, 0].max(), 0] += 1
    layer.data = [corners]
    assert bench.state.places.sizes[0].tolist() == [4, 8, 6]


def test_the_3d_view_shows_whole_boxes_and_changes_none(bench, qtbot):
    bench.viewer.dims.ndisplay = 3
    assert len(bench.layer.data) == 4 * 3
    ends = np.concatenate(bench.layer.data[:4])
    assert (ends.min(axis=0).tolist(), ends.max(axis=0).tolist()) == ([0.5, 6, 7], [3.5, 14, 13])
    bench.layer.remove([0])
    assert "3-D view" in bench.page.error.sentence.text()
    qtbot.waitUntil(lambda: len(bench.layer.data) == 4 * 3)
    bench.viewer.dims.ndisplay = 2
    assert heights(bench) == [2]
    assert not bench.state.can_undo


def test_what_is_refused_leaves_the_boxes_as_they_were(bench, qtbot):
    bench.layer.add_rectangles(rectangle(2, (-30, 5), (-10, 20)))
    assert "1 beyond it" in bench.page.error.sentence.text()
    qtbot.waitUntil(lambda: len(bench.layer.data) == 1)
    bench.layer.add_rectangles(rectangle(2, (5, 5), (5.2, 20)))
    assert "1 without" in bench.page.error.sentence.text()
    qtbot.waitUntil(lambda: len(bench.layer.data) == 1)
    assert not bench.state.can_undo


def test_learning_evaluating_saving_and_the_journal_see_all_boxes(bench):
    bench.layer.selected_data = {0}
    bench.page.slices.last.setValue(5)
    bench.page.whole.click()
    (item,) = state_items(bench.session.annotations, bench.session.volumes, {}).values()
    assert item.annotation.detections.sizes[:, 0].tolist() == [5.0, 0.4, 2.5]
    truth, _ = truth_and_answer(bench.layer, bench.layer)
    np.testing.assert_array_equal(truth.detections.sizes, bench.state.places.sizes)
    data, kwargs, kind = bench.layer.as_layer_data_tuple()
    again = Shapes(data, **kwargs)
    assert (kind, [float(one[0, 0]) for one in again.data]) == ("shapes", [1, 2, 3, 4, 5, 4, 0, 1])
    bench.state.autosave.close()
    state = restore(restorable(identity(bench.session.volume, None), DEEP).folder)
    np.testing.assert_array_equal(state.places.sizes, bench.state.places.sizes)


def test_evaluate_proposes_points_and_boxes_where_there_is_nothing_else(bench, qtbot):
    sources = Sources(bench.viewer)
    qtbot.addWidget(sources)
    sources.set_layers()
    assert sources.task.currentData() == "detection"
    assert sources.layer(sources.truth_layer) is not sources.layer(sources.prediction_layer)
    listed = [sources.prediction_layer.itemText(n) for n in range(sources.prediction_layer.count())]
    assert sorted(listed) == ["image ▸ boxes", "image ▸ points", "image ▸ spots"]
    assert any(one.name == "image ▸ spots · boxes" for one in bench.viewer.layers)


def test_in_folders_the_task_is_what_the_person_chose(bench, qtbot):
    sources = Sources(bench.viewer)
    qtbot.addWidget(sources)
    sources.mode.setCurrentIndex(sources.mode.findData(FOLDERS))
    sources.task.setCurrentIndex(sources.task.findData("semantic"))
    sources.set_layers()  # as when a case is opened
    assert sources.task.currentData() == "semantic"


def test_a_box_that_is_not_finished_when_the_slice_changes_is_told(bench):
    go_to(bench, 1)
    assert bench.page.error.sentence.text() == ""
    with bench.layer.events.data.blocker():  # napari tells of it when the mouse is released
        bench.layer.add_rectangles(rectangle(1, (25, 25), (31, 29)))
    go_to(bench, 2)
    assert "draw it in one slice" in bench.page.error.sentence.text()
    assert heights(bench) == [2]
    assert not bench.state.can_undo


def test_what_counts_is_how_many_boxes_a_slice_has(make_bench):  # noqa: F811
    one = make_bench(DEEP)
    rows = np.arange(600)
    places = np.column_stack([rows % 6, 1 + rows // 6 % 38, rows // 20])
    one.predict(Detections.of(places, np.full((600, 3), 0.9)))
    one.dock.beginning.correct.click()
    assert one.pointing.no_boxes() is None
    one.state.set_places(Detections.of(places * [0, 1, 1], np.full((600, 3), 0.9)), "Flatten")
    assert "600 boxes in a slice" in one.pointing.no_boxes()
