"""Removing small objects, beside the window."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from tests._small import make_cells, three_cells

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.notes import Note
from napari_apprentice.measure.boxes import object_boxes
from napari_apprentice.session import _index, bulk
from napari_apprentice.session.bulk import write
from napari_apprentice.session.object_sets import lock_object
from napari_apprentice.session.removing import remove_small_job, small_size


@pytest.fixture
def state():
    return three_cells(notes={70_005: Note(score=0.3), 3: Note("person", 0.4)})


def removed(state, smallest):
    before = set(state.index.numbers().tolist())
    write(state, run_to_end(remove_small_job(state, smallest)))
    left = object_boxes(state.labels)
    assert {n: state.index.box(n) for n in state.index.numbers().tolist()} == left
    return before - set(left)


def test_small_objects_go_by_their_size_in_the_world(state):
    assert removed(state, 1.0) == {70_005}  # 4 voxels are 1 µm²: not smaller
    assert state.undo_name == "Remove 1 small object"
    assert state.painted.sum() == 1  # a person said so, and a newer prediction leaves it alone
    assert state.notes == {3: Note("person", 0.4)}
    state.undo()
    assert state.notes[70_005] == Note(score=0.3)
    assert not state.painted.any()
    lock_object(state, 70_005)
    assert removed(state, 1.01) == {3}
    with pytest.raises(BadInputError, match="that small"):
        removed(state, 1.01)


def test_numbers_too_large_for_a_table_go_too(state, monkeypatch):
    before = state.labels.copy()
    monkeypatch.setattr(bulk, "_LARGEST_TABLE", 100)
    assert removed(state, 1.01) == {3, 70_005}
    assert np.array_equal(state.labels, np.where(before == 70_000, 70_000, 0))
    state.undo()
    assert np.array_equal(state.labels, before)


def test_an_object_that_a_stroke_cut_counts_as_it_is_now(state):
    state.paint((4, 1), np.zeros((3, 3), np.uint32))
    assert removed(state, 1.0) == {70_000, 70_005}


def test_only_blocks_with_small_objects_are_looked_at():
    labels = np.zeros((64, 64 * 20), np.int32).reshape(1, 64, -1).repeat(2, axis=0)
    labels[0, 3, 5], labels[:, 10:50, 700:740] = 1, 2
    state = make_cells(labels)
    job = remove_small_job(state, 1.0)
    stages = []
    found = run_to_end(job, lambda event: stages.append((event.stage, event.total)))
    assert ("removing", 1) in stages
    assert [block.after.size for block in found.edit.blocks] == [1]


def test_what_is_proposed_as_small_needs_no_look_at_every_object(monkeypatch):
    labels = np.zeros((1, 200, 200), np.uint32)
    for k in range(100):
        labels[0, 20 * (k // 10) : 20 * (k // 10) + 12, 20 * (k % 10) : 20 * (k % 10) + 10] = k + 1
    state = make_cells(labels)
    state.index.numbers()
    monkeypatch.setattr("napari_apprentice.session.removing._LOOKED_AT", 1200)
    looked = []
    count = np.count_nonzero
    monkeypatch.setattr(np, "count_nonzero", lambda a: looked.append(a.size) or count(a))
    assert small_size(state) == 1.5  # a tenth of 120 voxels of 0.125 µm³
    assert sum(looked) <= 2 * 1200


def test_undo_of_many_small_blocks_follows_none_of_them(monkeypatch):
    labels = np.zeros((640, 640), np.uint32)
    labels[::32, ::32] = np.arange(1, 401).reshape(20, 20)
    labels[5:9, 5:9] = 500
    state = make_cells(labels)
    assert len(removed(state, 1.0)) == 400
    monkeypatch.setattr(_index, "_numbers_in", lambda _: pytest.fail("looked at every block"))
    state.undo()
    assert state.index.numbers().size == 401
    state.redo()
    assert state.index.numbers().tolist() == [500]


def test_undo_takes_no_memory_of_the_size_of_the_volume():
    labels = np.zeros((16, 256, 256), np.uint32)
    labels[3, 5, 5], labels[:, 50:200, 50:200] = 1, 2
    state = make_cells(labels)
    removed(state, 1.0)
    assert _index.object_boxes(labels).keys() == {2}
    tracemalloc.start()
    state.undo()
    state.index.numbers()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < labels.nbytes / 20
    assert state.labels[3, 5, 5] == 1
