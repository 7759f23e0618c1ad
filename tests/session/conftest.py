"""A session without Qt, torch or a real model: its jobs are small generators."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from tests._small import FakeStore, make_spec, make_volume

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.volume import Volume

__all__ = ["FakeStore", "make_spec", "make_volume", "prediction_of"]


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
