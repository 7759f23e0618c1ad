"""A DICOM folder in napari: placed, windowed, and its labels saved back as DICOM-SEG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_apprentice import io
from napari_apprentice.core.errors import SeriesChoiceError
from napari_apprentice.widgets.manifest import get_reader, write_labels

from ..io._dicom_phantom import ramp, series  # noqa: TID252  # one phantom for both rooms

SAGITTAL = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=float)

pytestmark = pytest.mark.gui


def test_a_series_is_placed_windowed_and_saved_back(
    make_napari_viewer: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "mr"
    series(
        folder,
        ramp((4, 6, 7)),
        turn=SAGITTAL,
        origin=(3, -40, 55),
        WindowCenter="60",
        WindowWidth="40",
    )
    read = get_reader(str(folder))
    assert read is not None
    viewer = make_napari_viewer()
    ((data, attributes, kind),) = read(str(folder))
    layer = getattr(viewer, f"add_{kind}")(data, **attributes)
    assert layer.contrast_limits == [40, 80]
    assert [str(u) for u in layer.units] == ["millimeter"] * 3
    volume = io.open_volume(folder)
    where = np.argwhere(np.asarray(layer.data) == 100)[0]
    np.testing.assert_allclose(
        layer.data_to_world(where),
        volume.grid.to_world(np.argwhere(ramp((4, 6, 7)) == 100)[0]),
        atol=1e-4,
    )

    labels = (np.asarray(layer.data) > 150).astype(np.uint8)
    painted = viewer.add_labels(labels, **{k: attributes[k] for k in attributes if k in _PLACE})
    facts = dict(painted.metadata["napari-apprentice"])
    painted.metadata["napari-apprentice"] = facts | {"classes": [{"value": 1, "name": "bright"}]}
    write_labels(str(tmp_path / "a.dcm"), painted.data, painted.as_layer_data_tuple()[1])

    again = io.open_labels(tmp_path / "a.dcm")
    assert again.grid == volume.grid
    np.testing.assert_array_equal(again.numpy(), ramp((4, 6, 7)) > 150)
    assert dict(again.classes) == {1: "bright"}


_PLACE = ("scale", "translate", "affine", "units", "axis_labels", "metadata")


def test_slices_dropped_together_are_one_layer_and_two_series_ask(tmp_path: Path) -> None:
    paths = [str(path) for path in series(tmp_path / "ct", ramp(), name="{}.dcm")]
    read = get_reader(paths)
    assert read is not None
    assert len(read(paths)) == 1
    series(tmp_path / "ct", ramp((3, 4, 4)), name="b{}", SeriesInstanceUID="1.2.9", SeriesNumber=8)
    folder = get_reader(str(tmp_path / "ct"))
    assert folder is not None
    with pytest.raises(SeriesChoiceError, match="found 2 series"):
        folder(str(tmp_path / "ct"))


def test_a_radiograph_whose_lowest_number_is_white_is_shown_so(tmp_path: Path) -> None:
    series(tmp_path / "cr", ramp((2, 5, 6)), PhotometricInterpretation="MONOCHROME1")
    read = get_reader(str(tmp_path / "cr"))
    assert read is not None
    ((data, attributes, _),) = read(str(tmp_path / "cr"))
    assert attributes["colormap"] == "gray_r"
    np.testing.assert_array_equal(np.asarray(data), ramp((2, 5, 6)))
