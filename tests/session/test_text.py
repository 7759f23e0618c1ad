"""Sentences: what an image is, how a job stands, and an error without a patient's name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import FinishReason, JobState, JobStatus, Progress
from napari_apprentice.core.volume import Volume
from napari_apprentice.session.text import (
    describe_error,
    describe_status,
    describe_volume,
    duration,
    error_details,
)

from .conftest import make_volume


def test_a_volume_in_one_line() -> None:
    assert describe_volume(make_volume((512, 512))) == (
        "nuclei",
        "Y 512 × X 512 · 0.25 µm · uint16",
    )
    grid = Grid.regular("ZYX", (4, 5, 6), [2, 1, 1], unit="mm")
    volume = Volume(np.zeros((4, 5, 6), np.int16), grid, name="mr")
    assert describe_volume(volume)[1] == "Z 4 × Y 5 × X 6 · 2 × 1 × 1 mm · int16"
    unknown = replace(volume, grid=replace(grid, unit="pixel"))
    assert "voxel size unknown" in describe_volume(unknown)[1]


def test_a_colour_picture_does_not_list_its_channels() -> None:
    grid = Grid.regular("CYX", (3, 5, 6))
    volume = Volume(np.zeros((3, 5, 6), np.uint8), grid, rgb=True)
    assert describe_volume(volume)[1] == "Y 5 × X 6 · pixel size unknown · uint8 colour"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.1, "1 s"), (45, "45 s"), (120, "2 min"), (3 * 3600, "3.0 h")],
)
def test_durations_have_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (JobStatus(), ""),
        (
            JobStatus("P", JobState.RUNNING, progress=Progress("predicting", 2, 9, "tile", 2.0)),
            "predicting · tile 3 of 9 · 2 s left",
        ),
        (JobStatus("P", JobState.RUNNING, progress=Progress("loading")), "loading …"),
        (JobStatus("P", JobState.CANCELLING), "P: cancelling …"),
        (JobStatus("P", reason=FinishReason.COMPLETED), "P: done"),
        (JobStatus("P", reason=FinishReason.COMPLETED, warnings=1), "P: done · 1 warning, see Log"),
        (JobStatus("P", reason=FinishReason.CANCELLED), "P: cancelled"),
        (JobStatus("P", reason=FinishReason.ERRORED), "P: failed"),
    ],
)
def test_a_status_in_one_line(status: JobStatus, text: str) -> None:
    assert describe_status(status) == text


def test_details_name_neither_paths_nor_patients() -> None:
    found = "/data/clinic/" + "Doe^Jane/scan.nii.gz or C:" + "\\scans\\x.dcm"
    try:
        try:
            raise ValueError(f"cannot read {found}")
        except ValueError as cause:
            message, path = "damaged", found[:30]
            raise BadInputError(message, path=path) from cause
    except BadInputError as error:
        text = error_details(error, ["scan of Jane"])
    assert "BadInputError" in text
    assert "test_text.py" in text
    for secret in ("Doe^Jane", "/data/clinic", "scans\\x", __file__):
        assert secret not in text


def test_sentences_end_once() -> None:
    assert (
        describe_error(BadInputError("found none", remedy="Paint one.")) == "found none. Paint one."
    )
    assert describe_error(ValueError()) == "ValueError."
