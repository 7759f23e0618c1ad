"""What tasks with one answer per image or object share: probabilities, their honesty, rates, kinds of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.measure.classification import classification_scores
from napari_apprentice.measure.probabilities import probability_scores

from ._plan import scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.volume import Volume

__all__ = [
    "class_loss",
    "judged",
    "picture_facts",
    "probabilities",
    "with_temperature",
]

_SMOOTHING = 0.05
_TEMPERATURES = (0.2, 10.0)


def class_loss(output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
    """Cross-entropy of scores ``(B, K)`` and class positions ``(B,)``, with label smoothing."""
    import torch.nn.functional as functional

    smoothing = float(spec.task_args.get("label_smoothing", _SMOOTHING))
    return functional.cross_entropy(output.float(), target.long(), label_smoothing=smoothing)


def probabilities(scores: NDArray[Any], spec: ModelSpec) -> NDArray[np.float64]:
    """Softmax of scores ``(N, K)`` over the model's temperature, float64."""
    temperature = float(spec.task_args.get("temperature", 1.0))
    shares: NDArray[np.float64] = np.exp(_log_softmax(scores / temperature))
    return shares


def judged(scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec) -> dict[str, float]:
    """Rates and probability scores over a set: scores ``(N, K)`` against class positions ``(N,)``."""
    shares = probabilities(scores, spec)
    names = {position: entry.name for position, entry in enumerate(spec.classes)}
    rates = classification_scores(shares.argmax(axis=1), targets, tuple(names))
    return {**rates.flat(names), **probability_scores(shares, targets).flat()}


def with_temperature(scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec) -> ModelSpec:
    """Store the temperature under which the truth is least surprising in ``task_args``.

    The truth counts as ``(n + 1) / (n + 2)`` and not as certain, after Platt (1999): else a small set without a
    mistake would ask for endless confidence.
    """
    from scipy.optimize import minimize_scalar

    count, classes = scores.shape
    sure = (len(targets) + 1) / (len(targets) + 2)
    wanted = np.full((count, classes), (1 - sure) / max(1, classes - 1))
    wanted[np.arange(count), targets.astype(int)] = sure

    def surprise(log_temperature: float) -> float:
        logs = _log_softmax(scores / np.exp(log_temperature))
        return float(-(wanted * logs).sum(axis=1).mean())

    low, high = (float(np.log(t)) for t in _TEMPERATURES)
    found = minimize_scalar(surprise, bounds=(low, high), method="bounded")
    temperature = round(float(np.exp(found.x)), 4)
    return spec.model_copy(update={"task_args": {**spec.task_args, "temperature": temperature}})


def _log_softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def _kind_of_pictures(volumes: Sequence[Volume]) -> tuple[Literal[2, 3], tuple[str, ...]]:
    """Spatial axes and channels of all images; grey ones among colour pictures count as colour.

    Raises
    ------
    BadInputError
        Images of several kinds.
    """
    colours = {v.channels for v in volumes if v.rgb and len(v.channels) == 3}
    kinds = {(v.grid.ndim, v.grid.length("C")) for v in volumes}
    if colours:
        kinds -= {(2, 1)}
    if len(kinds) > 1:
        raise BadInputError(
            f"expected images of one kind, found (dimensions, channels) {sorted(kinds)}",
            remedy="Learn from images of one kind at a time.",
        )
    spatial, count = kinds.pop()
    ndim: Literal[2, 3] = 3 if spatial == 3 else 2
    if colours:
        return ndim, colours.pop()
    return ndim, volumes[0].channels if count > 1 else ("image",)


def picture_facts(volumes: Sequence[Volume], classes: Sequence[LabelClass]) -> dict[str, Any]:
    """Fields of a `ModelSpec` that follow from the images and the classes, whatever network sees them.

    Raises
    ------
    BadInputError
        Images of several kinds.
    """
    ndim, channels = _kind_of_pictures(volumes)
    patient = volumes[0].grid.world == "LPS"
    return {
        "ndim": ndim,
        "channels": channels,
        "grey_as_color": any(v.rgb for v in volumes),
        "orientation": "LPS" if patient and ndim == 3 else None,
        "normalization": scale_of(volumes),
        "classes": tuple(ClassSpec(value=c.value, name=c.name, color=c.color) for c in classes),
        "mirror_axes": () if patient else tuple(range(ndim)),
    }
