"""NIfTI against nibabel as the independent reader: every voxel in its place, every header kept."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

ROUND_TRIP = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TO_LPS = np.diag([-1.0, -1.0, 1.0])


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Oblique, anisotropic, flipped and permuted affines in RAS, x, y, z order."""
    angles = draw(st.tuples(*[st.floats(-0.6, 0.6)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.2, 8.0)] * 3))
    signs = draw(st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3))
    order = draw(st.permutations(range(3)))
    origin = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    turn = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = [i for i in range(3) if i != axis]
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turn = turn @ step
    matrix = np.eye(4)
    matrix[:3, :3] = (turn @ np.diag(np.array(spacing) * signs))[:, order]
    matrix[:3, 3] = origin
    return matrix


def write(
    path: Path, array: np.ndarray, affine: np.ndarray, *, codes: tuple[int, int] = (1, 1)
) -> Any:
    image = nibabel.Nifti1Image(array, affine)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    nibabel.save(image, path)
    return nibabel.load(path)


def assert_same_places(volume: Volume, theirs: Any) -> None:
    """Both readers put every corner of the array at one place in the patient."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(theirs.shape[:3]) - 1)
    expected = nibabel.affines.apply_affine(theirs.affine, corners) @ TO_LPS
    found = volume.grid.to_world(corners[:, ::-1])[:, ::-1]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@ROUND_TRIP
@given(
    affine=affines(),
    shape=st.tuples(*[st.integers(1, 7)] * 3),
    suffix=st.sampled_from((".nii", ".nii.gz")),
    codes=st.sampled_from(((1, 1), (2, 0), (0, 1))),
)
def test_any_affine_survives_the_round_trip(
    tmp_path: Path, affine: np.ndarray, shape: tuple[int, ...], suffix: str, codes: tuple[int, int]
) -> None:
    array = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    theirs = write(tmp_path / f"source{suffix}", array, affine, codes=codes)

    volume = io.open_volume(tmp_path / f"source{suffix}")

    np.testing.assert_array_equal(volume.numpy(), array.T)
    np.testing.assert_allclose(volume.grid.spacing[::-1], theirs.header.get_zooms(), rtol=1e-4)
    assert_same_places(volume, theirs)
    labels = io.labels_like(volume, (volume.numpy() % 3).astype(np.int64), {1: "one", 2: "two"})
    io.save(labels, tmp_path / "labels.nii.gz")
    saved = nibabel.load(tmp_path / "labels.nii.gz")
    np.testing.assert_array_equal(saved.affine, theirs.affine)
    assert saved.header["sform_code"] == theirs.header["sform_code"]
    assert saved.header["qform_code"] == theirs.header["qform_code"]
    assert saved.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(np.asarray(saved.dataobj), array % 3)


@ROUND_TRIP
@given(affine=affines(), unit=st.sampled_from(("mm", "um", "m")))
def test_a_grid_of_another_origin_is_written_so_that_nibabel_agrees(
    tmp_path: Path, affine: np.ndarray, unit: str
) -> None:
    write(tmp_path / "any.nii", np.zeros((3, 4, 5), np.uint8), affine)
    grid = io.open_volume(tmp_path / "any.nii").grid
    grid = Grid(grid.axes, grid.shape, grid.affine, unit, "LPS")

    io.save(Volume(np.ones(grid.shape, np.float32), grid), tmp_path / "new.nii")

    theirs = nibabel.load(tmp_path / "new.nii")
    np.testing.assert_allclose(theirs.affine, affine, atol=1e-4)
    again = io.open_volume(tmp_path / "new.nii")
    assert again.grid == grid
    assert theirs.header.get_xyzt_units()[0] == {"m": "meter", "mm": "mm", "um": "micron"}[unit]


def test_the_marked_corner_lies_where_nibabel_says(tmp_path: Path) -> None:
    array = np.zeros((5, 6, 7), np.uint8)
    array[4, 0, 6] = 9
    affine = np.array([[-2.0, 0, 0, 40], [0, 0, 3, -20], [0, 1.5, 0, 7], [0, 0, 0, 1]])
    write(tmp_path / "phantom.nii.gz", array, affine)

    volume = io.open_volume(tmp_path / "phantom.nii.gz")

    (index,) = np.argwhere(volume.numpy() == 9)
    assert tuple(index) == (6, 0, 4)
    x, y, z = affine[:3, :3] @ [4, 0, 6] + affine[:3, 3]
    np.testing.assert_allclose(volume.grid.to_world(index), (z, -y, -x), atol=1e-5)
    assert io.describe(volume)["orientation"] == "ASL"


@pytest.mark.parametrize(
    ("shape", "intent", "axes", "expected"),
    [
        ((4, 5), 0, "YX", (5, 4)),
        ((4, 5, 1), 0, "ZYX", (1, 5, 4)),
        ((4, 5, 6, 3), 0, "TZYX", (3, 6, 5, 4)),
        ((4, 5, 6, 3), 1007, "CZYX", (3, 6, 5, 4)),
        ((4, 5, 6, 1, 3), 1007, "CZYX", (3, 6, 5, 4)),
        ((4, 5, 6, 2, 3), 0, "TCZYX", (2, 3, 6, 5, 4)),
        ((4, 5, 1, 2), 0, "TYX", (2, 5, 4)),
        ((4, 5, 6, 1, 1), 0, "ZYX", (6, 5, 4)),
    ],
)
def test_dimensions_become_axes(
    tmp_path: Path, shape: tuple[int, ...], intent: int, axes: str, expected: tuple[int, ...]
) -> None:
    array = np.random.default_rng(0).integers(0, 99, shape).astype(np.int16)
    image = nibabel.Nifti1Image(array, np.eye(4))
    image.header["intent_code"] = intent
    nibabel.save(image, tmp_path / "a.nii")

    volume = io.open_volume(tmp_path / "a.nii")

    assert (volume.grid.axes, volume.grid.shape) == (axes, expected)
    back = array.T if array.ndim < 5 else array.T.swapaxes(0, 1)
    np.testing.assert_array_equal(volume.numpy().ravel(), back.ravel())


def test_time_step_is_in_seconds(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2, 3), np.int16), np.eye(4))
    image.header.set_zooms((1, 1, 1, 2500))
    image.header.set_xyzt_units("mm", "msec")
    nibabel.save(image, tmp_path / "a.nii")
    assert io.open_volume(tmp_path / "a.nii").grid.time_step == pytest.approx(2.5)


def test_colour_voxels_become_channels(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (4, 5, 6, 3)).astype(np.uint8)
    stored = colours.view(np.dtype([(c, "u1") for c in "RGB"]))[..., 0]
    nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "rgb.nii")

    volume = io.open_volume(tmp_path / "rgb.nii")

    assert volume.rgb
    assert volume.channels == ("red", "green", "blue")
    assert volume.grid.axes == "CZYX"
    np.testing.assert_array_equal(volume.numpy(), colours.transpose(3, 2, 1, 0))


@pytest.mark.parametrize("dtype", [">i2", "<f4", ">f8", "<u4", "<i8", "<i1"])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_byte_orders_and_dtypes(tmp_path: Path, dtype: str, suffix: str) -> None:
    array = np.arange(-12, 12).astype(dtype).reshape(2, 3, 4)
    header = nibabel.Nifti1Header(endianness=dtype[0])
    header.set_data_dtype(dtype)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4), header), tmp_path / f"a{suffix}")

    volume = io.open_volume(tmp_path / f"a{suffix}")

    assert volume.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(volume.numpy(), array.T)


def test_nifti2_stays_nifti2(tmp_path: Path) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti2Image(np.ones((2, 3, 4), np.int16), affine), tmp_path / "a.nii")

    volume = io.open_volume(tmp_path / "a.nii")
    io.save(io.labels_like(volume, np.ones((4, 3, 2), int), {1: "x"}), tmp_path / "b.nii")

    assert volume.metadata["kind"] == "NIfTI-2"
    saved = nibabel.load(tmp_path / "b.nii")
    assert isinstance(saved, nibabel.Nifti2Image)
    np.testing.assert_array_equal(saved.affine, affine)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(0.5, -10)
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:120] = struct.pack("<2f", 0.5, -10)
    (tmp_path / "a.nii").write_bytes(raw)

    volume = io.open_volume(tmp_path / "a.nii")

    assert volume.dtype == np.float32
    np.testing.assert_allclose(volume.numpy(), nibabel.load(tmp_path / "a.nii").get_fdata().T)


@pytest.mark.parametrize("slope", [0.0, float("nan"), float("inf")])
def test_a_slope_without_sense_means_no_scaling(tmp_path: Path, slope: float) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[112:120] = struct.pack("<2f", slope, float("nan"))
    (tmp_path / "a.nii").write_bytes(raw)

    volume = io.open_volume(tmp_path / "a.nii")

    assert volume.dtype == np.int16
    assert (volume.numpy() == 1).all()


@pytest.mark.parametrize("signs", [(0, 1, 1), (2, 1, 1), (1, -1, 1), (1, 1, -1), (-1, -1, 1)])
def test_odd_voxel_sizes_are_read_as_nibabel_reads_them(
    tmp_path: Path, signs: tuple[int, int, int]
) -> None:
    theirs = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.uint8), None)
    theirs.set_qform(np.diag([2.0, 3.0, 4.0, 1.0]), code=1)
    nibabel.save(theirs, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[76:92] = struct.pack("<4f", signs[0], 2 * signs[1], 3, 4 * signs[2])
    (tmp_path / "a.nii").write_bytes(raw)

    volume = io.open_volume(tmp_path / "a.nii")

    assert_same_places(volume, nibabel.load(tmp_path / "a.nii"))
    assert volume.metadata["warnings"] == ()
    assert volume.grid.spacing == (4, 3, 2)


@pytest.mark.parametrize("rows", [struct.pack("<f", float("nan")) + bytes(44), bytes(48)])
def test_a_broken_affine_is_repaired_and_kept_in_the_file(tmp_path: Path, rows: bytes) -> None:
    image = nibabel.Nifti1Image(np.ones((2, 3, 4), np.uint8), np.diag([1.0, 2.0, 3.0, 1.0]))
    nibabel.save(image, tmp_path / "a.nii")
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[280:328] = rows
    (tmp_path / "a.nii").write_bytes(raw)

    volume = io.open_volume(tmp_path / "a.nii")
    io.save(io.labels_like(volume, np.ones((4, 3, 2), int), {1: "x"}), tmp_path / "b.nii")

    assert volume.grid.spacing == (3, 2, 1)
    assert "spacing is used" in volume.metadata["warnings"][0]
    assert (tmp_path / "b.nii").read_bytes()[280:328] == rows


def test_class_names_survive(tmp_path: Path) -> None:
    grid = Grid.regular("ZYX", (2, 3, 4), (3, 1, 1), unit="mm", world="LPS")
    names = {1: "left <b> & 'right'", 40000: "größer"}
    labels = np.zeros(grid.shape, np.int64)
    labels[0, 0, :2] = 1, 40000

    io.save(Volume(labels, grid, classes=names), tmp_path / "a.nii.gz")

    again = io.open_labels(tmp_path / "a.nii.gz")
    assert dict(again.classes) == names
    assert again.dtype == np.uint16
    assert nibabel.load(tmp_path / "a.nii.gz").header.get_intent()[0] == "label"
    np.testing.assert_array_equal(again.numpy(), labels)


def test_entities_in_an_extension_are_not_expanded(tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]><CaretExtension><LabelTable><Label Key="1">&a;</Label></LabelTable></CaretExtension>'
    image = nibabel.Nifti1Image(np.ones((2, 2, 2), np.uint8), np.eye(4))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, bomb))
    nibabel.save(image, tmp_path / "a.nii")
    assert dict(io.open_volume(tmp_path / "a.nii").classes) == {}


def test_a_unit_that_nifti_does_not_know_is_refused(tmp_path: Path) -> None:
    volume = Volume(np.zeros((2, 2, 2), np.uint8), Grid.regular("ZYX", (2, 2, 2), unit="nm"))
    with pytest.raises(BadInputError, match="found nm"):
        io.save(volume, tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []
