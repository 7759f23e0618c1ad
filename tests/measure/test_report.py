from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.measure.report import CaseScores, Report

NAN = float("nan")


@pytest.fixture
def report():
    return Report.from_cases(
        [
            CaseScores("a,b.nii.gz", {"dice": 0.5, "hd95_mm": 2.0}),
            CaseScores("é.nii.gz", {"dice": 0.7, "hd95_mm": NAN, "psnr_db": np.inf}),
            CaseScores("c.nii.gz", {"dice": np.float32(0.75)}),
        ]
    )


def test_a_mean_leaves_out_what_does_not_apply(report):
    assert report.mean["dice"] == pytest.approx(0.65)
    assert report.mean["hd95_mm"] == 2.0
    assert list(report.mean) == ["dice", "hd95_mm", "psnr_db"]
    assert np.isnan(Report.from_cases([CaseScores("x", {"dice": NAN})]).mean["dice"])


def test_the_dictionary_is_strict_json(report):
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))

    assert found["cases"][0] == {"path": "a,b.nii.gz", "dice": 0.5, "hd95_mm": 2.0}
    assert found["cases"][1]["hd95_mm"] is None
    assert found["cases"][1]["psnr_db"] is None
    assert found["mean"]["dice"] == pytest.approx(0.65)
    assert set(found) == {"cases", "mean"}


def test_no_case_at_all():
    assert Report.from_cases([]).to_dict() == {"cases": [], "mean": {}}


def test_the_table_reads_back(report, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    report.to_csv(path)

    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))

    assert [row["path"] for row in rows] == ["a,b.nii.gz", "é.nii.gz", "c.nii.gz", "mean"]
    assert float(rows[0]["dice"]) == 0.5
    assert rows[1]["hd95_mm"] == rows[2]["hd95_mm"] == ""
    assert float(rows[3]["dice"]) == report.mean["dice"]
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_a_table_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("old")
    broken = Report((CaseScores("x", {"dice": "high"}),), {"dice": 0.5})

    with pytest.raises(TypeError):
        broken.to_csv(path)

    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["scores.csv"]


def test_a_folder_that_is_not_there_is_named(report, tmp_path):
    with pytest.raises(BadInputError, match=r"nowhere.*folder that exists"):
        report.to_csv(tmp_path / "nowhere" / "scores.csv")
