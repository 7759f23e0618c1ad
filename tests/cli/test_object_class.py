"""Classes of objects from files to files: train, predict, evaluate."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from napari_apprentice import open_volume, predict
from napari_apprentice.io import open_labels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def write(folder: Path, name: str, *, known: int, seed: int = 0) -> dict[int, str]:
    """An image with sixteen squares, those with odd numbers bright, and a table with the class of the first `known`."""
    labels = np.zeros((64, 64), np.uint16)
    for n in range(16):
        y, x = 16 * (n // 4) + 3, 16 * (n % 4) + 3
        labels[y : y + 9, x : x + 9] = n + 1
    noise = np.random.default_rng(seed).normal(0, 4, labels.shape)
    image = 40.0 * (labels > 0) + 60.0 * (labels % 2) + noise + 20
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(folder / "images" / f"{name}.tif", image.clip(0, 255).astype(np.uint8))
    tifffile.imwrite(folder / "labels" / f"{name}.tif", labels)
    truth = {n: "größer" if n % 2 else "klein" for n in range(1, 17)}
    with (folder / "labels" / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["label", "class"])
        rows.writerows((n, truth[n] if n <= known else "") for n in truth)
    return truth


def test_train_predict_evaluate(call: Callable[..., Any], tmp_path: Path) -> None:
    data = tmp_path / "mit Leerzeichen"
    write(data, "a", known=8)
    write(data, "b", known=6, seed=1)
    truth = write(tmp_path / "new", "c", known=16, seed=2)
    model = str(tmp_path / "model")
    common = ["train", "--task", "object_class", "--images", str(data / "images")]
    common += ["--labels", str(data / "labels"), "--device", "cpu"]
    settings = ["--steps", "12", "--learning-rate", "0.01", "--held-out", "0", "--checks", "1"]
    answer = call(*common, *settings, "--out", model)
    assert answer.code == 0, answer.err

    image, labels = (tmp_path / "new" / part / "c.tif" for part in ("images", "labels"))
    out = tmp_path / "out"
    asked = ["predict", str(image), "--model", model, "--out", str(out), "--device", "cpu"]
    answer = call(*asked)  # objects are needed
    assert answer.code == 2
    assert "Give the labels" in answer.err
    answer = call(*asked, "--labels", str(labels.parent), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["count"] == 16
    assert answer.json["summary"] == "8 größer · 8 klein"
    with (out / "c.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert {int(r["label"]): r["class"] for r in rows} == truth
    assert all(0.5 < float(r["class score"]) <= 1 for r in rows)
    assert open_labels(out / "c.tif").classes == truth
    found = predict(image, model, labels=labels, device="cpu")
    assert found.labels is not None
    assert found.labels.shape == open_volume(image).grid.shape

    scored = ["evaluate", "--task", "object_class", "--truth", str(labels.parent)]
    answer = call(*scored, "--prediction", str(out), "--json")
    assert answer.code == 0, answer.err
    assert answer.json["mean"]["f1"] == answer.json["mean"]["accuracy"] == 1.0
    assert answer.json["confusion"]["matrix"] == [[8, 0], [0, 8]]


def test_objects_without_a_class_and_foreign_tables_are_refused(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path, "a", known=0)
    common = ["train", "--task", "object_class", "--images", str(tmp_path / "images")]
    common += ["--labels", str(tmp_path / "labels"), "--out", str(tmp_path / "m")]
    answer = call(*common)
    assert (answer.code, "objects with a class, found none" in answer.err) == (2, True), answer.err
    table = tmp_path / "labels" / "a.csv"
    table.write_text("label,class\nfirst,big\n")
    answer = call(*common)
    assert (answer.code, "expected numbers of objects" in answer.err) == (2, True), answer.err
    table.write_text("label,class\n1,big\n2,big\n")
    answer = call(*common)
    assert (answer.code, "two classes or more" in answer.err) == (2, True), answer.err
    assert not (tmp_path / "m" / "model.json").exists()
