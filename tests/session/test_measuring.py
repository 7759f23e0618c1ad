"""Measured objects: as napari links them, chosen by an outline, saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.measure.feature_config import FeatureConfig
from napari_apprentice.session.measuring import (
    Measured,
    by_number,
    inside,
    measure_job,
    save_table_job,
    with_known,
)


@pytest.fixture
def measured() -> Measured:
    """Objects 2 (4 pixels) and 5 (6 pixels) on an oblique grid."""
    labels = np.zeros((12, 16), np.uint8)
    labels[2:4, 2:4], labels[8:10, 4:7] = 2, 5
    turn = np.array([[0.0, 0.5, 10.0], [-0.25, 0.0, 3.0], [0, 0, 1]])
    volume = Volume(labels, Grid("YX", labels.shape, Grid.freeze(turn), "um"), name="cells")
    return run_to_end(measure_job(volume, None, FeatureConfig()))


def test_row_k_is_object_k(measured: Measured) -> None:
    rows = by_number(measured.table)
    assert list(rows["index"]) == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(rows["area (µm²)"].fillna(0), [0, 0, 0.5, 0, 0, 0.75])
    assert rows["touches border"].dtype == bool


def test_what_others_know_about_objects_stays(measured: Measured) -> None:
    others = pd.DataFrame(
        {"index": [0, 2, 7], "class": ["background", "a", "b"], "score": [np.nan, 0.4, 0.1]}
    )
    rows = by_number(measured.table, others)
    assert list(rows["index"]) == list(range(8))
    assert list(rows["class"]) == ["background", "", "a", "", "", "", "", "b"]
    assert rows["score"][2] == 0.4
    own = by_number(measured.table.assign(**{"class": ["x", "y"]}), others)
    assert list(own["class"]) == ["background", "", "x", "", "", "y", "", "b"]


def test_a_saved_table_holds_what_is_known_otherwise(measured: Measured) -> None:
    features = pd.DataFrame(
        {"index": [0, 5, 9], "score": [np.nan, 0.4, 0.1], "by": ["", "you", ""]}
    )
    table = with_known(measured.table, features)
    assert list(table["label"]) == [2, 5]
    assert table["by"][1] == "you"
    assert np.isnan(table["score"][0])
    assert with_known(measured.table, pd.DataFrame({"x": [1]})) is measured.table


def test_sparse_numbers_are_listed_without_gaps(measured: Measured) -> None:
    table = measured.table.assign(label=[3, 4_000_000_000])
    assert list(by_number(table)["index"]) == [3, 4_000_000_000]


def test_it_says_how_many_and_where(measured: Measured) -> None:
    assert measured.summary == "2 objects · median area 0.625 µm²"
    assert measured.columns()[0] == "area (µm²)"
    assert "label" not in measured.columns()
    assert measured.numbers([1, 0]) == (5, 2)
    assert list(measured.rows([5, 9])) == [1]
    np.testing.assert_allclose(measured.centres([0, 1]), [[2.5, 2.5], [8.5, 5]])


def test_painting_meanwhile_changes_nothing() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[2:4, 2:4] = 1
    volume = Volume(labels, Grid.regular("YX", (8, 8)))
    job = measure_job(volume, None, FeatureConfig())
    next(job)
    next(job)
    labels[:] = 0
    assert run_to_end(job).table["voxels"].tolist() == [4]


def test_a_lasso_takes_what_is_inside() -> None:
    points = np.array([[1, 1], [5, 5], [np.nan, 1], [2, 2]], float)
    outline = np.array([[0, 0], [3, 0], [3, 3], [0, 3]], float)
    assert list(inside(points, outline)) == [0, 3]
    assert list(inside(points, outline[:2])) == []


def test_a_table_is_saved_whole_or_not_at_all(measured: Measured, tmp_path: Path) -> None:
    path = run_to_end(save_table_job(measured.table, tmp_path / "table.csv"))
    pd.testing.assert_frame_equal(pd.read_csv(path), measured.table, check_dtype=False)
    with pytest.raises(BadInputError, match=r"\.csv or \.parquet"):
        run_to_end(save_table_job(measured.table, tmp_path / "table.xls"))
