"""bioio: what it gives is placed; what is missing is named."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError, MissingDependencyError

CZI = b"ZISRAWFILE" + bytes(600)


def test_a_file_without_bioio_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bioio", None)
    (tmp_path / "a.czi").write_bytes(CZI)
    with pytest.raises(BadInputError, match=r"read \.czi files.*napari-apprentice\[bioio\]"):
        io.open_volume(tmp_path / "a.czi")


def test_a_file_without_its_plugin_names_the_plugin(tmp_path: Path) -> None:
    pytest.importorskip("bioio")
    (tmp_path / "a.czi").write_bytes(CZI)
    with pytest.raises(MissingDependencyError, match="pip install bioio-czi"):
        io.open_volume(tmp_path / "a.czi")


@pytest.mark.filterwarnings("ignore")  # of bioio and what it imports
def test_what_bioio_says_becomes_a_volume(tmp_path: Path) -> None:
    """With bioio's own reader of OME-TIFF, as there is no free file of a microscope this small."""
    bioio = pytest.importorskip("bioio")
    pytest.importorskip("bioio_ome_tiff")
    from napari_apprentice.io.bioio import _scenes, _volume

    path = tmp_path / "a.ome.tif"
    array = np.arange(120, dtype=np.uint16).reshape(2, 3, 4, 5)
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    metadata = {"axes": "CZYX", "Name": "left", "Channel": {"Name": ["DAPI", "GFP"]}, **sizes}
    with tifffile.TiffWriter(path, ome=True) as writer:
        writer.write(array, metadata=metadata)
        writer.write(array[0, 0], metadata={"axes": "YX", "Name": "right"})
    image = bioio.BioImage(path)
    assert [one.title for one in _scenes(image)] == list(image.scenes)
    volume = _volume(path, image, 0)
    assert volume.grid.axes == "CZYX"
    assert volume.grid.spacing == (2, 0.5, 0.25)
    assert (volume.grid.unit, volume.channels) == ("um", ("DAPI", "GFP"))
    assert not isinstance(volume.data, np.ndarray)
    np.testing.assert_array_equal(volume.numpy(), array)
    other = _volume(path, image, 1)
    assert (other.grid.axes, other.grid.unit) == ("YX", "pixel")
    np.testing.assert_array_equal(other.numpy(), array[0, 0])
