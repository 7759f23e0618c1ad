"""Restoration from noisy and clean images to a model, restored images and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import open_volume, save
from napari_apprentice.models.store import load_spec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAST = ("--steps", "2", "--checks", "1", "--batch-size", "2", "--device", "cpu", "--tile", "16,16")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two noisy images and their clean counterparts, with a pixel size."""
    grid = Grid.regular("YX", (24, 30), (0.25, 0.25), unit="um")
    clean = np.full((24, 30), 300.0)
    clean[6:18, 8:22] = 900
    for number in range(2):
        noisy = clean + np.random.default_rng(number).normal(0, 50, clean.shape)
        for folder, voxels in (("noisy", noisy), ("clean", clean)):
            (tmp_path / folder).mkdir(exist_ok=True)
            save(Volume(voxels.astype(np.uint16), grid), tmp_path / folder / f"{number}.tif")
    return tmp_path


def train(call: Callable[..., Any], *more: object) -> Any:
    return call("train", "--images", "noisy", "--out", "model", *FAST, *more)


def test_pairs_to_a_model_to_images_to_scores(call: Callable[..., Any], images: Path) -> None:
    made = train(call, "--task", "restoration", "--labels", "clean", "--json")
    assert made.code == 0, made.err
    assert {"psnr_db", "ssim", "noisy_psnr_db"} <= set(made.json["scores"])
    said = call("predict", "noisy", "--model", "model", "--out", "restored", "--json")
    assert said.code == 0, said.err
    restored, noisy = open_volume("restored/0.tif"), open_volume("noisy/0.tif")
    assert (restored.grid, restored.dtype) == (noisy.grid, np.uint16)
    report = call(
        "evaluate", "--task", "restoration", "--truth", "clean", "--prediction", "noisy", "--json"
    )
    assert report.code == 0, report.err
    assert report.json["mean"]["psnr_db"] == pytest.approx(20 * np.log10(600 / 50), abs=0.5)
    shown = call("evaluate", "--task", "restoration", "--truth", "clean", "--prediction", "noisy")
    assert "psnr" in shown.out
    assert "dB" in shown.out


def test_noisy_images_alone_are_enough(call: Callable[..., Any], images: Path) -> None:
    made = train(call, "--task", "restoration")
    assert made.code == 0, made.err
    assert "hidden_psnr_db" in made.out
    assert load_spec(images / "model").task_args["lesson"] == "hidden"


def test_normal_images_are_enough_for_anomalies(call: Callable[..., Any], images: Path) -> None:
    made = train(call, "--task", "anomaly")
    assert made.code == 0, made.err
    said = call("predict", "noisy/0.tif", "--model", "model", "--out", "map.tif", "--json")
    assert said.code == 0, said.err
    assert said.json["scores"]["anomaly"] > 0
    assert open_volume("map.tif").dtype == np.float32


def test_pairs_of_other_shapes_are_refused(call: Callable[..., Any], images: Path) -> None:
    grid = Grid.regular("YX", (24, 31), (0.25, 0.25), unit="um")
    save(Volume(np.zeros((24, 31), np.uint16), grid), images / "clean" / "1.tif")
    made = train(call, "--task", "restoration", "--labels", "clean")
    assert made.code == 2
    assert "1.tif: expected a clean image like its noisy one" in made.err
    assert not (images / "model").exists() or not (images / "model" / "model.json").exists()
