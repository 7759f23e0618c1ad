"""The map of many images, over a folder of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Log, run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import save
from napari_apprentice.models.store import ModelStore, build_network
from napari_apprentice.session.image_map import map_job

NARROW = {"task": "anomaly", "network": "autoencoder"}
PLAIN = {"task": "anomaly", "network": "unet"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    kept = ModelStore(tmp_path / "models", starters=tmp_path / "none")
    args = {
        "narrow": NARROW | {"network_args": {"channels": [4, 4], "bottleneck": 2}},
        "plain": PLAIN | {"network_args": {"channels": [4, 4], "strides": [2]}},
    }
    for name, more in args.items():
        spec = ModelSpec(name=name, ndim=2, tile=(16, 16), **more)
        kept.save(spec, build_network(spec).state_dict())
    return kept


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    rng = np.random.default_rng(0)
    for n in range(4):
        data = rng.integers(0, 255, (20, 24), dtype=np.uint8)
        place = folder / "ab"[n % 2]
        place.mkdir(parents=True, exist_ok=True)
        save(Volume(data, Grid.regular("YX", data.shape)), place / f"{n}.tif")
    return folder


def test_images_are_laid_out_and_what_cannot_be_read_is_told(
    store: ModelStore, images: Path
) -> None:
    (images / "a" / "0.tif").write_bytes(b"II*\0 a narrow middle")
    said: list[str] = []
    found = run_to_end(
        map_job(store, "narrow", images),
        lambda event: said.append(event.message) if isinstance(event, Log) else None,
    )
    assert found.points.shape == (3, 2)
    assert [sample.name for sample in found.samples] == ["a/2", "b/1", "b/3"]
    assert set(found.classes.values()) == {"a", "b"}
    assert len(said) == 1
    assert "left out: a/0" in said[0]


def test_a_model_without_a_narrow_middle_is_refused_before_images_are_read(
    store: ModelStore, images: Path
) -> None:
    with pytest.raises(BadInputError, match="narrow middle"):
        run_to_end(map_job(store, "plain", images / "nowhere"))
    with pytest.raises(BadInputError, match="at least 3 images"):
        run_to_end(map_job(store, "narrow", images / "a"))
