"""The *Restore* dock in a real viewer: methods, before and after, comparing, learning, the map of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from superqt import QCollapsible
from tests._small import FakeStore, make_spec

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Preview
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.split import Split
from napari_apprentice.io import save
from napari_apprentice.session.image_map import ImageMap
from napari_apprentice.session.samples import folder_samples
from napari_apprentice.widgets.restore import RestoreDock

pytestmark = pytest.mark.gui


@pytest.fixture
def store() -> FakeStore:
    none: dict[str, Any] = {"classes": ()}
    return FakeStore(
        make_spec("nuclei v1"),
        make_spec("deep", 3, task="restoration", **none),
        make_spec("flat", task="restoration", **none),
        make_spec("normal", task="anomaly", network="autoencoder", **none),
    )


@pytest.fixture
def dock(viewer: Any) -> Any:
    made = RestoreDock(viewer)
    viewer.window.add_dock_widget(made, name="Restore")
    return made


def noisy(viewer: Any) -> Any:
    voxels = 500 + 50 * np.random.default_rng(0).normal(size=(20, 24))
    return viewer.add_image(
        voxels.astype(np.uint16),
        name="cells",
        scale=(0.5, 0.25),
        contrast_limits=(300, 800),
        colormap="green",
    )


def choose(dock: Any, box: Any, key: str) -> None:
    index = box.findData(key)
    assert index >= 0
    box.setCurrentIndex(index)
    box.activated.emit(index)


def test_methods_are_models_that_fit_and_smoothing(viewer: Any, dock: Any) -> None:
    assert not dock.button.isEnabled()
    noisy(viewer)
    titles = [dock.methods.itemText(n) for n in range(dock.methods.count())]
    assert titles == [
        "flat",
        "normal",
        "deep — expects 3-D",
        "Gaussian (no learning)",
        "Non-local means (no learning)",
        "Total variation (no learning)",
    ]
    assert dock.methods.currentText() == "flat"
    assert not dock.strength.native.isVisibleTo(dock)
    choose(dock, dock.methods, "smooth:nl_means")
    assert dock.strength.native.isVisibleTo(dock)
    assert dock.session.model == "nuclei v1"  # Predict offers what finds something


def test_a_restored_image_lies_beside_its_source_and_is_compared(
    viewer: Any, dock: Any, idle: Callable[[Any], None]
) -> None:
    source = noisy(viewer)
    choose(dock, dock.methods, "smooth:gaussian")
    dock.button.click()
    idle(dock.session)
    result = viewer.layers[-1]
    assert result.name == "cells ▸ Gaussian"
    assert result.data.dtype == np.uint16
    np.testing.assert_array_equal(result.scale, source.scale)
    assert tuple(result.contrast_limits) == (300, 800)
    assert result.colormap.name == "green"
    assert "Gaussian, noise" in dock.summary.text()
    dock.toggle.click()
    assert (result.visible, dock.toggle.text()) == (False, "Show after")
    dock.toggle.click()
    assert result.visible
    assert "none" in dock.clean.currentText()
    assert not dock.compare.isEnabled()
    viewer.layers.selection.active = source
    clean = viewer.add_image(np.full((20, 24), 500.0), name="clean")
    clean.data = clean.data + np.arange(24)
    viewer.layers.selection.active = source
    choose(dock, dock.clean, clean.unique_id)
    dock.compare.click()
    idle(dock.session)
    lines = dock.scores.text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["cells", "Gaussian"]
    values = [float(line.split("PSNR ")[1].split(" dB")[0]) for line in lines]
    assert values[1] > values[0]


def test_learning_from_the_image_alone_gives_a_method(
    viewer: Any, dock: Any, idle: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[Any] = []

    def train(items: Any, *, task: str, name: str, init: Any, **how: Any) -> Any:
        (item,) = items
        taught.extend((task, item.name, item.annotation.clean))
        yield Preview("held-out preview", item.volume.numpy(), item.volume.grid, labels=False)
        spec = make_spec(name, task=task, classes=())
        split = Split(tuple(items), tuple(items), "")
        after = {"hidden_psnr_db": 24.1}
        return SimpleNamespace(spec=spec, state={}, before=None, after=after, split=split)

    assert "Open or select an image" in dock.teach.button.toolTip()
    noisy(viewer)
    monkeypatch.setattr(dock.session, "_train", train)
    assert dock.teach.lessons.currentText() == "this image alone"
    assert "Voxels are hidden" in dock.teach.said.text()
    assert not dock.teach.noisy.isVisibleTo(dock)
    dock.teach.button.click()
    idle(dock.session)
    assert taught == ["restoration", "cells", None]
    assert "held-out preview" in [one.name for one in viewer.layers]
    assert "PSNR of hidden voxels in dB 24.10" in dock.teach.card.text.text()
    dock.teach.card.use.click()
    idle(dock.session)
    assert dock.methods.currentText() == "cells v1"
    assert "held-out preview" not in [one.name for one in viewer.layers]


def test_folders_are_asked_for_and_checked(viewer: Any, dock: Any, tmp_path: Path) -> None:
    choose(dock, dock.teach.lessons, "pairs")
    assert dock.teach.noisy.isVisibleTo(dock)
    assert dock.teach.clean.isVisibleTo(dock)
    assert dock.teach.button.toolTip() == "Choose both folders."
    for folder in ("noisy", "clean"):
        (tmp_path / folder).mkdir()
        save(
            Volume(np.zeros((8, 9), np.uint8), Grid.regular("YX", (8, 9))),
            tmp_path / folder / "a.tif",
        )
    dock.teach.noisy.set_path(tmp_path / "noisy")
    dock.teach.clean.set_path(tmp_path / "clean")
    assert dock.teach.button.isEnabled()
    assert dock.teach.said.text().startswith("1 pair.")
    (tmp_path / "clean" / "a.tif").rename(tmp_path / "clean" / "b.tif")
    dock.teach.clean.set_path(tmp_path / "clean")
    assert not dock.teach.button.isEnabled()


@pytest.fixture
def mapped(viewer: Any, dock: Any, tmp_path: Path) -> Callable[[], None]:
    """Three images of a folder on the map, as if it had just been made."""
    for number in range(3):
        grid = Grid.regular("YX", (8, 9 + number))
        save(Volume(np.full((8, 9 + number), 5, np.uint8), grid), tmp_path / f"{number}.png")
    samples, _ = folder_samples(tmp_path)
    points = np.array([[0.0, 0.0], [1.0, 0.5], [0.2, 1.0]])
    found = ImageMap(samples, points, np.array([0.7, 0.2]), {0: "a", 1: "b"})
    return lambda: dock.map.set_map(found)


def test_a_click_in_the_map_opens_the_image(
    viewer: Any, dock: Any, tmp_path: Path, mapped: Callable[[], None]
) -> None:
    noisy(viewer)
    assert "narrow middle" in dock.map.button.toolTip()
    choose(dock, dock.methods, "model:normal")
    dock.map.folder.set_path(tmp_path)
    assert dock.map.button.isEnabled()
    mapped()
    assert "3 images · the map shows 90% of their differences" in dock.map.text.text()
    assert "●</span> a &nbsp; " in dock.map.legend.text()
    assert "▼</span> b" in dock.map.legend.text()
    dock.map.plot.picked.emit(1)
    assert viewer.layers[-1].data.shape == (8, 10)
    assert dock.map.place.text() == "1 · b"
    assert dock.session.volume is not None
    assert dock.session.volume.name == "cells"  # still the image that is worked on


def shown(dock: Any, qtbot: Any) -> None:
    """A window in which the map lies below the fold, unfolded."""
    window = dock.window()
    window.resize(1000, 700)
    window.show()
    folds = dock.findChildren(QCollapsible)
    next(fold for fold in folds if fold.isAncestorOf(dock.map)).expand()
    qtbot.waitUntil(lambda: dock.map.isVisible())


def test_a_new_map_is_scrolled_to(
    viewer: Any, dock: Any, qtbot: Any, mapped: Callable[[], None]
) -> None:
    noisy(viewer)
    shown(dock, qtbot)
    assert dock.scroll.verticalScrollBar().value() == 0
    mapped()

    def seen() -> bool:
        return dock.map.plot.visibleRegion().boundingRect().height() == dock.map.plot.height()

    qtbot.waitUntil(seen, timeout=3000)


def test_what_the_map_opened_goes_with_it_and_comes_back(
    viewer: Any, dock: Any, qtbot: Any, mapped: Callable[[], None]
) -> None:
    mine = noisy(viewer)
    shown(dock, qtbot)
    mapped()
    dock.map.plot.picked.emit(1)
    assert [layer.data.shape for layer in viewer.layers] == [(20, 24), (8, 10)]
    dock.hide()
    assert list(viewer.layers) == [mine]
    dock.show()
    assert viewer.layers[-1].data.shape == (8, 10)
    mapped()  # another map knows nothing of what the one before had opened
    assert list(viewer.layers) == [mine]
    dock.hide()
    dock.show()
    assert list(viewer.layers) == [mine]
