"""*Objects*: measured, linked to napari's table, selected in the plot and on the canvas, saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import QPointF

import napari_apprentice.measure.features  # noqa: F401  # what the worker would import first takes a while
from napari_apprentice.widgets.layers import METADATA
from napari_apprentice.widgets.objects import ObjectsDock

SHAPE = (24, 32)


def numbers() -> np.ndarray:
    """Objects 1 (9 pixels), 2 (30) and 4 (4)."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:5, 2:5], labels[10:15, 20:26], labels[20:22, 4:6] = 1, 2, 4
    return labels


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> ObjectsDock:
    made = ObjectsDock(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


@pytest.fixture
def cells(viewer: Any, add_image: Callable[..., Any]) -> Any:
    """Numbered objects on an image."""
    image = add_image(SHAPE)
    placed = {"scale": image.scale, "translate": image.translate, "units": image.units}
    return viewer.add_labels(numbers(), name="cells", **placed)


@pytest.fixture
def measure(dock: ObjectsDock, idle: Callable[[Any], None]) -> Callable[[], None]:
    def measure() -> None:
        assert dock.button.isEnabled(), dock.button.toolTip()
        dock.button.click()
        idle(dock.session)

    return measure


def test_without_labels_it_says_what_to_do(dock: ObjectsDock) -> None:
    assert not dock.button.isEnabled()
    assert "no labels" in dock.button.toolTip()
    assert not dock.plot.isVisible()


def test_the_table_is_linked_to_the_layer(dock: ObjectsDock, cells: Any, measure: Any) -> None:
    measure()
    assert dock.summary.text() == "3 objects · median area 0.5625 µm²"
    features = cells.features
    assert list(features["index"]) == [0, 1, 2, 3, 4]  # napari: row k is the object k
    assert features["area (µm²)"][2] == pytest.approx(30 * 0.25**2)
    assert features["intensity mean"][1] == pytest.approx(3 * 32 + 3)
    assert np.isnan(features["area (µm²)"][3])


def test_measuring_again_leaves_no_stale_column(
    dock: ObjectsDock, cells: Any, measure: Any
) -> None:
    cells.features = pd.DataFrame({"index": [1, 2, 4], "score": [0.9, 0.8, 0.7]})
    measure()
    dock.form.row("intensity").value = False
    measure()
    assert "intensity mean" not in cells.features
    assert cells.features["score"][4] == 0.7
    cells.data_setitem((np.array([0]), np.array([0])), 9)
    assert "measure again" in dock.summary.text()


def test_a_lasso_rings_objects_and_a_click_goes_to_one(
    dock: ObjectsDock, viewer: Any, cells: Any, measure: Any, qtbot: Any
) -> None:
    measure()
    plot = dock.plot
    plot.across.setCurrentText("area (µm²)")
    assert plot.is_histogram
    plot.select_in(np.array([[0.4, 0], [2.5, 1]]))
    assert dock.chosen.text() == "2 of 3 objects selected"
    (rings,) = (one for one in viewer.layers if (one.metadata.get(METADATA) or {}).get("rings"))
    np.testing.assert_allclose(rings.data, [[3, 3], [12, 22.5]])
    np.testing.assert_allclose(rings.scale, cells.scale)
    plot.up.setCurrentText("intensity mean")
    points = plot.points()
    plot.select_in(points[2] + np.array([[-0.01, -1], [0.01, -1], [0.01, 1], [-0.01, 1]]))
    assert dock.chosen.text() == "1 of 3 objects selected"
    qtbot.wait(50)
    plot.pick_at(plot.box.mapViewToScene(QPointF(*points[1])))
    assert cells.selected_label == 2
    centre = cells.data_to_world((12, 22.5))
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], centre)
    plot.select_in(np.array([[90, 0], [91, 0], [91, 1]]))
    assert not [one for one in viewer.layers if "selected objects" in one.name]


def test_what_is_picked_in_napari_is_marked_in_the_plot(
    dock: ObjectsDock, cells: Any, measure: Any
) -> None:
    measure()
    cells.selected_label = 4
    assert dock.chosen.text() == "object 4"
    assert list(dock.plot._rows) == [2]


def test_pieces_of_classes_become_a_layer_of_objects(
    dock: ObjectsDock, viewer: Any, cells: Any, measure: Any
) -> None:
    data = (numbers() > 0).astype(np.uint8)
    facts = {"classes": [{"value": 1, "name": "cell", "color": "#D55E00"}]}
    viewer.add_labels(data, name="classes", metadata={METADATA: facts}, scale=cells.scale)
    assert dock.labels.currentText() == "classes"
    dock.form.row("components").value = True
    measure()
    made = viewer.layers["classes ▸ objects"]
    assert made.data.max() == 3
    assert list(made.features["class"]) == ["", "cell", "cell", "cell"]
    np.testing.assert_allclose(made.scale, cells.scale)


def test_labels_of_another_image_are_refused(
    dock: ObjectsDock, viewer: Any, cells: Any, measure: Any
) -> None:
    viewer.add_labels(np.ones((5, 5), np.uint8), name="other")
    dock.images.setCurrentIndex(0)
    measure()
    assert "5 × 5 voxels" in str(dock.session.status.error)
    assert dock.measured is None


def test_a_layer_closed_meanwhile_leaves_its_table(
    dock: ObjectsDock, viewer: Any, cells: Any, idle: Any, tmp_path: Path
) -> None:
    dock.button.click()
    viewer.layers.remove(cells)
    idle(dock.session)
    assert not dock.table.isEnabled()
    dock.ask = lambda: tmp_path / "table.csv"
    dock.save.click()
    idle(dock.session)
    assert list(pd.read_csv(tmp_path / "table.csv")["label"]) == [1, 2, 4]
    assert "table.csv" in dock.chosen.text()


def test_the_table_of_napari_opens_and_selects(
    dock: ObjectsDock, viewer: Any, cells: Any, measure: Any
) -> None:
    measure()
    dock.table.click()
    tables = [d for n, d in viewer.window.dock_widgets.items() if "Features" in n]
    assert len(tables) == 1
    tables[0].table.selectRow(4)
    assert cells.selected_label == 4
