"""Many objects at once: locks, small ones, numbers, and the way from one to the next."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.session.autosave import Autosave, restore
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.object_sets import lock_object, next_object, remove_small, renumber
from napari_apprentice.session.objects import (
    delete_object,
    fill_object,
    keep_largest_piece,
    merge_objects,
)
from napari_apprentice.session.splitting import split_between, split_object


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


def test_small_objects_go_by_their_size_in_the_world(state):
    assert remove_small(state, 1.0) == 1  # 4 voxels are 1 µm²: not smaller
    assert set(np.unique(state.labels)) == {0, 3, 70_000}
    assert state.undo_name == "Remove 1 small object"
    state.undo()
    lock_object(state, 70_005)
    assert remove_small(state, 1.01) == 1
    assert set(np.unique(state.labels)) == {0, 70_000, 70_005}
    with pytest.raises(BadInputError, match="that small"):
        remove_small(state, 1.01)


def test_renumbering_keeps_shapes_and_locks_and_is_undone(state):
    before = state.labels.copy()
    lock_object(state, 70_000)
    assert renumber(state) == 3
    assert np.array_equal(state.labels, np.searchsorted([0, 3, 70_000, 70_005], before))
    assert state.locked == {2}
    assert state.labels.dtype == np.uint32
    with pytest.raises(BadInputError, match="without gaps"):
        renumber(state)
    state.undo()
    assert np.array_equal(state.labels, before)
    assert state.locked == {70_000}


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
