"""*Export*: what can be written, and what is written lies where the layer was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from tests.io._dicom_phantom import ramp, series

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import list_images, open_labels, open_volume
from napari_apprentice.widgets.export import ExportDock
from napari_apprentice.widgets.layers import METADATA
from napari_apprentice.widgets.manifest import read


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> ExportDock:
    made = ExportDock(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


def entries(dock: ExportDock) -> list[str]:
    return [dock.layers.itemText(i) for i in range(dock.layers.count())]


def choose(dock: ExportDock, format: str) -> None:  # noqa: A002
    found = [i for i in range(dock.formats.count()) if dock.formats.itemData(i).format == format]
    dock.formats.setCurrentIndex(found[0])


def test_without_a_layer_it_says_what_to_do(dock: ExportDock) -> None:
    assert not dock.button.isEnabled()
    assert "Open an image first" in dock.button.toolTip()
    assert not dock.patient.isVisible()


def test_channels_of_one_image_are_one_entry_and_helpers_are_none(
    dock: ExportDock, viewer: Any, tmp_path: Path, idle: Callable[[Any], None]
) -> None:
    from napari_apprentice.widgets.layers import layer_tuples

    grid = Grid.regular("CYX", (2, 24, 32), (0.25, 0.25), unit="um")
    data = np.random.default_rng(0).integers(0, 99, grid.shape, np.uint16)
    two = Volume(data, grid, name="cells", channels=("nuclei", "membrane"))
    for data, state, _ in layer_tuples(two):
        viewer.add_image(data, **state)
    viewer.add_image(np.zeros((24, 32)), name="veil", metadata={METADATA: {"veil": True}})
    viewer.add_points(np.zeros((1, 2)))
    assert entries(dock) == [two.name]
    path = tmp_path / "both.ome.tif"
    dock.ask = lambda name, target: path
    choose(dock, "tiff")
    dock.button.click()
    idle(dock.session)
    found = open_volume(path)
    np.testing.assert_array_equal(found.numpy(), two.numpy())
    assert "both.ome.tif" in dock.done.text()


def test_labels_keep_place_names_and_colours(
    dock: ExportDock, viewer: Any, add_image: Callable[..., Any], tmp_path: Path, idle: Any
) -> None:
    image = add_image((6, 24, 32))
    classes = [{"value": 3, "name": "tumour", "color": "#D55E00"}]
    layer = viewer.add_labels(
        np.full((6, 24, 32), 3, np.uint8),
        name="mine ▸ v1",
        scale=image.scale,
        translate=image.translate,
        units=image.units,
        metadata={METADATA: {"classes": classes, "world": "LPS"}},
    )
    viewer.layers.selection.active = layer
    assert dock.layers.currentText() == "mine ▸ v1"
    asked: list[str] = []

    def ask(name: str, target: Any) -> Path:
        asked.append(name)
        return tmp_path / name

    dock.ask = ask
    choose(dock, "nifti")
    dock.button.click()
    idle(dock.session)
    assert asked == ["mine - v1.nii.gz"]
    found = open_labels(tmp_path / asked[0])
    assert found.grid.spacing == pytest.approx(tuple(image.scale))
    assert (dict(found.classes), dict(found.colors)) == ({3: "tumour"}, {3: "#D55E00"})


def test_formats_that_cannot_are_greyed_with_the_reason(
    dock: ExportDock, add_image: Callable[..., Any]
) -> None:
    add_image((6, 24, 32))
    choose(dock, "dicom")
    item = dock.formats.model().item(dock.formats.currentIndex())
    assert not item.isEnabled()
    assert "only labels" in item.toolTip()
    assert not dock.button.isEnabled()
    assert "only labels" in dock.button.toolTip()


def test_a_folder_that_cannot_be_written_to_is_told(
    dock: ExportDock, add_image: Callable[..., Any], tmp_path: Path, idle: Any
) -> None:
    add_image()
    dock.ask = lambda name, target: tmp_path / "nowhere" / "there" / name
    dock.button.click()
    idle(dock.session)
    assert dock.session.status.error is not None
    assert dock.done.text() == ""


def test_a_person_who_thinks_better_of_it_writes_nothing(
    dock: ExportDock, add_image: Callable[..., Any]
) -> None:
    add_image()
    dock.ask = lambda name, target: None
    dock.button.click()
    assert not dock.session.status.is_running


def test_dicom_images_can_be_copied_without_the_patient(
    dock: ExportDock, viewer: Any, tmp_path: Path, idle: Any
) -> None:
    source = tmp_path / "scan"
    source.mkdir()
    series(source, ramp())
    for data, state, _ in read(str(source)):
        viewer.add_image(data, **state)
    assert dock.patient.isVisible()
    dock.patient.ask = lambda: tmp_path / "copies"
    dock.patient.button.click()
    idle(dock.session)
    assert dock.session.status.error is None
    copies = [p for p in (tmp_path / "copies").rglob("*") if p.is_file()]
    assert len(copies) == len(list(source.iterdir()))
    assert all(dcmread(p).PatientIdentityRemoved == "YES" for p in copies)
    assert f"{len(copies)} files written" in dock.patient.result.text()
    report = tmp_path / "report.csv"
    dock.patient.ask_report = lambda: report
    dock.patient.save.click()
    assert "PatientName" in report.read_text()
    dock.patient.ask_report = lambda: tmp_path / "nowhere" / "report.csv"
    dock.patient.save.click()
    assert "there is no folder" in dock.patient.result.text()


def test_what_was_said_of_a_series_stays_while_other_layers_come(
    dock: ExportDock, viewer: Any, tmp_path: Path, add_image: Callable[..., Any]
) -> None:
    source = tmp_path / "scans"
    source.mkdir()
    series(source, ramp())
    series(source, ramp(), name="B{:04d}", SeriesInstanceUID="1.2.3.4.6", SeriesNumber=4)
    add_image()
    for data, state, _ in read(str(list_images(source)[0])):
        viewer.add_image(data, **state)
    assert dock.patient.isVisible()
    dock.patient.checked.setChecked(True)
    viewer.layers.move(0, 2)
    assert dock.patient.isVisible()
    assert dock.patient.checked.isChecked()
