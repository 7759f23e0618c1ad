"""Labels from a file as a layer, and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import LabelClass

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
    """Labels as they are saved: on the grid of their file or image, with the names and colours of their classes.

    Parameters
    ----------
    data, state
        Array and attributes of a labels layer, as napari's writers get them.
    """
    volume = as_stored(volume_from(data, state))
    classes = ((state.get("metadata") or {}).get(METADATA) or {}).get("classes", ())
    return replace(
        volume,
        is_labels=True,
        classes={int(c["value"]): str(c["name"]) for c in classes},
        colors={int(c["value"]): str(c["color"]) for c in classes if c.get("color")},
    )
