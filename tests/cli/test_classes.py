"""Classes of whole images from folders to a model, a table and scores."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import save
from napari_apprentice.models.store import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ("Füße", "右手")
FAST = ("--steps", "30", "--checks", "1", "--batch-size", "8", "--device", "cpu")
FAST += ("--learning-rate", "1e-2", "--tile", "16,16")


def picture(number: int, size: tuple[int, int] = (20, 20)) -> np.ndarray:
    """Stripes along (even numbers) or across (odd ones)."""
    rng = np.random.default_rng(number)
    y, x = np.indices(size)
    stripes = ((x if number % 2 else y) // 3 + rng.integers(2)) % 2
    return (60 + 120 * stripes + rng.integers(0, 30, size)).astype(np.uint8)


def put(path: Path, data: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    colours = data.ndim == 3
    grid = Grid.regular("CYX" if colours else "YX", data.shape)
    channels = ("red", "green", "blue") if colours else ()
    save(Volume(data, grid, channels=channels, rgb=colours), path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two class folders with unicode names, of mixed sizes; the same file names in both."""
    for number in range(16):
        size = (20, 20) if number % 3 else (20, 33)
        put(tmp_path / "images" / NAMES[number % 2] / f"{number // 2}.png", picture(number, size))
    return tmp_path / "images"


def train(call: Callable[..., Any], *more: object) -> Any:
    images = () if "--images" in more else ("--images", "images")
    return call("train", "--task", "image_class", *images, "--out", "model", *FAST, *more)


def test_from_class_folders_to_scores(call: Callable[..., Any], folders: Path) -> None:
    answer = train(call, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["scores"]["balanced_accuracy"] == 1.0
    held = answer.json["split"]["held_out"]
    assert {name.split("/")[0] for name in held} == set(NAMES)
    assert [c.name for c in load_spec(folders.parent / "model").classes] == sorted(NAMES)
    assert call("models", "verify", "model").code == 0

    put(folders.parent / "new.png", picture(101))
    one = call("predict", "new.png", "--model", "model", "--out", "one.json", "--json")
    assert one.code == 0, one.err
    said = one.json
    assert (said["class"], said["output"], said["model"]) == (NAMES[1], "one.json", "model")
    assert sum(said["scores"].values()) == pytest.approx(1)
    assert said["scores"][NAMES[1]] > 0.5
    assert said["unsure"] is False
    assert json.loads((folders.parent / "one.json").read_text("utf-8"))[0]["class"] == NAMES[1]

    (folders / NAMES[0] / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    many = call("predict", "images", "--model", "model", "--out", "out", "--json")
    assert many.code == 1
    assert len(many.json) == 17
    assert [r["path"] for r in many.json if "error" in r] == [f"images/{NAMES[0]}/broken.png"]
    with (folders.parent / "out" / "predictions.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert list(rows[0])[:3] == ["path", "class", "unsure"]

    (folders / NAMES[0] / "broken.png").unlink()
    scored = call(
        "evaluate", "--task", "image_class", "--truth", "images", "--prediction", "out",
        "--json", "--csv", "scores.csv",
    )  # fmt: skip
    assert scored.code == 0, scored.err
    report = scored.json
    right = sum(case["accuracy"] for case in report["cases"])
    assert report["mean"]["accuracy"] == pytest.approx(right / 16)
    assert report["mean"]["accuracy"] >= 0.9
    assert report["confusion"]["classes"] == sorted(NAMES)
    assert np.sum(report["confusion"]["matrix"]) == 16
    assert {"roc_auc", "calibration_error", "specificity", "f1_右手"} <= set(report["mean"])
    assert report["cases"][0]["truth"] in NAMES
    text = call("evaluate", "--task", "image_class", "--truth", "images", "--prediction", "out")
    assert "truth ↓ / predicted →" in text.out
    assert "of 16" in text.out


def test_from_a_table_with_groups(call: Callable[..., Any], folders: Path) -> None:
    lines = [
        f"{p.relative_to(folders.parent).as_posix()},{p.parent.name},{p.stem}"
        for p in sorted(folders.glob("*/*.png"))
    ]
    table = folders.parent / "table.csv"
    table.write_text("\n".join(["file,class,group", *lines]), encoding="utf-8")
    answer = train(call, "--images", ".", "--labels", "table.csv", "--steps", "1", "--json")
    assert answer.code == 0, answer.err
    split = answer.json["split"]
    sides = [{name.split("/")[-1] for name in split[side]} for side in ("train", "held_out")]
    assert not sides[0] & sides[1]
    assert sides[1]
    done = call("predict", "images", "--model", "model", "--out", "p.csv")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0].startswith("images/")
    scored = call(
        "evaluate", "--task", "image_class", "--truth", "table.csv", "--prediction", "p.csv", "--json"
    )  # fmt: skip
    assert len(scored.json["cases"]) == 16, scored.err
    table.write_text("file,class\nmissing.png,a\n", encoding="utf-8")
    assert "found no missing.png" in train(call, "--images", ".", "--labels", "table.csv").error


def test_what_does_not_fit_is_named_and_left_out(call: Callable[..., Any], folders: Path) -> None:
    (folders / "empty").mkdir()
    (folders / NAMES[0] / "corrupt.png").write_bytes(b"no picture")
    put(folders / NAMES[1] / "deep.tif", np.zeros((3, 20, 20), np.uint8))
    put(folders / NAMES[1] / "colour.png", np.stack([picture(1), picture(3), picture(5)]))
    answer = train(call, "--steps", "1", "--json")
    assert answer.code == 0, answer.err
    assert "the class folder empty has no image in it: left out" in answer.err
    assert f"images/{NAMES[0]}/corrupt.png" in answer.err
    assert "1 of 19 images left out" in answer.err
    assert "warning" in answer.err
    spec = load_spec(folders.parent / "model")
    assert spec.channels == ("red", "green", "blue")
    assert spec.grey_as_color


@pytest.mark.parametrize(
    ("ruin", "message"),
    [
        ("one class", "of the one class 'Füße'"),
        ("no folders", "expected a folder with one folder of images per class"),
        ("empty folders", "in the 2 class folders, found none"),
        ("dense network", "answers once per image for image_class, found unet"),
        ("label values", "expected no label values"),
        ("two cases", "differ in more than upper and lower case"),
        ("groups", "no image for the group of nobody"),
    ],
)
def test_what_cannot_be_learned_is_said_before_anything_is_written(
    call: Callable[..., Any], folders: Path, ruin: str, message: str
) -> None:
    more: tuple[str, ...] = ()
    if ruin == "one class":
        (folders / NAMES[1]).rename(folders.parent / "away")
    elif ruin == "no folders":
        more = ("--images", f"images/{NAMES[0]}")
    elif ruin == "empty folders":
        for file in folders.glob("*/*.png"):
            file.unlink()
    elif ruin == "dense network":
        more = ("--network", "unet")
    elif ruin == "two cases":
        (folders / NAMES[1]).rename(folders / NAMES[0].upper().replace("SS", "ß"))
    elif ruin == "groups":
        (folders.parent / "groups.csv").write_text("name,group\nnobody,1\n", encoding="utf-8")
        more = ("--groups", "groups.csv")
    else:
        more = ("--classes", "1=a")
    answer = train(call, *more)
    assert answer.code == 2
    assert message in answer.error
    assert not (folders.parent / "model" / "model.json").exists()


def test_labels_are_asked_for_where_they_are_needed(
    call: Callable[..., Any], folders: Path
) -> None:
    answer = call("train", "--images", "images", "--out", "m", *FAST)
    assert answer.code == 2
    assert "expected labels to learn semantic from" in answer.error


def test_evaluation_refuses_what_has_nothing_to_do_with_the_truth(
    call: Callable[..., Any], folders: Path
) -> None:
    def score(prediction: str) -> Any:
        return call(
            "evaluate", "--task", "image_class", "--truth", "images", "--prediction", prediction
        )

    assert "expected a table of predicted classes" in score("nowhere.csv").error
    table = folders.parent / "p.csv"
    table.write_text("path,class\nother/99.png,a\n", encoding="utf-8")
    assert "such as other/99.png" in score("p.csv").error
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    assert "expected a column path or file, found a, b" in score("p.csv").error
    (folders.parent / "p.json").write_text("[1, 2]", encoding="utf-8")
    assert "records that predict --json writes" in score("p.json").error
    rows = [f"x/{NAMES[n % 2]}/{n // 2}.png,{NAMES[0]}" for n in range(12)]
    table.write_text("\n".join(["path,class", *rows]), encoding="utf-8")
    answer = score("p.csv")
    assert answer.code == 0, answer.err
    assert "4 images without a prediction left out" in answer.err
    assert "roc" not in answer.out
