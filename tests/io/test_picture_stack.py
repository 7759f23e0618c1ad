"""A folder of pictures: one stack where one image is asked for, its pictures everywhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_apprentice import io
from napari_apprentice.core.errors import FormatError

PLANES = np.random.default_rng(0).integers(0, 99, (12, 6, 7)).astype(np.uint8)


def stack(folder: Path, planes: np.ndarray = PLANES, suffix: str = ".png") -> Path:
    folder.mkdir()
    for number, plane in enumerate(planes, 1):
        Image.fromarray(plane).save(folder / f"Slice {number}{suffix}")
    return folder


def test_planes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    folder = stack(tmp_path / "scan")
    (folder / "notes.txt").write_text("x")
    volume = io.open_volume(folder)
    assert (volume.grid.axes, volume.name, volume.format) == ("ZYX", "scan", "picture_stack")
    np.testing.assert_array_equal(volume.numpy(), PLANES)
    np.testing.assert_array_equal(np.asarray(volume.data[9, 2:4, 3]), PLANES[9, 2:4, 3])
    assert len(io.list_images(folder)) == 12
    assert io.list_images(tmp_path / "scan" / "Slice 3.png") == [folder / "Slice 3.png"]


def test_planes_are_read_when_they_are_looked_at(tmp_path: Path) -> None:
    folder = stack(tmp_path / "scan")
    volume = io.open_volume(folder)
    broken = folder / "Slice 7.png"
    broken.write_bytes(broken.read_bytes()[:60])
    np.testing.assert_array_equal(np.asarray(volume.data[5]), PLANES[5])
    with pytest.raises(FormatError, match=r"Slice 7\.png"):
        volume.numpy()


def test_colours_and_grey_between_them(tmp_path: Path) -> None:
    planes = np.random.default_rng(1).integers(0, 99, (3, 6, 7, 3)).astype(np.uint8)
    folder = stack(tmp_path / "scan", planes)
    Image.fromarray(PLANES[0]).save(folder / "Slice 2.png")
    volume = io.open_volume(folder)
    assert (volume.grid.axes, volume.rgb) == ("CZYX", True)
    np.testing.assert_array_equal(volume.numpy()[:, 2], np.moveaxis(planes[2], -1, 0))
    np.testing.assert_array_equal(volume.numpy()[1, 1], PLANES[0])


def test_pictures_of_several_sizes_are_no_stack(tmp_path: Path) -> None:
    folder = stack(tmp_path / "scan")
    Image.fromarray(PLANES[0][:5]).save(folder / "Slice 4.png")
    with pytest.raises(FormatError, match=r"Slice 4\.png.*7 × 6 pixels.*found 7 × 5"):
        io.open_volume(folder)
    (folder / "Slice 4.png").write_bytes(b"junk")
    with pytest.raises(FormatError, match="found no picture"):
        io.open_volume(folder)


def test_one_picture_is_no_stack(tmp_path: Path) -> None:
    folder = stack(tmp_path / "scan", PLANES[:1])
    with pytest.raises(FormatError, match="the folder is not an image"):
        io.open_volume(folder)


def test_labels_are_the_indices_of_palettes(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    for number in range(2):
        picture = Image.fromarray(PLANES[number] % 3, mode=None).convert("P")
        picture.putdata((PLANES[number] % 3).ravel().tolist())
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        picture.save(folder / f"{number}.png")
    labels = io.open_labels(folder)
    np.testing.assert_array_equal(labels.numpy(), PLANES[:2] % 3)
