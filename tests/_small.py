"""Small descriptions of models, images and stores, for the tests of session and docks: nothing here loads torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.session.edits import AnnotationState


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


def make_cells(labels: Any, **more: Any) -> AnnotationState:
    """An annotation of numbered objects, voxels of 0.5 µm."""
    grid = Grid.regular("ZYX"[-labels.ndim :], labels.shape, (0.5,) * labels.ndim, unit="um")
    return AnnotationState("cells", grid, labels, (LabelClass(1, "cell"),), objects=True, **more)


def three_cells(**more: Any) -> AnnotationState:
    """Objects 3 (4 voxels), 70 000 (12) and 70 005 (1), of 0.25 µm² each."""
    labels = np.zeros((8, 12), np.uint32)
    labels[1:3, 1:3], labels[4:7, 1:5], labels[1, 10] = 3, 70_000, 70_005
    return make_cells(labels, **more)


def make_volume(shape: tuple[int, ...] = (12, 16), name: str = "nuclei") -> Volume:
    grid = Grid.regular("ZYX"[-len(shape) :], shape, [0.25] * len(shape), unit="um")
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
