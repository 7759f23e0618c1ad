"""A network that is a plain function, a task that keeps scores, and a model that needs no folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid


class Function(torch.nn.Module):
    """A module from a function of ``(B, C, *spatial)``; `seen` keeps the shapes it was given."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function
        self.seen: list[tuple[int, ...]] = []

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(data.shape))
        return self.function(data)


class FakeNetwork:
    title = "Fake"

    def __init__(self, divisor: int = 2) -> None:
        self.step = divisor

    def divisor(self, *, ndim: int, args: Any) -> tuple[int, ...]:
        return (self.step,) * ndim


class ScoreTask:
    """Keeps the scores: the answer is an image, the first channel."""

    name = "scores"

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        return Prediction(
            grid=grid, image=dense[0].astype(np.float32), table={"peak": float(dense.max())}
        )


@dataclass
class FakeModel:
    spec: ModelSpec
    network: torch.nn.Module
    fingerprint: str = "0" * 64
    built: int = field(default=0)

    def build(self) -> torch.nn.Module:
        self.built += 1
        return self.network


def model(
    function: Callable[[torch.Tensor], torch.Tensor] | torch.nn.Module,
    *,
    tile: tuple[int, ...],
    task: str = "semantic",
    classes: int = 2,
    **spec: Any,
) -> FakeModel:
    network = function if isinstance(function, torch.nn.Module) else Function(function)
    fields: dict[str, Any] = {
        "name": "fake",
        "task": task,
        "network": "fake",
        "ndim": len(tile),
        "tile": tile,
        "normalization": {"kind": "window", "low": 0.0, "high": 1.0},
        "classes": tuple(ClassSpec(value=v + 1, name=f"class {v + 1}") for v in range(classes)),
    }
    return FakeModel(ModelSpec(**fields | spec), network)


def install(patch: pytest.MonkeyPatch, divisor: int = 2) -> None:
    """Let predict and estimate find the fake network and task."""
    networks = {"fake": FakeNetwork(divisor)}
    patch.setattr("napari_apprentice.engine.predict.NETWORKS", networks)
    patch.setattr("napari_apprentice.engine.cost.NETWORKS", networks)
    tasks = {"semantic": TASKS["semantic"], "scores": ScoreTask()}
    patch.setattr("napari_apprentice.engine.predict.TASKS", tasks)
    patch.setattr("napari_apprentice.engine.size.TASKS", tasks)


def steps(data: torch.Tensor) -> torch.Tensor:
    """Scores whose winner is the intensity step: 0 below 1/3, 1 below 2/3, then 2."""
    value = data[:, :1]
    return torch.cat([0.5 - value, 0.2 - (value - 0.5).abs(), value - 0.5], dim=1) * 3


def steps_of(array: NDArray[Any]) -> NDArray[np.uint8]:
    """What `steps` must answer for an array in 0..1."""
    scores = steps(torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None])
    return scores[0].argmax(0).numpy().astype(np.uint8)
