"""``features``: from an image and its labels to a table, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from napari_apprentice.core.errors import BadInputError, MissingDependencyError
from napari_apprentice.io import open_labels, save_table

from .conftest import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """An image and its labels: two pieces of one class, 4 and 9 pixels of 0.5 µm."""
    labels = np.zeros((24, 24), np.uint8)
    labels[2:4, 2:4] = labels[10:13, 10:13] = 1
    place = {"spacing": (0.5, 0.5), "unit": "um"}
    write(tmp_path / "labels.tif", labels, **place)
    write(tmp_path / "image.tif", (100 + 50 * labels).astype(np.uint16), **place)
    return tmp_path


def test_a_table_is_written_with_units(call: Callable[..., Any], cells: Path) -> None:
    answer = call(
        "features", "image.tif", "labels.tif", "--out", "table.csv", "--components",
        "--objects", "objects.tif", "--classes", "1=cell",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert answer.out == "table.csv: 2 objects\n"
    table = pd.read_csv(cells / "table.csv")
    assert list(table["area (µm²)"]) == [1, 2.25]
    assert list(table["class"]) == ["cell", "cell"]
    assert list(table["intensity mean"]) == [150, 150]
    numbers = open_labels(cells / "objects.tif").numpy()
    assert [(numbers == n).sum() for n in table["label"]] == [4, 9]


def test_json_holds_the_rows_of_the_groups_asked_for(call: Callable[..., Any], cells: Path) -> None:
    answer = call("features", "image.tif", "labels.tif", "--groups", "size,texture", "--json")
    assert answer.code == 0, answer.err
    (row,) = answer.json["objects"]
    assert (answer.json["count"], answer.json["output"]) == (1, None)
    assert row["voxels"] == 13
    assert row["texture contrast"] == 0
    assert "intensity mean" not in row


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ((), "--out FILE or --json"),
        (("--out", "table.xlsx"), ".csv or .parquet"),
        (("--json", "--groups", "size,colour"), "found colour"),
        (("--json", "--gray-levels", "1000"), "--gray-levels"),
        (("--out", "nowhere/table.csv"), "there is no folder"),
    ],
)
def test_bad_usage_says_what_to_do(
    call: Callable[..., Any], cells: Path, more: tuple[str, ...], says: str
) -> None:
    answer = call("features", "image.tif", "labels.tif", *more)
    assert answer.code == 2
    assert says in answer.err


def test_parquet_needs_pyarrow_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install pyarrow.*\.csv"):
        save_table(pd.DataFrame({"label": [1]}), tmp_path / "table.parquet")
    assert list(tmp_path.iterdir()) == []


def test_parquet_holds_the_table(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = pd.DataFrame({"label": [1, 2], "area (µm²)": [1.5, np.nan]})
    save_table(table, tmp_path / "table.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "table.parquet"), table)


def test_parquet_is_written_with_units_and_truth_values(
    call: Callable[..., Any], cells: Path
) -> None:
    pytest.importorskip("pyarrow")
    classes = ("--components", "--classes", "1=cell")
    answer = call("features", "image.tif", "labels.tif", "--out", "table.parquet", *classes)
    assert answer.code == 0, answer.err
    table = pd.read_parquet(cells / "table.parquet")
    assert list(table["area (µm²)"]) == [1, 2.25]
    assert list(table["class"]) == ["cell", "cell"]
    assert table["touches border"].dtype == bool
    assert [path.name for path in cells.glob("*.parquet*")] == ["table.parquet"]


def test_python_names_wrong_settings(cells: Path) -> None:
    import napari_apprentice

    with pytest.raises(BadInputError, match=r"radius.*Known settings: components"):
        napari_apprentice.features("image.tif", "labels.tif", radius=3)
    table = napari_apprentice.features(None, "labels.tif", groups="size")
    assert list(table["voxels"]) == [13]
