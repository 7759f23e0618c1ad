"""Points and boxes in files: what is written is read, napari's own tables are, and bad ones are named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import ApprenticeError, BadInputError, FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.io import pair, place_axes, read_places, save_places

CLASSES = (LabelClass(1, "cell"), LabelClass(4, 'dünn, "x"'))


def some(ndim: int) -> tuple[Detections, Grid]:
    centres = np.array([(2.25, 4.0, 7.5), (1.0, 9.0, 3.125)])[:, 3 - ndim :]
    sizes = np.array([(2.0, 3.0, 4.0), (1.0, 6.5, 5.0)])[:, 3 - ndim :]
    grid = Grid.regular(
        "ZYX"[3 - ndim :], (8, 12, 16)[3 - ndim :], (2.0, 0.5, 0.25)[3 - ndim :], unit="um"
    )
    return Detections.of(centres, sizes, [4, 1], [0.75, 0.5]), grid


@pytest.mark.parametrize("ndim", [2, 3])
def test_csv_keeps_places_sizes_classes_scores_and_spacing(tmp_path: Path, ndim: int) -> None:
    said, grid = some(ndim)
    path = tmp_path / "a.csv"
    save_places(said, grid, CLASSES, path)
    assert place_axes(path) == ndim
    table = read_places(path, ndim)
    found = table.with_classes(CLASSES, path)
    for name in ("centres", "sizes", "kinds", "scores"):
        np.testing.assert_allclose(getattr(found, name), getattr(said, name))
    assert (table.spacing, table.unit) == (grid.spacing, "um")
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_napari_reads_our_csv_as_points(tmp_path: Path) -> None:
    said, grid = some(2)
    save_places(said, grid, CLASSES, tmp_path / "a.csv")
    io = pytest.importorskip("napari_builtins.io")
    data, meta, kind = io.csv_to_layer_data(str(tmp_path / "a.csv"))
    assert kind == "points"
    np.testing.assert_allclose(data, said.centres)
    assert list(meta["properties"]["class"]) == ['dünn, "x"', "cell"]


def test_points_that_napari_wrote(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("index,axis-0,axis-1,confidence\n0.0,3.5,4.25,0.5\n1.0,7,8,\n")
    table = read_places(path, 2)
    assert table.detections.centres.tolist() == [[3.5, 4.25], [7.0, 8.0]]
    assert table.detections.scores.tolist() == [0.5, 1.0]
    assert not table.detections.are_boxes.any()
    assert table.names == ()
    assert table.with_classes(CLASSES[1:], path).kinds.tolist() == [4, 4]


def test_rectangles_that_napari_wrote(tmp_path: Path) -> None:
    path = tmp_path / "shapes.csv"
    rows = ["index,shape-type,vertex-index,axis-0,axis-1"]
    for index, (y, x) in enumerate([(2, 3), (10, 4)]):
        corners = [(y, x), (y, x + 6), (y + 4, x + 6), (y + 4, x)]
        rows += [f"{index},rectangle,{v},{a},{b}" for v, (a, b) in enumerate(corners)]
    path.write_text("\n".join(rows))
    found = read_places(path, 2).detections
    assert found.centres.tolist() == [[4.0, 6.0], [12.0, 7.0]]
    assert found.sizes.tolist() == [[4.0, 6.0]] * 2


def test_plain_columns_and_one_axis_more_for_frames(tmp_path: Path) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("\ufeffX,Y,class\n4,3,cell\n", encoding="utf-8")
    assert read_places(path, 2).detections.centres.tolist() == [[3.0, 4.0]]
    path.write_text("axis-0,axis-1,axis-2\n5,3,4\n")
    film = read_places(path, 2)
    assert film.frames is not None
    assert (film.frames.tolist(), film.detections.centres.tolist()) == ([5], [[3.0, 4.0]])


def test_a_comma_is_a_decimal_sign_where_semicolons_part_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text(
        "y;x;class;score\n3,25;,5;1,5 µm;5e-1\n4;-1,5e1;1,5 µm;0,25\n", encoding="utf-8"
    )
    table = read_places(path, 2)
    assert table.detections.centres.tolist() == [[3.25, 0.5], [4.0, -15.0]]
    assert table.detections.scores.tolist() == [0.5, 0.25]
    assert table.names == ("1,5 µm",)
    path.write_text('y,x\n"3,25",5\n')
    with pytest.raises(FormatError, match="column y of row 1"):
        read_places(path, 2)


def test_no_object_at_all_is_a_table_too(tmp_path: Path) -> None:
    _, grid = some(2)
    for name in ("a.csv", "a.geojson"):
        save_places(Detections.none(2), grid, CLASSES, tmp_path / name)
        assert len(read_places(tmp_path / name, 2).detections) == 0


def test_a_film_says_its_frames(tmp_path: Path) -> None:
    said, grid = some(2)
    save_places(said, grid, CLASSES, tmp_path / "a.csv", np.array([0, 3]))
    table = read_places(tmp_path / "a.csv", 2)
    assert table.frames is not None
    assert table.frames.tolist() == [0, 3]
    np.testing.assert_allclose(table.detections.sizes, said.sizes)
    assert place_axes(tmp_path / "a.csv") == 2
    with pytest.raises(BadInputError, match="one time point"):
        save_places(said, grid, CLASSES, tmp_path / "a.geojson", np.array([0, 3]))


def test_geojson_has_pixel_corners_and_comes_back(tmp_path: Path) -> None:
    said, grid = some(2)
    said = said.joined(Detections.of([(5.0, 6.0)]))
    path = tmp_path / "a.geojson"
    save_places(said, grid, CLASSES, path)
    box, _, point = json.loads(path.read_text())["features"]
    assert box["geometry"]["coordinates"][0][0] == [6.0, 3.0]  # x 7.5 + 0.5 - 2, y 4 + 0.5 - 1.5
    assert point["geometry"] == {"type": "Point", "coordinates": [6.5, 5.5]}
    assert box["properties"]["classification"]["name"] == 'dünn, "x"'
    found = read_places(path, 2)
    np.testing.assert_allclose(found.detections.centres, said.centres)
    np.testing.assert_allclose(found.detections.sizes, said.sizes)
    assert found.with_classes(CLASSES, path).kinds.tolist() == [4, 1, 1]


def test_outlines_count_as_the_boxes_around_them(tmp_path: Path) -> None:
    path = tmp_path / "q.geojson"
    ring = [[2, 3], [8, 3], [5, 9], [2, 3]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps([feature]))
    found = read_places(path, 2).detections
    assert (found.centres.tolist(), found.sizes.tolist()) == ([[5.5, 4.5]], [[6.0, 6.0]])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "empty file"),
        ("a.csv", "a,b\n1,2\n", "expected the columns axis-0, axis-1"),
        ("a.csv", "axis-0,axis-1\n1,x\n", "column axis-1 of row 1, found 'x'"),
        ("a.csv", "axis-0,axis-1\n1,\n", "found ''"),
        ("a.csv", "axis-0,axis-1\nnan,1\n", "1 NaN or infinite"),
        ("a.csv", "axis-0,axis-1,size-0,size-1\n1,1,0,4\n", "found 1 without"),
        ("a.csv", "axis-0,axis-1,class\n1,1,a\n2,2,\n", "none in row 2"),
        ("a.csv", "axis-0,axis-1,axis-2,axis-3\n1,1,1,1\n", "with 2 axes"),
        ("a.geojson", "{", "cannot be read"),
        ("a.geojson", "[" * 100_000, "cannot be read"),
        ("a.geojson", '{"type": "x"}', "feature collection"),
        ("a.geojson", '[{"type": "Feature"}]', "geometry in every feature"),
        (
            "a.geojson",
            '[{"geometry": {"type": "Point", "coordinates": []}}]',
            "without coordinates",
        ),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ApprenticeError, match=said) as caught:
        read_places(path, 2)
    assert name in str(caught.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    for name in ("a.csv", "a.geojson"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00\x9f" * 9)
        with pytest.raises(FormatError):
            read_places(tmp_path / name, 2)


def test_an_unknown_class_is_named(tmp_path: Path) -> None:
    said, grid = some(2)
    save_places(said, grid, CLASSES, tmp_path / "a.csv")
    with pytest.raises(BadInputError, match="expected the classes cell, found"):
        read_places(tmp_path / "a.csv", 2).with_classes(CLASSES[:1], tmp_path / "a.csv")


def test_tables_pair_with_images_by_name(tmp_path: Path) -> None:
    for folder, suffix in (("images", ".tif"), ("points", ".csv")):
        (tmp_path / folder).mkdir()
        for name in ("b", "a"):
            (tmp_path / folder / (name + suffix)).write_text("x")
    pairs = pair(tmp_path / "images", tmp_path / "points")
    assert [(a.name, b.name) for a, b in pairs] == [("a.tif", "a.csv"), ("b.tif", "b.csv")]
