"""Classing the rest of the objects, round by round, without a window."""

from __future__ import annotations

import numpy as np
import pytest
from tests._small import FakeStore, make_volume

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.edit import Edit
from napari_apprentice.core.notes import Note
from napari_apprentice.models.store import ModelStore
from napari_apprentice.session import classing as module
from napari_apprentice.session.classing import Classing, told_classes
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.object_sets import (
    class_the_rest,
    classify_object,
    doubtful_objects,
    next_doubtful,
)
from napari_apprentice.session.session import Session

SHAPE = (64, 64)
CLASSES = (LabelClass(1, "dim"), LabelClass(2, "bright"))


def labelled() -> np.ndarray:
    """Sixteen squares, numbered 10, 11, …"""
    labels = np.zeros(SHAPE, np.uint32)
    for n in range(16):
        y, x = 16 * (n // 4) + 3, 16 * (n % 4) + 3
        labels[y : y + 9, x : x + 9] = 10 + n
    return labels


@pytest.fixture
def state() -> AnnotationState:
    grid = make_volume(SHAPE).grid
    notes = {10: Note(score=0.9), 11: Note(score=0.4)}
    return AnnotationState("i", grid, labelled(), CLASSES, objects=True, notes=notes)


@pytest.fixture
def session(tmp_path, monkeypatch) -> Session:
    """A session whose image has bright squares where numbers are odd; jobs run at once."""
    monkeypatch.setattr(module, "_STEPS", 12)
    monkeypatch.setattr(module, "_MORE_STEPS", 6)
    volume = make_volume(SHAPE)
    data = (labelled() > 0) + 2.0 * (labelled() % 2 == 1)
    noise = np.random.default_rng(0).normal(0, 0.2, SHAPE)
    object.__setattr__(volume, "data", (data + noise).astype(np.float32))
    session = Session(ModelStore(tmp_path), start=lambda action: action())
    session.set_image(volume, "i")
    return session


def run(session, state, **how):
    """One round; what was said about it."""
    classing = how.pop("classing", None) or Classing(session)
    told = []
    classing.done.connect(told.append)
    classing.failed.connect(told.append)
    classing.classify(state, **how)
    assert session.status.error is None, session.status.error
    return classing, told


def test_what_a_person_said_stays_and_the_rest_is_one_edit(state):
    classify_object(state, 10, 1)
    state.apply(Edit("Lock", locks=frozenset({12})))
    before = dict(state.notes)
    found = {n: Note(kind=2, kind_by="model", kind_score=0.7, doubt=0.5) for n in (10, 11, 12, 99)}
    assert class_the_rest(state, found) == 2
    assert state.notes[10] == Note("person", 0.9, 1, "person")
    assert state.notes[11] == Note("model", 0.4, 2, "model", 0.7, 0.5)
    assert state.notes[12].kind == 2  # a lock is of voxels
    assert 99 not in state.notes
    assert state.undo_name == "Classify the rest"
    assert state.n_corrections == 1
    state.undo()
    assert dict(state.notes) == before
    state.redo()
    assert told_classes(state) == {10: 1}


def test_once_classes_were_guessed_the_most_competed_for_comes_first(state):
    assert [n for _, n in doubtful_objects(state)] == [11, 10]
    doubts = {10: 0.1, 11: 0.2, 14: 0.9}
    class_the_rest(state, {n: Note(kind=1, kind_score=0.6, doubt=d) for n, d in doubts.items()})
    assert [n for _, n in doubtful_objects(state)] == [14, 11, 10]
    classify_object(state, 14, 2)  # a person's word ends the doubt
    assert next_doubtful(state)[0][1] == 11


def test_a_brush_stroke_keeps_the_guess_and_does_not_make_it_a_persons_word(state):
    class_the_rest(state, {11: Note(kind=1, kind_score=0.6, doubt=0.3)})
    state.paint((3, 19), np.full((3, 3), 11))
    assert state.notes[11].by == "person"
    assert not state.notes[11].is_told
    assert told_classes(state) == {}


def test_rounds_learn_from_every_correction_and_the_result_can_be_kept(session, state):
    for number in (10, 12, 14, 11, 13):
        classify_object(state, number, 2 if number % 2 else 1)
    classing, told = run(session, state)
    assert "11 objects classed" in told[0]
    assert "learned from 5" in told[0]
    assert {n: note.kind for n, note in state.notes.items()} == {
        n: 2 if n % 2 else 1 for n in range(10, 26)
    }
    assert all(note.kind_score > 0.5 for note in state.notes.values() if not note.is_told)
    first = classing.model()
    classify_object(state, 15, 1)  # a correction against what it sees
    run(session, state, classing=classing)
    assert classing.model() is not first
    assert state.notes[15].kind == 1
    alone, _ = run(session, state)  # what was said counts, not in how many rounds
    weights = [c.model().state["table.weight"].tolist() for c in (classing, alone)]
    assert weights[0] == weights[1] != first.state["table.weight"].tolist()
    assert classing.keep()
    (kept,) = [s for s in session.specs.values() if s.task == "object_class"]
    assert classing.choices() == [(kept.name, "dim, bright")]
    (choice,) = [c for c in session.choices() if c.name == kept.name]
    assert choice.reason == "classes objects that are there: use it in Correct"


def test_a_kept_classifier_is_asked_where_nothing_was_said(session, state):
    for number in (10, 12, 11, 13):
        classify_object(state, number, 2 if number % 2 else 1)
    classing, _ = run(session, state)
    classing.keep()
    (name, _), *_ = classing.choices()
    fresh = AnnotationState("i", state.grid, labelled(), (CLASSES[1],), objects=True)
    _, told = run(session, fresh, stored=name)
    assert f"by {name}" in told[0]
    values = {c.name: c.value for c in fresh.classes}
    assert set(values) == {"dim", "bright"}  # classes meet by name; those missing are added
    assert fresh.notes[11].kind == values["bright"]
    assert fresh.notes[10].kind == values["dim"]


def test_why_it_cannot_begin(session, state):
    classing = Classing(session)
    assert "say of which class" in classing.problem(state)
    classify_object(state, 10, 1)
    assert "one class" in classing.problem(state)
    assert run(session, state)[1] == [classing.problem(state)]
    classify_object(state, 11, 2)  # one object of each will do
    assert classing.problem(state) is None
    empty = AnnotationState("i", state.grid, np.zeros(SHAPE, np.uint32), CLASSES, objects=True)
    assert "no objects yet" in run(session, empty, stored="any")[1][0]
    assert not classing.keep()
    nothing = Session(FakeStore(), start=lambda action: action())
    assert Classing(nothing).problem(state) == "Open or select an image first."
    assert Classing(nothing).choices() == []


def test_objects_that_went_meanwhile_are_left_out(session, state):
    for number in (10, 12, 11, 13):
        classify_object(state, number, 2 if number % 2 else 1)
    steps = []
    session._launcher._start = steps.append  # runs when we say so
    classing = Classing(session)
    assert classing.classify(state)
    assert "still at work" in classing.problem(state)
    state.paint((0, 0), np.zeros((16, 64), np.uint32))
    steps[0]()
    assert 11 not in state.notes
    assert state.notes[25].kind == 2
