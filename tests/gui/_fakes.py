"""Small models, images and jobs for docks: nothing here predicts or learns really, or takes a second."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from tests._small import FakeStore as Store
from tests._small import make_spec, make_volume

from napari_apprentice.core.annotation import Extent, LabelClass
from napari_apprentice.core.errors import OutOfMemoryError
from napari_apprentice.core.jobs import Job, Log, Metric, Preview, Progress
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.checkpoints import LAST, write_checkpoint
from napari_apprentice.engine.split import Split
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.session import Session

__all__ = ["CLASSES", "Engine", "Store", "annotate", "out_of_memory", "spec", "volume"]

CLASSES = (LabelClass(1, "nucleus"), LabelClass(2, "debris"))


def spec(name: str, ndim: int = 2, **more: Any) -> ModelSpec:
    classes = tuple(ClassSpec(value=c.value, name=c.name, color=c.color) for c in CLASSES)
    return make_spec(name, ndim, **{"classes": classes} | more)


def volume(shape: tuple[int, ...] = (24, 32), name: str = "nuclei") -> Volume:
    return make_volume(shape, name)


class Engine:
    """Predicts and trains as slowly as a test wants.

    Parameters
    ----------
    go
        Jobs wait for it, with an event every few milliseconds.
    error
        Raised in place of an answer.
    """

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None
        self.threads: list[threading.Thread] = []
        self.closed_in: list[threading.Thread] = []
        self.configs: list[Any] = []

    def predict(self, volume: Volume, model: Any, config: Any) -> Job[Prediction]:
        self.configs.append(config)
        yield from self._wait("predicting", "tile")
        labels = np.zeros(volume.grid.spatial_shape, np.uint8)
        labels[..., 2:9, 3:9] = 1
        made = Provenance(model.spec.name, "0" * 64, "cpu", 0.1, config.model_dump())
        grid = volume.grid.spatial
        return Prediction(grid, labels, classes=CLASSES, summary="1 nucleus", provenance=made)

    def train(
        self, items: Any, *, init: Any, folder: Path, name: str, stop: Any, **how: Any
    ) -> Job[Any]:
        folder.mkdir(parents=True, exist_ok=True)
        write_checkpoint(folder / LAST, {}, {"elapsed": 3.0})
        annotation = items[0].annotation
        for step in range(3):
            yield Metric("loss", step, 1.0 / (step + 1), step)
        yield Log("held out rows 3–4")
        yield Preview("held-out preview", annotation.labels.copy(), annotation.grid)
        yield Metric("held-out dice", 3, 0.88, 3.0)
        yield from self._wait("learning", "step", stop)
        split = Split(tuple(items), tuple(items), "")
        before = None if init is None else {"dice": 0.81}
        return SimpleNamespace(
            spec=spec(name), state={}, before=before, after={"dice": 0.88}, split=split
        )

    def _wait(self, stage: str, unit: str, stop: threading.Event | None = None) -> Job[None]:
        self.threads.append(threading.current_thread())
        try:
            yield Progress(stage, 2, 9, unit, 2.0)
            if self.error is not None:
                raise self.error
            while not self.go.is_set() and not (stop is not None and stop.is_set()):
                time.sleep(0.005)
                yield Progress(stage, 2, 9, unit, 2.0)
        finally:
            self.closed_in.append(threading.current_thread())


def out_of_memory() -> Exception:
    return OutOfMemoryError("memory ran out", remedy="Take a smaller tile.")


def annotate(session: Session, extent: Extent | None = None) -> AnnotationState:
    """Annotate the session's image: a square of the first class."""
    assert session.volume is not None
    assert session.key is not None
    grid = session.volume.grid.spatial
    labels = np.zeros(grid.shape, np.uint8)
    labels[..., 2:12, 3:9] = 1
    state = AnnotationState(
        session.volume.name, grid, labels, CLASSES, extent or Extent(whole=True)
    )
    session.annotations[session.key] = state
    return state
