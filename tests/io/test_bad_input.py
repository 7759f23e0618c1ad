"""Files that lie, are cut off, or are something else: a `FormatError` with file, fault and remedy, soon."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_apprentice import io
from napari_apprentice.core.errors import FormatError

NOISE = np.random.default_rng(0).integers(0, 99, (5, 64, 64)).astype(np.uint16)


def nifti(patch: dict[int, bytes] | None = None, cut: int | None = None) -> bytes:
    raw = bytearray(nibabel.Nifti1Image(NOISE.T.astype(np.int16), np.eye(4)).to_bytes())
    for at, value in (patch or {}).items():
        raw[at : at + len(value)] = value
    return bytes(raw[:cut])


def tiff(folder: Path, compression: str | None, patch: dict[str, bytes]) -> bytes:
    path = folder / "whole"
    tifffile.imwrite(path, NOISE, compression=compression, metadata=None)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        for tag, value in patch.items():
            for page in file.pages:
                at = page.tags[tag].valueoffset
                raw[at : at + len(value)] = value
    path.unlink()
    return bytes(raw)


def png() -> bytes:
    from io import BytesIO

    buffer = BytesIO()
    Image.fromarray(NOISE[0].astype(np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def shorts(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}h", *values)


HUGE = {42: shorts(32767, 32767, 32767)}
WIDE = {"ImageWidth": struct.pack("<I", 65000), "ImageLength": struct.pack("<I", 65000)}
CASES: dict[str, tuple[str, Callable[[Path], bytes], str]] = {
    "empty nifti": ("a.nii", lambda _: b"", "empty"),
    "empty tiff": ("a.tif", lambda _: b"", "empty"),
    "empty gzip": ("a.nii.gz", lambda _: gzip.compress(b""), "found something else"),
    "huge nifti": ("a.nii", lambda _: nifti(HUGE), "70.4 TB.*found 41 kB"),
    "huge nifti, zipped": ("a.nii.gz", lambda _: gzip.compress(nifti(HUGE)), "70.4 TB"),
    "negative length": ("a.nii", lambda _: nifti({42: shorts(-5)}), "positive lengths"),
    "no length": ("a.nii", lambda _: nifti({42: shorts(0)}), "positive lengths"),
    "nine dimensions": ("a.nii", lambda _: nifti({40: shorts(9)}), "1 to 7"),
    "unknown voxel type": ("a.nii", lambda _: nifti({70: shorts(999)}), "code 999"),
    "no voxel type": ("a.nii", lambda _: nifti({70: shorts(0)}), "code 0"),
    "voxels of one bit": ("a.nii", lambda _: nifti({70: shorts(1)}), "code 1"),
    "complex voxels": ("a.nii", lambda _: nifti({70: shorts(32, 64)}), "complex64"),
    "voxels before the header": (
        "a.nii",
        lambda _: nifti({108: struct.pack("<f", -1e9)}),
        "offset of -1e",
    ),
    "offset is not a number": (
        "a.nii",
        lambda _: nifti({108: struct.pack("<f", float("nan"))}),
        "offset of nan",
    ),
    "cut nifti": ("a.nii", lambda _: nifti(cut=-10), "found 41 kB"),
    "cut nifti header": ("a.nii", lambda _: nifti(cut=200), "found something else"),
    "cut gzip": ("a.nii.gz", lambda _: gzip.compress(nifti())[:-900], "cut off"),
    "gzip of a cut nifti": ("a.nii.gz", lambda _: gzip.compress(nifti(cut=-10)), "cut off"),
    "zeros, zipped": ("a.nii.gz", lambda _: gzip.compress(bytes(10**7)), "found something else"),
    "zipped under a plain name": ("a.nii", lambda _: gzip.compress(nifti()), r"end in \.nii\.gz"),
    "plain under a zipped name": ("a.nii.gz", lambda _: nifti(), r"end in \.nii\."),
    "picture named nifti": ("a.nii.gz", lambda _: png(), r"expected NIfTI.*found PNG.*\.png"),
    "nifti named picture": ("a.png", lambda _: nifti(), r"found NIfTI"),
    "junk nifti": ("a.nii", lambda _: b"junk" * 200, "found something else"),
    "junk tiff": ("a.tif", lambda _: b"II*\0" + b"\x08\0\0\0" + b"\xff" * 400, "cannot be read"),
    "tiff without a page": ("a.tif", lambda _: b"II*\0" + bytes(4), "found none"),
    "huge tiff": ("a.tif", lambda d: tiff(d, None, WIDE), "1016 strips .*found 1"),
    "huge tiff, compressed": (
        "a.tif",
        lambda d: tiff(d, "zlib", WIDE),
        "1016 strips .*found 1",
    ),
    "unknown codec": (
        "a.tif",
        lambda d: tiff(d, "zlib", {"Compression": struct.pack("<H", 51234)}),
        "51234.*imagecodecs",
    ),
    "cut tiff": ("a.tif", lambda d: tiff(d, None, {})[:-3000], "expected"),
    "cut compressed tiff": (
        "a.tif",
        lambda d: tiff(d, "zlib", {})[:-3000],
        "expected .* found .*cut off",
    ),
    "cut picture": ("a.png", lambda _: png()[:-100], "truncated"),
    "junk picture": ("a.png", lambda _: png()[:8] + bytes(100), "cannot"),
    "text": ("a.xyz", lambda _: b"hello", r"unknown kind of file '.xyz'"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_files_are_typed_errors(tmp_path: Path, case: str) -> None:
    name, make, message = CASES[case]
    path = tmp_path / name
    path.write_bytes(make(tmp_path))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=message) as caught:
            io.open_volume(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.path == str(path)
    assert caught.value.remedy
    assert caught.value.exit_code == 2
    assert peak < 50e6


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="no such file"):
        io.open_volume(tmp_path / "none.tif")
    with pytest.raises(FormatError, match="the folder is not an image"):
        io.open_volume(tmp_path)


def test_pages_in_a_circle_give_the_first_and_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, NOISE, compression="zlib", metadata=None)
    with tifffile.TiffFile(path) as file:
        first, third = file.pages[0].offset, file.pages[2].offset
    raw = bytearray(path.read_bytes())
    (tags,) = struct.unpack_from("<H", raw, third)
    struct.pack_into("<I", raw, third + 2 + 12 * tags, first)
    path.write_bytes(raw)

    volume = io.open_volume(path)

    np.testing.assert_array_equal(volume.numpy(), NOISE[0])
    assert "damaged after page 1" in volume.metadata["warnings"][0]


def test_voxels_that_vanish_after_opening_are_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    path.write_bytes(nifti())
    volume = io.open_volume(path)
    path.write_bytes(nifti()[:5000])
    with pytest.raises(FormatError, match=r"a\.nii"):
        volume.numpy()


def test_a_zipped_volume_larger_than_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_apprentice.io import _nifti_header

    monkeypatch.setattr(_nifti_header, "available_memory", lambda: 10_000)
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti()))
    with pytest.raises(FormatError, match="needs 41 kB of memory"):
        io.open_volume(path)


@pytest.mark.parametrize(
    "suffix", [".nii", ".nii.gz", ".tif", ".ome.tif", ".png", ".nrrd", ".mha", ".npy", ".npz"]
)
def test_flipped_bytes_give_a_volume_or_a_typed_error(tmp_path: Path, suffix: str) -> None:
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

    small = NOISE[0, :12, :14].astype(np.uint8)
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".npy":
        np.save(whole, small)
    elif suffix == ".npz":
        np.savez_compressed(whole, small)
    else:
        io.save(Volume(small, Grid.regular("YX", small.shape), classes={1: "x"}), whole)
    source = whole.read_bytes()
    random = np.random.default_rng(3)
    refused = 0
    for _ in range(60):
        raw = bytearray(source)
        for at in random.integers(0, min(len(raw), 700), 3):
            raw[at] = random.integers(256)
        path = tmp_path / f"a{suffix}"
        path.write_bytes(raw)
        try:
            volume = io.open_volume(path)
            if volume.nbytes < 10**8:
                volume.numpy()
        except FormatError:
            refused += 1
    assert refused > 0


def test_a_compressed_strip_that_cannot_hold_its_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    wide = {"ImageWidth": struct.pack("<I", 10**6)}
    path.write_bytes(tiff(tmp_path, "zlib", wide))
    with pytest.raises(FormatError, match="compressed at most 1032 times"):
        io.open_volume(path)
