"""Points and boxes as layers: pure adapters between `Detections` and what napari shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.detections import Detections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.prediction import Prediction

__all__ = [
    "MOST_BOXES",
    "SIDES",
    "box_look",
    "boxes_in",
    "boxes_remark",
    "colors_of",
    "corners_in",
    "corners_of",
    "cut_by_slices",
    "detections_in",
    "most_in_a_slice",
    "place_layers",
    "point_features",
    "point_look",
    "sides_of",
]

MOST_BOXES = 500
"""Rectangles that napari draws in the time of a blink; with more of them points have to do."""
_SHARE, _SMALLEST, _USUAL = 0.4, 4.0, 10.0
_EDGE = 2
_UNKNOWN = "#999999"


def point_features(found: Detections, classes: Sequence[LabelClass]) -> pd.DataFrame:
    """Features of a points layer: class, score, and the lengths of the box where they are known."""
    import pandas as pd

    names = {c.value: c.name for c in classes}
    columns: dict[str, Any] = {
        "class": np.array([names.get(int(k), str(int(k))) for k in found.kinds], dtype=object),
        "score": found.scores.astype(float).round(4),
    }
    columns |= {f"size-{axis}": found.sizes[:, axis] for axis in range(found.ndim)}
    return pd.DataFrame(columns)


def detections_in(
    data: NDArray[Any], features: pd.DataFrame, classes: Sequence[LabelClass]
) -> Detections:
    """What a points layer says, with the features of `point_features`; what has no class is of the first one."""
    places = np.array(data, dtype=np.float64)
    count, ndim = places.shape
    values = {c.name: c.value for c in classes}
    first = classes[0].value if classes else 1
    named = features["class"] if "class" in features else [""] * count
    kinds = [values.get(str(name), first) for name in named]
    scores = (
        np.nan_to_num(np.asarray(features["score"], float), nan=1.0)
        if "score" in features
        else None
    )
    sizes = np.full(places.shape, np.nan)
    for axis in range(ndim):
        if f"size-{axis}" in features:
            sizes[:, axis] = np.asarray(features[f"size-{axis}"], float)
    sizes[~(np.isfinite(sizes) & (sizes > 0)).all(axis=1)] = np.nan
    return Detections.of(places, sizes, kinds, scores)


def point_look(found: Detections, classes: Sequence[LabelClass]) -> dict[str, Any]:
    """Keyword arguments of a points layer: coloured by class, as large as a part of what is there."""
    known = found.sizes[np.isfinite(found.sizes)]
    usual = float(np.median(known)) * _SHARE if len(known) else _USUAL
    look: dict[str, Any] = {
        "features": point_features(found, classes),
        "size": max(_SMALLEST, usual),
        "symbol": "disc",
        "border_color": "black",
        "border_width": 0.1,
        "opacity": 0.9,
        "projection_mode": "rescale_spherical" if found.ndim == 3 else "none",
    }
    if classes:
        look["face_color"] = colors_of(found, classes) if len(found) else classes[0].color
    return look


def colors_of(found: Detections, classes: Sequence[LabelClass]) -> list[str]:
    """Colour of each by its class."""
    colors = {c.value: c.color for c in classes}
    return [colors.get(int(kind), _UNKNOWN) for kind in found.kinds]


def place_layers(
    prediction: Prediction, name: str, placed: Mapping[str, Any], metadata: Mapping[str, Any]
) -> list[tuple[Any, dict[str, Any], str]]:
    """Layers of a prediction's points and of its boxes, slice by slice where it is of a volume."""
    found = prediction.detections
    if found is None:
        return []
    classes = prediction.classes
    look = point_look(found, classes)
    data = found.centres
    if prediction.frames is not None:
        data = np.column_stack([prediction.frames, data])
        look["projection_mode"] = "none"
    layers: list[tuple[Any, dict[str, Any], str]] = []
    boxes, part = _drawn(found.select(found.are_boxes), prediction.grid.spatial_shape[0])
    if prediction.frames is None and len(boxes):
        named = {"name": f"{name} · boxes{part}", "metadata": dict(metadata)}
        layers.append(
            (corners_of(boxes), {**placed, **box_look(boxes, classes), **named}, "shapes")
        )
    layers.append((data, {**placed, **look, "name": name, "metadata": dict(metadata)}, "points"))
    return layers


def _drawn(boxes: Detections, slices: int) -> tuple[Detections, str]:
    """Boxes as a shapes layer can hold them, and which part of them that is."""
    most = _most_slices(boxes, slices)
    if most == 0:
        return Detections.none(boxes.ndim), ""
    if boxes.ndim == 2:
        return boxes, ""
    part = "" if most is None else f", {most} slice{'s' if most > 1 else ''} of each"
    return cut_by_slices(boxes, slices, most), part


def _most_slices(boxes: Detections, slices: int) -> int | None:
    """In how many slices each box is drawn so that there are not too many rectangles; None: in all that it passes through."""
    if len(boxes) > MOST_BOXES:
        return 0
    if boxes.ndim == 2 or not len(boxes):
        return None
    first, last = boxes.slices(0, slices)
    return None if int((last - first + 1).sum()) <= MOST_BOXES else MOST_BOXES // len(boxes)


def boxes_remark(prediction: Prediction) -> str:
    """Say which boxes of a prediction are not drawn, or not whole; empty where all are."""
    found = prediction.detections
    if found is None or prediction.frames is not None:
        return ""
    boxes, shape = found.select(found.are_boxes), prediction.grid.spatial_shape
    most = _most_slices(boxes, shape[0])
    if most is None:
        return ""
    drawn = (
        f"{len(boxes)} boxes are more than napari draws at once: points stand for them."
        if most == 0
        else f"Each box is drawn in {most} slice{'s' if most > 1 else ''} around its middle: napari draws no more at once."
    )
    is_whole_there = boxes.ndim == 3 and most_in_a_slice(boxes, shape) <= MOST_BOXES
    return f"{drawn} Correct shows all of them, slice by slice." if is_whole_there else drawn


def cut_by_slices(boxes: Detections, slices: int, most: int | None = None) -> Detections:
    """The same boxes as one for every slice that they pass through, a slice deep each; the nearest where they pass through none.

    Parameters
    ----------
    boxes
        In a volume.
    slices
        How many slices the volume has.
    most
        How many slices of each box, those nearest its middle; None: all.
    """
    first, last = boxes.slices(0, slices)
    if most is not None:
        middle = np.round(boxes.centres[:, 0]).astype(np.int64)
        begin = np.minimum(middle - (most - 1) // 2, last - most + 1)
        first = np.maximum(first, begin)
        last = np.minimum(last, first + most - 1)
    counts = last - first + 1
    parts = boxes.select(np.repeat(np.arange(len(boxes)), counts))
    before = np.repeat(np.cumsum(counts) - counts, counts)
    parts.centres[:, 0] = np.repeat(first, counts) + np.arange(len(parts)) - before
    parts.sizes[:, 0] = 1.0
    return parts


def corners_of(boxes: Detections) -> list[NDArray[np.float64]]:
    """Corners of boxes, ``(4, 2)`` each, as a shapes layer wants them; of those in a volume in the plane of their middle, ``(4, 3)``."""
    low, high = boxes.corners()
    low[:, :-2] = high[:, :-2] = boxes.centres[:, :-2]
    return corners_in(low, high)


def corners_in(
    low: NDArray[np.float64], high: NDArray[np.float64], across: int | None = None
) -> list[NDArray[np.float64]]:
    """Corners of rectangles from their lower and upper ones, ``(N, n)`` each; of a volume in a slice across an axis, the first if not given."""
    ndim = low.shape[1]
    plane = [axis for axis in range(ndim) if axis != (ndim - 3 if across is None else across)]
    corners = np.repeat(low[:, np.newaxis], 4, axis=1)
    corners[:, 2:, plane[0]] = high[:, np.newaxis, plane[0]]
    corners[:, 1:3, plane[1]] = high[:, np.newaxis, plane[1]]
    return list(corners)


SIDES = 4
"""Rectangles that have all edges of a box."""


def sides_of(boxes: Detections) -> list[NDArray[np.float64]]:
    """Rectangles with all edges of each box of a volume, ``(4, 3)``, `SIDES` for each."""
    low, high = boxes.corners()
    sides = []
    for axis in (0, 1):
        far = low.copy()
        far[:, axis] = high[:, axis]
        sides += [corners_in(low, high, axis), corners_in(far, high, axis)]
    return [corners for box in zip(*sides, strict=True) for corners in box]


def most_in_a_slice(boxes: Detections, shape: Sequence[int]) -> int:
    """How many boxes the fullest slice of a volume has, across whichever axis; in 2-D, how many there are."""
    if boxes.ndim == 2 or not len(boxes):
        return len(boxes)
    counts = []
    for axis, length in enumerate(shape):
        first, last = boxes.slices(axis, length)
        steps = np.bincount(first, minlength=length + 1)
        counts.append(int(np.cumsum(steps - np.bincount(last + 1, minlength=length + 1)).max()))
    return max(counts)


def boxes_in(
    shapes: Sequence[NDArray[Any]], ndim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles and lengths of the upright boxes around shapes, ``(N, ndim)`` each."""
    low = np.array([np.min(one, axis=0) for one in shapes], dtype=np.float64).reshape(-1, ndim)
    high = np.array([np.max(one, axis=0) for one in shapes], dtype=np.float64).reshape(-1, ndim)
    return (low + high) / 2, high - low


def box_look(boxes: Detections, classes: Sequence[LabelClass]) -> dict[str, Any]:
    """Keyword arguments of a shapes layer: rectangles in the colours of their classes, with nothing in them."""
    usual = float(np.median(boxes.sizes[:, -2:])) if len(boxes) else 0.0
    look: dict[str, Any] = {
        "shape_type": "rectangle",
        "face_color": "transparent",
        "edge_width": max(1.0, _EDGE * usual / 40),
        "features": point_features(boxes, classes),
    }
    if classes:
        look["edge_color"] = colors_of(boxes, classes) if len(boxes) else classes[0].color
    return look
