"""GeoJSON outlines: valid polygons that, filled in again, give the same labels."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image, ImageDraw

from napari_apprentice import io
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.io._outlines import outlines

ZOOM = 4


def features(path: Path) -> list[dict[str, Any]]:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert found["type"] == "FeatureCollection"
    return found["features"]


def filled(polygon: list, shape: tuple[int, ...]) -> np.ndarray:
    """Which pixels have their middle in a polygon: drawn larger, where no middle lies on an outline."""
    size = (shape[1] * ZOOM, shape[0] * ZOOM)
    picture = Image.new("1", size)
    draw = ImageDraw.Draw(picture)
    for number, ring in enumerate(polygon):
        draw.polygon([(x * ZOOM, y * ZOOM) for x, y in ring], fill=number == 0, outline=None)
    inner = np.asarray(picture)
    return inner[ZOOM // 2 :: ZOOM, ZOOM // 2 :: ZOOM]


def area(ring: list[list[int]]) -> float:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(ring)) / 2


def assert_valid(polygon: list) -> None:
    for number, ring in enumerate(polygon):
        assert ring[0] == ring[-1]
        corners = [tuple(p) for p in ring[:-1]]
        assert len(set(corners)) == len(corners), "a ring touches itself"
        assert (area(ring) > 0) == (number == 0), "holes run the other way round"


@settings(max_examples=150)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 2)))  # fmt: skip
def test_outlines_filled_in_again_are_the_labels(labels: np.ndarray) -> None:
    again = np.zeros_like(labels)
    covered = np.zeros(labels.shape, int)
    for value, polygon in outlines(labels):
        assert_valid(polygon)
        assert sum(map(area, polygon)) > 0
        inside = filled(polygon, labels.shape)
        assert inside.sum() == sum(map(area, polygon))
        covered += inside
        again[inside] = value
    np.testing.assert_array_equal(again, labels)
    assert covered.max(initial=0) <= 1


def test_corners_are_those_of_pixels() -> None:
    labels = np.zeros((5, 6), np.uint8)
    labels[1:4, 2:6] = 7
    labels[2, 3] = 0
    ((value, polygon),) = outlines(labels)
    assert value == 7
    assert polygon[0] == [[2, 1], [6, 1], [6, 4], [2, 4], [2, 1]]
    assert sorted(map(tuple, polygon[1][:-1])) == [(3, 2), (3, 3), (4, 2), (4, 3)]


def test_classes_are_annotations_with_name_and_colour(tmp_path: Path) -> None:
    labels = np.zeros((6, 8), np.int32)
    labels[0:2, 0:2] = labels[2:4, 2:4] = 1
    labels[5, 7] = 2
    volume = Volume(
        labels,
        Grid.regular("YX", labels.shape, (0.5, 0.5), unit="um"),
        classes={1: "tumour ü", 2: "stroma"},
        colors={1: "#FF8000"},
    )
    io.save(volume, tmp_path / "a.geojson")
    found = features(tmp_path / "a.geojson")
    assert [f["geometry"]["type"] for f in found] == ["Polygon"] * 3
    assert found[0]["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "tumour ü", "color": [255, 128, 0]},
    }
    assert found[2]["properties"]["classification"] == {"name": "stroma"}
    assert found[2]["geometry"]["coordinates"] == [[[7, 5], [8, 5], [8, 6], [7, 6], [7, 5]]]
    assert len({f["id"] for f in found}) == 3
    assert all("plane" not in f["geometry"] for f in found)


def test_numbered_objects_are_one_detection_each(tmp_path: Path) -> None:
    labels = np.zeros((3, 6, 8), np.int32)
    labels[1, 0, 0] = labels[1, 4, 4] = 300
    labels[2, 3, 3] = 9
    volume = Volume(labels, Grid.regular("ZYX", labels.shape), is_labels=True)
    io.save(volume, tmp_path / "a.geojson")
    found = features(tmp_path / "a.geojson")
    assert [f["properties"] for f in found] == [
        {"objectType": "detection", "name": "300"},
        {"objectType": "detection", "name": "9"},
    ]
    assert found[0]["geometry"]["type"] == "MultiPolygon"
    assert [f["geometry"]["plane"] for f in found] == [
        {"c": -1, "z": 1, "t": 0},
        {"c": -1, "z": 2, "t": 0},
    ]


def test_nothing_labelled_is_an_empty_collection(tmp_path: Path) -> None:
    empty = Volume(np.zeros((4, 5), np.uint8), Grid.regular("YX", (4, 5)), is_labels=True)
    io.save(empty, tmp_path / "a.geojson")
    assert features(tmp_path / "a.geojson") == []


def test_only_labels_have_outlines(tmp_path: Path) -> None:
    image = Volume(np.zeros((4, 5), np.uint8), Grid.regular("YX", (4, 5)))
    with pytest.raises(BadInputError, match="outlines of labels, found an image"):
        io.save(image, tmp_path / "a.geojson")
    film = Volume(np.zeros((2, 4, 5), np.uint8), Grid.regular("TYX", (2, 4, 5)), is_labels=True)
    with pytest.raises(BadInputError, match="found TYX"):
        io.save(film, tmp_path / "a.geojson")


def test_outlines_are_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(BadInputError, match="unknown kind of file"):
        io.open_volume(tmp_path / "a.geojson")
    with pytest.raises(BadInputError, match="no image"):
        io.list_images(tmp_path)
