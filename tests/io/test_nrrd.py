"""NRRD of other programs, segmentations of 3D Slicer, and headers that lie."""

from __future__ import annotations

import gzip
from pathlib import Path

import nrrd
import numpy as np
import pytest

from napari_apprentice import io
from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)  # z, y, x
PLAIN = "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 3 2\nendian: little\n"


def written(path: Path, text: str, data: bytes = ARRAY.tobytes()) -> Path:
    path.write_bytes(text.encode() + b"\n" + data)
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1)),
        ("right-anterior-superior", (-1, -1)),
        ("RAS", (-1, -1)),
        ("left-anterior-superior", (1, -1)),
    ],
)
def test_spaces_become_lps(tmp_path: Path, space: str, signs: tuple[int, int]) -> None:
    text = PLAIN + (
        f"space: {space}\nspace directions: (0,2,0) (0.5,0,0) (0,0,3)\n"
        "space origin: (10,20,30)\nencoding: raw\n"
    )
    volume = io.open_volume(written(tmp_path / "a.nrrd", text))
    x, y = signs
    world = volume.grid.to_world((1, 1, 1))
    np.testing.assert_allclose(world, (33, y * 22, x * 10.5))
    assert (volume.grid.world, volume.grid.unit) == ("LPS", "mm")
    np.testing.assert_array_equal(volume.numpy(), ARRAY)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_encodings_of_pynrrd(tmp_path: Path, encoding: str, endian: str) -> None:
    path = tmp_path / "a.nrrd"
    array = ARRAY.astype(endian + "i2")
    nrrd.write(str(path), array.T, {"encoding": encoding, "spacings": [0.5, 2, 3]}, index_order="F")
    volume = io.open_volume(path)
    np.testing.assert_array_equal(volume.numpy(), ARRAY)
    assert volume.grid.spacing == (3, 2, 0.5)
    assert (volume.grid.world, volume.grid.unit) == ("stage", "pixel")


def test_channels_lie_where_the_file_puts_them(tmp_path: Path) -> None:
    text = (
        "NRRD0004\ntype: short\ndimension: 4\nsizes: 2 4 3 1\nendian: little\nencoding: raw\n"
        "space: LPS\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: vector domain domain domain\n"
    )
    volume = io.open_volume(written(tmp_path / "a.nrrd", text))
    assert (volume.grid.axes, volume.grid.shape) == ("CZYX", (2, 1, 3, 4))
    np.testing.assert_array_equal(volume.numpy()[0, 0], ARRAY.reshape(3, 4, 2)[..., 0])


def test_detached_voxels_beside_the_header(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"skip" + ARRAY.tobytes())
    header = tmp_path / "a.nhdr"
    header.write_text(PLAIN + "encoding: raw\nbyte skip: -1\ndata file: a.raw\n")
    np.testing.assert_array_equal(io.open_volume(header).numpy(), ARRAY)
    header.write_text(PLAIN + "encoding: raw\nbyte skip: 4\ndata file: a.raw\n")
    np.testing.assert_array_equal(io.open_volume(header).numpy(), ARRAY)


@pytest.mark.parametrize("place", ["../a.raw", "/etc/passwd", "sub/a.raw", "a%03d.raw 1 3 1"])
def test_voxels_elsewhere_are_refused(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for raw in (tmp_path / "a.raw", folder / "sub" / "a.raw"):
        raw.write_bytes(ARRAY.tobytes())
    (folder / "a.nhdr").write_text(PLAIN + f"encoding: raw\ndata file: {place}\n")
    with pytest.raises(FormatError, match="in the header's folder"):
        io.open_volume(folder / "a.nhdr")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(ARRAY.tobytes())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.raw").symlink_to(tmp_path / "a.raw")
    (tmp_path / "in" / "a.nhdr").write_text(PLAIN + "encoding: raw\ndata file: a.raw\n")
    with pytest.raises(FormatError, match="in the header's folder"):
        io.open_volume(tmp_path / "in" / "a.nhdr")


SLICER = (
    "Segment0_ID:=Segment_1\nSegment0_Name:=liver\nSegment0_LabelValue:=3\nSegment0_Layer:=0\n"
    "Segment0_Color:=0.866667 0.509804 0.396078\nSegment1_Name:=left ü kidney\nSegment1_LabelValue:=7\n"
    "Segment1_Layer:={layer}\nSegmentation_MasterRepresentation:=Binary labelmap\n"
)


def test_segments_of_slicer_have_names_and_colours(tmp_path: Path) -> None:
    text = PLAIN + "encoding: raw\nspace dimension: 3\n" + SLICER.format(layer=0)
    labels = io.open_labels(written(tmp_path / "a.seg.nrrd", text))
    assert labels.classes == {3: "liver", 7: "left ü kidney"}
    assert labels.colors == {3: "#DD8265"}
    assert io.stem(tmp_path / "a.seg.nrrd") == "a"


def test_segments_that_overlap_are_no_labels(tmp_path: Path) -> None:
    text = (
        "NRRD0004\ntype: short\ndimension: 4\nsizes: 2 4 3 1\nendian: little\nencoding: raw\n"
        "space: LPS\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\nkinds: list domain domain domain\n"
    ) + SLICER.format(layer=1)
    path = written(tmp_path / "a.seg.nrrd", text)
    with pytest.raises(FormatError, match="one layer of segments, found 2"):
        io.open_labels(path)
    assert io.open_volume(path).is_labels is False


def test_what_slicer_needs_is_written(tmp_path: Path) -> None:
    grid = Grid.regular("ZYX", (2, 3, 4), (3, 2, 1), unit="mm", world="LPS")
    labels = Volume((ARRAY % 3), grid, classes={1: "one", 2: "two"}, colors={2: "#FF8000"})
    io.save(labels, tmp_path / "a.seg.nrrd")
    array, header = nrrd.read(str(tmp_path / "a.seg.nrrd"))
    np.testing.assert_array_equal(array.T, ARRAY % 3)
    assert header["encoding"] == "gzip"
    assert header["space"] == "left-posterior-superior"
    assert header["Segment1_Name"] == "two"
    assert header["Segment1_LabelValue"] == "2"
    assert header["Segment1_Layer"] == "0"
    assert header["Segment1_Extent"] == "0 3 0 2 0 1"
    assert [float(v) for v in header["Segment1_Color"].split()] == [1, pytest.approx(128 / 255, abs=1e-5), 0]  # fmt: skip
    assert "Segment0_Color" not in header


def test_channel_names_colours_and_time_survive(tmp_path: Path) -> None:
    grid = Grid.regular("TCYX", (3, 2, 4, 5), (1, 1), time_step=0.25)
    volume = Volume(np.zeros(grid.shape, np.uint8), grid, channels=("DAPI", "ü"))
    io.save(volume, tmp_path / "a.nrrd")
    again = io.open_volume(tmp_path / "a.nrrd")
    assert (again.channels, again.grid.time_step) == (("DAPI", "ü"), 0.25)
    names = ("red", "green", "blue")
    picture = Volume(np.zeros((3, 4, 5), np.uint8), Grid.regular("CYX", (3, 4, 5)), channels=names, rgb=True)  # fmt: skip
    io.save(picture, tmp_path / "b.nrrd")
    assert io.open_volume(tmp_path / "b.nrrd").rgb
    assert nrrd.read_header(str(tmp_path / "b.nrrd"))["kinds"][0] == "RGB-color"


BAD = {
    "lying sizes": (PLAIN.replace("4 3 2", "4000 3000 2000") + "encoding: raw\n", "48 GB"),
    "lying gzip": (PLAIN.replace("4 3 2", "4000 3000 2000") + "encoding: gzip\n", "1032 times"),
    "negative": (PLAIN.replace("4 3 2", "4 -3 2") + "encoding: raw\n", "positive lengths"),
    "no length": (PLAIN.replace("4 3 2", "4 0 2") + "encoding: raw\n", "positive lengths"),
    "blocks": (PLAIN.replace("short", "block") + "encoding: raw\n", "cannot|whole or real"),
    "text": (PLAIN + "encoding: ascii\n", "raw, gzip or bzip2"),
    "no encoding": (PLAIN, "cannot be read"),
    "six axes": ("NRRD0004\ntype: short\ndimension: 6\nsizes: 2 2 2 3 1 1\nencoding: raw\nendian: little\n", "at most one axis"),
    "wrong dimension": (PLAIN.replace("dimension: 3", "dimension: 7") + "encoding: raw\n", "positive lengths"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_headers_are_typed_errors(tmp_path: Path, fault: str) -> None:
    text, message = BAD[fault]
    with pytest.raises(FormatError, match=message) as caught:
        io.open_volume(written(tmp_path / "a.nrrd", text))
    assert caught.value.path == str(tmp_path / "a.nrrd")


def test_a_stream_that_ends_early_is_said(tmp_path: Path) -> None:
    packed = gzip.compress(ARRAY.tobytes()[:20])
    volume = io.open_volume(written(tmp_path / "a.nrrd", PLAIN + "encoding: gzip\n", packed))
    with pytest.raises(FormatError, match="found 20 bytes; it is cut off"):
        volume.numpy()


def test_a_bomb_is_unpacked_no_further_than_the_header_says(tmp_path: Path) -> None:
    packed = gzip.compress(bytes(50_000_000))
    volume = io.open_volume(written(tmp_path / "a.nrrd", PLAIN + "encoding: gzip\n", packed))
    assert volume.numpy().nbytes == 48


@pytest.mark.parametrize("directions", ["(nan,0,0) (0,1,0) (0,0,1)", "(0,0,0) (0,1,0) (0,0,1)"])
def test_directions_that_span_nothing_are_refused_or_said(tmp_path: Path, directions: str) -> None:
    text = PLAIN + f"space: LPS\nspace directions: {directions}\nencoding: raw\n"
    volume = io.open_volume(written(tmp_path / "a.nrrd", text))
    np.testing.assert_array_equal(volume.numpy(), ARRAY)
    assert "span no volume" in volume.metadata["warnings"][0]
