"""Many objects at once: locks, small ones, numbers, and the way from one to the next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.notes import Note
from napari_apprentice.measure.boxes import object_boxes
from napari_apprentice.session import _index
from napari_apprentice.session._lesson import lesson
from napari_apprentice.session.autosave import Autosave, restore
from napari_apprentice.session.bulk import write
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.object_sets import (
    classify_object,
    count_objects,
    doubtful_objects,
    lock_object,
    next_doubtful,
    next_object,
)
from napari_apprentice.session.objects import (
    delete_object,
    fill_object,
    keep_largest_piece,
    merge_objects,
)
from napari_apprentice.session.splitting import split_between, split_object
from napari_apprentice.session.taking import take_over_objects_job


@pytest.fixture
def state():
    """Objects 3 (4 voxels), 70 000 (12) and 70 005 (1), of 0.25 µm² each."""
    labels = np.zeros((8, 12), np.uint32)
    labels[1:3, 1:3], labels[4:7, 1:5], labels[1, 10] = 3, 70_000, 70_005
    grid = Grid.regular("YX", labels.shape, (0.5, 0.5), unit="um")
    return AnnotationState("cells", grid, labels, (LabelClass(1, "cell"),), objects=True)


# -- locks ---------------------------------------------------------------------------------------


def test_no_tool_changes_a_locked_object(state):
    lock_object(state, 70_000)
    before = state.labels.copy()
    for tool in (
        lambda: delete_object(state, 70_000),
        lambda: merge_objects(state, 3, 70_000),
        lambda: merge_objects(state, 70_000, 3),
        lambda: split_object(state, 70_000),
        lambda: split_between(state, (4, 1), (6, 4)),
        lambda: fill_object(state, 70_000),
        lambda: keep_largest_piece(state, 70_000),
    ):
        with pytest.raises(BadInputError, match="locked"):
            tool()
    assert np.array_equal(state.labels, before)
    assert state.undo_name == "Lock object 70000"


def test_strokes_go_round_a_locked_object_and_do_not_extend_it(state):
    lock_object(state, 70_000)
    before = state.labels.copy()
    state.labels[0:8, 0:8] = 3  # as a layer paints, before it tells
    state.record_stroke((0, 0), before[0:8, 0:8], np.ones((8, 8), bool))
    assert np.array_equal(state.labels == 70_000, before == 70_000)
    assert state.labels[0, 0] == 3
    state.undo()
    assert np.array_equal(state.labels, before)
    state.paint((0, 6), np.full((2, 2), 70_000, np.uint32))
    assert np.array_equal(state.labels, before)


def test_locking_is_undone_and_done_again(state):
    lock_object(state, 3)
    lock_object(state, 3)
    assert state.locked == {3}
    state.undo()
    assert not state.locked
    assert not state.can_undo
    state.redo()
    lock_object(state, 3, locked=False)
    delete_object(state, 3)
    for _ in range(3):
        state.undo()
    assert not state.locked
    assert (state.labels == 3).any()
    for value in (0, 4):
        with pytest.raises(BadInputError, match="to lock"):
            lock_object(state, value)


def test_locks_survive_a_crash(state, tmp_path):
    lock_object(state, 3)
    autosave = Autosave(state, "image", tmp_path / "journal")
    lock_object(state, 70_000)
    lock_object(state, 3, locked=False)
    state.finish_all()
    autosave.close()
    assert restore(tmp_path / "journal").locked == {70_000}


# -- many ----------------------------------------------------------------------------------------


def test_one_goes_from_object_to_object_round_the_end_and_past_locked_ones(state):
    assert next_object(state, 3) == (70_000, (5, 2))
    assert next_object(state, 70_005)[0] == 3
    assert next_object(state, 3, -1) == (70_005, (1, 10))
    assert next_object(state, 50)[0] == 70_000
    assert next_object(state, 50, -1)[0] == 3
    lock_object(state, 70_000)
    assert next_object(state, 3)[0] == 70_005
    lock_object(state, 3)
    lock_object(state, 70_005)
    with pytest.raises(BadInputError, match="left"):
        next_object(state, 3)


# -- what is known of objects ----------------------------------------------------------------------


def noted(labels, notes, spacing=(0.5, 0.5), **more):
    grid = Grid.regular("ZYX"[-labels.ndim :], labels.shape, spacing[-labels.ndim :], unit="um")
    classes = (LabelClass(1, "cell"), LabelClass(2, "mitosis"))
    return AnnotationState("cells", grid, labels, classes, objects=True, notes=notes, **more)


@pytest.fixture
def found():
    """Objects 1, 2 and 3 of a model, in one row, the second the most doubtful."""
    labels = np.zeros((10, 30), np.uint32)
    for n in range(3):
        labels[2:8, 10 * n + 1 : 10 * n + 9] = n + 1
    return noted(labels, {1: Note(score=0.6, kind=1), 2: Note(score=0.3), 3: Note(score=0.9)})


def test_the_most_doubtful_come_first_and_what_a_person_touched_not_at_all(found):
    first, voxel = next_doubtful(found)
    assert first == (0.3, 2)
    assert found.labels[voxel] == 2
    second, _ = next_doubtful(found, first)
    third, _ = next_doubtful(found, second)
    assert (second[1], third[1]) == (1, 3)
    assert next_doubtful(found, third)[0] == first  # and round
    delete_object(found, 2)
    assert next_doubtful(found, first)[0] == second
    lock_object(found, 1)
    assert doubtful_objects(found) == [(0.9, 3)]
    classify_object(found, 3, 2)
    with pytest.raises(BadInputError, match="neither corrected nor locked"):
        next_doubtful(found)
    while found.undo():
        pass
    assert [n for _, n in doubtful_objects(found)] == [2, 1, 3]
    with pytest.raises(BadInputError, match="no model said"):
        next_doubtful(noted(found.labels, {}))


def test_a_person_is_named_for_what_a_person_changes_and_undo_takes_it_back(found):
    split_between(found, (4, 1), (4, 8))
    assert found.notes[1] == Note("person", 0.6, 1)
    assert found.notes[4] == Note("person", None, 1)  # the class goes along, the score does not
    merge_objects(found, 3, 2)
    assert 2 not in found.notes
    assert found.notes[3].by == "person"
    start, before = (0, 0), found.labels.copy()
    found.labels[0, 29] = 9  # a new one, painted
    found.record_stroke(start, before, found.labels != before)
    assert found.notes[9] == Note("person")
    found.undo(), found.undo(), found.undo()
    assert found.notes == {1: Note(score=0.6, kind=1), 2: Note(score=0.3), 3: Note(score=0.9)}
    found.redo()
    assert found.notes[4].by == "person"


def test_going_over_an_object_that_is_right_confirms_it(found):
    before = found.labels.copy()
    touched = np.zeros(before.shape, bool)
    touched[3:5, 3:5] = True
    found.record_stroke((0, 0), before, touched)
    assert found.notes[1].by == "person"
    assert found.notes[2].by == "model"


def test_classes_of_objects_reach_the_training(found):
    classify_object(found, 2, 2)
    assert found.undo_name == "Object 2 is mitosis"
    assert found.n_corrections == 1
    assert found.annotation().object_classes == {1: 1, 2: 2}
    with pytest.raises(BadInputError, match="no class"):
        classify_object(found, 2, 7)
    lock_object(found, 3)
    with pytest.raises(BadInputError, match="locked"):
        classify_object(found, 3, 1)


def test_notes_survive_a_crash(found, tmp_path):
    autosave = Autosave(found, "image", tmp_path / "journal")
    split_between(found, (4, 1), (4, 8))
    delete_object(found, 2)
    lock_object(found, 3)
    autosave.close()
    back = restore(tmp_path / "journal")
    assert (
        back.notes
        == found.notes
        == {1: Note("person", 0.6, 1), 3: Note(score=0.9), 4: Note("person", None, 1)}
    )
    assert back.annotation().object_classes == {1: 1, 4: 1}
    assert back.locked == {3}


def test_counts_say_whose_objects_are(found):
    assert count_objects(found) == "3 objects"
    delete_object(found, 2)
    classify_object(found, 1, 1)
    lock_object(found, 3)
    assert count_objects(found) == "2 objects · 1 by you · 1 locked"


# -- boxes -----------------------------------------------------------------------------------------


STROKES = st.lists(st.tuples(*[st.integers(0, 11)] * 4, st.integers(0, 4)), max_size=12)


@given(STROKES, st.sampled_from([0, 30, _index._LARGE]))
def test_boxes_follow_every_edit_undo_and_redo(strokes, large):
    labels = np.zeros((12, 12), np.uint16)
    labels[2:5, 2:9] = 3
    state = noted(labels, {})
    state.index.numbers()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_index, "_LARGE", large)  # above it edits are not followed, but remembered
        patch.setattr(_index, "_SHARE", 1000)
        for row, column, height, width, value in strokes:
            box = np.full((min(height + 1, 12 - row), min(width + 1, 12 - column)), value)
            if value == 4:
                (state.undo, state.redo)[height % 2]()
            else:
                state.paint((row, column), box)
            fresh = object_boxes(state.labels)
            assert state.index.numbers().tolist() == sorted(fresh)
            assert {n: state.index.box(n) for n in fresh} == fresh
            assert state.index.box(17) is None


def test_undo_and_redo_of_a_large_edit_do_not_look_through_the_volume(monkeypatch):
    labels = np.zeros((8, 64, 64), np.uint32)
    labels[1:4, 10:20, 10:20], labels[5:7, 30:40, 30:40] = 5, 9
    state = noted(labels, {}, (1.0, 1.0, 1.0))
    state.index.numbers()
    monkeypatch.setattr(_index, "_LARGE", 0)
    monkeypatch.setattr(_index, "_SHARE", 1000)
    delete_object(state, 5)
    assert state.index.numbers().tolist() == [9]
    monkeypatch.delattr(_index, "object_boxes")  # the one pass over all voxels
    for _ in range(2):
        state.undo()
        assert state.index.numbers().tolist() == [5, 9]
        assert state.index.box(5) == (slice(1, 4), slice(10, 20), slice(10, 20))
        state.redo()
        assert state.index.numbers().tolist() == [9]


def test_the_way_to_the_next_object_does_not_look_through_the_volume(state, monkeypatch):
    labels = np.zeros((64, 256, 256), np.uint32)
    labels[10:14, 20:30, 20:30], labels[50:54, 200:210, 200:210] = 5, 9
    deep = noted(labels, {}, (1.0, 1.0, 1.0))
    next_object(deep, 0)
    monkeypatch.delattr(_index, "object_boxes")  # the one pass over all voxels
    for _ in range(20):
        assert next_object(deep, 5) == (9, (51, 204, 204))
        deep.paint((50, 200, 200), np.full((1, 1, 1), 9))


# -- taking over -----------------------------------------------------------------------------------


def taken_over(state, labels, notes):
    write(state, run_to_end(take_over_objects_job(state, labels, notes)))
    fresh = object_boxes(state.labels)
    assert {n: state.index.box(n) for n in state.index.numbers().tolist()} == fresh


def test_a_newer_prediction_replaces_what_nobody_touched(found):
    classify_object(found, 1, 2)  # a person's
    delete_object(found, 2)  # a place that a person emptied
    newer = np.zeros((10, 30), np.int32)
    newer[2:8, 1:9], newer[2:8, 11:19], newer[1:9, 20:30], newer[0, 28] = 1, 2, 3, 4
    taken_over(found, newer, {3: Note(score=0.7), 4: Note(score=0.5)})
    assert (found.labels[2:8, 1:9] == 1).all()
    assert not found.labels[2:8, 11:19].any()
    three, four = int(found.labels[5, 25]), int(found.labels[0, 28])
    assert found.notes == {
        1: Note("person", 0.6, 2, "person"),
        three: Note(score=0.7),
        four: Note(score=0.5),
    }
    assert (found.labels == three).sum() == (newer == 3).sum()
    assert found.n_corrections == 2
    found.undo()
    assert found.labels[5, 25] == 3
    assert found.notes[3] == Note(score=0.9)
    with pytest.raises(GridMismatchError):
        take_over_objects_job(found, newer[1:], {})


def test_finished_parts_and_locked_objects_stay_when_a_prediction_is_taken_over(found):
    found.finish_box((0, 0), (10, 10))
    lock_object(found, 3)
    newer = np.zeros((10, 30), np.int32)
    newer[:, 0:14] = 8
    taken_over(found, newer, {})  # mostly finished, so not this object
    assert set(np.unique(found.labels)) == {0, 1, 3}
    newer[:, 0:30] = 8
    taken_over(found, newer, {})
    assert (found.labels[:, 0:10] != 4).all()
    assert (found.labels[:, 10:] == 3).sum() == 48


# -- what is learned from --------------------------------------------------------------------------


def test_a_locked_object_counts_with_its_rim_and_nothing_else_does(found):
    assert found.is_empty
    lock_object(found, 2)
    assert not found.is_empty
    assert found.describe() == "1 locked object"
    said = lesson(found)
    counts = said.counts()
    assert counts[2:8, 11:19].all()
    assert counts[4, 19]
    assert counts[1, 15]
    assert not counts[4, 21:].any()  # the neighbour is not said to be right
    assert not counts[:, :9].any()
    assert said.labels[4, 15] == 2
    found.finish_box((0, 0), (10, 9))
    assert found.describe() == "1 box + 1 locked object"
    assert lesson(found).counts()[:, :9].all()
    found.finish_all()
    assert lesson(found).extent.whole
    assert found.describe() == "whole image"


def test_rims_are_as_thick_as_slices_allow(state):
    labels = np.zeros((9, 20, 20), np.uint32)
    labels[3:6, 5:15, 5:15] = 1
    deep = noted(labels, {}, (5.0, 0.5, 0.5))
    lock_object(deep, 1)
    counts = lesson(deep).counts()
    assert counts[4, 10, 4]
    assert counts[4, 10, 2]
    assert not counts[2, 10, 10]  # the next slice is further away than the rim is wide
