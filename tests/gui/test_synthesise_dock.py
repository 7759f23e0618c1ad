"""The *Synthesise* dock in a real viewer: learn a few steps, look at images, go between two, add some to a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.io import open_volume, save
from napari_apprentice.models.store import ModelStore, build_network
from napari_apprentice.session._jobs import engine_train
from napari_apprentice.widgets import layers as adapt
from napari_apprentice.widgets.synthesise import SynthesiseDock

pytestmark = pytest.mark.gui


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def dock(viewer: Any) -> Any:
    made = SynthesiseDock(viewer)
    viewer.window.add_dock_widget(made, name="Synthesise")
    return made


@pytest.fixture
def done(qtbot: Any, idle: Callable[[Any], None]) -> Callable[[Any], None]:
    """As `idle`, with the patience that a real network takes on a busy machine; the job must not have failed."""

    def wait(session: Any) -> None:
        qtbot.waitUntil(lambda: not session.status.is_running, timeout=120_000)
        idle(session)
        assert session.status.error is None

    return wait


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Class folders of eight images each."""
    for number in range(16):
        path = tmp_path / "images" / ("bar", "box")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = np.random.default_rng(number).integers(0, 90, (32, 32)).astype(np.uint8)
        data[8:24, 8 : (24 if number % 2 else 12)] = 220
        save(Volume(data, Grid.regular("YX", (32, 32))), path)
    return tmp_path / "images"


def test_a_dock_shows_the_curve_of_the_session_and_no_empty_axes(viewer: Any) -> None:
    """What another dock had learned left axes without a curve; what it learned next was drawn into this one's."""
    from napari_apprentice.core.jobs import Metric

    first = SynthesiseDock(viewer)
    assert first.curves.isHidden()
    session = first.session
    session.curve = [Metric("loss", 1, 0.5, 1.0), Metric("loss", 2, 0.4, 2.0)]
    later = SynthesiseDock(viewer, session)
    assert not later.curves.isHidden()
    assert list(later.curves._loss_line.getData()[1]) == [0.5, 0.4]
    session.curve = []
    session.status_changed.emit(session.status)
    assert later.curves.isHidden()
    session.curve.append(Metric("loss", 1, 0.9, 1.0))
    session.metric_added.emit(session.curve[0])
    later.curves.draw()
    assert list(later.curves._loss_line.getData()[1]) == [0.9]


def maker(store: ModelStore, name: str = "coins", kinds: tuple[str, ...] = ("a", "b")) -> None:
    """A model with fresh weights."""
    spec = ModelSpec(
        name=name,
        task="synthesis",
        network="gan",
        network_args={"channels": [4, 8], "latent": 4, "size": [16, 16]},
        task_args={"sees": "whole", "dtype": "uint8"},
        ndim=2,
        tile=(16, 16),
        normalization=Normalization(kind="window", low=0, high=255),
        classes=tuple(ClassSpec(value=n, name=k) for n, k in enumerate(kinds, start=1)),
    )
    store.save(spec, build_network(spec).state_dict())


def layer(viewer: Any, name: str) -> Any:
    return next((one for one in viewer.layers if one.name == name), None)


def test_a_few_steps_then_samples_then_files_that_say_what_they_are(
    viewer: Any,
    dock: Any,
    images: Path,
    done: Callable[[Any], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dock.session, "_train", engine_train)
    quick = TrainConfig(device="cpu", steps=2, checks=2, batch_size=4)
    monkeypatch.setattr(dock.form, "value", lambda: quick)
    assert "Learn a model" in dock.new.toolTip()
    assert dock.learn.toolTip() == "Choose the folder."
    dock.folder.set_path(images)
    assert dock.said.text().replace("\u200b", "") == "16 images of 2 classes: 8 bar, 8 box"
    dock.learn.click()
    done(dock.session)
    assert layer(viewer, "made-up images").data.shape == (4 * 34 - 2, 6 * 34 - 2)
    assert "distance" in dock.card.text.text()
    dock.card.use.click()
    done(dock.session)
    assert layer(viewer, "made-up images") is None  # the preview has gone
    assert dock.models.currentText() == "images v1"
    assert [dock.classes.itemText(n) for n in range(3)] == ["all classes", "bar", "box"]
    dock.new.click()
    done(dock.session)
    shown = layer(viewer, "made-up images")
    assert shown.metadata[adapt.METADATA]["header"]["synthetic"]
    assert dock.session.volume is None  # nothing to work on elsewhere
    before = shown.data.copy()
    dock.new.click()
    done(dock.session)
    assert not np.array_equal(layer(viewer, "made-up images").data, before)
    dock.classes.setCurrentIndex(dock.classes.findData("box"))
    dock.count.setValue(3)
    assert dock.add.toolTip() == "Choose the folder to add images to."
    dock.target.set_path(images)
    dock.add.click()
    done(dock.session)
    assert "3 images written to images (3 box)" in dock.added.text().replace("\u200b", "")
    made = sorted((images / "box").glob("*.synthetic.png"))
    assert len(made) == 3
    assert "class box" in str(open_volume(made[0]).synthetic)


def test_the_slider_goes_from_one_image_to_another(
    viewer: Any, dock: Any, store: ModelStore, done: Callable[[Any], None]
) -> None:
    maker(store)
    maker(store, "alone", ("image",))
    dock.session.refresh_models()
    dock.models.setCurrentIndex(dock.models.findData("coins"))
    dock.models.activated.emit(0)
    assert dock.classes.isVisibleTo(dock)
    dock.between.slider.setValue(4)
    done(dock.session)
    name = "made up, between two seeds"
    first = layer(viewer, name).data.copy()
    dock.between.slider.setValue(30)  # made already: at once
    assert not dock.session.status.is_running
    assert not np.array_equal(layer(viewer, name).data, first)
    dock.between.last.setValue(9)
    done(dock.session)
    assert len([one for one in viewer.layers if one.name == name]) == 1
    dock.models.setCurrentIndex(dock.models.findData("alone"))
    dock.models.activated.emit(0)
    assert not dock.classes.isVisibleTo(dock)


def test_open_images_can_be_learned_from(viewer: Any, dock: Any) -> None:
    dock.sources.setCurrentIndex(dock.sources.findData("open"))
    dock.sources.activated.emit(1)
    assert dock.learn.toolTip() == "Open some flat images first."
    assert not dock.folder.isVisibleTo(dock)
    for number in range(2):
        viewer.add_image(np.full((9, 9), number, np.uint8), name=f"image {number}")
    viewer.add_image(np.zeros((3, 9, 9), np.uint8), name="stack")
    assert dock.learn.isEnabled()
    assert dock.said.text() == "2 open images, as one class."
