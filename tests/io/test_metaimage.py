"""MetaImage of ITK and headers that lie."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from napari_apprentice import io
from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
PLAIN = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_SHORT\n"


def written(path: Path, text: str, data: bytes = ARRAY.tobytes()) -> Path:
    path.write_bytes(text.encode() + data)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_what_itk_writes_is_read_where_it_lies(tmp_path: Path, suffix: str, packed: bool) -> None:
    image = SimpleITK.GetImageFromArray(ARRAY)
    image.SetSpacing((0.5, 2, 3))
    image.SetOrigin((-10, 20, 30))
    image.SetDirection((0, 0, 1, -1, 0, 0, 0, 1, 0))
    SimpleITK.WriteImage(image, str(tmp_path / f"a{suffix}"), packed)
    volume = io.open_volume(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(volume.numpy(), ARRAY)
    for index in ((0, 0, 0), (3, 0, 0), (0, 2, 0), (3, 2, 1)):
        world = image.TransformIndexToPhysicalPoint(index)
        np.testing.assert_allclose(volume.grid.to_world(index[::-1]), world[::-1], atol=1e-9)
    assert (volume.grid.world, volume.grid.unit) == ("LPS", "mm")


def test_channels_and_big_endian(tmp_path: Path) -> None:
    text = PLAIN.replace("4 3 2", "4 3 1") + (
        "ElementNumberOfChannels = 2\nBinaryDataByteOrderMSB = True\nElementDataFile = LOCAL\n"
    )
    volume = io.open_volume(written(tmp_path / "a.mha", text, ARRAY.astype(">i2").tobytes()))
    assert volume.grid.axes == "CZYX"
    np.testing.assert_array_equal(volume.numpy()[1, 0], ARRAY.reshape(3, 4, 2)[..., 1])


def test_what_the_format_has_no_key_for_survives(tmp_path: Path) -> None:
    grid = Grid.regular("TCZYX", (2, 3, 4, 5, 6), (2, 1, 1), unit="um", time_step=0.5)
    volume = Volume(np.zeros(grid.shape, np.float32), grid, channels=("a", "ü", "c"))
    io.save(volume, tmp_path / "a.mha")
    again = io.open_volume(tmp_path / "a.mha")
    assert again.grid == grid
    assert (again.grid.time_step, again.grid.world, again.channels) == (0.5, "stage", ("a", "ü", "c"))  # fmt: skip
    theirs = SimpleITK.ReadImage(str(tmp_path / "a.mha"))
    assert theirs.GetNumberOfComponentsPerPixel() == 3
    assert theirs.GetSize() == (6, 5, 4, 2)


def test_object_numbers_come_back_as_labels(tmp_path: Path) -> None:
    labels = Volume(ARRAY.astype(np.int64), Grid.regular("ZYX", ARRAY.shape), is_labels=True)
    io.save(labels, tmp_path / "a.mha")
    again = io.open_volume(tmp_path / "a.mha")
    assert (again.is_labels, again.dtype) == (True, np.uint8)
    np.testing.assert_array_equal(
        SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "a.mha"))), ARRAY
    )


def test_a_unit_that_the_format_does_not_know_is_refused(tmp_path: Path) -> None:
    volume = Volume(ARRAY, Grid.regular("ZYX", ARRAY.shape, unit="nm"))
    with pytest.raises(Exception, match="MetaImage knows mm and um, found nm"):
        io.save(volume, tmp_path / "a.mha")


LOCAL = "ElementDataFile = LOCAL\n"
BAD = {
    "lying sizes": (PLAIN.replace("4 3 2", "40000 3000 2000") + LOCAL, "480 GB"),
    "lying stream": (PLAIN.replace("4 3 2", "40000 3000 2000") + "CompressedData = True\n" + LOCAL, "1032 times"),
    "negative": (PLAIN.replace("4 3 2", "4 -3 2") + LOCAL, "positive lengths"),
    "no voxels": (PLAIN, "ElementDataFile at the end"),
    "complex": (PLAIN.replace("MET_SHORT", "MET_FLOAT_COMPLEX") + LOCAL, "whole or real numbers"),
    "text": (PLAIN + "BinaryData = False\n" + LOCAL, "binary voxels"),
    "no size": (PLAIN.replace("DimSize = 4 3 2\n", "") + LOCAL, "cannot be read"),
    "short matrix": (PLAIN + "TransformMatrix = 1 0 0 1\n" + LOCAL, "9 numbers"),
    "list": (PLAIN + "ElementDataFile = LIST\na.raw\n", "header's folder"),
    "pattern": (PLAIN + "ElementDataFile = a%03d.raw 1 2 1\n", "header's folder"),
    "elsewhere": (PLAIN + "ElementDataFile = ../a.raw\n", "header's folder"),
    "absolute": (PLAIN + "ElementDataFile = /etc/passwd\n", "header's folder"),
    "missing": (PLAIN + "ElementDataFile = none.raw\n", "is missing"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_headers_are_typed_errors(tmp_path: Path, fault: str) -> None:
    text, message = BAD[fault]
    with pytest.raises(FormatError, match=message) as caught:
        io.open_volume(written(tmp_path / "a.mhd", text))
    assert caught.value.path == str(tmp_path / "a.mhd")


def test_a_matrix_that_is_no_number_is_replaced_and_said(tmp_path: Path) -> None:
    volume = io.open_volume(
        written(tmp_path / "a.mha", PLAIN + "ElementSpacing = 1 nan 0\n" + LOCAL)
    )
    assert volume.grid.spacing == (1, 1, 1)
    assert "spacing of 1" in volume.metadata["warnings"][0]


def test_a_damaged_stream_is_said(tmp_path: Path) -> None:
    text = PLAIN + "CompressedData = True\n" + LOCAL
    volume = io.open_volume(written(tmp_path / "a.mha", text, zlib.compress(ARRAY.tobytes())[:-8]))
    with pytest.raises(FormatError, match=r"a\.mha"):
        volume.numpy()
