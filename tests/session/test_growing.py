"""Adding an object with a click, without a window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from tests._small import FakeStore, make_spec, make_volume

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.edit import Edit
from napari_apprentice.core.errors import BadInputError, JobError
from napari_apprentice.core.notes import Note
from napari_apprentice.engine import grow as engine
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.growing import Growing, add_object, usual_diameter
from napari_apprentice.session.session import Session

SHAPE = (12, 16)


@pytest.fixture
def state():
    labels = np.zeros(SHAPE, np.uint32)
    labels[0:4, 0:4], labels[0:4, 8:12] = 1, 2
    grid = make_volume(SHAPE).grid
    notes = {1: Note(score=0.8), 2: Note(score=0.9)}
    classes = (LabelClass(1, "nucleus"),)
    return AnnotationState("nuclei", grid, labels, classes, objects=True, notes=notes)


def grown(start=(2, 2), shape=(5, 5), score=0.3):
    return engine.GrownObject(start, np.ones(shape, bool), Note("person", score, 1))


def test_only_what_nothing_else_has_is_taken_and_undo_gives_it_back(state):
    state.apply(Edit("Lock", locks=frozenset({1})))
    before = state.labels.copy()
    assert add_object(state, (5, 5), grown()) == 3
    assert (state.labels[before > 0] == before[before > 0]).all()
    assert (state.labels == 3).sum() == 25 - 4
    assert state.notes[3] == Note("person", 0.3, 1)
    assert state.n_corrections == 1
    assert state.undo_name == "Add object 3"
    state.undo()
    assert np.array_equal(state.labels, before)
    assert 3 not in state.notes


def test_of_what_is_left_the_clicked_piece_is_taken(state):
    state.paint((4, 0), np.full((1, 16), 2))
    assert add_object(state, (6, 3), grown((2, 2), (6, 3))) == 3
    assert not (state.labels[:5] == 3).any()


def test_nothing_there_or_taken_by_now_is_said(state):
    with pytest.raises(BadInputError, match="shows no object"):
        add_object(state, (5, 5), None)
    with pytest.raises(BadInputError, match="object 1 is there already"):
        add_object(state, (3, 3), grown())
    assert not state.can_undo


def test_the_usual_size_is_known_from_three_objects_on(state):
    assert usual_diameter(state) is None
    state.paint((8, 8), np.full((4, 4), 3))
    assert usual_diameter(state) == pytest.approx(2 * np.sqrt(16 * 0.25**2 / np.pi))


@pytest.fixture
def bench(state, monkeypatch):
    """A session whose jobs run when the test says so."""
    waiting, asked = [], []

    def grow(volume, model, config, place, *, usual):
        asked.append((model.spec.name, place, volume.grid.axes))
        yield from ()
        if place == (11, 15):
            raise JobError("the network failed")
        return None if place == (0, 15) else grown((place[0] - 1, place[1] - 1), (3, 3))

    monkeypatch.setattr(engine, "grow", grow)
    monkeypatch.setattr("napari_apprentice.engine.loading.load_libraries", lambda training: None)
    store = FakeStore(make_spec("cells", task="instance"), make_spec("areas"))
    session = Session(store, waiting.append)
    session.set_image(make_volume(SHAPE))
    session.use_model("cells")
    growing = Growing(session)
    said = SimpleNamespace(added=[], failed=[])
    growing.added.connect(said.added.append)
    growing.failed.connect(said.failed.append)

    def work():
        while waiting:
            waiting.pop(0)()

    yield SimpleNamespace(session=session, growing=growing, said=said, asked=asked, work=work)
    session.close()


def test_clicks_wait_for_each_other(bench, state):
    for place in ((7, 3), (7, 9), (8, 3)):
        bench.growing.add(state, place)
    assert bench.growing.waiting == 2
    bench.work()
    assert bench.said.added == [3, 4]
    assert bench.said.failed == ["Object 3 is there already."]  # the first click took it
    assert [place for _, place, _ in bench.asked] == [(7, 3), (7, 9)]
    bench.growing.add(state, (0, 15))
    bench.work()
    assert "shows no object" in bench.said.failed[-1]


def test_what_is_clicked_is_grown_by_the_model_of_that_moment(bench, state):
    bench.growing.add(state, (7, 3))
    bench.growing.add(state, (7, 9))
    bench.session.use_model("areas")
    bench.work()
    assert [name for name, _, _ in bench.asked] == ["cells", "cells"]
    bench.growing.add(state, (9, 9))
    assert "areas finds no objects" in bench.said.failed[-1]
    bench.session.set_image(None)
    bench.growing.add(state, (9, 9))
    assert "Open or select" in bench.said.failed[-1]


def test_a_failure_forgets_the_clicks_that_wait(bench, state):
    bench.growing.add(state, (11, 15))
    bench.growing.add(state, (7, 3))
    bench.work()
    assert not bench.growing.waiting
    assert bench.said.added == []
    assert bench.session.status.error is not None


def test_another_job_is_not_disturbed(bench, state):
    def job():
        yield from ()

    bench.session.launch("Measuring", job(), lambda _: None)
    bench.growing.add(state, (7, 3))
    assert bench.said.failed == ["Measuring is still at work: wait, or cancel it."]
    bench.work()
    bench.growing.close()
    bench.growing.add(state, (7, 3))
    bench.work()
    assert bench.said.added == []  # nobody listens any more
