"""A session without Qt, torch or a real model: its jobs are small generators."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume


def make_spec(name: str, ndim: int = 2, **more: Any) -> ModelSpec:
    base: dict[str, Any] = {
        "name": name,
        "task": "semantic",
        "network": "unet",
        "ndim": ndim,
        "tile": (64,) * ndim,
        "classes": (ClassSpec(value=1, name="nucleus"),),
    }
    return ModelSpec(**base | more)


def make_volume(shape: tuple[int, ...] = (12, 16), name: str = "nuclei") -> Volume:
    axes = "ZYX"[-len(shape) :]
    grid = Grid.regular(axes, shape, [0.25] * len(shape), unit="um")
    return Volume(np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), grid, name=name)


class FakeStore:
    """Models by name; `save` keeps what it gets."""

    def __init__(self, *specs: ModelSpec) -> None:
        self.all = {spec.name: spec for spec in specs}

    def specs(self) -> dict[str, ModelSpec]:
        return dict(self.all)

    def load(self, name: str) -> Any:
        return SimpleNamespace(spec=self.all[name], state={})

    def unique_name(self, base: str) -> str:
        return base if base not in self.all else f"{base} 2"

    def save(self, spec: ModelSpec, state: Any) -> Any:
        self.all[spec.name] = spec
        return SimpleNamespace(spec=spec, state=state)


def prediction_of(volume: Volume) -> Prediction:
    grid = volume.grid.spatial
    labels = np.ones(grid.shape, np.uint8)
    return Prediction(grid, labels, classes=(LabelClass(1, "nucleus"),), summary="1 nucleus")


@pytest.fixture
def threads() -> Iterator[list[threading.Thread]]:
    """Threads that were started; none may be left after the test."""
    started: list[threading.Thread] = []
    yield started
    for thread in started:
        thread.join(5)
        assert not thread.is_alive()


@pytest.fixture
def start(threads: list[threading.Thread]) -> Callable[[Callable[[], None]], None]:
    """Start a function in a plain thread."""

    def in_thread(function: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=function))
        threads[-1].start()

    return in_thread


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    return tmp_path / "training"
