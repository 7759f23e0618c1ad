"""Arrays without a grid: NumPy's files and plain Zarr."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_apprentice import io
from napari_apprentice.core.errors import FormatError


def noise(*shape: int, dtype: str = "u2") -> np.ndarray:
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


class Sentinel:
    """Unpickling it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("shape", "dtype", "axes", "rgb"),
    [
        ((6, 7), "u2", "YX", False),
        ((9, 6, 7), "u2", "ZYX", False),
        ((3, 6, 7), "u2", "CYX", False),
        ((5, 2, 6, 7), "f4", "ZCYX", False),
        ((6, 7, 3), "u1", "CYX", True),
        ((6, 7, 3), "f4", "ZYX", False),
        ((9, 6, 7), ">i4", "ZYX", False),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy(
    tmp_path: Path, shape: tuple[int, ...], dtype: str, axes: str, rgb: bool, order: str
) -> None:
    array = np.asarray(noise(*shape, dtype=dtype), order=order)
    np.save(tmp_path / "a.npy", array)
    volume = io.open_volume(tmp_path / "a.npy")
    assert sorted(volume.grid.axes) == sorted(axes)
    assert (volume.rgb, volume.grid.unit) == (rgb, "pixel")
    assert volume.numpy().sum(dtype=float) == array.sum(dtype=float)
    if rgb:
        np.testing.assert_array_equal(volume.numpy(), np.moveaxis(array, -1, 0))
    assert bool(volume.metadata["warnings"]) == (len(shape) > 2)


def test_npz_opens_its_largest_and_lists_the_rest(tmp_path: Path) -> None:
    large, small = noise(9, 6, 7), noise(4, 5)
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", image=large, labels=small)
        volume = io.open_volume(tmp_path / "a.npz")
        np.testing.assert_array_equal(volume.numpy(), large)
        assert "labels" in volume.metadata["series"][0]
        other = io.open_volume(tmp_path / "a.npz", series="labels")
        np.testing.assert_array_equal(other.numpy(), small)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.array([[Sentinel(tmp_path / "sprung")] * 2] * 2, dtype=object)
    np.save(tmp_path / "a.npy", trap, allow_pickle=True)
    np.savez(tmp_path / "b.npz", trap)
    for name in ("a.npy", "b.npz"):
        with pytest.raises(FormatError, match="never unpickled"):
            io.open_volume(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def npy(head: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(64)


BAD = {
    "lying": (npy("{'descr': '<u2', 'fortran_order': False, 'shape': (99999, 99999)}"), "20 GB"),
    "code": (npy("__import__('os').getcwd()"), "cannot be read"),
    "records": (npy("{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (4, 4)}"), "whole or real"),
    "negative": (npy("{'descr': '<u2', 'fortran_order': False, 'shape': (-4, 4)}"), "positive lengths"),
    "one axis": (npy("{'descr': '<u2', 'fortran_order': False, 'shape': (4,)}"), "two axes"),
    "cut": (npy("{'descr'")[:12], "cannot be read"),
    "large header": (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f", "header of an array"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_arrays_are_typed_errors(tmp_path: Path, fault: str) -> None:
    content, message = BAD[fault]
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(FormatError, match=message):
        io.open_volume(tmp_path / "a.npy")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    head = npy("{'descr': '<u2', 'fortran_order': False, 'shape': (999999, 999999)}")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", head + bytes(10**6))
    with pytest.raises(FormatError, match="1032 times"):
        io.open_volume(tmp_path / "a.npz")


def test_a_zip_of_something_else_is_no_array(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("../../x.txt", "x")
    with pytest.raises(FormatError, match="found something else"):
        io.open_volume(tmp_path / "a.npz")


@pytest.mark.parametrize("version", [2, 3])
def test_plain_zarr(tmp_path: Path, version: Any) -> None:
    array = noise(9, 6, 7)
    made = zarr.create_array(str(tmp_path / "a.zarr"), shape=array.shape, chunks=(4, 4, 4), dtype="u2", zarr_format=version)  # fmt: skip
    made[:] = array
    volume = io.open_volume(tmp_path / "a.zarr")
    assert (volume.grid.axes, volume.format, volume.name) == ("ZYX", "plain_zarr", "a")
    assert "taken as ZYX" in volume.metadata["warnings"][0]
    np.testing.assert_array_equal(volume.numpy(), array)
    assert io.list_images(tmp_path) == [tmp_path / "a.zarr"]


def test_names_of_dimensions_are_believed(tmp_path: Path) -> None:
    array = noise(7, 9, 3)
    made = zarr.create_array(str(tmp_path / "a.zarr"), shape=array.shape, chunks=array.shape, dtype="u2", dimension_names=["x", "t", "y"])  # fmt: skip
    made[:] = array
    volume = io.open_volume(tmp_path / "a.zarr")
    assert volume.grid.axes == "TYX"
    np.testing.assert_array_equal(volume.numpy(), array.transpose(1, 2, 0))
