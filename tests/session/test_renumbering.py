"""Numbering objects without gaps, beside the window."""

from __future__ import annotations

import numpy as np
import pytest
from tests._small import FakeStore, make_cells, three_cells

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.notes import Note
from napari_apprentice.session import _index, beside
from napari_apprentice.session.beside import Beside
from napari_apprentice.session.bulk import Bulk, write
from napari_apprentice.session.object_sets import lock_object
from napari_apprentice.session.renumbering import renumber_job
from napari_apprentice.session.session import Session

NOTES = {3: Note(score=0.2), 70_000: Note("person", 0.4), 70_005: Note(score=0.8)}


@pytest.fixture
def state():
    return three_cells(notes=NOTES)


def renumbered(state):
    write(state, run_to_end(renumber_job(state)))
    return state.index.numbers().size


class Window:
    """Runs jobs when told to, as a worker thread beside a person would."""

    def __init__(self):
        self.waiting = []
        self.session = Session(FakeStore(), start=self.waiting.append, post=lambda do: do())
        self.beside = Beside(self.session)
        self.bulk = Bulk(self.beside)
        self.failures = []
        self.beside.failed.connect(self.failures.append)
        self.stroke = False

    def start(self, state):
        return self.bulk.start("Renumbering", state, renumber_job, lambda: self.stroke)

    def work(self):
        self.waiting.pop()()


@pytest.fixture
def window(monkeypatch):
    monkeypatch.setattr(beside, "QUICK", 0)
    window = Window()
    yield window
    window.session.close()


def test_shapes_locks_and_notes_stay_and_undo_gives_the_numbers_back(state):
    before = state.labels.copy()
    lock_object(state, 70_000)
    assert renumbered(state) == 3
    assert np.array_equal(state.labels, np.searchsorted([0, 3, 70_000, 70_005], before))
    assert state.labels.dtype == np.uint32
    assert state.locked == {2}
    assert state.notes == {1: NOTES[3], 2: NOTES[70_000], 3: NOTES[70_005]}
    state.undo()
    assert np.array_equal(state.labels, before)
    assert state.locked == {70_000}
    assert state.notes == NOTES
    state.redo()
    assert set(np.unique(state.labels)) == {0, 1, 2, 3}


def test_numbers_without_gaps_are_refused_before_anything_is_looked_through(state):
    renumbered(state)
    with pytest.raises(BadInputError, match="without gaps"):
        renumber_job(state)


def test_numbers_too_large_for_a_table_are_renumbered_too(state):
    state.labels[0, 0] = 2**31 + 5
    assert renumbered(state) == 4
    assert sorted(np.unique(state.labels)) == [0, 1, 2, 3, 4]
    assert state.labels[0, 0] == 4


def test_a_volume_is_looked_through_in_blocks_and_stays_as_it_is_until_the_end():
    labels = np.zeros((3, 70, 130), np.int32)
    labels[1, 60:68, 60:130], labels[2, 3, 3] = 7, 9
    state, before = make_cells(labels), labels.copy()
    job = renumber_job(state)
    assert [next(job) for _ in range(6)] == [
        Progress("renumbering", done, 6, "block") for done in range(6)
    ]
    assert np.array_equal(state.labels, before)
    job.close()  # cancelled
    assert np.array_equal(state.labels, before)
    assert not state.can_undo
    assert renumbered(state) == 2
    assert np.array_equal(state.labels, np.where(before == 7, 1, np.where(before == 9, 2, 0)))


def test_where_objects_lie_is_known_without_another_look_at_the_voxels(state, monkeypatch):
    found = run_to_end(renumber_job(state))
    monkeypatch.setattr(_index, "_LARGE", 0)
    monkeypatch.setattr(_index, "object_boxes", lambda _: pytest.fail("looked through all voxels"))
    write(state, found)
    assert state.index.numbers().tolist() == [1, 2, 3]
    assert state.index.mask(2)[0] == (slice(4, 7), slice(1, 5))


def test_the_worker_finds_and_the_window_writes(state, window):
    assert window.start(state)
    assert state.index.numbers().tolist() == [3, 70_000, 70_005]
    window.work()
    assert state.index.numbers().tolist() == [1, 2, 3]
    assert state.undo_name == "Renumber objects"
    assert window.failures == []


def test_a_stroke_meanwhile_stays_and_nothing_is_renumbered(state, window):
    window.start(state)
    state.paint((7, 7), np.full((1, 2), 80_000), name="Brush")
    window.work()
    assert state.index.numbers().tolist() == [3, 70_000, 70_005, 80_000]
    assert state.undo_name == "Brush"
    assert "edited meanwhile" in window.failures[0]
    assert window.start(state)
    window.work()
    assert state.index.numbers().tolist() == [1, 2, 3, 4]


def test_a_stroke_in_hand_is_waited_for_by_the_person(state, window):
    window.stroke = True
    assert not window.start(state)
    assert "a stroke is in hand" in window.failures[-1]
    window.stroke = False
    window.start(state)
    window.stroke = True
    window.work()
    assert state.index.numbers().tolist() == [3, 70_000, 70_005]
    assert "edited meanwhile" in window.failures[-1]


def test_what_is_at_work_is_not_begun_again(state, window):
    window.start(state)
    assert not window.start(state)
    assert "still at work" in window.failures[0]


def test_beside_another_job_objects_are_renumbered_all_the_same(state, window):
    def learning():
        yield Progress("learning")
        yield Progress("learning")

    window.session.launch("Learning", learning(), lambda _: None)
    assert window.start(state)
    window.work()
    assert state.index.numbers().tolist() == [1, 2, 3]
    assert window.session.status.name == "Learning"
    assert not window.start(state)
    assert "without gaps" in window.failures[-1]


def test_a_fault_beside_another_job_is_told(state, window):
    def faulty(_):
        yield Progress("looking")
        raise MemoryError

    window.session.launch("Learning", iter_of(Progress("learning")), lambda _: None)
    window.bulk.start("Renumbering", state, faulty)
    window.work()
    assert "memory ran out" in window.failures[-1]
    assert not state.can_undo


def iter_of(event):
    yield event


def test_a_small_annotation_is_looked_through_at_once(state):
    window = Window()
    assert window.start(state)
    assert window.waiting == []
    assert state.index.numbers().tolist() == [1, 2, 3]
    window.session.close()
