"""What a training gives back, and what the new model says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.models.card import NOT_HELD_OUT

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from napari_apprentice.models.store import Model

    from .split import Split

__all__ = ["TrainResult", "learned_spec"]


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What was learned.

    Parameters
    ----------
    spec
        The new model's description with its held-out scores and provenance.
    state
        Its weights: those of the best check.
    before, after
        Held-out scores of the starting model (None from nothing) and of the new one.
    split
        What it learned from and what it was checked on.
    steps, seconds
        How long it took.
    """

    spec: ModelSpec
    state: dict[str, torch.Tensor]
    before: dict[str, float] | None
    after: dict[str, float]
    split: Split
    steps: int
    seconds: float


def learned_spec(
    spec: ModelSpec,
    init: Model | ModelSpec | None,
    split: Split,
    scores: dict[str, float],
    training: Mapping[str, Any],
) -> ModelSpec:
    """Describe a model after training: parent, data, scores, and how it was trained.

    Parameters
    ----------
    spec
        With the new name and the fingerprint of the data.
    init
        What training started from.
    split
        What it learned from, and what was held out.
    scores
        On what was held out; on what it learned from, which is noted then, where nothing was.
    training
        Configuration, steps, time: plain data.
    """
    images = len(split.train)
    # Names of files may be names of patients: only counts go into the model.
    counts = {"split": f"{images} learned from, {len(split.held_out)} held out"}
    noted = {**training, **counts, **({} if split.held_out else NOT_HELD_OUT)}
    parent = None if init is None or isinstance(init, ModelSpec) else init.spec
    data = f"{images} annotated image{'s' if images != 1 else ''}"
    if parent is not None and parent.data:
        data += f"; before that: {parent.data}"
    return spec.model_copy(
        update={
            "parent": None if parent is None else parent.name,
            "data": data,
            "weights_sha256": None,
            "scores": scores,
            "training": noted,
        }
    )
