"""Autosave: every edit reaches the disk in order, failures are told once, restoring brings everything back."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from napari_apprentice.core.annotation import Extent, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.project import journal as journal_module
from napari_apprentice.project.journal import Journal, journals_of
from napari_apprentice.session import autosave as module
from napari_apprentice.session.autosave import Autosave, restorable, restore
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.object_sets import lock_object

GRID = Grid.regular("YX", (40, 50), (0.5, 0.5), unit="um")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))


@pytest.fixture
def state():
    return AnnotationState(
        "cells", GRID, np.zeros(GRID.shape, np.uint8), (LabelClass(1, "cell"),), objects=True
    )


def paint(state, at, value=1):
    state.paint((at, at), np.full((4, 4), value, np.uint8))


def test_everything_comes_back(state):
    saver = Autosave(state, "/data/cells.tif")
    paint(state, 3)
    paint(state, 20)
    state.undo()
    state.finish_box((0, 0), (10, 10))
    state.add_class("nucleus")
    saver.close()
    saver.close()
    summary = restorable("/data/cells.tif", GRID)
    assert summary is not None
    assert summary.edits == 5
    back = restore(summary.folder)
    assert np.array_equal(back.labels, state.labels)
    assert np.array_equal(back.painted, state.painted)
    assert (back.extent, back.classes) == (state.extent, state.classes)
    assert (back.name, back.n_corrections, back.objects) == ("cells", 1, True)


def test_a_restored_annotation_goes_on_in_its_own_journal(state):
    saver = Autosave(state, "key")
    paint(state, 3)
    saver.close()
    folder = restorable("key", GRID).folder
    back = restore(folder)
    saver = Autosave(back, "key", folder)
    paint(back, 20)
    saver.close()
    assert journals_of("key") == [folder]
    assert restore(folder).n_corrections == 2


@pytest.mark.parametrize("said", ["painted", "finished", "locked"])
def test_what_was_restored_and_closed_as_it_was_is_offered_again(state, said):
    saver = Autosave(state, "key")
    if said == "finished":
        state.finish_box((0, 0), (10, 10))
    else:
        paint(state, 3)
    if said == "locked":
        lock_object(state, 1)
    saver.close()
    found = restorable("key", GRID)
    Autosave(restore(found.folder), "key", found.folder).close()
    again = restorable("key", GRID)
    assert again is not None
    assert again.edits == found.edits
    back = restore(again.folder)
    assert np.array_equal(back.labels, state.labels)
    assert (back.extent, back.locked) == (state.extent, state.locked)


def test_a_disk_that_has_room_again_gets_everything_when_the_window_closes(state, monkeypatch):
    saver = Autosave(state, "key")  # would try again only after half a minute

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "fsync", full)
        paint(state, 3)
        saver.flush()
    paint(state, 20)
    saver.close()
    assert np.array_equal(restore(restorable_folder()).labels, state.labels)


def test_nothing_is_left_where_nothing_was_corrected_or_it_is_discarded(state):
    Autosave(state, "key").close()
    assert journals_of("key") == []
    saver = Autosave(state, "key")
    paint(state, 3)
    saver.close(discard=True)
    assert journals_of("key") == []


def test_an_annotation_that_only_counts_its_strokes_and_has_none_leaves_nothing():
    fresh = AnnotationState(
        "cells",
        GRID,
        np.zeros(GRID.shape, np.uint8),
        (LabelClass(1, "cell"),),
        Extent(strokes=True),
    )
    Autosave(fresh, "key").close()
    assert journals_of("key") == []


def test_closing_twice_keeps_what_was_corrected_and_hears_nothing_more(state):
    saver = Autosave(state, "key")
    paint(state, 3)
    saver.close()
    saver.close(discard=True)
    assert len(journals_of("key")) == 1, "a second close takes nothing back"
    paint(state, 20)
    assert restorable("key", GRID).edits == 1


def test_beginning_to_annotate_lets_old_journals_go(state, monkeypatch):
    called = []
    monkeypatch.setattr(module, "prune_journals", lambda: called.append(1))
    saver = Autosave(state, "key")
    saver.flush()
    assert called == [1]
    saver.close()


def test_only_journals_that_fit_the_image_are_offered(state):
    saver = Autosave(state, "key")
    paint(state, 3)
    assert restorable("key", GRID) is None, "it is still being written"
    saver.close()
    assert restorable("key", Grid.regular("YX", (40, 50))) is None
    assert restorable("other", GRID) is None
    (journals_of("key")[0] / "edits.journal").write_bytes(b"junk")
    assert restorable("key", GRID) is None
    with pytest.raises(FormatError):
        restore(journals_of("key")[0])


def test_a_full_disk_is_told_once_and_tried_again(state, monkeypatch):
    saver = Autosave(state, "key", retry=0.0)
    told, well = [], []
    saver.failed.connect(told.append)
    saver.recovered.connect(lambda: well.append(1))
    paint(state, 3)
    saver.flush()

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "fsync", full)
        for at in (10, 15, 20):
            paint(state, at)
            saver.flush()
        assert saver.problem
    assert len(told) == 1
    assert "No space left" in told[0]
    paint(state, 25)
    saver.flush()
    assert not saver.problem
    assert well == [1]
    saver.close()
    back = restore(restorable_folder())
    assert np.array_equal(back.labels, state.labels)
    assert back.n_corrections == 5


def restorable_folder():
    (folder,) = journals_of("key")
    return folder


def test_long_journals_are_compacted(state, monkeypatch):
    monkeypatch.setattr(module, "_COMPACT_BYTES", 2_000)
    saver = Autosave(state, "key")
    for i in range(60):
        paint(state, 3 + i % 5, i % 2 + 1)
    saver.flush()
    folder = next(iter(journals_folder_of(saver)))
    assert (folder / "edits.journal").stat().st_size < 5_000
    saver.close()
    back = restore(folder)
    assert np.array_equal(back.labels, state.labels)
    assert back.n_corrections == state.n_corrections


def journals_folder_of(saver):
    return [saver._journal.folder]


def test_without_a_place_to_write_work_goes_on(state, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path / "file"))
    saver = Autosave(state, "key")
    told = []
    saver.failed.connect(told.append)
    paint(state, 3)
    saver.flush()
    saver.close()
    assert "recovery copy" in saver.problem
    assert state.labels.sum() == 16


def test_points_that_begin_with_none_come_back():
    nothing = np.zeros(GRID.shape, np.uint8)
    classes = (LabelClass(1, "cell"),)
    state = AnnotationState("cells", GRID, nothing, classes, places=Detections.none(2))
    saver = Autosave(state, "key")
    for centres in ([(3.5, 4.0)], []):
        state.set_places(Detections.of(np.reshape(centres, (-1, 2))), "points")
    saver.close()
    assert saver.problem == ""
    found = restorable("key", GRID)
    assert found is not None
    assert len(restore(found.folder).places) == 0
    assert restore(found.folder).n_corrections == state.n_corrections


def test_whatever_goes_wrong_is_told(state, monkeypatch):
    def fail(folder, snapshot):
        raise TypeError("no such thing")

    monkeypatch.setattr("napari_apprentice.session.autosave.Journal.create", fail)
    saver = Autosave(state, "key")
    saver.flush()
    assert "recovery copy" in saver.problem
    assert "no such thing" in saver.problem
    saver.close()


def test_a_journal_is_recovered_whatever_folder_it_lies_in(state, tmp_path):
    saver = Autosave(state, "key", tmp_path / "elsewhere")
    paint(state, 3)
    saver.close()
    assert Journal.recover(tmp_path / "elsewhere").snapshot.n_corrections == 1
