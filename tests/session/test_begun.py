"""Beginning an annotation beside the window."""

from __future__ import annotations

import numpy as np
import pytest
from tests._small import FakeStore

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.notes import Note
from napari_apprentice.session import _index, beside
from napari_apprentice.session.autosave import Autosave, restore
from napari_apprentice.session.begun import Source, begin_job, blank, restore_job
from napari_apprentice.session.beside import Beside
from napari_apprentice.session.session import Session

ONE = (LabelClass(1, "foreground"),)


def source(labels, *, classes=(), of_model=ONE, numbered=False, notes=None):
    grid = Grid.regular("ZYX"[-labels.ndim :], labels.shape)
    return Source("image", "image ▸ v1", grid, labels, classes, of_model, numbered, notes or {})


def begun(labels, **how):
    return run_to_end(begin_job(source(labels, **how)))


def test_labels_of_few_values_become_classes_of_one_byte():
    labels = np.zeros((70, 80), np.int64)
    labels[3:9, 66:70], labels[20, 20] = 1, 3
    made = begun(labels)
    assert made.state.labels.dtype == np.uint8
    assert not made.state.objects
    assert made.state.extent.strokes
    assert [c.name for c in made.state.classes] == ["class 1", "class 2", "class 3"]
    assert np.array_equal(made.state.labels, labels)
    assert np.array_equal(made.base.labels, labels)
    assert not np.shares_memory(made.state.labels, made.base.labels)


def test_classes_of_large_values_keep_them():
    atlas = (LabelClass(2, "white"), LabelClass(1007, "fusiform"))
    labels = np.zeros((6, 6), np.int32)
    labels[1, 1], labels[2, 2] = 2, 1007
    made = begun(labels, classes=atlas)
    assert not made.state.objects
    assert np.array_equal(made.state.labels, labels)
    assert blank("image", made.state.grid, atlas).state.labels.dtype == np.uint16


def test_numbered_objects_come_with_where_they_lie(monkeypatch):
    labels = np.zeros((3, 130, 90), np.uint16)
    labels[1, 60:70, 3:80], labels[2, 5, 5] = 7, 300
    made = begun(labels, numbered=True, notes={7: Note(score=0.4)})
    monkeypatch.delattr(_index, "object_boxes")  # another look through all voxels
    assert made.state.objects
    assert made.state.labels.dtype == np.uint32
    assert not made.state.extent.strokes
    assert made.state.index.box(7) == (slice(1, 2), slice(60, 70), slice(3, 80))
    assert made.state.index.numbers().tolist() == [7, 300]
    assert made.state.notes == {7: Note(score=0.4)}
    assert made.state.classes == ONE


@pytest.mark.parametrize(("value", "kind"), [(-1, np.int32), (2**32, np.int64)])
def test_labels_that_no_annotation_can_hold_are_refused(value, kind):
    labels = np.zeros((6, 6), kind)
    labels[3, 3] = value
    with pytest.raises(BadInputError, match=f"found {value}") as caught:
        begun(labels)
    assert caught.value.path == "image ▸ v1"
    assert "background to 0" in str(caught.value)


def test_an_empty_prediction_and_a_mask_can_be_corrected():
    assert not begun(np.zeros((5, 5), np.uint8)).state.labels.any()
    assert begun(np.eye(5, dtype=bool)).state.labels.sum() == 5


def test_from_nothing_no_voxel_is_copied():
    grid = Grid.regular("ZYX", (64, 256, 256))
    base = blank("image", grid, ONE, objects=True).base
    assert base.labels.strides == (0, 0, 0)
    assert base.labels.dtype == np.uint32


def test_the_journal_begins_with_the_copy_and_replays_to_what_was_corrected(tmp_path):
    labels = np.zeros((8, 12), np.uint8)
    labels[1:3, 1:3] = 2
    made = begun(labels, classes=(LabelClass(2, "nucleus"),))
    autosave = Autosave(made.state, "key", tmp_path / "journal", made.base)
    made.state.paint((5, 5), np.full((2, 2), 2, np.uint8))
    autosave.close()
    assert np.array_equal(restore(tmp_path / "journal").labels, made.state.labels)
    back = run_to_end(restore_job(tmp_path / "journal"))
    assert np.array_equal(back.state.labels, made.state.labels)
    assert np.array_equal(back.base.labels, made.state.labels)
    assert np.array_equal(back.base.painted, made.state.painted)
    assert not np.shares_memory(back.base.labels, back.state.labels)


# -- beside the window -----------------------------------------------------------------------------


@pytest.fixture
def desk(monkeypatch):
    monkeypatch.setattr(beside, "QUICK", 0)
    waiting, said = [], []
    session = Session(FakeStore(), start=waiting.append, post=lambda do: do())
    made = Beside(session)
    made.failed.connect(said.append)
    yield made, session, waiting, said
    session.close()


def test_a_refusal_is_told_where_the_button_is_and_is_no_fault_of_the_job(desk):
    made, session, waiting, said = desk
    results = []
    made.start("Copying", begin_job(source(np.full((4, 4), -3))), results.append, 16)
    assert session.status.is_running
    waiting.pop()()
    assert "found -3" in said[0]
    assert not results
    assert session.status.error is None


def test_cancelled_nothing_begins(desk):
    made, session, waiting, said = desk
    results = []
    made.start("Copying", begin_job(source(np.ones((4, 4), np.uint8))), results.append, 16)
    session.cancel()
    waiting.pop()()
    assert (results, said) == ([], [])
    assert not session.status.is_running


def test_while_a_model_learns_work_begins_beside_it(desk):
    made, session, waiting, _ = desk

    def learning():
        yield Progress("learning")

    results = []
    session.launch("Learning", learning(), lambda _: None)
    made.start("Copying", begin_job(source(np.ones((4, 4), np.uint8))), results.append, 16)
    assert not made.start("Again", learning(), results.append, 16)
    waiting.pop()()
    assert results[0].state.labels.all()
    assert session.status.name == "Learning"
