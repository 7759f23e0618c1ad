"""Points and boxes as GeoJSON, as QuPath has it: x and y in pixels, the middle of the first pixel at 0.5, 0.5."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import FormatError

from ._colors import rgb_of
from ._tables import save_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from napari_apprentice.core.annotation import LabelClass

__all__ = ["read_features", "write_features"]


def write_features(detections: Detections, classes: Mapping[int, LabelClass], path: Path) -> None:
    """Write a feature collection: rectangles of boxes, points of the rest, each on its plane."""
    features = [_feature(detections, n, classes) for n in range(len(detections))]
    document = {"type": "FeatureCollection", "features": features}
    save_text(json.dumps(document, ensure_ascii=False) + "\n", path)


def _feature(detections: Detections, n: int, classes: Mapping[int, LabelClass]) -> dict[str, Any]:
    y, x = (float(v) + 0.5 for v in detections.centres[n, -2:])
    height, width = (float(v) for v in detections.sizes[n, -2:])
    geometry: dict[str, Any] = {"type": "Point", "coordinates": [x, y]}
    if np.isfinite([height, width]).all():
        left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
        ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
    if detections.ndim == 3:
        z = max(0, round(float(detections.centres[n, 0])))
        geometry["plane"] = {"c": -1, "z": z, "t": 0}
    entry = classes.get(int(detections.kinds[n]))
    properties: dict[str, Any] = {
        "objectType": "detection",
        "measurements": {"score": round(float(detections.scores[n]), 4)},
    }
    if entry is not None:
        properties["classification"] = {"name": entry.name, "color": list(rgb_of(entry.color))}
    return {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": geometry,
        "properties": properties,
    }


def read_features(path: Path, ndim: int) -> tuple[Detections, tuple[str, ...]]:
    """Read points, and the boxes around polygons and lines, with the names of their classes.

    Raises
    ------
    FormatError
        No GeoJSON, or geometry without coordinates.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(f"the GeoJSON cannot be read ({error})", path=path) from error
    features = document.get("features") if isinstance(document, dict) else document
    if not isinstance(features, list):
        raise FormatError("expected a GeoJSON feature collection, found something else", path=path)
    centres, sizes, names, scores = [], [], [], []
    for feature in features:
        name, score = _said(feature)
        for corners, z in _parts(feature):
            low, high = corners.min(axis=0), corners.max(axis=0)
            is_point = bool((high - low <= 0).all())
            middle = (low + high) / 2 - 0.5
            centres.append([z, *middle[::-1]][3 - ndim :])
            lengths = [np.nan, np.nan] if is_point else (high - low)[::-1]
            sizes.append([np.nan, *lengths][3 - ndim :])
            names.append(name)
            scores.append(score)
    shape = (len(centres), ndim)
    order = tuple(dict.fromkeys(names)) if any(names) else ()
    kinds = [order.index(name) + 1 for name in names] if order else None
    places = Detections.of(np.reshape(centres, shape), np.reshape(sizes, shape), kinds, scores)
    return places, tuple(name or "object" for name in order)


def _said(feature: Any) -> tuple[str, float]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        return "", 1.0
    kind = properties.get("classification")
    name = kind.get("name", "") if isinstance(kind, dict) else ""
    measured = properties.get("measurements")
    score = measured.get("score", 1.0) if isinstance(measured, dict) else 1.0
    return str(name or ""), float(score) if isinstance(score, int | float) else 1.0


def _parts(feature: Any) -> Iterator[tuple[np.ndarray[Any, Any], float]]:
    """Corners ``(N, 2)`` as x, y and the plane of each part of a feature."""
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    if not isinstance(geometry, dict):
        raise FormatError("expected a geometry in every feature, found none")
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    plane = geometry.get("plane")
    z = float(plane.get("z", 0)) if isinstance(plane, dict) else 0.0
    parts = coordinates if kind in ("MultiPoint", "MultiPolygon") else [coordinates]
    for part in parts if isinstance(parts, list) else [None]:
        flat = part[0] if kind in ("Polygon", "MultiPolygon") and part else part
        try:
            values = np.asarray(flat, dtype=float)
            corners = values.reshape(-1, values.shape[-1])[:, :2]
        except (TypeError, ValueError, IndexError):
            corners = np.empty((0, 0))
        if corners.shape[0] == 0 or corners.shape[1] != 2:
            raise FormatError(f"expected points or polygons, found {kind} without coordinates")
        yield corners, z
