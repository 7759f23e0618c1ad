"""How napari shows a volume or labels: levels of a pyramid, colours and contrast of channels, colours of classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume

__all__ = ["class_colors", "contour_width", "label_colors", "levels", "look"]

_NO_CLASS = "#999999"  # of Okabe and Ito: a value that is no class is visible, not lost
_LOOK = 1024
_CHANNEL_COLORS = ("gray", "green", "magenta", "cyan", "yellow", "red", "blue")


def levels(volume: Volume) -> tuple[Any, dict[str, Any]]:
    """Data of an image layer, all levels where there is a pyramid, and the keyword that says so."""
    if not volume.pyramid:
        return volume.data, {}
    return [volume.data, *volume.pyramid], {"multiscale": True}


def look(volume: Volume, index: int) -> dict[str, Any]:
    """Colour and contrast of a channel: what the file says, else gray, and a colour each where there are several."""
    several = len(volume.channels) > 1
    shown = volume.display[index] if volume.display else None
    kwargs: dict[str, Any] = {}
    if several:
        kwargs = {
            "blending": "additive",
            "colormap": _CHANNEL_COLORS[index % len(_CHANNEL_COLORS)],
        }
    if volume.metadata.get("inverted"):  # radiographs whose lowest number is white
        kwargs["colormap"] = "gray_r"
    if shown is not None and shown.color is not None:
        kwargs["colormap"] = shown.color
    window = shown.window if shown is not None else None
    if window is None:
        channel = volume.select((index,))
        window = _seen_range(channel.pyramid[-1] if channel.pyramid else channel.data)
    if window is not None:
        kwargs["contrast_limits"] = window
    return kwargs


def _seen_range(data: Any) -> tuple[float, float] | None:
    """Lowest and highest value of a few planes of a lazy array; None where napari finds it by itself.

    napari asks the first slice that it shows; where that is not inside the image, as with patient coordinates, it takes
    0 to 1 for good, and a scan looks white.
    """
    if isinstance(data, np.ndarray) or data.dtype == np.uint8 or data.dtype.kind not in "iuf":
        return None
    *lead, rows, columns = data.shape
    part = tuple(slice(max(0, n // 2 - _LOOK // 2), n // 2 + _LOOK // 2) for n in (rows, columns))
    places = {tuple(n * quarter // 4 for n in lead) for quarter in (1, 2, 3)}
    values = np.concatenate([np.asarray(data[(*place, *part)]).ravel() for place in places])
    values = values[np.isfinite(values)]
    if not values.size or values.min() == values.max():
        return None
    return float(values.min()), float(values.max())


def contour_width(shape: Sequence[int]) -> int:
    """Width of contours in voxels: visible on large images, not coarse on small ones."""
    return 1 if max(shape[-2:]) <= 256 else 2


def label_colors(prediction: Prediction) -> dict[str, Any]:
    """Colours and names by class where the labels are classes; numbered objects keep napari's own colours."""
    labels, classes = prediction.labels, prediction.classes
    if labels is None or not classes or int(labels.max(initial=0)) > max(c.value for c in classes):
        return {}
    return class_colors(classes)


def class_colors(classes: Sequence[LabelClass]) -> dict[str, Any]:
    """Keyword arguments of a labels layer: the classes' colours, and their names in the status bar."""
    import pandas as pd
    from napari.utils.colormaps import DirectLabelColormap

    colors: dict[int | None, str] = {None: _NO_CLASS, 0: "transparent"}
    colors |= {c.value: c.color for c in classes}
    table = {
        "index": [0, *(c.value for c in classes)],
        "class": ["background", *(c.name for c in classes)],
    }
    return {
        "colormap": DirectLabelColormap(color_dict=colors),
        "features": pd.DataFrame(table),
    }
