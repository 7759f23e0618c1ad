"""A tiny model, tiny images with their labels, and the command line in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.cli._app import run
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import save

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SPEC = ModelSpec(
    name="tiny model",
    task="semantic",
    network="unet",
    network_args={"channels": [4, 8], "strides": [2], "num_res_units": 0},
    ndim=2,
    tile=(16, 16),
    normalization={"kind": "percentile"},
    classes=(ClassSpec(value=1, name="spot"),),
)


@dataclass(frozen=True)
class Answer:
    """What a command wrote and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line it complained in."""
        (line,) = (text for text in self.err.splitlines() if text.startswith("napari-apprentice:"))
        return line


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder and the working directory, empty."""
    folder = tmp_path / "home"
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Run the command line; arguments are joined as text."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        written = capsys.readouterr()
        return Answer(code, written.out, written.err)

    return call


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Folder of a small 2-D network with random weights."""
    import torch

    from napari_apprentice.models.store import build_network, save_model

    torch.manual_seed(0)
    folder = tmp_path / "tiny model"
    save_model(SPEC, build_network(SPEC).state_dict(), folder)
    return folder


def spots(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """An image with bright boxes, and the boxes."""
    random = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    start = [int(random.integers(0, n // 2)) for n in shape]
    labels[tuple(slice(a, a + max(2, n // 3)) for a, n in zip(start, shape, strict=True))] = 1
    image = (random.normal(100, 5, shape) + 80 * labels).astype(np.uint16)
    return image, labels


def write(path: Path, array: np.ndarray, **grid: Any) -> Path:
    """Save an array; a grid from keywords of `Grid.regular`."""
    axes = {2: "YX", 3: "ZYX"}[array.ndim]
    path.parent.mkdir(parents=True, exist_ok=True)
    classes = {1: "spot"} if array.dtype == np.uint8 else {}
    save(Volume(array, Grid.regular(axes, array.shape, **grid), classes=classes), path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Folders ``images`` and ``labels`` with three pairs of 24 × 24 pixels of 0.5 µm."""
    for number in range(3):
        image, labels = spots((24, 24), seed=number)
        for kind, array in (("images", image), ("labels", labels)):
            write(tmp_path / kind / f"Fläche {number}.tif", array, spacing=(0.5, 0.5), unit="um")
    return tmp_path
