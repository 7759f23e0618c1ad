"""``--series`` and ``--deidentify`` on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from napari_apprentice import io

from ..io._dicom_phantom import image, ramp, series, write  # noqa: TID252  # one phantom for both rooms


@pytest.fixture
def study(tmp_path: Path) -> Path:
    folder = tmp_path / "study"
    series(folder, ramp(), SeriesDescription="thin")
    more = {"SeriesInstanceUID": "1.2.9.9001", "SeriesNumber": 8, "SeriesDescription": "thick"}
    series(folder, ramp((3, 4, 4)), name="b{}", **more)
    return folder


def test_info_lists_every_series_or_the_one_asked_for(
    call: Callable[..., Any], study: Path
) -> None:
    records = json.loads(call("info", study, "--json").out)
    assert [(Path(r["path"]).name, r["shape"]) for r in records] == [
        ("study#3", [5, 6, 7]),
        ("study#8", [3, 4, 4]),
    ]
    one = json.loads(call("info", study, "--series", "thick", "--json").out)
    assert one["shape"] == [3, 4, 4]
    answer = call("info", study, "--series", "none")
    assert answer.code == 2
    assert "3: thin" in answer.err


def test_convert_asks_which_series(call: Callable[..., Any], study: Path, tmp_path: Path) -> None:
    answer = call("convert", study, tmp_path / "a.nii.gz")
    assert answer.code == 2
    assert "found 2 series" in answer.err
    assert call("convert", study, tmp_path / "a.nii.gz", "--series", "8").code == 0
    again = io.open_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(again.numpy(), ramp((3, 4, 4)))


def test_convert_deidentifies_a_folder_and_reports(
    call: Callable[..., Any], study: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    answer = call("convert", study, out, "--deidentify", "--report", report, "--dates", "shift")
    assert answer.code == 0, answer.err
    assert "8 files" in answer.out
    assert len(json.loads(report.read_text())["files"]) == 8
    assert all(b"Doe" not in path.read_bytes() for path in out.rglob("*.dcm"))
    assert {p.SeriesNumber for p in map(pydicom.dcmread, out.rglob("*.dcm"))} == {3, 8}


def test_text_in_the_pixels_blocks_it(call: Callable[..., Any], tmp_path: Path) -> None:
    source = write(image(ramp((4, 4)), Modality="US"), tmp_path / "us.dcm")
    for target in (tmp_path / "out", tmp_path / "out.tif"):
        answer = call("convert", source, target, "--deidentify")
        assert answer.code == 2
        assert "--pixels-checked" in answer.err
        assert not target.exists()
        assert call("convert", source, target, "--deidentify", "--pixels-checked").code == 0
        assert target.exists()


def test_an_image_is_not_written_as_dicom(
    call: Callable[..., Any], study: Path, tmp_path: Path
) -> None:
    answer = call("convert", study, tmp_path / "a.dcm", "--series", "3")
    assert answer.code == 2
    assert "only labels (as DICOM-SEG)" in answer.err
