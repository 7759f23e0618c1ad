"""The *Classify* dock in a real viewer: slices, flat images and folders; keys, answers, learning."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtWidgets import QFileDialog, QShortcut
from tests._small import FakeStore, make_spec

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ClassSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.split import Split
from napari_apprentice.io import save
from napari_apprentice.widgets.classify import ClassifyDock
from napari_apprentice.widgets.manifest import sample_cells

pytestmark = pytest.mark.gui


@pytest.fixture
def store() -> FakeStore:
    names = (ClassSpec(value=1, name="CXR"), ClassSpec(value=2, name="Hand"))
    kinds = make_spec("kinds v1", task="image_class", network="cnn", classes=names)
    return FakeStore(make_spec("nuclei v1"), kinds)


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> Any:
    made = ClassifyDock(viewer)
    viewer.window.add_dock_widget(made, name="Classify")
    return made


def stack(viewer: Any, count: int = 4) -> Any:
    return viewer.add_image(np.random.default_rng(0).random((count, 12, 14)), name="stack")


def choose(dock: Any, title: str) -> None:
    index = dock.sources.findText(title)
    assert index > 0, [dock.sources.itemText(i) for i in range(dock.sources.count())]
    dock.sources.setCurrentIndex(index)
    dock.sources.activated.emit(index)


def press(dock: Any, key: str) -> None:
    """Do what the key does; windows of tests are never active, so that Qt would not hear it."""
    named = {s.key().toString(): s for s in dock.findChildren(QShortcut)}
    named[key].activated.emit()


def test_slices_get_classes_by_key_and_the_viewer_goes_along(viewer: Any, dock: Any) -> None:
    layer = stack(viewer)
    choose(dock, "slices of stack")
    for name in ("bone", "air"):
        dock.classes.new.name.setText(name)
        dock.classes.new.name.returnPressed.emit()
    assert [b.full for b in dock.classes.buttons] == ["bone", "air"]
    dock.classes.new.name.setFocus()
    assert dock.focusWidget() is dock.classes.new.name
    dock.classes.new.name.returnPressed.emit()  # no name: number keys are for the classes from now on
    assert dock.focusWidget() is dock.classes.buttons[0]
    assert dock.place.text() == "1 of 4 · stack · slice 0"
    press(dock, "2")
    assert dock.gallery.said == {0: "air"}
    assert viewer.dims.current_step[0] == 1
    press(dock, "Shift+Right")
    assert viewer.dims.current_step[0] == 2
    # On the person's own layer the plain numbers stay napari's.
    assert {str(key) for key in layer.keymap} == {
        *(f"Ctrl+{n}" for n in range(1, 10)),
        *("Shift+Right", "Shift+Left", "Shift+Down", "Shift+Z"),
    }
    dock.undo.click()
    assert (dock.gallery.said, viewer.dims.current_step[0]) == ({}, 0)
    dock.classes.buttons[0].click()
    assert "1 of 4 have a class: 1 bone" in dock.progress.text()
    assert not dock.learn.isEnabled()
    assert "two classes" in dock.learn.toolTip()


def test_pictures_of_a_coloured_stack_are_taken_one_by_one(viewer: Any, dock: Any) -> None:
    ((data, kwargs, _),) = sample_cells()
    layer = viewer.add_image(data, **kwargs)
    choose(dock, "slices of cells")
    assert dock.place.text() == "1 of 40 · cells · slice 00"
    dock.classes.added.emit("normal")
    press(dock, "1")
    assert viewer.dims.current_step[0] == dock.gallery.at == 1
    picture = dock.gallery.sample.open()
    assert picture.rgb
    np.testing.assert_array_equal(picture.numpy(), np.moveaxis(layer.data[1], -1, 0))


def test_flat_images_are_shown_one_at_a_time(viewer: Any, dock: Any) -> None:
    layers = [viewer.add_image(np.full((9, 9), n), name=f"i{n}") for n in range(3)]
    choose(dock, "3 flat images")
    assert [one.visible for one in layers] == [True, False, False]
    dock.next.click()
    assert [one.visible for one in layers] == [False, True, False]
    assert dock.place.text() == "2 of 3 · i1"


def test_a_folder_is_shown_on_a_layer_that_comes_and_goes(
    viewer: Any, dock: Any, tmp_path: Path
) -> None:
    for number, kind in enumerate(("CXR", "CXR", "Hand")):
        (tmp_path / kind).mkdir(exist_ok=True)
        grid = Grid.regular("YX", (8, 9 + number))
        save(Volume(np.full((8, 9 + number), 5, np.uint8), grid), tmp_path / kind / f"{number}.png")
    (tmp_path / "Hand" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no")
    dock.open_folder(tmp_path)
    assert dock.sources.currentText() == f"folder {tmp_path.name}"
    assert len(viewer.layers) == 1
    assert viewer.layers[0].data.shape == (8, 9)
    assert dock.session.volume is None  # it is no image to work on elsewhere
    assert dock.gallery.describe() == "4 of 4 have a class: 2 CXR, 2 Hand"
    dock.next.click()
    assert [one.data.shape for one in viewer.layers] == [(8, 10)]
    assert len(viewer.layers[0].keymap) == 13
    dock.gallery.go(3)
    assert dock.refusal.isVisibleTo(dock)
    assert "bad.png" in dock.refusal.sentence.text().replace("\u200b", "")
    assert not viewer.layers  # the picture before would be taken for this one
    dock.open_folder(tmp_path / "nowhere")
    assert "no such file or folder" in dock.refusal.sentence.text().replace("\u200b", "")


def test_the_picture_of_a_folder_goes_and_comes_with_the_dock(
    viewer: Any, qtbot: Any, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        picture = Volume(np.full((8, 9), 5, np.uint8), Grid.regular("YX", (8, 9)))
        save(picture, tmp_path / f"{name}.png")
    dock = ClassifyDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    dock.open_folder(tmp_path)
    dock.gallery.go(1)
    assert [layer.name for layer in viewer.layers] == ["b"]
    dock.hide()
    assert len(viewer.layers) == 0
    dock.show()
    assert [layer.name for layer in viewer.layers] == ["b"]
    assert len(viewer.layers[0].keymap) == 13
    viewer.layers[0].name = "mine"  # what a person named is theirs
    dock.hide()
    assert [layer.name for layer in viewer.layers] == ["mine"]
    assert not viewer.layers[0].keymap
    dock.show()
    assert [layer.name for layer in viewer.layers] == ["mine", "b"]


def test_keys_on_a_stack_come_back_with_the_dock(viewer: Any, qtbot: Any) -> None:
    dock = ClassifyDock(viewer)
    qtbot.addWidget(dock)
    dock.show()
    layer = viewer.add_image(np.zeros((3, 8, 9), np.uint8))
    dock.sources.setCurrentIndex(1)
    dock.sources.activated.emit(1)
    bound = set(layer.keymap)
    assert bound
    dock.hide()
    assert not layer.keymap
    dock.show()
    assert set(layer.keymap) == bound


def test_classes_come_back_and_are_saved_as_a_table(
    viewer: Any, dock: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        save(
            Volume(np.full((8, 9), 5, np.uint8), Grid.regular("YX", (8, 9))),
            tmp_path / f"{name}.png",
        )
    dock.open_folder(tmp_path)
    assert not dock.save.isEnabled()
    dock.gallery.add_class("bone")
    press(dock, "1")
    dock.gallery.set_samples(())
    dock.open_folder(tmp_path)
    assert dock.progress.text().endswith("1 from an earlier session")
    assert dock.place.text() == "2 of 2 · b"
    table = tmp_path / "out" / "classes.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(table), ""))
    dock.save.click()
    assert dock.refusal.isVisibleTo(dock)  # no such folder
    table.parent.mkdir()
    dock.save.click()
    assert table.read_text("utf-8-sig") == "file,class\na.png,bone\n"


def test_answers_are_shown_and_lead_to_the_doubtful_ones(viewer: Any, dock: Any) -> None:
    stack(viewer)
    choose(dock, "slices of stack")
    assert "Choose a model first" in dock.ask.toolTip()
    dock.models.setCurrentIndex(dock.models.findData("kinds v1"))
    assert dock.models.findData("nuclei v1") < 0
    assert [b.full for b in dock.classes.buttons] == ["CXR", "Hand"]
    assert dock.ask.isEnabled()
    grid = Grid.regular("YX", (12, 14))
    dock.gallery.answers = {
        n: Prediction(
            grid, table={"CXR": p, "Hand": 1 - p}, image_class="CXR", summary=f"CXR {p:.2f}"
        )
        for n, p in enumerate((0.9, 0.8, 0.6, 0.7))
    }
    dock.gallery.changed.emit()
    assert dock.answer.text() == "model: CXR 0.90 · Hand 0.10"
    assert dock.why.isEnabled()
    dock.view.add_map(Prediction(grid, image=np.ones((12, 14), np.float32), summary="why"))
    assert [one.name for one in viewer.layers] == ["stack", "why"]
    assert viewer.layers.selection.active.name == "stack"
    dock.unsure.click()
    assert viewer.dims.current_step[0] == 2
    assert [one.name for one in viewer.layers] == ["stack"]


def test_the_map_of_a_volume_lies_on_the_volume(viewer: Any, dock: Any, tmp_path: Path) -> None:
    """Slices that lie along X are shown upright, and so is the map; it lay beside the volume, unturned."""
    affine = np.array([[0, 0, 3.0, 5], [0, 2.0, 0, 6], [1.0, 0, 0, 7], [0, 0, 0, 1]])
    grid = Grid("ZYX", (4, 5, 6), Grid.freeze(affine), "mm", "LPS")
    save(Volume(np.zeros(grid.shape, np.uint8), grid), tmp_path / "v.nii.gz")
    dock.open_folder(tmp_path)
    (own,) = viewer.layers
    volume = dock.gallery.sample.open()
    evidence = np.random.default_rng(0).random(volume.grid.shape).astype(np.float32)
    dock.view.add_map(Prediction(volume.grid, image=evidence, summary="why"))
    added = viewer.layers[-1]
    assert added.data.shape == own.data.shape
    np.testing.assert_allclose(added.extent.world, own.extent.world)
    assert added.units == own.units


def test_learning_gives_a_card_and_a_model(
    viewer: Any, dock: Any, qtbot: Any, store: FakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[Any] = []

    def train(items: Any, *, task: str, name: str, init: Any, **how: Any) -> Any:
        taught.extend((task, [i.annotation.image_class for i in items]))
        yield from ()
        spec = make_spec(name, task=task, network="cnn")
        split = Split(tuple(items), tuple(items), "")
        after = {"balanced_accuracy": 0.97}
        return SimpleNamespace(spec=spec, state={}, before=None, after=after, split=split)

    monkeypatch.setattr(dock.session, "_train", train)
    stack(viewer)
    choose(dock, "slices of stack")
    for name in ("a", "b"):
        dock.gallery.add_class(name)
        dock.gallery.say(name)
    assert dock.learn.isEnabled()
    dock.learn.click()
    qtbot.waitUntil(lambda: dock.session.candidate is not None, timeout=20_000)
    assert taught == ["image_class", ["a", "b"]]
    assert dock.card.isVisibleTo(dock)
    assert "balanced accuracy 0.97" in dock.card.text.text()
    dock.card.use.click()
    qtbot.waitUntil(
        lambda: dock.session.candidate is None and not dock.session.status.is_running,
        timeout=20_000,
    )
    assert dock.models.currentData() == "my classes v1"
