"""What our layers say of themselves in their metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import LabelClass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari.layers import Layer
    from numpy.typing import NDArray

__all__ = [
    "METADATA",
    "are_numbered",
    "classes_in",
    "doubts_in",
    "facts_of",
    "is_result",
    "objects_in",
]

METADATA = "napari-apprentice"
"""Key of `layer.metadata`. The readers write ``grid``, ``group``, ``channel``, ``channels``, ``format``, ``source`` and
``header`` there and `volume_from` reads them; results write ``of`` (key of their image), ``classes``, ``objects``
(columns of numbered objects), ``doubts`` (of slices along each axis), ``summary`` and ``provenance``; annotations write ``numbered``."""


def facts_of(layer: Layer) -> dict[str, Any]:
    """All that a layer says; empty for layers that are not ours."""
    return dict(layer.metadata.get(METADATA) or {})


def is_result(layer: Layer) -> bool:
    """Whether a model made it."""
    return bool(facts_of(layer).get("result"))


def classes_in(layer: Layer) -> tuple[LabelClass, ...]:
    """Classes that a layer's labels, or its objects, may have."""
    return tuple(LabelClass(**entry) for entry in facts_of(layer).get("classes") or ())


def objects_in(layer: Layer) -> dict[str, Any]:
    """Columns of a prediction of numbered objects in its layer; empty for other labels."""
    return dict(facts_of(layer).get("objects") or {})


def doubts_in(layer: Layer) -> tuple[NDArray[Any], ...]:
    """How many voxels of each slice along each axis are likely wrong in a prediction; empty where that is not known."""
    return tuple(np.asarray(of_axis) for of_axis in facts_of(layer).get("doubts") or ())


def are_numbered(facts: Mapping[str, Any]) -> bool:
    """Whether the labels of a layer with these facts number objects rather than paint classes."""
    return bool(facts.get("numbered") or facts.get("objects"))
