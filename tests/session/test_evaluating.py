"""Evaluating a model on a folder, without a window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests._small import FakeStore, make_spec

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import EvaluateConfig, PredictConfig
from napari_apprentice.io import save
from napari_apprentice.session.evaluating import model_job

SHAPE = (16, 20)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """An image in µm, one in pixels, and their truth."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[2:8, 2:8], labels[10:14, 10:16] = 1, 2
    for name, unit in (("a", "um"), ("b", "pixel")):
        grid = Grid.regular("YX", SHAPE, (0.5, 0.5) if unit == "um" else (1.0, 1.0), unit=unit)
        for folder, data in (("images", labels * 100), ("truth", labels)):
            (tmp_path / folder).mkdir(exist_ok=True)
            save(Volume(data, grid), tmp_path / folder / f"{name}.tif")
    return tmp_path


def evaluated(folders: Path, how: PredictConfig, unit: str, **of: Any) -> tuple[Any, dict]:
    """What was found, and the diameter that each image was asked with, by its unit."""
    asked = {}

    def predict(volume: Volume, model: Any, config: PredictConfig) -> Any:
        yield from ()
        asked[volume.grid.unit] = config.diameter
        labels = np.zeros(SHAPE, np.uint16)
        labels[2:8, 2:8] = 1
        return Prediction(volume.grid, labels, classes=(LabelClass(1, "cell"),))

    store = FakeStore(make_spec("cells", **of))
    places = (folders / "images", folders / "truth")
    job = model_job(store, "cells", *places, EvaluateConfig(resamples=0), how, predict, unit=unit)
    return run_to_end(job), asked


SIZED = {"task": "instance", "task_args": {"diameter": 20.0}}


def test_the_told_diameter_holds_for_images_in_the_unit_it_was_told_in(folders: Path) -> None:
    found, asked = evaluated(folders, PredictConfig(diameter=3.5), "um", **SIZED)
    assert asked == {"um": 3.5, "pixel": None}
    assert found.remark.startswith("In images in µm the objects were taken to be 3.5 µm wide")
    _, asked = evaluated(folders, PredictConfig(diameter=7.0), "pixel", **SIZED)
    assert asked == {"um": None, "pixel": 7.0}


def test_nothing_is_remarked_where_no_diameter_was_told_or_none_is_needed(folders: Path) -> None:
    found, asked = evaluated(folders, PredictConfig(), "um", **SIZED)
    assert asked == {"um": None, "pixel": None}
    assert found.remark == ""
    assert evaluated(folders, PredictConfig(diameter=3.5), "um")[0].remark == ""
