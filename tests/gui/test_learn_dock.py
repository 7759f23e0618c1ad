"""*Learn*: what from, how long, how it goes, and the decision at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from napari_apprentice.core.annotation import Extent
from napari_apprentice.session.material import Folders
from napari_apprentice.widgets.curves import span
from napari_apprentice.widgets.learn import LearnDock

from ._fakes import Engine, Store, annotate


@pytest.fixture
def dock(viewer: Any, qtbot: Any, add_image: Callable[..., Any]) -> LearnDock:
    add_image()
    made = LearnDock(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


def test_nothing_to_learn_from_is_said(dock: LearnDock) -> None:
    assert not dock.button.isEnabled()
    assert dock.material.text().startswith("Nothing to learn from yet")
    annotate(dock.session, Extent())
    assert "Nothing is finished yet" in dock.button.toolTip()


def test_a_stroke_does_not_fill_the_list_of_models_anew(
    dock: LearnDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate(dock.session)
    filled: list[object] = []
    fill = dock.models._fill
    monkeypatch.setattr(dock.models, "_fill", lambda *a: filled.append(a) or fill(*a))
    dock.session.annotations_changed.emit()
    dock.session.annotations_changed.emit()
    assert filled == []
    dock.models.setCurrentIndex(0)
    assert dock.models.currentData() is None
    dock.session.refresh_models()
    assert filled
    assert dock.models.count() > 1


def test_the_plan_in_one_line_and_the_split_before_starting(dock: LearnDock, qtbot: Any) -> None:
    annotate(dock.session)
    assert dock.button.isEnabled()
    assert dock.plan.text() == "1 image · start from nuclei v1 · 5 min"
    assert dock.extents.text() == "nuclei: whole image"
    qtbot.waitUntil(lambda: dock.split.text().startswith("held out row"))
    dock.form.row("minutes").value = "0.5"
    dock.models.setCurrentIndex(0)
    assert dock.plan.text() == "1 image · start from nothing · 30 s"
    dock.form.row("minutes").value = "-1"
    assert not dock.button.isEnabled()
    assert dock.refusal.isVisible()


def test_learning_is_seen_and_the_new_model_used(
    dock: LearnDock,
    viewer: Any,
    store: Store,
    engine: Engine,
    idle: Callable[[Any], None],
    qtbot: Any,
) -> None:
    engine.go.clear()
    annotate(dock.session)
    assert not dock.curves.isVisible()
    dock.button.click()
    qtbot.waitUntil(lambda: "held-out preview" in viewer.layers, timeout=10_000)
    assert dock.stop.isVisible()
    assert not dock.button.isVisible()
    assert dock.curves.isVisible()
    preview = viewer.layers["held-out preview"]
    assert tuple(preview.scale) == (0.25, 0.25)
    assert viewer.layers.selection.active is not preview
    engine.go.set()
    idle(dock.session)
    assert dock.card.isVisible()
    assert dock.card.text.text() == "nuclei v2: held-out Dice 0.81 → 0.88"
    assert "Decide first" in dock.button.toolTip()
    dock.curves.draw()
    assert dock.curves.score.plotItem.titleLabel.text == "held-out Dice 0.88"
    dock.card.use.click()
    idle(dock.session)
    assert dock.session.model == "nuclei v2"
    assert "nuclei v2" in store.all
    assert not dock.card.isVisible()
    assert "held-out preview" not in viewer.layers
    assert dock.models.currentText() == "nuclei v2"


@pytest.mark.parametrize(("button", "saved"), [("both", True), ("discard", False)])
def test_the_other_decisions(
    dock: LearnDock, store: Store, idle: Callable[[Any], None], button: str, saved: bool
) -> None:
    annotate(dock.session)
    dock.button.click()
    idle(dock.session)
    getattr(dock.card, button).click()
    idle(dock.session)
    assert ("nuclei v2" in store.all) is saved
    assert dock.session.model == "nuclei v1"
    assert not dock.card.isVisible()


def test_stop_keeps_and_cancel_can_be_resumed(
    dock: LearnDock, engine: Engine, idle: Callable[[Any], None], qtbot: Any
) -> None:
    engine.go.clear()
    annotate(dock.session)
    dock.button.click()
    qtbot.waitUntil(lambda: len(engine.threads) == 1, timeout=10_000)
    assert not dock.resume.isVisible()
    dock.session.cancel()
    idle(dock.session)
    assert not dock.card.isVisible()
    assert dock.resume.isVisible()
    dock.resume.click()
    qtbot.waitUntil(lambda: len(engine.threads) == 2, timeout=10_000)
    dock.stop.click()
    assert not dock.stop.isEnabled()
    idle(dock.session)
    assert dock.card.isVisible()
    assert dock.stop.isEnabled(), "the next training can be stopped, too"


def test_what_an_earlier_session_left_is_offered_with_two_buttons(
    dock: LearnDock, engine: Engine, idle: Callable[[Any], None], qtbot: Any
) -> None:
    engine.go.clear()
    annotate(dock.session)
    assert not dock.leftover.isVisible()
    dock.button.click()
    qtbot.waitUntil(lambda: len(engine.threads) == 1, timeout=10_000)
    dock.session.cancel()
    idle(dock.session)
    assert not dock.leftover.isVisible(), "the Resume button is there"
    dock.session.interrupted = None  # as after a restart
    dock.session._leftovers.forget()
    dock.render()
    assert dock.leftover.isVisible()
    assert dock.leftover.found.text().startswith("A training of nuclei v2 was interrupted on")
    engine.go.set()
    dock.leftover.resume.click()
    idle(dock.session)
    assert dock.card.isVisible()
    assert not dock.leftover.isVisible()


def test_a_task_is_asked_for_only_where_it_is_open(dock: LearnDock) -> None:
    assert dock.tasks.count() == len(dock.session.tasks())
    if dock.tasks.count() == 1:
        dock.tasks.addItem("Another", "another")
    dock.models.setCurrentIndex(1)
    assert not dock.tasks.isVisible()
    dock.models.setCurrentIndex(0)
    assert dock.tasks.isVisible()
    assert dock.tasks.currentData() == dock.session.default_task()


def test_what_to_learn_is_proposed_by_the_chosen_model_until_a_person_says_it(
    viewer: Any, qtbot: Any, add_image: Callable[..., Any]
) -> None:
    dock = LearnDock(viewer)
    qtbot.addWidget(dock)
    assert dock.session.spec is None
    add_image()
    assert dock.tasks.currentData() == dock.session.spec.task == "semantic"
    other = dock.tasks.findData("instance")
    dock.tasks.setCurrentIndex(other)
    dock.tasks.activated.emit(other)
    dock.session.refresh_models()
    assert dock.tasks.currentData() == "instance"


@pytest.mark.parametrize(
    "values", [[0.81, 0.82], [0.5], [0.0, 1.0], [3e-5, 1.2e-4], [float("nan"), 2.0], [], [-40, 900]]
)
def test_axes_zoom_to_round_values_around_the_data(values: list[float]) -> None:
    low, high, step = span(values)
    finite = [v for v in values if v == v]
    assert all(low - 1e-9 <= v <= high + 1e-9 for v in finite)
    assert 1 <= round((high - low) / step) <= 5
    width = max(finite) - min(finite) if finite else 1.0
    assert high - low <= max(2.5 * width, 0.05)


def test_a_preview_deleted_meanwhile_is_fine(
    dock: LearnDock, viewer: Any, engine: Engine, idle: Callable[[Any], None], qtbot: Any
) -> None:
    engine.go.clear()
    annotate(dock.session)
    dock.button.click()
    qtbot.waitUntil(lambda: "held-out preview" in viewer.layers, timeout=10_000)
    viewer.layers.clear()
    engine.go.set()
    idle(dock.session)
    assert dock.card.isVisible()
    dock.card.discard.click()


def test_folders_can_be_added_and_left_out(
    dock: LearnDock, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qtpy.QtWidgets import QFileDialog

    from napari_apprentice.io import save

    from ._fakes import volume

    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        save(volume(), tmp_path / name / "one.tif")
    answers = iter([str(tmp_path / "images"), str(tmp_path / "labels")])
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: next(answers))
    assert not dock.forget.isVisible()
    dock.folders.click()
    assert dock.session.folders == Folders(tmp_path / "images", tmp_path / "labels")
    assert dock.material.text() == "1 labelled image in folders"
    assert dock.button.isEnabled()
    dock.forget.click()
    assert not dock.button.isEnabled()


def test_curves_take_the_theme(dock: LearnDock, viewer: Any) -> None:
    for theme in ("light", "dark"):
        viewer.theme = theme
        background = dock.curves.loss.backgroundBrush().color().name()
        assert background == dock.curves.score.backgroundBrush().color().name()
        assert dock.curves.loss.getAxis("left").textPen().color().name() != background
