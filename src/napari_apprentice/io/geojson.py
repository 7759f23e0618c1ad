"""GeoJSON outlines of labels for QuPath; written, not read.

- Outlines run along the edges of pixels, in pixels of the image's finest level: filled in again they give the same
  labels. The middle of the first pixel lies at 0.5, 0.5, as in QuPath.
- Of classes, each connected object is an annotation with its class's name and colour; of numbered objects, each number
  is a detection. Pixels that touch at a corner only are two objects; holes are kept.
- Of a stack, each plane has its own outlines, on the plane ``z`` that QuPath shows.
"""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ._atomic import writing
from ._colors import rgb_of
from ._outlines import outlines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_apprentice.core.volume import Volume

    from ._outlines import Polygon

__all__ = ["FORMAT", "GeoJsonFormat"]


class GeoJsonFormat:
    """Outlines for QuPath."""

    name = "geojson"
    title = "GeoJSON"
    suffixes = ()
    writes = (".geojson",)

    def sniff(self, path: Path) -> bool:
        """Never: outlines are no image."""
        return False

    def open(self, path: Path) -> Volume:
        """Refuse.

        Raises
        ------
        FormatError
            Always.
        """
        from napari_apprentice.core.errors import FormatError

        raise FormatError(
            "expected an image, found outlines", path=path, remedy="Open the image or the labels."
        )

    def check(self, volume: Volume) -> str | None:
        """Return why this volume has no outlines."""
        if not volume.is_labels or volume.dtype.kind not in "biu":
            return "GeoJSON holds outlines of labels, found an image"
        if volume.grid.axes != volume.grid.spatial_axes:
            return f"GeoJSON holds labels with axes YX or ZYX, found {volume.grid.axes}"
        return None

    def save(self, volume: Volume, path: Path) -> None:
        """Write a feature collection, plane by plane."""
        with writing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            for number, feature in enumerate(_features(volume)):
                file.write((",\n" if number else "\n") + json.dumps(feature, ensure_ascii=False))
            file.write("\n]}\n")


FORMAT = GeoJsonFormat()


def _features(volume: Volume) -> Iterator[dict[str, Any]]:
    flat = volume.grid.ndim == 2
    depth = 1 if flat else volume.grid.length("Z")
    for z in range(depth):
        plane = np.asarray(volume.data if flat else volume.data[z])
        found = outlines(plane)
        if volume.classes:
            for value, polygon in found:
                yield _annotation(volume, value, polygon, z)
        else:
            yield from _detections(found, z)


def _annotation(volume: Volume, value: int, polygon: Polygon, z: int) -> dict[str, Any]:
    classification: dict[str, Any] = {"name": volume.classes.get(value, f"class {value}")}
    if value in volume.colors:
        classification["color"] = list(rgb_of(volume.colors[value]))
    properties = {"objectType": "annotation", "classification": classification}
    return _feature({"type": "Polygon", "coordinates": polygon}, z, properties)


def _detections(found: Iterator[tuple[int, Polygon]], z: int) -> Iterator[dict[str, Any]]:
    """One feature per number, however many parts it has."""
    parts: dict[int, list[Polygon]] = defaultdict(list)
    for value, polygon in found:
        parts[value].append(polygon)
    for value, polygons in parts.items():
        several = len(polygons) > 1
        geometry = {
            "type": "MultiPolygon" if several else "Polygon",
            "coordinates": polygons if several else polygons[0],
        }
        yield _feature(geometry, z, {"objectType": "detection", "name": str(value)})


def _feature(geometry: dict[str, Any], z: int, properties: dict[str, Any]) -> dict[str, Any]:
    plane = {"plane": {"c": -1, "z": z, "t": 0}} if z else {}
    return {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": {**geometry, **plane},
        "properties": properties,
    }
