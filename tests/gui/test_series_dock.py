"""*Series*: a folder of several scans asks which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import generate_uid
from tests.io._dicom_phantom import ramp, series

from napari_apprentice.widgets.manifest import get_reader
from napari_apprentice.widgets.series import SeriesDock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two series side by side."""
    for number, shape in enumerate([(5, 6, 7), (3, 8, 8)], start=1):
        series(
            tmp_path,
            ramp(shape),
            name=f"s{number}_{{:04d}}",
            SeriesInstanceUID=generate_uid(),
            SeriesNumber=number,
            SeriesDescription=f"scan {number}",
        )
    return tmp_path


@pytest.fixture
def dock(viewer: Any, qtbot: Any) -> SeriesDock:
    made = SeriesDock(viewer)
    qtbot.addWidget(made)
    made.show()
    return made


def test_it_lists_and_opens_what_is_chosen(
    dock: SeriesDock, viewer: Any, folder: Path, idle: Any
) -> None:
    assert not dock.button.isEnabled()
    assert "Choose a folder" in dock.hint.text()
    dock.ask = lambda: folder
    dock.choose.click()
    idle(dock.session)
    shown = [[dock.table.item(r, c).text() for c in range(4)] for r in range(dock.table.rowCount())]
    assert [row[0] for row in shown] == ["scan 1", "scan 2"]
    assert [row[2] for row in shown] == ["5 × 6 × 7", "3 × 8 × 8"]
    dock.table.selectRow(1)
    dock.button.click()
    idle(dock.session)
    assert [layer.data.shape for layer in viewer.layers] == [(3, 8, 8)]
    dock.table.selectAll()
    assert dock.button.text() == "Open 2 series"
    dock.button.click()
    idle(dock.session)
    assert len(viewer.layers) == 3
    assert len({layer.name for layer in viewer.layers}) == 3


def test_a_folder_without_series_is_told(dock: SeriesDock, tmp_path: Path, idle: Any) -> None:
    dock.look_in(tmp_path)
    idle(dock.session)
    assert dock.session.status.error is not None
    assert dock.table.rowCount() == 0


def test_dropping_such_a_folder_shows_the_dock(
    make_napari_viewer: Any, small_session: None, folder: Path, qtbot: Any, idle: Any
) -> None:
    viewer = make_napari_viewer()
    reader = get_reader(str(folder))
    assert reader is not None
    assert reader(str(folder)) == [(None,)]
    (dock,) = viewer.window._qt_window.findChildren(SeriesDock)
    idle(dock.session)
    assert dock.table.rowCount() == 2
    assert len(viewer.layers) == 0
