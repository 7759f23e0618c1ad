"""What can be exported how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import open_labels
from napari_apprentice.session.exporting import export_job, preferred, suggested_name, targets


def labels(world: str = "LPS", format: str | None = None) -> Volume:  # noqa: A002
    grid = Grid.regular("ZYX", (3, 4, 5), (2.0, 1.0, 0.5), unit="mm", world=world)
    data = np.arange(60, dtype=np.uint8).reshape(3, 4, 5) % 3
    return Volume(data, grid, name="liver", format=format, is_labels=True, classes={1: "a", 2: "b"})


def test_what_cannot_hold_the_volume_comes_last_with_the_reason() -> None:
    found = targets(labels())
    problems = [target.problem is not None for target in found]
    assert problems == sorted(problems)
    by_suffix = {target.suffixes[0]: target for target in found}
    assert by_suffix[".nii.gz"].problem is None
    assert by_suffix[".nii.gz"].describe() == "NIfTI (.nii.gz)"
    assert "DICOM series" in str(by_suffix[".dcm"].problem)


@pytest.mark.parametrize(
    ("volume", "suffix"),
    [
        (labels(), ".nii.gz"),
        (labels("stage"), ".ome.tif"),
        (labels("stage", "nifti"), ".nii.gz"),
        (labels("LPS", "tiff"), ".ome.tif"),
        (labels("LPS", "dicom"), ".nii.gz"),
    ],
)
def test_the_images_own_kind_is_preferred(volume: Volume, suffix: str) -> None:
    best = preferred(volume, targets(volume))
    assert best is not None
    assert best.suffixes[0] == suffix
    assert preferred(volume, []) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("brain ▸ model v2", "brain - model v2.png"),
        ("a/b:c", "a - b - c.png"),
        ("t1-weighted  scan", "t1-weighted scan.png"),
        ("Gewebe größer", "Gewebe größer.png"),
        ("...", "export.png"),
    ],
)
def test_names_are_taken_by_every_system(name: str, expected: str) -> None:
    volume = Volume(np.zeros((4, 4), "u1"), Grid.regular("YX", (4, 4)), name=name)
    assert suggested_name(volume, ".png") == expected


def test_the_job_writes_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "out.nii.gz"
    assert run_to_end(export_job(labels(), path)) == path
    found = open_labels(path)
    np.testing.assert_array_equal(found.numpy(), labels().numpy())
    assert found.grid == labels().grid
    assert dict(found.classes) == {1: "a", 2: "b"}
    with pytest.raises(BadInputError):
        run_to_end(export_job(labels(), tmp_path / "out.unknown"))
