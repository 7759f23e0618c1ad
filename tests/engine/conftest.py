"""Small volumes that a small network can learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.split import TrainItem

CLASSES = (LabelClass(1, "ball"), LabelClass(2, "cube"))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def tiny_spec() -> ModelSpec:
    """A network of a few thousand weights."""
    return ModelSpec(
        name="tiny",
        task="semantic",
        network="unet",
        network_args={"channels": [8, 16], "strides": [2], "num_res_units": 0},
        ndim=3,
        tile=(16, 16, 16),
        spacing=(1.0, 1.0, 1.0),
        unit="mm",
        classes=tuple(ClassSpec(value=c.value, name=c.name) for c in CLASSES),
    )


@pytest.fixture
def make_item() -> Callable[..., TrainItem]:
    """Factory of annotated volumes: a bright ball and a brighter cube in noise."""

    def make(number: int = 0, extent: Extent | None = None, group: str | None = None) -> TrainItem:
        rng = np.random.default_rng(number)
        labels = np.zeros((16, 16, 16), np.uint8)
        z, y, x = np.ogrid[:16, :16, :16]
        centre = rng.integers(4, 7, 3)
        labels[(z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= 9] = 1
        labels[9:14, 9:14, 9:14] = 2
        image = (labels * 3.0 + rng.normal(0, 0.3, labels.shape)).astype(np.float32)
        grid = Grid.regular("ZYX", labels.shape, (1, 1, 1), unit="mm")
        annotation = Annotation(grid, labels, CLASSES, extent or Extent(whole=True))
        return TrainItem(f"case {number}", Volume(image, grid), annotation, group)

    return make
