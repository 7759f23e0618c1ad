"""Pictures: what the channels become, and what a PNG keeps."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from napari_apprentice import io
from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

GREY = np.random.default_rng(0).integers(0, 255, (12, 15)).astype(np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 255, (12, 15, 3)).astype(np.uint8)
OPAQUE = np.full((12, 15, 1), 255, np.uint8)
FADED = np.arange(180, dtype=np.uint8).reshape(12, 15, 1)


def opened(path: Path, array: np.ndarray, mode: str | None = None) -> Volume:
    image = Image.fromarray(array)
    (image if mode is None else image.convert(mode)).save(path)
    return io.open_volume(path)


@pytest.mark.parametrize(
    ("array", "channels"),
    [
        (GREY, 1),
        (np.dstack([GREY] * 3), 1),
        (np.dstack([*[GREY] * 3, OPAQUE]), 1),
        (np.dstack([GREY, OPAQUE]), 1),
        (COLOUR, 3),
        (np.dstack([COLOUR, OPAQUE]), 3),
        (np.dstack([COLOUR, FADED]), 4),
        (np.dstack([*[GREY] * 3, FADED]), 4),
        (np.dstack([GREY, FADED]), 2),
    ],
    ids=[
        "grey",
        "greyRGB",
        "greyRGBA",
        "LA",
        "RGB",
        "opaqueRGBA",
        "RGBA",
        "fadedGreyRGBA",
        "fadedLA",
    ],
)
def test_channels_that_carry_nothing_are_left_out(
    tmp_path: Path, array: np.ndarray, channels: int
) -> None:
    volume = opened(tmp_path / "a.png", array)
    assert volume.grid.length("C") == channels
    assert volume.rgb == (channels > 2)
    first = volume.numpy() if channels == 1 else volume.numpy()[0]
    np.testing.assert_array_equal(first, array if array.ndim == 2 else array[..., 0])
    assert volume.grid.unit == "pixel"


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".bmp", ".JPG"])
def test_other_pictures(tmp_path: Path, suffix: str) -> None:
    volume = opened(tmp_path / f"a{suffix}", np.full((8, 9), 77, np.uint8))
    assert volume.grid.axes == "YX"
    assert abs(int(volume.numpy()[0, 0]) - 77) < 3


def test_sixteen_bits_stay(tmp_path: Path) -> None:
    array = (GREY.astype(np.uint16) * 257)[:, :10]
    np.testing.assert_array_equal(opened(tmp_path / "a.png", array).numpy(), array)


@pytest.mark.parametrize("samples", [2, 3, 4])
def test_sixteen_bit_colours_stay(tmp_path: Path, samples: int) -> None:
    array = np.random.default_rng(0).integers(0, 65535, (7, 9, samples)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(array))
    volume = io.open_volume(tmp_path / "a.png")
    assert volume.dtype == np.uint16
    np.testing.assert_array_equal(volume.numpy(), array.transpose(2, 0, 1))


def test_black_and_white_is_zero_and_one(tmp_path: Path) -> None:
    assert set(np.unique(opened(tmp_path / "a.png", GREY, "1").numpy())) == {0, 1}


def test_a_palette_is_colours_for_images_and_indices_for_labels(tmp_path: Path) -> None:
    image = Image.fromarray(GREY % 3, mode=None).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.png")
    assert io.open_volume(tmp_path / "a.png").rgb
    np.testing.assert_array_equal(io.open_labels(tmp_path / "a.png").numpy(), GREY % 3)


def test_labels_of_sixteen_bits_and_their_names(tmp_path: Path) -> None:
    labels = np.arange(600).reshape(20, 30)
    grid = Grid.regular("YX", labels.shape)
    io.save(Volume(labels, grid, classes={1: "Zelle ü"}), tmp_path / "a.png")
    again = io.open_labels(tmp_path / "a.png")
    assert dict(again.classes) == {1: "Zelle ü"}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), labels)
    np.testing.assert_array_equal(again.numpy(), labels)


def test_colours_are_written(tmp_path: Path) -> None:
    volume = Volume(COLOUR.transpose(2, 0, 1), Grid.regular("CYX", (3, 12, 15)), rgb=True)
    io.save(volume, tmp_path / "a.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), COLOUR)


@pytest.mark.parametrize(
    ("grid", "dtype", "message"),
    [
        (Grid.regular("ZYX", (2, 3, 4)), "u1", "one plane"),
        (Grid.regular("YX", (3, 4), (0.5, 0.25), unit="um"), "u1", "0.5 × 0.25 um"),
        (Grid.regular("CYX", (2, 3, 4)), "u1", "2 channels"),
        (Grid.regular("YX", (3, 4)), "f4", "whole numbers"),
    ],
)
def test_what_a_png_would_lose_is_refused(
    tmp_path: Path, grid: Grid, dtype: str, message: str
) -> None:
    with pytest.raises(BadInputError, match=message):
        io.save(Volume(np.full(grid.shape, 0.5).astype(dtype), grid), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_numbers_above_sixteen_bits_are_refused(tmp_path: Path) -> None:
    volume = Volume(np.full((2, 2), 65536), Grid.regular("YX", (2, 2)))
    with pytest.raises(BadInputError, match="65535"):
        io.save(volume, tmp_path / "a.png")


def test_jpeg_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot write"):
        io.save(Volume(GREY, Grid.regular("YX", GREY.shape)), tmp_path / "a.jpg")


def test_a_picture_that_claims_to_be_huge_is_refused(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    raw = bytearray((tmp_path / "a.png").read_bytes())
    raw[16:24] = (60000).to_bytes(4, "big") * 2
    raw[29:33] = imagecodecs_crc(bytes(raw[12:29]))
    (tmp_path / "a.png").write_bytes(raw)
    with pytest.raises(ApprenticeError, match=r"a\.png"):
        io.open_volume(tmp_path / "a.png")


def imagecodecs_crc(chunk: bytes) -> bytes:
    import zlib

    return zlib.crc32(chunk).to_bytes(4, "big")
