"""Every format against an independent reader, and every pair of formats against a phantom with marked corners."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_apprentice import io
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

# Formats that other programs place in space to the bit, and those of which they see spacing and origin.
PLACED = [".nii", ".nii.gz", ".nrrd", ".mha"]
SPACED = [".ome.tif", ".ome.zarr"]


# -- what other programs say: array (z, y, x) and affine of (z, y, x) in LPS mm ----------------


def through_nibabel(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nibabel.load(path)
    ras = np.diag([-1.0, -1, 1, 1]) @ image.affine
    return np.asanyarray(image.dataobj).T, turned(ras)


def through_itk(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, 3] = image.TransformContinuousIndexToPhysicalPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        unit = [float(i == axis) for i in range(3)]
        affine[:3, axis] = (
            np.array(image.TransformContinuousIndexToPhysicalPoint(unit)) - affine[:3, 3]
        )
    return SimpleITK.GetArrayFromImage(image), turned(affine)


def turned(affine: np.ndarray) -> np.ndarray:
    order = [2, 1, 0, 3]
    return affine[np.ix_(order, order)]


def theirs(path: Path) -> tuple[np.ndarray, np.ndarray]:
    return through_nibabel(path) if ".nii" in path.name else through_itk(path)


def spacing_of_others(path: Path) -> tuple[np.ndarray, tuple[float, ...], str]:
    if path.is_dir():
        found = json.loads((path / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
        level = found["datasets"][0]
        array = zarr.open_array(str(path / level["path"]), mode="r")
        scale = level["coordinateTransformations"][0]["scale"]
        return array[:], tuple(scale), found["axes"][-1]["unit"]
    with tifffile.TiffFile(path) as file:
        root = ElementTree.fromstring(file.ome_metadata)
        pixels = next(e for e in root.iter() if e.tag.endswith("Pixels"))
        scale = [float(pixels.get(f"PhysicalSize{a}", 1)) for a in "ZYX"]
        return file.asarray(), tuple(scale), pixels.get("PhysicalSizeXUnit", "µm")


# -- hypothesis ----------------------------------------------------------------------------


@st.composite
def placements(draw: st.DrawFn, unit: st.SearchStrategy[str]) -> Grid:
    """A grid with its own spacing per axis, turned, and mirrored along some of its axes."""
    shape = draw(st.tuples(*[st.integers(2, 5)] * 3))
    spacing = draw(st.tuples(*[st.floats(0.05, 9)] * 3))
    origin = draw(st.tuples(*[st.floats(-300, 300)] * 3))
    a, b, c = draw(st.tuples(*[st.floats(-3.1, 3.1)] * 3))
    flips = np.diag(draw(st.tuples(*[st.sampled_from([1.0, -1.0])] * 3)))
    turn = np.eye(3)
    for angle, (i, j) in zip((a, b, c), ((0, 1), (1, 2), (0, 2)), strict=True):
        step = np.eye(3)
        step[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)  # fmt: skip
        turn = turn @ step
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ flips @ np.diag(spacing)
    matrix[:3, 3] = origin
    return Grid("ZYX", shape, Grid.freeze(matrix), draw(unit), "LPS")


def numbered(grid: Grid, dtype: Any = np.int16) -> Volume:
    return Volume(np.arange(np.prod(grid.shape)).reshape(grid.shape).astype(dtype), grid)


quick = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("suffix", PLACED)
@quick
@given(
    grid=placements(st.just("mm")),
    dtype=st.sampled_from(["u1", "i2", "u2", "i4", "f4", "f8"]),
    labels=st.booleans(),
)
def test_other_programs_see_every_voxel_where_it_is(
    suffix: str, grid: Grid, dtype: str, labels: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        volume = numbered(grid, dtype)
        classes = {1: "one"} if labels and dtype[0] != "f" else {}
        io.save(Volume(volume.data, grid, classes=classes), path)
        array, affine = theirs(path)
        np.testing.assert_array_equal(array, volume.data)
        corner = np.array([*grid.shape, 1.0])
        np.testing.assert_allclose(affine @ corner, grid.matrix @ corner, atol=1e-4)
        np.testing.assert_allclose(affine[:3, 3], grid.matrix[:3, 3], atol=1e-4)
        again = io.open_volume(path)
        np.testing.assert_allclose(again.grid.matrix, grid.matrix, atol=1e-4)
        np.testing.assert_array_equal(again.numpy(), volume.data)


@pytest.mark.parametrize("suffix", SPACED)
@quick
@given(grid=placements(st.sampled_from(["mm", "um", "nm"])))
def test_other_programs_see_the_voxel_size_and_we_the_place(suffix: str, grid: Grid) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        volume = numbered(grid)
        io.save(volume, path)
        array, spacing, unit = spacing_of_others(path)
        np.testing.assert_array_equal(array, volume.data)
        np.testing.assert_allclose(spacing, grid.spacing, rtol=1e-9)
        assert unit in {"mm": ("mm", "millimeter"), "um": ("µm", "micrometer"), "nm": ("nm", "nanometer")}[grid.unit]  # fmt: skip
        again = io.open_volume(path)
        assert again.grid == grid
        assert again.grid.world == "LPS"


@pytest.mark.parametrize("suffix", [*PLACED, *SPACED])
@quick
@given(
    axes=st.sampled_from(["YX", "ZYX", "CYX", "CZYX", "TYX", "TCZYX"]),
    spacing=st.tuples(*[st.floats(0.01, 50)] * 3),
    big=st.booleans(),
)
def test_axes_and_spacing_of_a_stage_survive(
    suffix: str, axes: str, spacing: tuple[float, ...], big: bool
) -> None:
    shape = tuple({"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}[a] for a in axes)
    n = sum(a in "ZYX" for a in axes)
    grid = Grid.regular(axes, shape, spacing[:n], unit="um")
    array = np.arange(np.prod(shape)).reshape(shape).astype(">u2" if big else "<f4")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        io.save(Volume(array, grid), path)
        again = io.open_volume(path)
        assert again.grid.axes == axes
        np.testing.assert_allclose(again.grid.spacing, grid.spacing, rtol=1e-6)
        assert again.grid.unit == "um"
        np.testing.assert_array_equal(again.numpy(), array)
        assert again.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")


# -- every pair ----------------------------------------------------------------------------

MARKS = {"right": (0, 0, 4), "front": (0, 3, 0), "head": (5, 0, 0), "corner": (5, 3, 4)}


def phantom() -> Volume:
    """A patient whose x index grows to the right, y to the front, z to the feet, turned a little."""
    shape, spacing = (6, 4, 5), (2.5, 0.8, 0.6)
    turn = np.array([[0.98, -0.1494, 0.1312], [0.1736, 0.9703, -0.1682], [-0.1022, 0.1873, 0.9769]])
    q, _ = np.linalg.qr(turn)
    q *= np.sign(np.diag(q))  # of the orthogonal matrices the one close to `turn`
    matrix = np.eye(4)
    matrix[:3, :3] = q @ np.diag([-1.0, -1, -1]) @ np.diag(spacing)
    matrix[:3, 3] = (40, -20, 10)
    array = np.zeros(shape, np.uint8)
    for value, place in enumerate(MARKS.values(), 1):
        array[place] = value
    classes = dict(enumerate(MARKS, 1))
    grid = Grid("ZYX", shape, Grid.freeze(matrix), "mm", "LPS")
    return Volume(array, grid, name="phantom", classes=classes)


def places(array: np.ndarray, affine: np.ndarray) -> dict[str, np.ndarray]:
    found = {}
    for value, name in enumerate(MARKS, 1):
        (index,) = np.argwhere(array == value)
        found[name] = (affine @ [*index, 1.0])[:3]
    return found


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations([*PLACED, *SPACED], 2)))
def test_a_marked_phantom_keeps_its_sides_through_every_pair(
    tmp_path: Path, first: str, second: str
) -> None:
    origin = phantom()
    wanted = places(origin.numpy(), origin.grid.matrix)
    assert wanted["right"][2] < wanted["front"][2]  # LPS: x grows to the left
    assert wanted["front"][1] < wanted["right"][1]  # y grows to the back
    assert wanted["head"][0] < wanted["right"][0]  # the last plane lies at the feet
    io.save(origin, tmp_path / f"one{first}")
    io.save(io.open_labels(tmp_path / f"one{first}"), tmp_path / f"two{second}")
    again = io.open_labels(tmp_path / f"two{second}")
    seen = [places(again.numpy(), again.grid.matrix)]
    if second in PLACED:
        seen.append(places(*theirs(tmp_path / f"two{second}")))
    for found in seen:
        for name, place in wanted.items():
            np.testing.assert_allclose(found[name], place, atol=1e-4, err_msg=name)
    assert again.grid.world == "LPS"
    assert again.classes == origin.classes
