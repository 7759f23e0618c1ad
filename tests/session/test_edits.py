"""The annotation's state: every edit is invertible, and the labels are the replay of the journal of edits."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from napari_apprentice.core.annotation import OKABE_ITO, Extent, LabelClass
from napari_apprentice.core.edit import Block, Edit, changed_blocks
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.session.bulk import write
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.taking import take_over_classes_job

CLASSES = (LabelClass(1, "cell"), LabelClass(2, "nucleus"))


def make(shape=(4, 12, 10), dtype=np.uint8, **kwargs):
    grid = Grid.regular("ZYX"[-len(shape) :], shape)
    return AnnotationState("image", grid, np.zeros(shape, dtype), CLASSES, **kwargs)


def stroke(state, start, size, value):
    """Paint as a layer does: write first, tell afterwards."""
    box = tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))
    before = state.labels[box].copy()
    touched = np.ones(before.shape, bool)
    state.labels[box] = value
    return state.record_stroke(start, before, touched)


def test_a_stroke_can_be_undone_and_redone():
    state = make()
    stroke(state, (1, 2, 3), (1, 4, 4), 2)
    assert state.labels.sum() == 32
    assert state.painted.sum() == 16
    assert state.n_corrections == 1
    state.undo()
    assert not state.labels.any()
    assert not state.painted.any()
    assert state.n_corrections == 0
    state.redo()
    assert state.labels[1, 2:6, 3:7].min() == 2
    assert state.painted.sum() == 16
    assert not state.can_redo


def test_erasing_and_confirming_are_strokes_too():
    state = make()
    stroke(state, (0, 0, 0), (1, 3, 3), 0)
    assert not state.labels.any()
    assert state.painted.sum() == 9
    assert state.n_corrections == 1
    assert state.can_undo


def test_a_stroke_that_says_nothing_new_is_not_an_edit():
    state = make()
    stroke(state, (0, 0, 0), (1, 3, 3), 1)
    assert stroke(state, (0, 0, 0), (1, 3, 3), 1).is_empty
    assert state.n_corrections == 1


def test_a_new_edit_forgets_what_was_undone():
    state = make()
    stroke(state, (0, 0, 0), (1, 3, 3), 1)
    state.undo()
    stroke(state, (2, 0, 0), (1, 3, 3), 1)
    assert state.redo() is None
    assert not state.labels[0].any()


def test_undo_crosses_all_kinds_of_edits():
    state = make()
    stroke(state, (0, 0, 0), (1, 3, 3), 1)
    state.finish_slice(0, 2)
    state.add_class("membrane")
    state.finish_box((0, 0, 0), (2, 5, 5))
    state.count_strokes()
    state.finish_all()
    assert state.describe() == "whole image"
    assert state.undo_name == "Finish image"
    seen = []
    while state.undo() is not None:
        seen.append((state.describe(), len(state.classes), bool(state.labels.any())))
    assert seen == [
        ("slice 2 + 1 box + strokes", 3, True),
        ("slice 2 + 1 box", 3, True),
        ("slice 2", 3, True),
        ("slice 2", 2, True),
        ("nothing yet", 2, True),
        ("nothing yet", 2, False),
    ]


def test_finishing_twice_is_one_edit():
    state = make()
    state.finish_slice(0, 1)
    state.finish_slice(0, 1)
    state.undo()
    assert state.extent.is_empty


def test_reopening_a_slice_of_a_whole_image_keeps_the_others():
    state = make()
    state.finish_all()
    state.finish_slice(0, 1, finished=False)
    assert state.extent.slices == ((0, 0), (0, 2), (0, 3))
    assert not state.extent.whole
    assert state.is_finished(0, 0)
    assert not state.is_finished(0, 1)


def test_boxes_are_clipped_and_can_be_reopened():
    state = make()
    state.finish_box((-3, 2, 2), (2, 50, 5))
    assert state.extent.boxes == (((0, 2, 2), (2, 12, 5)),)
    state.finish_box((0, 0, 0), (4, 12, 10), finished=False)
    assert state.extent.is_empty


@pytest.mark.parametrize(("start", "stop"), [((0, 20, 0), (4, 30, 5)), ((1, 1, 1), (1, 2, 2))])
def test_a_box_outside_the_image_is_refused(start, stop):
    with pytest.raises(BadInputError, match="box within"):
        make().finish_box(start, stop)


def test_a_slice_needs_a_volume():
    with pytest.raises(BadInputError, match="2-D"):
        make((5, 5)).finish_slice(0, 1)
    with pytest.raises(BadInputError, match="slice of"):
        make().finish_slice(0, 4)


def test_classes_get_free_values_and_other_colours():
    state = make()
    added = state.add_class(" membrane ")
    assert (added.value, added.name) == (3, "membrane")
    assert added.color not in {c.color for c in CLASSES}
    state.rename_class(1, "cytoplasm")
    state.recolor_class(1, "#123456")
    assert state.classes[0] == LabelClass(1, "cytoplasm", "#123456")
    state.undo()
    assert state.classes[0] == LabelClass(1, "cytoplasm")


def test_class_names_are_unique_and_not_empty():
    state = make()
    for name in ("cell", "  "):
        with pytest.raises(BadInputError, match="class name"):
            state.add_class(name)
    with pytest.raises(BadInputError, match="no class"):
        state.rename_class(9, "x")
    full = AnnotationState(
        "image", state.grid, state.labels, tuple(LabelClass(i, str(i)) for i in range(1, 255))
    )
    with pytest.raises(BadInputError, match="at most 254"):
        full.add_class("one more")


def taken_over(state, labels):
    """Write a prediction; return whether that changed anything."""
    revision = state.revision
    write(state, run_to_end(take_over_classes_job(state, labels)))
    return state.revision != revision


def test_a_prediction_leaves_finished_and_painted_voxels_alone():
    state = make()
    stroke(state, (0, 0, 0), (1, 2, 2), 2)
    stroke(state, (0, 2, 0), (1, 2, 2), 0)
    state.finish_slice(0, 3)
    before = state.n_corrections
    taken_over(state, np.ones(state.grid.shape, np.int64))
    assert (state.labels[0, :2, :2] == 2).all()
    assert (state.labels[0, 2:4, :2] == 0).all()
    assert (state.labels[3] == 0).all()
    assert (state.labels[1:3] == 1).all()
    assert state.n_corrections == before
    state.undo()
    assert state.labels.sum() == 8


def test_wrong_predictions_are_refused_and_change_nothing():
    state = make()
    with pytest.raises(GridMismatchError, match="found \\(3, 3\\)"):
        taken_over(state, np.ones((3, 3), int))
    with pytest.raises(BadInputError, match="to 255"):
        taken_over(state, np.full(state.grid.shape, 300))
    with pytest.raises(GridMismatchError):
        state.paint((3, 10, 8), np.ones((4, 4, 4), int))
    with pytest.raises(GridMismatchError):
        state.apply(Edit("x", (Block((0, 0), np.zeros((1, 1)), np.zeros((1, 1))),)))
    assert not state.labels.any()
    assert not state.can_undo


def test_labels_must_lie_on_the_grid_and_be_integers():
    grid = Grid.regular("YX", (4, 4))
    with pytest.raises(GridMismatchError):
        AnnotationState("image", grid, np.zeros((4, 5), int), CLASSES)
    with pytest.raises(BadInputError, match="integer"):
        AnnotationState("image", grid, np.zeros((4, 4), float), CLASSES)


def test_a_snapshot_does_not_change_any_more():
    state = make(extent=Extent(strokes=True))
    stroke(state, (0, 0, 0), (1, 2, 2), 2)
    snapshot = state.annotation()
    stroke(state, (1, 0, 0), (1, 2, 2), 1)
    assert snapshot.labels.sum() == 8
    assert snapshot.counts().sum() == 4


def test_snapshots_from_another_thread_are_whole():
    state = make((32, 32))
    found, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            found.append(len(np.unique(state.annotation().labels)))

    thread = threading.Thread(target=look)
    thread.start()
    for i in range(200):
        state.paint((0, 0), np.full((32, 32), i % 2 + 1))
    stop.set()
    thread.join()
    assert set(found) == {1}


def test_the_oldest_edits_go_when_memory_is_short():
    state = make((64, 64), memory=200_000)
    for i in range(40):
        state.paint((0, 0), np.full((64, 64), i % 2 + 1))
    undone = []
    while edit := state.undo():
        undone.append(edit.nbytes)
    assert 3 < len(undone) < 40
    assert sum(undone) <= 200_000


def test_one_huge_edit_can_always_be_undone():
    state = make((64, 64), memory=10)
    state.paint((0, 0), np.ones((64, 64), int))
    assert state.undo() is not None
    assert not state.labels.any()


def test_a_long_stroke_costs_what_it_touched():
    before = np.zeros((256, 256, 256), np.uint8)
    after = before.copy()
    after[0, 0, 0] = after[255, 255, 255] = 1
    blocks = changed_blocks((0, 0, 0), before, after)
    assert [b.start for b in blocks] == [(0, 0, 0), (255, 255, 255)]
    assert sum(b.nbytes for b in blocks) < 5_000


def test_signals_say_what_happened():
    state = make()
    edits, times = [], []
    state.edited.connect(edits.append)
    state.changed.connect(lambda: times.append(1))
    stroke(state, (0, 0, 0), (1, 2, 2), 2)
    state.undo()
    state.redo()
    assert [int(e.blocks[0].after.max()) for e in edits] == [2, 0, 2]
    assert len(times) == 3


class History(RuleBasedStateMachine):
    """Anything a person may do, in any order: the labels are the replay of the journal of edits."""

    def __init__(self):
        super().__init__()
        self.state = make((3, 8, 9))
        self.journal = []
        self.state.edited.connect(self.journal.append)
        self.replay = make((3, 8, 9))
        self.models = [self.look()]  # what each undo must bring back

    def look(self):
        s = self.state
        return s.labels.copy(), s.painted.copy(), s.extent, s.classes, s.n_corrections

    starts = st.tuples(st.integers(0, 2), st.integers(0, 7), st.integers(0, 8))
    sizes = st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5))

    @rule(start=starts, size=sizes, value=st.integers(0, 2))
    def paints(self, start, size, value):
        size = tuple(min(n, m - a) for a, n, m in zip(start, size, (3, 8, 9), strict=True))
        if not stroke(self.state, start, size, value).is_empty:
            self.new()

    @rule(value=st.integers(0, 2))
    def predicts(self, value):
        if taken_over(self.state, np.full((3, 8, 9), value)):
            self.new()

    @rule(index=st.integers(0, 2), finished=st.booleans())
    def finishes_slice(self, index, finished):
        self.maybe(lambda: self.state.finish_slice(0, index, finished))

    @rule(start=starts, size=sizes, finished=st.booleans())
    def finishes_box(self, start, size, finished):
        stop = tuple(a + n for a, n in zip(start, size, strict=True))
        self.maybe(lambda: self.state.finish_box(start, stop, finished))

    @rule(finished=st.booleans())
    def finishes_all(self, finished):
        self.maybe(lambda: self.state.finish_all(finished))

    @rule(count=st.booleans())
    def counts_strokes(self, count):
        self.maybe(lambda: self.state.count_strokes(count))

    @precondition(lambda self: len(self.state.classes) < 5)
    @rule()
    def adds_class(self):
        self.maybe(lambda: self.state.add_class(f"class {len(self.state.classes)}"))

    @rule()
    def undoes(self):
        if self.state.undo() is not None:
            self.at -= 1
        self.compare()

    @rule()
    def redoes(self):
        if self.state.redo() is not None:
            self.at += 1
        self.compare()

    at = 0

    def maybe(self, action):
        extent, classes = self.state.extent, self.state.classes
        action()
        if (extent, classes) != (self.state.extent, self.state.classes):
            self.new()

    def new(self):
        self.at += 1
        self.models[self.at :] = [self.look()]

    def compare(self):
        expected, found = self.models[self.at], self.look()
        assert np.array_equal(expected[0], found[0])
        assert np.array_equal(expected[1], found[1])
        assert expected[2:] == found[2:]

    @invariant()
    def labels_are_the_replay(self):
        while self.journal:
            self.replay.apply(self.journal.pop(0))
        assert np.array_equal(self.replay.labels, self.state.labels)
        assert np.array_equal(self.replay.painted, self.state.painted)
        assert self.replay.extent == self.state.extent
        assert self.replay.classes == self.state.classes


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_new_class_gets_a_colour_that_no_other_has():
    grid = Grid.regular("YX", (4, 4))
    first = LabelClass(1, "nucleus", OKABE_ITO[1])
    state = AnnotationState("a", grid, np.zeros((4, 4), np.uint8), (first,))
    colors = [first.color] + [state.add_class(f"kind {n}").color for n in range(7)]
    assert sorted(colors) == sorted(OKABE_ITO)
    assert state.add_class("one more").color in OKABE_ITO
