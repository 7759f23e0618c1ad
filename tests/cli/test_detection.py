"""Points and boxes from files to files: train, predict into tables, evaluate at a distance; and files that cannot be that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import read_places, save, save_places

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = ("--steps", "2", "--checks", "1", "--held-out", "0", "--device", "cpu", "--tile", "32,32")
CLASSES = (LabelClass(1, "round"), LabelClass(2, "square"))
PLACES = [(12.0, 12.0), (12.0, 34.0), (34.0, 20.0)]
GRID = Grid.regular("YX", (48, 48), (0.5, 0.5), unit="um")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    labels = np.zeros(GRID.shape, np.uint16)
    for number, (y, x) in enumerate(PLACES, start=1):
        labels[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5] = number
    boxes = Detections.of(PLACES, [(9.0, 9.0)] * 3, [1, 2, 1])
    for name in ("images", "labels", "points"):
        (tmp_path / name).mkdir()
    for name in "ab":
        save(Volume((labels > 0) * np.uint8(200), GRID), tmp_path / "images" / f"{name}.tif")
        save(Volume(labels, GRID, is_labels=True), tmp_path / "labels" / f"{name}.tif")
        save_places(boxes, GRID, CLASSES, tmp_path / "points" / f"{name}.csv")
    return tmp_path


def train(call: Callable[..., Any], said: str, *more: object) -> Any:
    return call(
        "train", "--task", "detection", "--images", "images", "--labels", said, "--out", "model",
        *FAST, *more,
    )  # fmt: skip


@pytest.mark.usefixtures("folder")
def test_it_learns_from_tables_and_writes_tables(call: Callable[..., Any], tmp_path: Path) -> None:
    answer = train(call, "points", "--json")
    assert answer.code == 0, answer.err
    assert {"f1", "precision", "recall", "f1_round", "f1_square"} <= set(answer.json["scores"])
    answer = call("predict", "images", "--model", "model", "--out", "found", "--json")
    assert answer.code == 0, answer.err
    for record in answer.json:
        table = read_places(tmp_path / "found" / f"{record['path'][-5]}.csv", 2)
        assert len(table.detections) == record["count"]
        assert record["output"].endswith(".csv")
    answer = call("predict", "images/a.tif", "--model", "model", "--out", "one.geojson")
    assert answer.code == 0, answer.err
    assert (tmp_path / "one.geojson").is_file()


@pytest.mark.usefixtures("folder")
def test_it_learns_from_numbered_labels(call: Callable[..., Any]) -> None:
    answer = train(call, "labels", "--json")
    assert answer.code == 0, answer.err
    assert "f1" in answer.json["scores"]


@pytest.mark.usefixtures("folder")
def test_labels_without_names_are_of_the_class_that_the_start_knows(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    """They were a second class, and every object was found as both."""
    assert train(call, "labels", "--init", "nuclei-centres").code == 0
    spec = json.loads((tmp_path / "model" / "model.json").read_text("utf-8"))
    assert [c["name"] for c in spec["classes"]] == ["nucleus"]


@pytest.mark.usefixtures("folder")
def test_a_score_on_what_was_learned_from_is_not_called_held_out(call: Callable[..., Any]) -> None:
    answer = train(call, "points")
    assert "held-out" not in answer.out
    assert "f1 on what it learned from" in answer.out


@pytest.mark.usefixtures("folder")
def test_places_are_scored_at_a_distance_in_the_unit_of_the_files(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    moved = [(y + 2.0, x) for y, x in PLACES[:2]] + [(2.0, 2.0)]  # 1 µm off, and one of nothing
    (tmp_path / "found").mkdir()
    for name in "ab":
        save_places(
            Detections.of(moved, kinds=[1, 2, 1]), GRID, CLASSES, tmp_path / "found" / f"{name}.csv"
        )
    score = ("evaluate", "--task", "detection", "--truth", "points", "--prediction", "found")
    near = call(*score, "--distance", "0.9", "--json").json
    assert near["pooled"]["recall"] == 0.0
    far = call(*score, "--distance", "1.1", "--json").json
    assert far["pooled"]["recall"] == pytest.approx(2 / 3)
    assert far["pooled"]["precision"] == pytest.approx(2 / 3)
    assert far["pooled"]["distance_um"] == pytest.approx(1.0)
    assert far["pooled"]["sensitivity_at_1_fp"] == pytest.approx(2 / 3)
    assert far["mean"]["f1_square"] == 1.0
    assert far["pooled"]["f1_any"] == pytest.approx(2 / 3)
    text = call(*score)
    assert text.code == 0
    assert any(line.split()[:2] == ["distance", "µm"] for line in text.out.splitlines())
    assert "sensitivity at 1 fp" in text.out


@pytest.mark.usefixtures("folder")
def test_labels_may_be_the_truth_of_points(call: Callable[..., Any]) -> None:
    answer = call(
        "evaluate", "--task", "detection", "--truth", "labels", "--prediction", "labels", "--json"
    )
    assert answer.code == 0, answer.err
    assert answer.json["pooled"]["f1"] == answer.json["pooled"]["ap50"] == 1.0


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0,99,5,,,round,1", "found 1 beyond"),
        ("0,-3,5,,,round,1", "found 1 beyond"),
        ("0,5,5,0,4,round,1", "found 1 without"),
        ("0,nan,5,,,round,1", "1 NaN or infinite"),
        ("0,a,5,,,round,1", "column axis-0 of row 1"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_bad_row_is_named_with_its_file(
    call: Callable[..., Any], tmp_path: Path, row: str, said: str
) -> None:
    table = tmp_path / "points" / "b.csv"
    table.write_text(f"index,axis-0,axis-1,size-0,size-1,class,score\n{row}\n")
    answer = train(call, "points")
    assert answer.code == 2
    assert said in answer.error
    assert "b.csv" in answer.error
    assert not (tmp_path / "model" / "model.json").exists()


@pytest.mark.usefixtures("folder")
def test_no_points_anywhere_is_no_lesson(call: Callable[..., Any], tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / "points" / f"{name}.csv").write_text("index,axis-0,axis-1\n")
    answer = train(call, "points")
    assert answer.code == 2
    assert "found only background" in answer.error


@pytest.mark.usefixtures("folder")
def test_one_empty_image_is_fine(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "points" / "b.csv").write_text("index,axis-0,axis-1\n")
    answer = train(call, "points")
    assert answer.code == 0, answer.err


@pytest.mark.usefixtures("folder")
def test_several_images_want_a_folder(call: Callable[..., Any]) -> None:
    assert train(call, "labels").code == 0
    answer = call("predict", "images", "--model", "model", "--out", "all.csv")
    assert answer.code == 2
    assert "expected a folder" in answer.error
