"""Numbered objects from *Predict* over *Correct* to *Learn*, with a model that finds four of five."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.utils.colormaps.standardize_color import transform_color
from napari.utils.interactions import mouse_press_callbacks

from napari_apprentice.core.jobs import Job
from napari_apprentice.core.notes import Note
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.core.spec import ClassSpec
from napari_apprentice.engine import grow as growing
from napari_apprentice.widgets.apprentice import ApprenticeDock

from ._fakes import CLASSES, Engine, Store, spec

SCORES = {1: 0.9, 2: 0.2, 3: 0.7, 4: 0.4}
MISSED = (18, 26)


class Numbering(Engine):
    """Answers with numbered objects."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[str] = []
        self.items: tuple[Any, ...] = ()

    def predict(self, volume: Any, model: Any, config: Any) -> Job[Prediction]:
        yield from self._wait("predicting", "tile")
        labels = np.zeros(volume.grid.spatial_shape, np.int32)
        for n, (row, column) in enumerate([(2, 3), (2, 14), (12, 3), (12, 14)], start=1):
            labels[..., row : row + 8, column : column + 8] = n
        made = Provenance(
            model.spec.name, "0" * 64, "cpu", 0.1, {}, ("objects taken to be about 2 µm wide",)
        )
        objects = {
            "label": np.arange(1, 5),
            "score": np.array([*SCORES.values()], np.float32),
            "class": np.array([1, 1, 2, 1]),
        }
        grid = volume.grid.spatial
        return Prediction(
            grid, labels, classes=CLASSES, summary="4 nuclei", provenance=made, objects=objects
        )

    def train(self, items: Any, *, task: str, **how: Any) -> Job[Any]:
        self.tasks.append(task)
        self.items = tuple(items)
        return (yield from super().train(items, task=task, **how))


@pytest.fixture
def engine() -> Iterator[Numbering]:
    made = Numbering()
    yield made
    made.go.set()


@pytest.fixture
def store() -> Store:
    classes = tuple(ClassSpec(value=c.value, name=c.name) for c in CLASSES)
    numbers = spec("cells v1", task="instance", task_args={"diameter": 20.0}, classes=classes)
    return Store(numbers, spec("areas v1"))


@pytest.fixture
def dock(
    viewer: Any, add_image: Callable[..., Any], qtbot: Any, idle: Any
) -> Iterator[ApprenticeDock]:
    """The Apprentice dock with an image; a model was applied to it."""
    made = ApprenticeDock(viewer)
    qtbot.addWidget(made)
    made.show()
    add_image((30, 40))
    made.session.use_model("cells v1")
    made.predict.button.click()
    idle(made.session)
    yield made
    made.session.close()


@pytest.fixture
def correct(dock: ApprenticeDock) -> Any:
    """*Correct*, with the prediction taken over."""
    dock.show_step(1)
    dock.correct.beginning.correct.click()
    return dock.correct


def press(dock: ApprenticeDock, key: str) -> None:
    viewer = dock.viewer.__wrapped__  # type: ignore[attr-defined]  # plugins get a proxy
    viewer.window._qt_viewer.canvas._key_map_handler.press_key(key)


def click(layer: Any, voxel: tuple[int, ...]) -> None:
    event = SimpleNamespace(
        position=layer.data_to_world(voxel),
        view_direction=None,
        dims_displayed=[0, 1],
        dims_point=[0, 0],
        type="mouse_press",
        is_dragging=False,
        modifiers=[],
        button=1,
        pos=np.zeros(2),
    )
    mouse_press_callbacks(layer, event)


# -- predict ------------------------------------------------------------------------------------


def test_scores_classes_and_authors_are_features_of_the_prediction(dock: ApprenticeDock) -> None:
    layer = dock.viewer.layers[-1]
    table = layer.features.set_index("index")
    assert table.loc[1:, "score"].round(2).tolist() == [*SCORES.values()]
    assert table.loc[1:, "class"].tolist() == ["nucleus", "nucleus", "debris", "nucleus"]
    assert set(table.loc[1:, "by"]) == {"network"}
    said = dock.predict.summary.text()
    assert said.splitlines() == ["4 nuclei", "objects taken to be about 2 µm wide"]


def test_objects_are_coloured_by_score_where_asked(dock: ApprenticeDock) -> None:
    layer, coloring = dock.viewer.layers[-1], dock.predict.coloring
    plain = layer.colormap
    assert coloring.isVisible()
    coloring.choice.setCurrentIndex(coloring.choice.findData("score"))
    sure, unsure = (layer.get_color(n) for n in (1, 2))
    assert sure[2] > unsure[2]  # bluer
    assert unsure[0] > sure[0]  # more orange
    coloring.choice.setCurrentIndex(coloring.choice.findData("class"))
    assert np.allclose(layer.get_color(1), layer.get_color(2))
    assert not np.allclose(layer.get_color(1), layer.get_color(3))
    coloring.choice.setCurrentIndex(0)
    assert type(layer.colormap) is type(plain)


def test_the_size_of_objects_is_asked_for_only_by_models_that_want_it(
    dock: ApprenticeDock,
) -> None:
    row = dock.predict.form.row("diameter")
    assert row.visible
    assert row.label == "Object diameter (µm)"
    row.value = "2.5"
    assert dock.predict.form.value().diameter == 2.5
    dock.session.use_model("areas v1")
    assert not row.visible
    assert not dock.predict.coloring.isHidden()  # of the prediction that is still there


# -- correct ------------------------------------------------------------------------------------


def test_a_prediction_of_objects_is_taken_over_as_objects(correct: Any) -> None:
    state, layer = correct.annotator.state, correct.annotator.layer
    assert state.objects
    assert layer.data.dtype == np.uint32
    assert {n: note.score for n, note in state.notes.items()} == pytest.approx(SCORES)
    assert state.notes[3].kind == 2
    assert correct.objects.counts.text() == "4 objects"
    assert layer.features.set_index("index").loc[2, "score"] == pytest.approx(0.2)


def test_from_doubtful_to_doubtful_past_what_is_locked_or_gone(
    dock: ApprenticeDock, correct: Any
) -> None:
    layer, title = correct.annotator.layer, correct.objects.title
    press(dock, "Shift-Down")
    assert layer.selected_label == 2
    assert title.text() == "Object 2 · score 0.20 · nucleus"
    press(dock, "Shift-D")
    press(dock, "Shift-Down")
    assert layer.selected_label == 4
    press(dock, "Shift-K")
    assert title.text().endswith("locked")
    press(dock, "Shift-Down")
    assert layer.selected_label == 3
    press(dock, "Shift-Down")
    press(dock, "Shift-Down")
    assert layer.selected_label == 3  # 2 is gone, 4 is locked


def test_a_class_button_classifies_the_object_in_hand(dock: ApprenticeDock, correct: Any) -> None:
    state, layer = correct.annotator.state, correct.annotator.layer
    layer.selected_label = 1
    assert correct.classes.group.checkedId() == 1
    press(dock, "Control-2")
    assert state.notes[1] == Note("person", pytest.approx(0.9), 2, kind_by="person")
    assert correct.classes.group.checkedId() == 2
    correct.objects.put_table()
    row = layer.features.set_index("index").loc[1]
    assert (row["class"], row["by"]) == ("debris", "person")
    correct.classes.added.emit("mitosis")
    press(dock, "Control-3")
    correct.objects.put_table()
    coloring = correct.objects.coloring.choice
    coloring.setCurrentIndex(coloring.findData("class"))
    assert np.allclose(layer.get_color(1), transform_color(state.classes[2].color)[0])
    layer.undo()
    layer.undo()
    layer.selected_label = 99
    press(dock, "Control-1")
    assert "no object 99" in correct.error.sentence.text()
    layer.undo()
    assert state.notes[1].by == "model"


@pytest.fixture
def growth() -> Iterator[threading.Event]:
    """Unset, it keeps the network busy with an object."""
    made = threading.Event()
    made.set()
    yield made
    made.set()


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch, growth: threading.Event) -> list[tuple[int, ...]]:
    """A network that shows a 6 × 6 object wherever it is asked, but for the upper left corner."""
    asked: list[tuple[int, ...]] = []

    def grow(volume: Any, model: Any, config: Any, place: Any, *, usual: Any) -> Job[Any]:
        asked.append(tuple(place))
        yield from ()
        growth.wait(10)
        if place[0] < 2:
            return None
        start = tuple(max(0, v - 3) for v in place)
        return growing.GrownObject(start, np.ones((6, 6), bool), Note("person", 0.35, 2))

    monkeypatch.setattr(growing, "grow", grow)
    return asked


def test_clicks_add_objects_one_after_the_other(
    dock: ApprenticeDock,
    correct: Any,
    grown: list[tuple[int, ...]],
    growth: threading.Event,
    idle: Any,
    qtbot: Any,
) -> None:
    state, layer = correct.annotator.state, correct.annotator.layer
    before = state.labels.copy()
    press(dock, "Shift-A")
    assert correct.objects.buttons["Shift+A"].isChecked()
    growth.clear()
    click(layer, MISSED)
    click(layer, (5, 30))  # waits for the first
    assert "to come" in correct.objects.buttons["Shift+A"].full
    growth.set()
    qtbot.waitUntil(lambda: len(grown) == 2, timeout=20_000)  # between the two nothing is at work
    idle(dock.session)
    assert grown == [MISSED, (5, 30)]
    assert state.labels[MISSED] == 5
    assert state.labels[5, 30] == 6
    assert layer.selected_label == 6
    assert state.notes[5] == Note("person", 0.35, 2)
    assert ((state.labels == 5) <= (before == 0)).all()  # nothing that was there is overwritten
    click(layer, (5, 5))
    assert "Object 1 is there already" in correct.error.sentence.text()
    click(layer, (0, 0))
    idle(dock.session)
    assert "no object there" in correct.error.sentence.text()
    layer.undo()
    layer.undo()
    assert np.array_equal(state.labels, before)
    assert 5 not in state.notes


def test_a_model_of_classes_cannot_add_objects(dock: ApprenticeDock, correct: Any) -> None:
    dock.session.use_model("areas v1")
    correct.render_state()
    button = correct.objects.buttons["Shift+A"]
    assert not button.isEnabled()
    assert "finds no objects" in button.toolTip()


def test_a_line_drawn_across_an_object_cuts_it(
    dock: ApprenticeDock, correct: Any, qtbot: Any
) -> None:
    state, viewer = correct.annotator.state, dock.viewer
    press(dock, "Shift-L")
    shapes = viewer.layers.selection.active
    shapes.add_lines(np.array([[0.0, 6.0], [12.0, 6.0]]))
    qtbot.waitUntil(lambda: bool((state.labels == 5).any()))
    assert state.labels[5, 3] != state.labels[5, 10]
    assert state.notes[5] == Note("person", None, 1, kind_by="model")
    assert shapes not in viewer.layers
    assert not correct.objects.buttons["Shift+L"].isChecked()
    for give_up in (lambda: press(dock, "Escape"), correct.objects.buttons["Shift+Right"].click):
        press(dock, "Shift-L")
        assert len(viewer.layers) == 4
        give_up()
        qtbot.waitUntil(lambda: len(viewer.layers) == 3)
        assert not correct.objects.buttons["Shift+L"].isChecked()
    viewer.dims.ndisplay = 3
    press(dock, "Shift-L")
    assert "3-D view" in correct.error.sentence.text()


def test_a_newer_prediction_leaves_a_persons_objects_alone(
    dock: ApprenticeDock, correct: Any, idle: Any
) -> None:
    state = correct.annotator.state
    correct.annotator.layer.selected_label = 1
    press(dock, "Control-2")
    dock.session.predict(dock.predict.form.value())
    idle(dock.session)
    correct.render_state()
    assert correct.take_over.isVisible()
    correct.take_over.click()
    assert state.notes[1] == Note("person", pytest.approx(0.9), 2, kind_by="person")
    assert len(state.index.numbers()) == 4
    assert state.undo_name == "Take over prediction"


def test_objects_are_numbered_from_nothing(dock: ApprenticeDock) -> None:
    dock.show_step(1)
    dock.correct.beginning.number.click()
    state = dock.correct.annotator.state
    assert state is not None
    assert state.objects
    assert [c.name for c in state.classes] == ["nucleus", "debris"]
    assert dock.correct.objects.counts.text() == "0 objects"
    press(dock, "Shift-O")
    layer = dock.correct.annotator.layer
    assert layer is not None
    with layer.block_history():
        layer.paint((20, 20), layer.selected_label)
    assert state.notes == {1: Note("person")}


# -- learn --------------------------------------------------------------------------------------


def test_objects_tell_what_is_learned_and_locked_ones_are_enough(
    dock: ApprenticeDock, correct: Any, engine: Numbering, idle: Any
) -> None:
    learn = dock.learn
    dock.show_step(2)
    assert "or lock objects" in learn.material.text()
    correct.annotator.layer.selected_label = 2
    correct.objects.toggle_lock()
    assert learn.extents.text() == "nuclei: 1 locked object"
    assert learn.models.currentData() == "cells v1"
    dock.session.use_model(
        "areas v1"
    )  # it paints classes: the nearest that numbers objects is proposed
    assert learn.models.currentData() == "cells v1"
    learn.models.setCurrentIndex(learn.models.findData("areas v1"))
    assert not learn.button.isEnabled()
    assert "does not number objects" in learn.refusal.sentence.text()
    learn.models.setCurrentIndex(0)
    assert [learn.tasks.itemData(i) for i in range(learn.tasks.count())] == ["instance"]
    learn.button.click()
    idle(dock.session)
    assert engine.tasks == ["instance"]
    said = engine.items[0].annotation
    counts = said.counts()
    assert counts[2:10, 14:22].all()
    assert not counts[12:, 14:].any()
    assert said.object_classes[3] == 2


def test_objects_and_classes_are_not_learned_together(
    dock: ApprenticeDock, correct: Any, add_image: Callable[..., Any]
) -> None:
    correct.annotator.state.finish_all()
    add_image(name="other")
    correct.beginning.start.click()
    correct.annotator.state.finish_all()
    assert "of one kind" in dock.learn.material.text()


def test_renumbering_is_a_job_that_one_key_starts_and_undo_takes_back(
    dock: ApprenticeDock, correct: Any, idle: Any
) -> None:
    state = correct.annotator.state
    correct.annotator.layer.selected_label = 2
    press(dock, "Shift+D")
    before = state.labels.copy()
    press(dock, "Shift+R")
    idle(dock.session)
    assert state.index.numbers().tolist() == [1, 2, 3]
    assert state.undo_name == "Renumber objects"
    assert [round(state.notes[n].score, 1) for n in (1, 2, 3)] == [0.9, 0.7, 0.4]
    correct.undo.click()
    assert np.array_equal(state.labels, before)


def test_renumbering_waits_for_the_stroke_in_hand(dock: ApprenticeDock, correct: Any) -> None:
    layer = correct.annotator.layer
    layer.selected_label = 2
    press(dock, "Shift+D")
    with layer.block_history():
        press(dock, "Shift+R")
        assert not dock.session.status.is_running
        assert "stroke is in hand" in correct.error.sentence.text()
    assert correct.annotator.state.index.numbers().tolist() == [1, 3, 4]
