"""Opening reads a header, not voxels; looking at a plane reads about that plane."""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile

from napari_apprentice import io
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

MB = 10**6


def sparse_nifti(path: Path) -> Path:
    """A NIfTI of 2 GB that takes no room on the disk."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((1000, 1000, 1000))
    header["vox_offset"] = 352
    path.write_bytes(header.binaryblock + bytes(4))
    os.truncate(path, 352 + 2 * 10**9)
    with path.open("rb+") as file:
        file.seek(352 + 2 * (700 * 1000 * 1000))
        file.write(b"\7\0")
    return path


def sparse_tiff(path: Path) -> Path:
    """A BigTIFF of 2 GB in one run."""
    shape = (1000, 1000, 1000)
    tifffile.imwrite(path, shape=shape, dtype=np.uint16, bigtiff=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as file:
        offset = file.series[0].dataoffset
    with path.open("rb+") as file:
        file.seek(offset + 2 * (700 * 1000 * 1000))
        file.write(b"\7\0")
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="needs sparse files")
@pytest.mark.parametrize(("make", "suffix"), [(sparse_nifti, ".nii"), (sparse_tiff, ".tif")])
def test_two_gigabytes_open_without_reading_them(tmp_path: Path, make, suffix: str) -> None:
    path = make(tmp_path / f"big{suffix}")
    io.open_volume(path)  # libraries are imported now
    tracemalloc.start()
    try:
        volume = io.open_volume(path)
        opened = tracemalloc.get_traced_memory()[1]
        plane = np.asarray(volume.data[700])
        looked = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert volume.nbytes == 2 * 10**9
    assert opened < 3 * MB
    assert looked < 60 * MB
    assert (plane[0, 0], plane.sum()) == (7, 7)


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "tile": (64, 64)}])
def test_an_opened_tiff_leaves_no_file_open(tmp_path: Path, options: dict) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 128, 128), np.uint8), **options)
    io.open_volume(
        tmp_path / "a.tif"
    ).numpy()  # Zarr's own thread keeps a few descriptors from now on
    gc.collect()
    assert open_files(tmp_path) == []
    volume: Volume | None = io.open_volume(tmp_path / "a.tif")
    assert volume is not None
    volume.numpy()
    del volume
    gc.collect()
    assert open_files(tmp_path) == []


@pytest.mark.parametrize("suffix", [".nii", ".tif", ".ome.tif", ".nrrd", ".mha"])
def test_saving_never_holds_the_whole(tmp_path: Path, suffix: str) -> None:
    import dask.array as da

    planes = da.arange(200, chunks=5, dtype=np.uint16)[:, None, None]
    data = planes + da.zeros((200, 600, 500), chunks=(5, 600, 500), dtype=np.uint16)
    volume = Volume(data, Grid.regular("ZYX", data.shape, (9, 1, 1), unit="um"))
    io.save(
        Volume(np.zeros((4, 5)), Grid.regular("YX", (4, 5), unit="um")), tmp_path / f"a{suffix}"
    )
    tracemalloc.start()
    try:
        io.save(volume, tmp_path / f"b{suffix}")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert volume.nbytes == 120 * MB
    assert peak < 80 * MB
    again = io.open_volume(tmp_path / f"b{suffix}")
    assert int(np.asarray(again.data[173, 599, 499])) == 173


def test_a_large_page_is_written_in_tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_apprentice.io import _tiff_write

    monkeypatch.setattr(_tiff_write, "_PAGE_BYTES", 1000)
    random = np.random.default_rng(0)
    for axes, shape, rgb in (("ZYX", (2, 700, 1100), False), ("CYX", (3, 600, 530), True)):
        array = random.integers(0, 99, shape).astype(np.uint8)
        grid = Grid.regular(axes, shape, unit="um")
        io.save(Volume(array, grid, rgb=rgb), tmp_path / "a.ome.tif")
        with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
            assert file.pages[0].is_tiled
            theirs = file.asarray()
        np.testing.assert_array_equal(np.moveaxis(theirs, -1, 0) if rgb else theirs, array)
        np.testing.assert_array_equal(io.open_volume(tmp_path / "a.ome.tif").numpy(), array)


def open_files(folder: Path) -> list[Path]:
    """Files of a folder that this process holds open, whatever else other tests open or close."""
    held = Path("/proc/self/fd")
    targets = []
    for link in held.iterdir() if held.is_dir() else ():
        with suppress(FileNotFoundError):  # closed by another thread meanwhile
            targets.append(link.readlink())
    return [target for target in targets if target.is_relative_to(folder)]


def test_many_threads_read_one_compressed_tiff(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 99, (40, 64, 64)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", array, compression="zlib")
    volume = io.open_volume(tmp_path / "a.tif")
    wrong: list[int] = []

    def read(start: int) -> None:
        for z in range(start, 40, 4):
            if not np.array_equal(np.asarray(volume.data[z]), array[z]):
                wrong.append(z)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_gzipped_volume_is_unzipped_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(0).integers(0, 99, (6, 7, 30)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii.gz")
    volume = io.open_volume(tmp_path / "a.nii.gz")
    reads = []
    plain = nibabel.arrayproxy.ArrayProxy.__array__
    monkeypatch.setattr(
        nibabel.arrayproxy.ArrayProxy,
        "__array__",
        lambda self, *a, **k: (reads.append(1), plain(self, *a, **k))[1],
    )
    for z in range(30):
        np.testing.assert_array_equal(np.asarray(volume.data[z]), array[:, :, z].T)
    assert len(reads) == 1


def test_a_file_that_vanishes_is_a_typed_error(tmp_path: Path) -> None:
    from napari_apprentice.core.errors import FormatError

    array = np.zeros((4, 5, 6), np.uint8)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    for name in ("a.nii", "a.tif"):
        volume = io.open_volume(tmp_path / name)
        (tmp_path / name).unlink()
        with pytest.raises(FormatError, match=name):
            volume.numpy()
