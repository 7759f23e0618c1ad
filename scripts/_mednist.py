"""MedNIST as the data folder has it: a tar of class folders, read without unpacking it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.train import TrainItem

CLASSES = tuple(
    LabelClass(value, name)
    for value, name in enumerate(
        ("AbdomenCT", "BreastMRI", "CXR", "ChestCT", "Hand", "HeadCT"), start=1
    )
)


def mednist_items(data: Path, split: str, names: set[str] | None = None) -> list[TrainItem]:
    """Images of ``train`` (1,000 per class) or ``val`` (200 per class), each with its class: all, or those of some names."""
    return list(_read(data / "mednist" / f"mednist_{split}.tar", names))


def small_set(data: Path) -> set[str]:
    """Names of the images of ``train`` that also lie in ``folders``, 20 per class."""
    folder = data / "mednist" / "folders"
    return {f"{path.parent.name}/{path.stem}" for path in folder.glob("*/*.jpeg")}


def _read(path: Path, names: set[str] | None) -> Iterator[TrainItem]:
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is None:
                continue
            place = Path(member.name)
            name = f"{place.parent.name}/{place.stem}"
            if names is not None and name not in names:
                continue
            array = np.asarray(Image.open(io.BytesIO(file.read())))
            grid = Grid.regular("YX", array.shape)
            kind = place.parent.name
            yield TrainItem(
                name,
                Volume(array, grid, name=place.stem),
                Annotation.of_image(grid, kind, CLASSES),
            )
