"""Starters do what their cards say, on samples that they have not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure.instances import score_instances
from napari_apprentice.models.store import ModelStore

SAMPLES = Path(__file__).parents[2] / "sample_data"


def test_nuclei_in_a_volume_are_numbered_as_bodies() -> None:
    image = open_volume(SAMPLES / "nuclei_volume" / "images" / "nuclei_volume.tif")
    truth = open_labels(SAMPLES / "nuclei_volume" / "labels" / "nuclei_volume.tif").numpy()
    part = (slice(None), slice(0, 72), slice(0, 72))
    grid = replace(image.grid, shape=(32, 72, 72))
    small = replace(image, data=image.numpy()[part], grid=grid)
    config = PredictConfig(device="cpu", diameter=4.8)
    found = run_to_end(predict(small, ModelStore().load("nuclei-3d"), config))
    assert found.labels is not None
    assert score_instances(found.labels, truth[part]).to_dict()["f1_50"] > 0.7
