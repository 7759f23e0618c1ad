"""The starting model as a teacher: what it is sure of stays learned where nobody said anything."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from napari_apprentice.core.annotation import IGNORE
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.tasks import Believes

from .adapt import gains_classes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor, nn

    from napari_apprentice.models.store import Model
    from napari_apprentice.tasks import Task

    from .config import TrainConfig
    from .sample import TrainArray

__all__ = ["Teacher", "teacher_for"]


class Teacher:
    """A frozen copy of the network as it was at the start.

    A few finished slices all show the structure: from them alone a network unlearns where the structure ends. So it is
    also held to what it was sure of in between (after Li and Hoiem, "Learning without forgetting", ECCV 2016, with hard
    answers). Costs one more forward pass per step. ``benchmarks/learn.py`` has the figures.

    Parameters
    ----------
    network
        With the weights of the starting model; copied.
    task, spec
        Tell what an answer means.
    weight
        Of what it was sure of, against what a person said.
    """

    def __init__(self, network: nn.Module, task: Believes, spec: ModelSpec, weight: float) -> None:
        self._network = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
        self._task, self._spec, self._weight = task, spec, weight

    def loss(self, data: Tensor, output: Tensor, target: Tensor) -> Tensor:
        """How far an output is from what the teacher is sure of, where the target says nothing.

        Parameters
        ----------
        data, target
            A batch as the network sees it, ``(B, C, *spatial)`` and ``(B, *spatial)``.
        output
            The learning network's scores ``(B, K, *spatial)``.
        """
        with torch.no_grad():
            believed = self._task.believed(self._network(data), self._spec)
        believed = torch.where(target == IGNORE, believed, torch.full_like(target, IGNORE))
        return self._weight * self._task.loss(output, believed, self._spec)


def teacher_for(
    task: Task,
    network: nn.Module,
    init: Model | ModelSpec | None,
    spec: ModelSpec,
    config: TrainConfig,
    arrays: Iterable[TrainArray],
) -> Teacher | None:
    """The starting model as a teacher, where one is wanted and makes sense.

    None from nothing, where everything was annotated, and where a class is learned that the start does not know: it
    would be sure that there is none.
    """
    if init is None or isinstance(init, ModelSpec) or gains_classes(init, spec):
        return None
    if config.believe == 0 or not isinstance(task, Believes):
        return None
    has_gaps = any(bool((array.target == IGNORE).any()) for array in arrays)
    return Teacher(network, task, spec, config.believe) if has_gaps else None
