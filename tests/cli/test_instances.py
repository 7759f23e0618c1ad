"""Numbered objects from files to files: train, predict with a count, evaluate; and files that cannot be that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tifffile import imwrite

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import open_labels, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

FAST = ("--steps", "40", "--checks", "1", "--held-out", "0", "--network", "unet", "--device", "cpu")


def objects(seed: int) -> NDArray[np.int32]:
    """Squares in a grid, some side by side, under numbers with gaps."""
    random = np.random.default_rng(seed)
    labels = np.zeros((48, 64), np.int32)
    for row in range(3):
        for column in range(4):
            top, left = 16 * row + 3, 16 * column + int(random.integers(0, 3))
            labels[top : top + 11, left : left + 13] = 70_000 + 17 * (4 * row + column)
    return labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed in range(2):
        labels = objects(seed)
        for kind, array in (("images", (labels > 0) * np.uint8(200)), ("labels", labels)):
            path = tmp_path / kind / f"{seed}.tif"
            path.parent.mkdir(exist_ok=True)
            save(Volume(array, Grid.regular("YX", array.shape)), path)
    return tmp_path


def train(call: Callable[..., Any], *more: object) -> Any:
    return call(
        "train", "--task", "instance", "--images", "images", "--labels", "labels",
        "--out", "cells", *FAST, *more,
    )  # fmt: skip


@pytest.mark.usefixtures("folder")
def test_objects_are_learned_found_counted_and_scored(
    call: Callable[..., Any], tmp_path: Path
) -> None:
    answer = train(call, "--json")
    assert answer.code == 0, answer.err
    assert {"ap", "ap50", "pq", "count"} <= set(answer.json["scores"])
    answer = call("predict", "images", "--model", "cells", "--out", "found", "--json")
    assert answer.code == 0, answer.err
    for record in answer.json:
        found = open_labels(tmp_path / record["output"]).numpy()
        assert record["count"] == len(np.unique(found)) - (0 in found)
        assert record["summary"].startswith(f"{record['count']} object")
    answer = call(
        "evaluate", "--task", "instance", "--truth", "labels", "--prediction", "found", "--json"
    )
    assert answer.code == 0, answer.err
    assert answer.json["pooled"]["truth_count"] == 24
    short = call("evaluate", "--instances", "--truth", "labels", "--prediction", "found", "--json")
    assert short.json == answer.json


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.astype(np.float32) + 0.5, "float32"),
        (lambda a: -a, "found -"),
        (lambda a: a[:20], "labels on the grid of their image"),
        (lambda a: a * 0, "only background"),
    ],
)
def test_files_that_number_nothing_are_named_with_the_reason(
    call: Callable[..., Any],
    folder: Path,
    change: Callable[[NDArray[Any]], NDArray[Any]],
    message: str,
) -> None:
    for seed in range(2):
        array = change(objects(seed))
        (folder / "labels" / f"{seed}.tif").unlink()
        save(
            Volume(array, Grid.regular("YX", array.shape)),
            folder / "labels" / f"{seed}.nii.gz",
        )
    answer = train(call)
    assert answer.code == 2
    assert message in answer.error
    assert not (folder / "cells" / "model.json").exists()


def test_labels_of_another_voxel_size_are_refused(call: Callable[..., Any], folder: Path) -> None:
    for kind, spacing in (("images", 1.0), ("labels", 2.0)):
        path = folder / kind / "0.tif"
        array = open_labels(path).numpy()
        grid = Grid.regular("YX", array.shape, (spacing, spacing), unit="um")
        save(Volume(array, grid), path)
    answer = train(call)
    assert answer.code == 2
    assert "spacing" in answer.error


def test_masks_of_true_and_false_are_refused_with_their_file(
    call: Callable[..., Any], folder: Path
) -> None:
    numbered, mask = folder / "labels" / "0.tif", folder / "labels" / "1.tif"
    imwrite(mask, objects(1) > 0)
    answer = train(call)
    assert answer.code == 2
    assert "1.tif: expected objects with a number each" in answer.error
    assert "Number the connected areas" in answer.error
    for truth, prediction in ((mask, numbered), (numbered, mask)):
        answer = call(
            "evaluate", "--task", "instance", "--truth", truth, "--prediction", prediction
        )
        assert answer.code == 2
        assert "1.tif: expected objects with a number each" in answer.error
