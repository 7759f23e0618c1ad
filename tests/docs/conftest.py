"""The world the examples of the documentation live in: tiny images and tiny models under the names they use."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.budget import Budget
from napari_apprentice.io import save, save_places

from ..io._dicom_phantom import MR, ramp, series  # noqa: TID252  # one phantom for all rooms

CLASSES = (ClassSpec(value=1, name="anterior"), ClassSpec(value=2, name="posterior"))
SHAPE = (16, 20, 16)


def write_case(folder: Path, name: str, seed: int) -> None:
    """An image with two bright boxes, and the boxes."""
    grid = Grid.regular("ZYX", SHAPE, (1.0, 1.0, 1.0), unit="mm", world="LPS")
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:12, 3:9, 4:10] = 1
    labels[4:12, 11:17, 4:10] = 2
    noise = np.random.default_rng(seed).normal(100, 5, SHAPE)
    image = (noise + 60 * labels).astype(np.int16)
    names = {c.value: c.name for c in CLASSES}
    for kind, array in (("images", image), ("labels", labels)):
        (folder / kind).mkdir(exist_ok=True)
        volume = Volume(array, grid, name=name, classes=names if kind == "labels" else {})
        save(volume, folder / kind / f"{name}.nii.gz")
    (folder / "points").mkdir(exist_ok=True)
    spots = Detections.of([(8, 6, 7), (8, 14, 7)], [(8, 6, 6)] * 2, [1, 2])
    classes = (LabelClass(1, "round"), LabelClass(2, "long"))
    save_places(spots, grid, classes, folder / "points" / f"{name}.csv")


def write_pictures(work: Path) -> None:
    """Pictures in class folders, a table of them, and a table of what a model said."""
    rows = []
    for number in range(8):
        kind = ("ct", "mri")[number % 2]
        folder = work / "pictures" / kind
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 99, (32, 32))
        data = (noise + 100 * (number % 2) * (np.arange(32) > 16)).astype(np.uint8)
        save(Volume(data, Grid.regular("YX", data.shape)), folder / f"{number}.png")
        rows.append(f"{kind}/{number}.png,{kind}")
    (work / "pictures.csv").write_text("\n".join(["file,class", *rows]), encoding="utf-8")
    said = [f"pictures/{row}" for row in rows]
    (work / "classes.csv").write_text("\n".join(["path,class", *said]), encoding="utf-8")


def write_noisy(work: Path) -> None:
    """Noisy images and their clean counterparts."""
    clean = 100.0 + 50 * (np.indices((32, 32)).sum(axis=0) % 16 > 8)
    for number in (1, 2, 3):
        noisy = clean + np.random.default_rng(number).normal(0, 10, clean.shape)
        for kind, array in (("noisy", noisy), ("clean", clean)):
            (work / kind).mkdir(exist_ok=True)
            volume = Volume(array.astype(np.uint8), Grid.regular("YX", clean.shape))
            save(volume, work / kind / f"{number}.tif")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the files that the examples name; training ends after two steps."""
    import torch

    from napari_apprentice.models.store import build_network, save_model

    home = tmp_path / "home"
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(home))
    torch.manual_seed(0)
    for name in ("hippocampus-mri", "hippocampus-mri v2"):
        spec = ModelSpec(
            name=name,
            task="semantic",
            network="unet",
            network_args={"channels": [4, 8], "strides": [2], "num_res_units": 0},
            ndim=3,
            tile=(16, 16, 16),
            spacing=(1.0, 1.0, 1.0),
            unit="mm",
            orientation="LPS",
            classes=CLASSES,
        )
        save_model(spec, build_network(spec).state_dict(), home / "models" / name)
    work = tmp_path / "work"
    work.mkdir()
    for number in (1, 2, 3):
        write_case(work, f"case-{number}", number)
    for folder in (work / "t1", work / "study"):
        series(folder, ramp(SHAPE), SeriesDescription="T1", Modality="MR", SOPClassUID=MR)
    scout = {"SeriesNumber": 8, "SeriesInstanceUID": "1.2.8", "SeriesDescription": "scout"}
    series(work / "study", ramp((2, 8, 8)), name="scout{}", **scout)
    objects = np.zeros((24, 24), np.uint16)
    objects[2:9, 3:9], objects[12:20, 11:18] = 1, 2
    for folder in (work / "nuclei", work / "found"):
        folder.mkdir()
        field = Volume(objects, Grid.regular("YX", objects.shape), is_labels=True)
        save(field, folder / "field.tif")
    write_pictures(work)
    write_noisy(work)
    cells = Path(__file__).parents[2] / "sample_data" / "cells"
    shutil.copytree(cells, work / "sample_data" / "cells")
    (work / "brain.nii.gz").write_bytes((work / "images/case-1.nii.gz").read_bytes())
    monkeypatch.chdir(work)
    monkeypatch.setattr(Budget, "fraction", lambda _, step: step / 2)
    return work
