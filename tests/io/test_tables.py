"""Tables in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.grid import Grid
from napari_apprentice.io import read_places, read_rows, save_places, save_table

EVIL = '=HYPERLINK("http://x","y")'


def test_no_cell_is_a_formula_and_all_of_them_are_read_back(tmp_path: Path) -> None:
    table = pd.DataFrame({"image": [EVIL, "b.tif"], "=shift": [-1.5, 2.0]})
    save_table(table, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text("utf-8-sig")
    assert text.splitlines()[0] == "image,'=shift"
    assert "\n\"'=HYPERLINK" in text
    assert ",-1.5" in text
    rows = read_rows(tmp_path / "t.csv")
    assert rows[0] == {"image": EVIL, "=shift": "-1.5"}


def test_a_class_name_of_places_is_no_formula(tmp_path: Path) -> None:
    found = Detections.of(np.array([[1.0, 2.0]]), kinds=np.array([1], np.int32))
    grid = Grid.regular("YX", (8, 8))
    save_places(found, grid, (LabelClass(1, EVIL),), tmp_path / "p.csv")
    assert "'=HYPERLINK" in (tmp_path / "p.csv").read_text("utf-8")
    assert read_places(tmp_path / "p.csv", 2).names == (EVIL,)


def test_semicolons_and_tabs_part_columns_too(tmp_path: Path) -> None:
    for name, text in (
        ("excel.csv", "file;class\na.tif;1,5 and more\n"),
        ("tabs.TSV", "file\tclass\na.tif\t1,5 and more\n"),
        ("quoted.csv", '"file","class;kind"\na.tif,b\n'),
    ):
        (tmp_path / name).write_text(text, "utf-8")
    wanted = [{"file": "a.tif", "class": "1,5 and more"}]
    assert read_rows(tmp_path / "excel.csv") == wanted
    assert read_rows(tmp_path / "tabs.TSV") == wanted
    assert read_rows(tmp_path / "quoted.csv") == [{"file": "a.tif", "class;kind": "b"}]
