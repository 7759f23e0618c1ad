"""DICOM files that lie, are cut off, or are bombs: typed errors soon, and the rest of the folder loads."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import dask.array  # noqa: F401  # imported here so that the traced memory and time are those of reading
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from napari_apprentice import io
from napari_apprentice.core.errors import FormatError
from napari_apprentice.io import _dicom_header

from ._dicom_phantom import change, image, ramp, series, write

NOISE = np.random.default_rng(0).integers(0, 99, (64, 64)).astype(np.uint16)


def lying(**tags: object) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        write(image(NOISE, **tags), path)

    return make


def cut(path: Path) -> None:
    write(image(NOISE), path)
    path.write_bytes(path.read_bytes()[:-3000])


def nested(path: Path) -> None:
    """A sequence in a sequence, 5000 deep, before the pixels."""
    write(image(NOISE), path)
    raw = path.read_bytes()
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + item
    at = raw.index(struct.pack("<HH2s", 0x0010, 0x0010, b"PN"))
    path.write_bytes(raw[:at] + opening * 5000 + raw[at:])


def deflated_bomb(path: Path) -> None:
    write(image(NOISE[:2, :2]), path)
    raw = path.read_bytes()
    body = 144 + int.from_bytes(raw[140:144], "little")
    head = raw[:body].replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99")
    length = int.from_bytes(raw[140:144], "little") + 2
    at = head.index(b"1.2.840.10008.1.2.1.99") - 2
    head = head[:140] + struct.pack("<I", length) + head[144:at] + b"\x16\0" + head[at + 2 :]
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [machine.compress(raw[body:])]
    pieces += [machine.compress(bytes(2**24)) for _ in range(2)]
    path.write_bytes(head + b"".join(pieces) + machine.flush())


def bomb(path: Path) -> None:
    """A small image whose JPEG 2000 frame says that it is 60000 x 60000."""
    import imagecodecs

    frame = bytearray(imagecodecs.jpeg2k_encode(NOISE, level=0))
    at = frame.index(b"\xff\x4f\xff\x51")
    for start in (at + 8, at + 12):
        frame[start : start + 4] = struct.pack(">I", 60000)
    data = image(NOISE)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
    data.PixelData = encapsulate([bytes(frame)])
    data["PixelData"].VR = "OB"
    write(data, path)


def film(path: Path) -> None:
    data = image(NOISE)
    data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    data.PixelData = encapsulate([b"video"])
    data["PixelData"].VR = "OB"
    write(data, path)


def report(path: Path) -> None:
    data = image(NOISE, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(data, keyword)
    write(data, path)


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "rows lie": (lying(Rows=60000, Columns=60000), r"expected 7\.2 GB .*found"),
    "frames lie": (lying(NumberOfFrames=100000), r"expected 819 MB .*found"),
    "no rows": (lying(Rows=0), "without one|found 0 rows"),
    "no depth": (lying(BitsAllocated=13), "bits allocated, found 13"),
    "cut": (cut, "cut off"),
    "nested": (nested, "nested too deeply|cannot be read"),
    "deflated bomb": (deflated_bomb, "deflated file, found more"),
    "bomb in a frame": (bomb, "found one of"),
    "video": (film, "cannot be decoded.*Export it uncompressed"),
    "a report": (report, "found SR .*Open the folder"),
    "empty": (lambda p: p.write_bytes(b"") and None, "empty"),
    "a picture": (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n" * 40) and None, "found PNG"),
    "junk after the letters": (
        lambda p: p.write_bytes(bytes(128) + b"DICM" + b"\xff" * 900) and None,
        "a.dcm",
    ),
    "orientation": (
        lying(
            ImagePositionPatient=[0, 0, 0],
            ImageOrientationPatient=[1, 0, 0, 1, 0, 0],
            PixelSpacing=[1, 1],
        ),
        "two perpendicular directions",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_files_are_typed_errors(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dicom_header, "_MOST_INFLATED", 2**24)
    make, message = CASES[case]
    path = tmp_path / "a.dcm"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match=message) as caught:
            io.open_volume(path).numpy()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.path == str(path)
    assert caught.value.remedy
    assert peak < 50e6


@pytest.mark.parametrize("case", ["rows lie", "cut", "nested", "empty", "a picture", "a report"])
def test_a_bad_file_does_not_keep_the_others_from_loading(tmp_path: Path, case: str) -> None:
    series(tmp_path, ramp())
    CASES[case][0](tmp_path / "bad.dcm")
    volume = io.open_volume(tmp_path)
    np.testing.assert_array_equal(volume.numpy(), ramp())
    assert len(volume.metadata["warnings"]) == 1
    assert "left out" in volume.metadata["warnings"][0]


def test_a_folder_of_damaged_slices_says_what_is_wrong(tmp_path: Path) -> None:
    for path in series(tmp_path, ramp()):
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match=r"found none .*end of the file"):
        io.open_volume(tmp_path)


def test_slices_that_vanish_after_opening_are_a_typed_error(tmp_path: Path) -> None:
    paths = series(tmp_path, ramp())
    volume = io.open_volume(tmp_path)
    paths[0].unlink()
    with pytest.raises(FormatError, match=r"IM0005"):
        volume.numpy()


def test_links_in_a_circle_and_pipes_do_not_hang(tmp_path: Path) -> None:
    series(tmp_path, ramp())
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.dcm")
    np.testing.assert_array_equal(io.open_volume(tmp_path).numpy(), ramp())


def test_a_dicomdir_is_not_followed(tmp_path: Path) -> None:
    disc = tmp_path / "disc"
    series(disc / "IMAGES", ramp((2, 3, 4)))
    directory = image(NOISE, SOPClassUID="1.2.840.10008.1.3.10")
    record = pydicom.Dataset()
    record.ReferencedFileID = ["OUT", "IM0001"]
    directory.DirectoryRecordSequence = [record]
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(directory, keyword)
    write(directory, disc / "DICOMDIR")
    assert io.open_volume(disc).grid.shape == (2, 3, 4)
    with pytest.raises(FormatError, match="Open the folder"):
        io.open_volume(disc / "DICOMDIR")


def test_frames_without_as_many_places_are_refused(tmp_path: Path) -> None:
    data = image(np.stack([NOISE] * 3), NumberOfFrames=3)
    data.PerFrameFunctionalGroupsSequence = [pydicom.Dataset()]
    with pytest.raises(FormatError, match="places of 3 frames, found 1"):
        io.open_volume(write(data, tmp_path / "a.dcm"))


def test_numbers_that_are_none_are_no_numbers(tmp_path: Path) -> None:
    paths = series(tmp_path, ramp((2, 3, 4)), WindowCenter="40", WindowWidth="400")
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"\x02\0400 ", b"\x02\0x.y "))
        change(path, RescaleSlope="0")
    volume = io.open_volume(tmp_path)
    np.testing.assert_array_equal(volume.numpy(), ramp((2, 3, 4)))


@pytest.mark.parametrize("codec", ["", "jpeg2k", "jpegls"])
def test_flipped_bytes_give_a_volume_or_a_typed_error(tmp_path: Path, codec: str) -> None:
    import imagecodecs

    data = image(NOISE, RescaleSlope="2", RescaleIntercept="-4")
    if codec:
        ending = {"jpeg2k": "90", "jpegls": "80"}[codec]
        data.file_meta.TransferSyntaxUID = f"1.2.840.10008.1.2.4.{ending}"
        data.PixelData = encapsulate([getattr(imagecodecs, f"{codec}_encode")(NOISE)])
        data["PixelData"].VR = "OB"
    source = write(data, tmp_path / "whole").read_bytes()
    random = np.random.default_rng(3)
    refused = 0
    for number in range(80):
        raw = bytearray(source)
        for at in random.integers(132, len(raw) if number % 2 else 1000, 3):
            raw[at] = random.integers(256)
        path = tmp_path / "a.dcm"
        path.write_bytes(raw)
        try:
            volume = io.open_volume(path)
            if volume.nbytes < 10**8:
                volume.numpy()
        except FormatError:
            refused += 1
    assert refused > 0
