"""TIFF against tifffile as the independent reader and writer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_apprentice import io
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Display, Volume

ROUND_TRIP = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
AXES = ("YX", "ZYX", "CYX", "TYX", "CZYX", "TZYX", "TCZYX")
LENGTHS = {"T": 2, "C": 3, "Z": 5, "Y": 6, "X": 7}


def voxels(axes: str, dtype: str = "u2") -> np.ndarray:
    shape = tuple(LENGTHS[a] for a in axes)
    return np.random.default_rng(1).integers(0, 200, shape).astype(dtype)


@ROUND_TRIP
@given(
    axes=st.sampled_from(AXES),
    dtype=st.sampled_from(("u1", "u2", "i2", "u4", "f4", "f8")),
    spacing=st.tuples(*[st.floats(0.05, 40)] * 3),
    unit=st.sampled_from(("um", "mm", "nm", "pixel")),
    suffix=st.sampled_from((".tif", ".tiff", ".ome.tif", ".ome.tiff")),
)
def test_what_is_saved_is_what_is_opened(
    tmp_path: Path, axes: str, dtype: str, spacing: tuple[float, ...], unit: str, suffix: str
) -> None:
    array = voxels(axes, dtype)
    n = 3 if "Z" in axes else 2
    step = 1.5 if "T" in axes else None
    grid = Grid.regular(axes, array.shape, spacing[-n:], unit=unit, time_step=step)

    io.save(Volume(array, grid), tmp_path / f"a{suffix}")

    again = io.open_volume(tmp_path / f"a{suffix}")
    assert again.grid == grid
    assert again.grid.time_step == step
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again.numpy(), array)
    theirs = tifffile.imread(tmp_path / f"a{suffix}")
    assert sorted(theirs.shape) == sorted(array.shape)
    assert theirs.sum() == array.sum()


@pytest.mark.parametrize("suffix", [".tif", ".ome.tif"])
def test_another_reader_finds_the_voxel_size(tmp_path: Path, suffix: str) -> None:
    array = voxels("ZYX")
    grid = Grid.regular("ZYX", array.shape, (0.5, 0.21, 0.2), unit="um")
    io.save(Volume(array, grid, classes={1: "a", 2: "b"}), tmp_path / f"a{suffix}")
    with tifffile.TiffFile(tmp_path / f"a{suffix}") as file:
        assert file.series[0].axes == "ZYX"
        if suffix == ".tif":
            tags = file.pages[0].tags
            assert file.imagej_metadata["unit"] == "micron"
            assert file.imagej_metadata["spacing"] == 0.5
            assert math.isclose(tags["XResolution"].value[0] / tags["XResolution"].value[1], 5)
            return
        pixels = tifffile.xml2dict(file.ome_metadata)["OME"]["Image"]["Pixels"]
    assert [pixels[f"PhysicalSize{a}"] for a in "ZYX"] == [0.5, 0.21, 0.2]
    assert pixels["PhysicalSizeXUnit"] == "µm"


def ome(path: Path, array: np.ndarray, **metadata: Any) -> Volume:
    tifffile.imwrite(path, array, ome=True, metadata=metadata)
    return io.open_volume(path)


@pytest.mark.parametrize(
    ("unit", "expected", "factor"),
    [("µm", "um", 1), ("mm", "mm", 1), ("nm", "nm", 1), ("cm", "mm", 10), ("Å", "nm", 0.1)],
)
def test_ome_units(tmp_path: Path, unit: str, expected: str, factor: float) -> None:
    sizes = {f"PhysicalSize{a}": v for a, v in zip("ZYX", (3.0, 0.5, 0.25), strict=True)}
    units = {f"PhysicalSize{a}Unit": unit for a in "ZYX"}
    volume = ome(tmp_path / "a.ome.tif", voxels("ZYX"), axes="ZYX", **sizes, **units)
    assert volume.grid.unit == expected
    np.testing.assert_allclose(volume.grid.spacing, np.array((3, 0.5, 0.25)) * factor)


def test_ome_units_that_differ_between_axes(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 200, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.2}
    sizes |= {"PhysicalSizeZ": 0.001, "PhysicalSizeZUnit": "mm"}
    volume = ome(tmp_path / "a.ome.tif", voxels("ZYX"), axes="ZYX", **sizes)
    assert volume.grid.unit == "nm"
    np.testing.assert_allclose(volume.grid.spacing, (1000, 200, 200))


def test_ome_names_and_time(tmp_path: Path) -> None:
    names = ["DAPI", "GFP", "membrane ü"]
    time = {"TimeIncrement": 2, "TimeIncrementUnit": "min"}
    volume = ome(
        tmp_path / "a.ome.tif", voxels("TCYX"), axes="TCYX", Channel={"Name": names}, **time
    )
    assert volume.channels == tuple(names)
    assert volume.grid.time_step == 120
    io.save(volume, tmp_path / "b.tif")
    assert io.open_volume(tmp_path / "b.tif").channels == tuple(names)


def test_a_missing_distance_between_planes_is_said(tmp_path: Path) -> None:
    volume = ome(tmp_path / "a.ome.tif", voxels("ZYX"), axes="ZYX", PhysicalSizeX=0.5)
    assert volume.grid.spacing == (0.5, 0.5, 0.5)
    assert "between planes" in volume.metadata["warnings"][0]


@pytest.mark.parametrize("unit", ["micron", "um", "\\u00B5m", "microns"])
def test_imagej_units(tmp_path: Path, unit: str) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        voxels("ZYX"),
        imagej=True,
        resolution=(5, 4),
        metadata={"axes": "ZYX", "spacing": 2.5, "unit": unit},
    )
    volume = io.open_volume(tmp_path / "a.tif")
    assert volume.grid.unit == "um"
    np.testing.assert_allclose(volume.grid.spacing, (2.5, 0.25, 0.2))


@pytest.mark.parametrize(
    ("resolution", "unit", "spacing", "name"),
    [
        ((20000, 10000), "CENTIMETER", (1.0, 0.5), "um"),
        ((50800, 50800), "INCH", (0.5, 0.5), "um"),
        ((72, 72), "INCH", (1, 1), "pixel"),
        ((300, 300), "INCH", (1, 1), "pixel"),
        ((96 / 2.54, 96 / 2.54), "CENTIMETER", (1, 1), "pixel"),
        ((20000, 10000), "NONE", (1, 1), "pixel"),
    ],
)
def test_the_resolution_of_a_plain_tiff(
    tmp_path: Path,
    resolution: tuple[float, float],
    unit: str,
    spacing: tuple[float, ...],
    name: str,
) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", voxels("YX"), resolution=resolution, resolutionunit=unit, metadata=None
    )
    grid = io.open_volume(tmp_path / "a.tif").grid
    assert grid.unit == name
    np.testing.assert_allclose(grid.spacing, spacing)


@pytest.mark.parametrize(
    ("shape", "image", "labels"),
    [
        ((6, 7), "YX", "YX"),
        ((3, 6, 7), "CYX", "ZYX"),
        ((9, 6, 7), "ZYX", "ZYX"),
        ((9, 3, 6, 7), "CZYX", None),
        ((9, 8, 6, 7), "TZYX", None),
    ],
)
def test_axes_without_names_are_guessed_and_it_is_said(
    tmp_path: Path, shape: tuple[int, ...], image: str, labels: str | None
) -> None:
    array = np.random.default_rng(0).integers(0, 9, shape).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    volume = io.open_volume(tmp_path / "a.tif")
    assert volume.grid.axes == image
    assert bool(volume.metadata["warnings"]) == (len(shape) > 2)
    if labels is not None:
        assert io.open_labels(tmp_path / "a.tif").grid.axes == labels


@pytest.mark.parametrize("planar", ["CONTIG", "SEPARATE"])
@pytest.mark.parametrize("samples", [3, 4])
def test_colours_become_channels(tmp_path: Path, planar: str, samples: int) -> None:
    array = np.random.default_rng(0).integers(0, 255, (6, 7, samples)).astype(np.uint8)
    stored = array if planar == "CONTIG" else array.transpose(2, 0, 1)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    volume = io.open_volume(tmp_path / "a.tif")
    assert volume.rgb
    assert volume.channels == ("red", "green", "blue", "alpha")[:samples]
    np.testing.assert_array_equal(volume.numpy(), array.transpose(2, 0, 1))


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "packbits"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_compressed_and_tiled(
    tmp_path: Path, compression: str, tile: tuple[int, int] | None, byteorder: str
) -> None:
    array = np.random.default_rng(0).integers(0, 9, (5, 40, 50)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        array,
        compression=compression,
        tile=tile,
        byteorder=byteorder,
        bigtiff=True,
    )
    volume = io.open_volume(tmp_path / "a.tif")
    assert volume.dtype == np.uint16
    np.testing.assert_array_equal(volume.numpy(), array)
    np.testing.assert_array_equal(np.asarray(volume.data[3, 10:20]), array[3, 10:20])


def test_a_constant_image_is_not_taken_for_a_lie(tmp_path: Path) -> None:
    array = np.zeros((3, 512, 512), np.uint8)
    for codec in ("zlib", "lzw", "zstd", "packbits"):
        tifffile.imwrite(tmp_path / "a.tif", array, compression=codec, photometric="minisblack")
        assert not io.open_volume(tmp_path / "a.tif").numpy().any()


def test_the_largest_series_is_opened_and_the_others_named(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((8, 9), np.uint8))
        file.write(np.ones((5, 30, 40), np.uint8))
    volume = io.open_volume(tmp_path / "a.tif")
    assert volume.grid.shape == (5, 30, 40)
    assert [s for s in volume.metadata["series"] if "(8, 9)" in s]


def test_the_voxel_size_is_that_of_the_series_opened(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(np.zeros((8, 9), np.uint8), metadata={"PhysicalSizeX": 9, "PhysicalSizeY": 9})
        file.write(np.ones((30, 40), np.uint8), metadata={"PhysicalSizeX": 2, "PhysicalSizeY": 3})
    assert io.open_volume(tmp_path / "a.ome.tif").grid.spacing == (3, 2)


def test_the_placement_of_a_patient_survives(tmp_path: Path) -> None:
    matrix = np.array([[0, 2.9, 0.1, -7], [-1.5, 0, 0, 3], [0, -0.05, 1.2, 9], [0, 0, 0, 1]])
    grid = Grid("ZYX", (5, 6, 7), Grid.freeze(matrix), "mm", "LPS")
    names = {1: "a & <b>", 300: "ü"}
    labels = (voxels("ZYX") % 2).astype(np.int64) * 300
    io.save(Volume(labels, grid, classes=names), tmp_path / "a.tif")
    again = io.open_labels(tmp_path / "a.tif")
    assert again.grid == grid
    assert again.grid.world == "LPS"
    assert again.dtype == np.uint16
    assert dict(again.classes) == names


def test_class_names_in_imagej(tmp_path: Path) -> None:
    names = {1: "nucleus", 2: "Zelle ü"}
    grid = Grid.regular("YX", (6, 7), (0.5, 0.5), unit="um")
    io.save(Volume(voxels("YX") % 3, grid, classes=names), tmp_path / "a.tif")
    again = io.open_labels(tmp_path / "a.tif")
    assert again.metadata["kind"] == "ImageJ TIFF"
    assert dict(again.classes) == names


def test_label_numbers_do_not_wrap(tmp_path: Path) -> None:
    labels = np.arange(70000, dtype=np.int64).reshape(100, 700)
    io.save(
        Volume(labels, Grid.regular("YX", labels.shape), classes={1: "cell"}), tmp_path / "a.tif"
    )
    again = io.open_labels(tmp_path / "a.tif")
    assert again.dtype == np.uint32
    np.testing.assert_array_equal(again.numpy(), labels)


def test_entities_in_ome_xml_are_not_expanded(tmp_path: Path) -> None:
    xml = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><OME><Image>&a;</Image></OME>'
    tifffile.imwrite(tmp_path / "a.ome.tif", voxels("YX"), description=xml, metadata=None)
    volume = io.open_volume(tmp_path / "a.ome.tif")
    assert volume.grid.unit == "pixel"


# -- levels, series, looks -------------------------------------------------------------------


def test_levels_of_subifds_are_a_pyramid(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 200, (2, 256, 320)).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        options: dict[str, Any] = {"tile": (64, 64), "compression": "zlib"}
        writer.write(array, subifds=2, metadata={"axes": "CYX"}, **options)
        for step in (2, 4):
            writer.write(array[:, ::step, ::step], subfiletype=1, **options)
    volume = io.open_volume(tmp_path / "a.ome.tif")
    assert [level.shape for level in volume.pyramid] == [(2, 128, 160), (2, 64, 80)]
    np.testing.assert_array_equal(volume.numpy(), array)
    np.testing.assert_array_equal(np.asarray(volume.pyramid[1]), array[:, ::4, ::4])
    one = volume.select((1,))
    np.testing.assert_array_equal(np.asarray(one.pyramid[0]), array[1, ::2, ::2])


def test_one_of_several_series_is_chosen(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        for number, name in enumerate(("left", "right")):
            writer.write(np.full((8, 9 + number), number, np.uint8), metadata={"axes": "YX", "Name": name})  # fmt: skip
    path = tmp_path / "a.ome.tif"
    assert [(s.key, s.title) for s in io.list_series(path)] == [("0", "left"), ("1", "right")]
    for wanted in ("0", "left"):
        assert io.open_volume(path, series=wanted).grid.shape == (8, 9)
    assert io.open_volume(f"{path}#1").grid.shape == (8, 10)
    assert io.list_images(path) == [path]
    with pytest.raises(Exception, match="no series fits 'middle'"):
        io.open_volume(path, series="middle")


def test_channel_colours_of_ome_survive(tmp_path: Path) -> None:
    shown = (Display("#FF0000"), Display("#0080FF"), Display())
    grid = Grid.regular("CYX", (3, 4, 5), unit="um")
    io.save(Volume(np.zeros(grid.shape, np.uint8), grid, display=shown), tmp_path / "a.tif")
    assert io.open_volume(tmp_path / "a.tif").display == shown
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert 'Color="-16776961"' in file.ome_metadata  # as the OME data model has red


def test_colours_and_ranges_of_imagej(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8)
    luts = [np.stack([ramp, 0 * ramp, 0 * ramp]), np.stack([0 * ramp, ramp, ramp])]
    metadata = {"axes": "CYX", "mode": "composite", "LUTs": luts, "Ranges": (1.0, 90.0, 2.0, 80.0)}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((2, 4, 5), np.uint16), imagej=True, metadata=metadata)
    assert io.open_volume(path).display == (Display("#FF0000", (1, 90)), Display("#00FFFF", (2, 80)))  # fmt: skip


def test_lsm_has_its_voxel_size_in_metres(tmp_path: Path) -> None:
    info = np.zeros(1, np.dtype([(n, "<" + t) for n, t in tifffile.TIFF.CZ_LSMINFO if t]))
    facts = {"MagicNumber": 0x0400494C, "StructureSize": info.nbytes, "DimensionX": 5, "DimensionY": 4,
             "DimensionZ": 3, "DimensionChannels": 1, "DimensionTime": 1, "DataType": 1,
             "VoxelSizeX": 2e-7, "VoxelSizeY": 3e-7, "VoxelSizeZ": 1e-6, "ScanType": 0}  # fmt: skip
    for name, value in facts.items():
        info[name] = value
    array = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for plane in array:
            tag = [(34412, 1, info.nbytes, info.tobytes(), True)]
            writer.write(plane, extratags=tag, metadata=None, contiguous=False)
            writer.write(plane[:2, :2], subfiletype=1, metadata=None, contiguous=False)
    volume = io.open_volume(tmp_path / "a.tif")
    assert volume.metadata["kind"] == "LSM"
    assert (volume.grid.axes, volume.grid.unit) == ("ZYX", "um")
    np.testing.assert_allclose(volume.grid.spacing, (1, 0.3, 0.2))
    np.testing.assert_array_equal(volume.numpy(), array)


def test_channels_of_lsm_have_names_and_colours() -> None:
    from napari_apprentice.io._tiff_display import of_lsm

    channels = {"ColorNames": ["Ch1", "Ch2"], "Colors": [[255, 0, 0, 0], [0, 255, 0, 0]]}
    found = of_lsm({"VoxelSizeX": 1e-7, "TimeIntervall": 0.5, "ChannelColors": channels})
    assert found[1:] == (0.5, ("Ch1", "Ch2"), (Display("#FF0000"), Display("#00FF00")))
    assert found[0] == pytest.approx((0.1, 0.1, 0.1))
