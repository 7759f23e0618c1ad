"""Labels from a file as a layer, and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import LabelClass

from ._facts import are_numbered
from ._upright import as_stored, upright
from .layers import METADATA, class_colors, spatial_kwargs, volume_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_apprentice.core.volume import Volume

__all__ = ["labels_of", "labels_tuple"]

_EDITABLE_BYTES = 2**30


def labels_tuple(labels: Volume, image: str | None = None) -> tuple[Any, dict[str, Any], str]:
    """A layer with labels under their classes' names and colours.

    Parameters
    ----------
    labels
        Axes ``TZYX`` at most.
    image
        Key of the image they lie on, where that is known.
    """
    labels = upright(labels)
    named = sorted(labels.classes.items())
    classes = [LabelClass(v, name, labels.colors.get(v, "")) for v, name in named]
    facts: dict[str, Any] = {
        "axes": labels.grid.axes,
        "world": labels.grid.world,
        "time_step": labels.grid.time_step,
        "classes": [asdict(c) for c in classes],
        "format": labels.format,
        "source": labels.source,
        "header": dict(labels.metadata),
    }
    if image is not None:
        facts["of"] = image
    placed = spatial_kwargs(labels.grid) | (class_colors(classes) if classes else {})
    return (
        _editable(labels),
        placed | {"name": labels.name, "metadata": {METADATA: facts}},
        "labels",
    )


def _editable(labels: Volume) -> Any:
    """Voxels that can be painted: in memory, unless they are too large for that."""
    data = labels.data.astype(np.uint8) if labels.dtype == bool else labels.data  # type: ignore[attr-defined]
    return np.array(data) if labels.nbytes <= _EDITABLE_BYTES else data


def labels_of(data: Any, state: Mapping[str, Any]) -> Volume:
    """Labels as they are saved: on the grid of their file or image, with names and colours of classes, or of numbered objects.

    Parameters
    ----------
    data, state
        Array and attributes of a labels layer, as napari's writers get them.
    """
    volume = as_stored(volume_from(data, state))
    facts = (state.get("metadata") or {}).get(METADATA) or {}
    classes = facts.get("classes", ())
    names = {int(c["value"]): str(c["name"]) for c in classes}
    colors = {int(c["value"]): str(c["color"]) for c in classes if c.get("color")}
    if are_numbered(facts):
        values = {name: value for value, name in names.items()}
        names = _names_of_objects(state.get("features"))
        colors = {n: colors[v] for n, name in names.items() if (v := values.get(name)) in colors}
    return replace(volume, is_labels=True, classes=names, colors=colors)


def _names_of_objects(features: Any) -> dict[int, str]:
    """Numbered objects go by the name of their class, where they have one."""
    if features is None or "class" not in features or "index" not in features:
        return {}
    pairs = zip(features["index"], features["class"], strict=True)
    return {int(number): str(name) for number, name in pairs if name}
