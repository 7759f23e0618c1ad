from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_apprentice.io import open_volume

from .conftest import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEYS = ("path", "format", "shape", "axes", "spacing", "unit", "affine", "channels", "dtype")


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    grid = {"spacing": (2.0, 0.5, 0.25), "origin": (1.0, 2.0, 3.0), "unit": "mm", "world": "LPS"}
    return write(tmp_path / "Schädel größer.nii.gz", array, **grid)


def test_one_file_gives_one_object(call: Callable[..., Any], volume: Path) -> None:
    facts = call("info", volume, "--json").json
    assert set(KEYS) <= set(facts)
    assert facts["path"] == str(volume)
    assert facts["shape"] == [2, 3, 4]
    assert facts["axes"] == "ZYX"
    assert facts["spacing"] == [2.0, 0.5, 0.25]
    assert facts["unit"] == "mm"
    assert facts["dtype"] == "int16"
    assert np.array(facts["affine"])[:3, 3] == pytest.approx([1, 2, 3])


def test_a_folder_gives_a_list(call: Callable[..., Any], volume: Path) -> None:
    assert [f["path"] for f in call("info", volume.parent, "--json").json] == [str(volume)]


def test_people_read_units(call: Callable[..., Any], data: Path, volume: Path) -> None:
    assert "2 × 0.5 × 0.25 mm" in call("info", volume).out
    assert "0.5 × 0.5 µm" in call("info", data / "images" / "Fläche 1.tif").out


def test_a_bad_file_among_good_ones_is_named_and_left_out(
    call: Callable[..., Any], data: Path
) -> None:
    bad = data / "images" / "cut.tif"
    bad.write_bytes((data / "images" / "Fläche 1.tif").read_bytes()[:60])
    answer = call("info", data / "images", "--json")
    assert answer.code == 1
    assert "cut.tif" in answer.error
    assert ["error" in facts for facts in answer.json] == [False, False, False, True]


def test_an_empty_folder_is_bad_input(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert call("info", tmp_path / "empty").code == 2


def test_convert_keeps_voxels_and_place(
    call: Callable[..., Any], volume: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out.nii"
    answer = call("convert", volume, target)
    assert (answer.code, answer.out) == (0, f"{target}\n")
    before, after = open_volume(volume), open_volume(target)
    assert after.grid == before.grid
    np.testing.assert_array_equal(after.numpy(), before.numpy())


def test_convert_is_told_that_a_file_holds_labels(call: Callable[..., Any], tmp_path: Path) -> None:
    source, target = tmp_path / "objects.tif", tmp_path / "objects.geojson"
    array = np.zeros((8, 9), np.uint8)
    array[2:5, 3:7] = 4
    tifffile.imwrite(source, array)
    assert "outlines of labels" in call("convert", source, target).error
    assert call("convert", source, target, "--labels").code == 0
    assert len(json.loads(target.read_text())["features"]) == 1


def test_convert_refuses_what_a_format_cannot_hold(
    call: Callable[..., Any], volume: Path, tmp_path: Path
) -> None:
    for name in ("out.png", "out.xyz"):
        answer = call("convert", volume, tmp_path / name)
        assert answer.code == 2
        assert name in answer.error
        assert not (tmp_path / name).exists()


def test_convert_refuses_to_write_over_its_source(call: Callable[..., Any], volume: Path) -> None:
    before = volume.read_bytes()
    assert call("convert", volume, volume).code == 2
    assert volume.read_bytes() == before
