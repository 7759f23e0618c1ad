"""Points in the real viewer: predicted, corrected with napari's own tools, undone, finished, kept over a crash."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Points, Shapes
from tests._small import make_spec

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.session.autosave import restorable, restore
from napari_apprentice.session.identity import identity
from napari_apprentice.session.material import state_items
from napari_apprentice.session.session import Predicted
from napari_apprentice.widgets import _places
from napari_apprentice.widgets import layers as adapt
from napari_apprentice.widgets._session import session_for
from napari_apprentice.widgets.correct import CorrectDock

from ._correct_bench import DEEP, FLAT, add_image

pytestmark = pytest.mark.gui
CLASSES = (LabelClass(1, "cell"), LabelClass(2, "dividing cell"))


def found(ndim=2):
    places = [(4, 10, 10), (2, 30, 20), (1, 25, 40)]
    return Detections.of(
        np.array(places, float)[:, 3 - ndim :],
        np.full((3, ndim), 8.0),
        [1, 2, 1],
        [0.9, 0.6, 0.35],
    )


class Bench:
    def __init__(self, viewer, grid=FLAT):
        self.viewer, self.grid = viewer, grid
        self.image = add_image(viewer, grid)
        self.session = session_for(viewer)
        self.dock = CorrectDock(viewer)
        self.page, self.pointing = self.dock.points, self.dock.annotator.pointing

    def predict(self, places=None):
        places = found(self.grid.ndim) if places is None else places
        said = Prediction(self.grid, classes=CLASSES, detections=places)
        volume = self.session.volume
        self.session.predicted.emit(Predicted(self.session.key, volume, said, "image ▸ spots"))
        return self

    def begin(self):
        self.predict()
        assert self.dock.beginning.correct.isEnabled()
        self.dock.beginning.correct.click()
        return self

    @property
    def layer(self):
        return self.pointing.layer

    @property
    def state(self):
        return self.pointing.state


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Journals of one test are not seen by another."""
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "home"))


@pytest.fixture
def make_bench(make_napari_viewer):
    """Benches whose journals are closed with the test."""
    made = []

    def make(grid=FLAT):
        made.append(Bench(make_napari_viewer(), grid))
        return made[-1]

    yield make
    for one in made:
        for state in one.session.annotations.values():
            state.autosave.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


def test_a_prediction_shows_points_and_boxes_in_the_place_of_the_image(bench):
    bench.predict()
    points = next(o for o in bench.viewer.layers if type(o) is Points)
    boxes = next(o for o in bench.viewer.layers if isinstance(o, Shapes))
    np.testing.assert_allclose(points.scale, bench.image.scale)
    np.testing.assert_allclose(boxes.scale, bench.image.scale)
    assert list(points.features["class"]) == ["cell", "dividing cell", "cell"]
    assert points.features["score"].tolist() == pytest.approx([0.9, 0.6, 0.35])
    colors = {tuple(np.round(c, 2)) for c in points.face_color}
    assert len(colors) == 2
    corners = np.asarray(boxes.data[0])
    assert (corners.min(axis=0).tolist(), corners.max(axis=0).tolist()) == ([6, 6], [14, 14])
    assert bench.session.key is not None  # a click on a result does not lose the image
    assert bench.session.volume is not None


def test_boxes_in_a_volume_are_shown_in_every_slice_that_they_pass_through(make_bench):
    bench = make_bench(DEEP)
    deep = Detections.of(
        [(2.0, 10.0, 10.0), (3.5, 30.0, 20.0), (0.0, 20.0, 40.0)],
        [(3.0, 8.0, 6.0), (0.4, 4.0, 4.0), (2.5, 5.0, 5.0)],
    )
    bench.predict(deep)
    boxes = next(o for o in bench.viewer.layers if isinstance(o, Shapes))
    np.testing.assert_allclose(boxes.scale, bench.image.scale)
    assert [float(one[0, 0]) for one in boxes.data] == [1, 2, 3, 4, 0, 1]
    assert all(len(set(one[:, 0])) == 1 for one in boxes.data)
    np.testing.assert_allclose(boxes.data[1][:, 1:].min(axis=0), (6, 7))
    np.testing.assert_allclose(boxes.data[1][:, 1:].max(axis=0), (14, 13))
    assert boxes.features["class"].tolist() == ["cell"] * 6
    bench.dock.beginning.correct.click()
    assert isinstance(bench.layer, Points)
    np.testing.assert_allclose(bench.state.places.sizes, deep.sizes)


def test_of_too_many_rectangles_those_around_the_middle_of_each_box_are_shown(
    make_bench, monkeypatch
):
    bench = make_bench(DEEP)
    deep = Detections.of(
        [(2.0, 10.0, 10.0), (4.0, 30.0, 20.0), (0.0, 20.0, 40.0)],
        [(4.0, 8.0, 6.0), (2.5, 4.0, 4.0), (5.0, 5.0, 5.0)],
    )
    monkeypatch.setattr(_places, "MOST_BOXES", 6)
    bench.predict(deep)
    boxes = next(o for o in bench.viewer.layers if isinstance(o, Shapes))
    assert boxes.name == "image ▸ spots · boxes, 2 slices of each"
    assert [float(one[0, 0]) for one in boxes.data] == [2, 3, 4, 5, 0, 1]
    assert bench.session.remark == (
        "Each box is drawn in 2 slices around its middle: napari draws no more at once. "
        "Correct shows all of them, slice by slice."
    )
    monkeypatch.setattr(_places, "MOST_BOXES", 2)
    bench.predict(deep)
    assert len([o for o in bench.viewer.layers if isinstance(o, Shapes)]) == 1
    assert bench.session.remark.startswith("3 boxes are more than napari draws at once: points")
    monkeypatch.setattr(_places, "MOST_BOXES", 500)
    bench.predict(deep)
    assert bench.session.remark == ""


def test_no_objects_and_many_are_shown_too(bench):
    bench.predict(Detections.none(2))
    many = np.random.default_rng(0).uniform(0, 50, (800, 2))
    bench.predict(Detections.of(many, np.full((800, 2), 3.0)))
    sizes = [len(o.data) for o in bench.viewer.layers if type(o) is Points]
    assert sizes == [0, 800]
    assert not any(isinstance(o, Shapes) for o in bench.viewer.layers)
    assert bench.session.remark == (
        "800 boxes are more than napari draws at once: points stand for them."
    )


def test_points_are_added_moved_and_deleted_and_all_can_be_undone(bench):
    bench.begin()
    layer, state = bench.layer, bench.state
    assert (len(layer.data), state.kind, state.n_corrections) == (3, "places", 0)
    assert bench.dock.pages.currentWidget() is bench.page
    layer.add([5.0, 50.0])
    assert state.places.centres[-1].tolist() == [5.0, 50.0]
    assert state.places.scores[-1] == 1.0
    layer.selected_data = {0}
    layer._set_drag_start({0}, (10.0, 10.0))
    layer._move({0}, (12.0, 14.0))
    layer._drag_start = None
    assert state.places.scores[0] == 1.0
    layer.selected_data = {1}
    layer.remove_selected()
    assert len(state.places) == 3
    assert state.n_corrections == 3
    for count in (4, 4, 3):
        bench.page.undo.click()
        assert len(layer.data) == len(state.places) == count
    assert layer.features["score"].tolist() == pytest.approx([0.9, 0.6, 0.35])
    np.testing.assert_allclose(layer.data, found().centres)
    assert not bench.page.undo.isEnabled()
    bench.page.redo.click()
    assert len(layer.data) == 4


def test_a_person_is_sure_of_new_and_moved_points_whatever_was_selected(bench):
    bench.begin()
    layer, state = bench.layer, bench.state
    layer.selected_data = {2}  # napari gives new points the features of the selected one
    layer.add([5.0, 50.0])
    assert (state.places.scores[-1], state.places.are_boxes[-1]) == (1.0, False)
    layer.selected_data = {2}
    layer._set_drag_start({2}, (25.0, 40.0))
    layer._move({2}, (26.0, 41.0))
    layer._drag_start = None
    layer.add([6.0, 60.0])
    assert state.places.scores.tolist() == pytest.approx([0.9, 0.6, 1.0, 1.0, 1.0])
    assert layer.features["score"].tolist() == pytest.approx([0.9, 0.6, 1.0, 1.0, 1.0])


def test_points_beyond_the_image_are_refused(bench, qtbot):
    bench.begin()
    bench.layer.add([-20.0, 10.0])
    assert "1 beyond it" in bench.page.error.sentence.text()
    qtbot.waitUntil(lambda: len(bench.layer.data) == 3)
    assert not bench.state.can_undo
    bench.layer.add([20.0, 10.0])
    assert not bench.page.error.isVisibleTo(bench.page)


def test_new_points_and_selected_ones_take_the_class_in_hand(bench):
    bench.begin()
    bench.page.pick(2)
    bench.layer.add([5.0, 50.0])
    assert bench.state.places.kinds[-1] == 2
    bench.layer.selected_data = {0}
    bench.page.pick(2)
    assert bench.state.places.kinds.tolist() == [2, 2, 1, 2]
    assert np.allclose(bench.layer.face_color[0], bench.layer.face_color[1])
    bench.page.classes.added.emit("debris")
    assert [c.name for c in bench.state.classes][-1] == "debris"


def test_doubtful_points_are_hidden_and_deleted_by_the_slider(bench):
    bench.begin()
    bench.page.threshold.setValue(50)
    # napari shows what is not `shown` in 2-D, so that they get no size.
    assert (bench.layer.size > 0).tolist() == [True, True, False]
    bench.layer.add([5.0, 50.0])
    assert (bench.layer.size > 0).tolist() == [True, True, False, True]
    bench.page.undo.click()
    assert (bench.layer.size > 0).tolist() == [True, True, False]
    assert len(bench.state.places) == 3
    assert bench.page.delete.isEnabled()
    bench.page.delete.click()
    assert len(bench.layer.data) == len(bench.state.places) == 2
    assert not bench.page.delete.isEnabled()
    bench.page.undo.click()
    assert len(bench.layer.data) == 3


def test_what_is_finished_is_what_is_learned_from(bench):
    bench.begin()
    assert bench.session.material().problem is not None
    bench.page.whole.click()
    material = bench.session.material()
    assert material.problem is None
    assert list(bench.session.tasks()) == ["detection"]
    assert bench.session.start_problem(None) is None
    items = state_items(bench.session.annotations, bench.session.volumes, {})
    (item,) = items.values()
    assert item.annotation.extent.whole
    np.testing.assert_allclose(item.annotation.detections.centres, found().centres)
    np.testing.assert_allclose(item.annotation.detections.sizes, 8.0)


def test_slices_of_a_volume_are_finished_one_by_one(make_bench):
    bench = make_bench(DEEP).begin()
    assert bench.layer.projection_mode == "rescale_spherical"  # in thick slices as large as the cut
    bench.viewer.dims.set_point(0, 5.0 + 2.0 * 3)
    assert (
        len(bench.layer._view_indices) == 2
    )  # those of slices 4 and 2: one can tell they are marked
    assert bench.image.projection_mode == "none"  # the image is as thin as it was
    bench.image.projection_mode = "max"
    mine, later = bench.layer, bench.viewer.add_image(np.zeros(DEEP.shape))
    assert (bench.image.projection_mode, later.projection_mode) == ("max", "none")
    bench.viewer.layers.selection.active = mine
    bench.viewer.dims.set_point(0, 5.0 + 2.0 * 2)
    bench.page.slice.click()
    assert bench.state.extent.slices == ((0, 2),)
    bench.page.slice.click()
    assert bench.state.extent.is_empty


def rectangle(low, high):
    return np.array([low, (low[0], high[1]), high, (high[0], low[1])], float)


def test_boxes_are_drawn_moved_and_deleted_and_all_can_be_undone(bench):
    bench.begin()
    bench.page.as_boxes.click()
    layer, state = bench.layer, bench.state
    assert isinstance(layer, Shapes)
    assert [o.name for o in bench.viewer.layers if o.visible] == ["image", "image ▸ boxes"]
    assert len(layer.data) == 3
    layer.add_rectangles(rectangle((4.5, 49.5), (9.5, 59.5)))
    assert state.places.centres[-1].tolist() == [7.0, 54.5]
    assert state.places.sizes[-1].tolist() == [5.0, 10.0]
    assert state.places.scores.tolist() == pytest.approx([0.9, 0.6, 0.35, 1.0])
    layer.data = [rectangle((6, 6), (20, 14)), *layer.data[1:]]
    assert state.places.sizes[0].tolist() == [14.0, 8.0]
    layer.selected_data = {1}
    layer.remove_selected()
    assert state.places.kinds.tolist() == [1, 1, 1]
    assert [bench.page.undo.full] == ["Undo delete boxes"]
    for count in (4, 4, 3):
        bench.page.undo.click()
        assert len(layer.data) == len(state.places) == count
    np.testing.assert_allclose(state.places.sizes, 8.0)
    np.testing.assert_allclose(layer.data[0], rectangle((6, 6), (14, 14)))


def test_points_and_boxes_are_two_views_of_the_same(bench):
    bench.begin()
    bench.layer.add([5.0, 50.0])
    bench.page.as_boxes.click()
    assert len(bench.layer.data) == 3
    assert "1 without a box" in bench.page.count.text()
    bench.layer.selected_data = {0}
    bench.layer.remove_selected()
    bench.page.as_points.click()
    assert type(bench.layer).__name__ == "Points"
    assert len(bench.layer.data) == len(bench.state.places) == 3
    bench.page.undo.click()
    assert len(bench.layer.data) == 4
    bench.page.as_boxes.click()
    assert len(bench.layer.data) == 3


def test_what_is_saved_of_a_hidden_layer_is_what_there_is_now(bench, tmp_path):
    bench.begin()
    points = bench.layer
    bench.page.as_boxes.click()
    bench.layer.add_rectangles(rectangle((4.5, 49.5), (9.5, 59.5)))
    assert not points.visible
    points.save(str(tmp_path / "points.csv"))
    rows = (tmp_path / "points.csv").read_text().splitlines()
    assert rows[0] == "index,axis-0,axis-1,class,score,size-0,size-1"
    assert [row.split(",")[1:3] for row in rows[1:]][-1] == ["7.0", "54.5"]
    boxes = bench.layer
    bench.page.as_points.click()
    bench.layer.selected_data = {0}
    bench.layer.remove_selected()
    data, kwargs, kind = boxes.as_layer_data_tuple()
    assert (kind, kwargs["name"], kwargs["visible"]) == ("shapes", "image ▸ boxes", False)
    assert len(Shapes(data, **kwargs).data) == 3


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [
        ((5, 5), (5, 20), "1 without"),
        ((5, 5), (5.2, 5.2), "1 without"),
        ((-30, 5), (-10, 20), "1 beyond it"),
    ],
)
def test_boxes_without_an_extent_or_beyond_the_image_are_refused(bench, qtbot, low, high, word):
    bench.begin()
    bench.page.as_boxes.click()
    bench.layer.add_rectangles(rectangle(low, high))
    assert word in bench.page.error.sentence.text()
    qtbot.waitUntil(lambda: len(bench.layer.data) == 3)
    assert not bench.state.can_undo


def test_boxes_are_cut_at_the_edge_and_made_upright(bench, qtbot):
    bench.begin()
    bench.page.as_boxes.click()
    bench.layer.add_rectangles(rectangle((-10, 20), (10.5, 30)))
    bench.layer.add_polygons(np.array([(40, 40), (45, 50), (50, 40)], float))
    np.testing.assert_allclose(bench.state.places.centres[-2:], [[5, 25], [45, 45]])
    np.testing.assert_allclose(bench.state.places.sizes[-2:], [[11, 10], [10, 10]])
    qtbot.waitUntil(lambda: set(bench.layer.shape_type) == {"rectangle"})
    np.testing.assert_allclose(bench.layer.data[-2], rectangle((-0.5, 20), (10.5, 30)))


def test_doubtful_boxes_are_hidden_and_deleted(bench):
    bench.begin()
    bench.page.as_boxes.click()
    bench.page.threshold.setValue(50)
    assert (bench.layer.edge_color[:, 3] > 0).tolist() == [True, True, False]
    bench.page.delete.click()
    assert len(bench.layer.data) == len(bench.state.places) == 2
    assert bench.page.undo.full == "Undo delete doubtful boxes"


def test_boxes_selected_before_are_what_is_corrected(bench):
    bench.predict()
    boxes = next(o for o in bench.viewer.layers if isinstance(o, Shapes))
    bench.viewer.layers.selection.active = boxes
    bench.dock.beginning.correct.click()
    assert isinstance(bench.layer, Shapes)
    assert not boxes.visible
    bench.layer.add_rectangles(rectangle((4.5, 49.5), (9.5, 59.5)))
    bench.page.whole.click()
    (item,) = state_items(bench.session.annotations, bench.session.volumes, {}).values()
    assert item.annotation.detections.are_boxes.all()
    assert item.annotation.detections.sizes[-1].tolist() == [5.0, 10.0]


def test_boxes_survive_a_crash(bench):
    bench.begin()
    bench.page.as_boxes.click()
    bench.layer.add_rectangles(rectangle((4.5, 49.5), (9.5, 59.5)))
    bench.layer.selected_data = {0}
    bench.layer.remove_selected()
    bench.state.autosave.close()
    state = restore(restorable(identity(bench.session.volume, None), FLAT).folder)
    np.testing.assert_array_equal(state.places.sizes, bench.state.places.sizes)
    np.testing.assert_array_equal(state.places.centres, bench.state.places.centres)


def test_more_boxes_than_napari_draws_are_corrected_as_points(bench):
    bench.predict(Detections.of(np.full((501, 2), 30.0), np.full((501, 2), 3.0)))
    bench.dock.beginning.correct.click()
    assert not bench.page.as_boxes.isEnabled()
    assert "501 boxes are more" in bench.page.as_boxes.toolTip()
    bench.pointing.show_as(boxes=True)
    assert isinstance(bench.layer, Points)


def test_what_is_not_finished_is_dimmed_and_a_newer_prediction_is_taken_over_there(bench):
    bench.begin()
    bench.layer.add([5.0, 60.0])
    assert not bench.page.take_over.isVisibleTo(bench.page)
    bench.state.finish_box((0, 0), (40, 30))
    assert bench.dock.annotator.veiling.layer.visible
    newer = Detections.of([(11.0, 10.0), (20.0, 50.0), (5.5, 59.0)], np.full((3, 2), 8.0))
    bench.predict(newer)
    assert not bench.layer.visible
    bench.dock.annotator.show_hidden()
    assert bench.layer.visible
    assert bench.viewer.layers.selection.active is bench.layer
    bench.page.take_over.click()
    assert bench.state.places.centres.tolist() == [[10, 10], [30, 20], [5, 60], [20, 50]]
    assert bench.state.n_corrections == 1
    bench.page.undo.click()
    assert len(bench.layer.data) == 4
    assert bench.state.places.centres[2].tolist() == [25, 40]


def test_points_from_nothing_are_of_no_class_of_a_model_that_finds_none(bench):
    bench.session.specs["brain"] = make_spec("brain", 2)
    bench.session.use_model("brain")
    bench.dock.beginning.mark.click()
    assert [c.name for c in bench.state.classes] == ["object"]


def test_points_from_nothing(bench):
    bench.dock.beginning.mark.click()
    assert bench.layer.mode == "add"
    for place in ((3.0, 4.0), (20.0, 30.0)):
        bench.layer.add(place)
    assert len(bench.state.places) == 2
    assert not bench.state.places.are_boxes.any()


def test_the_layer_may_go_and_come_back(bench):
    bench.begin()
    bench.layer.add([5.0, 50.0])
    bench.viewer.layers.remove(bench.layer)
    assert bench.layer is None
    bench.dock.beginning.show_again.click()
    assert len(bench.layer.data) == 4


def test_corrections_survive_a_crash(bench):
    bench.begin()
    bench.layer.add([5.25, 50.0])
    bench.state.autosave.close()
    key = identity(bench.session.volume, None)
    state = restore(restorable(key, FLAT).folder)
    assert state.kind == "places"
    for name in ("centres", "sizes", "kinds", "scores"):
        np.testing.assert_array_equal(
            getattr(state.places, name), getattr(bench.state.places, name)
        )
    assert state.n_corrections == 1


def test_results_are_known_by_the_key_of_the_image(bench):
    bench.predict()
    points = next(o for o in bench.viewer.layers if type(o) is Points)
    assert adapt.is_result_of(points, bench.session.key)
