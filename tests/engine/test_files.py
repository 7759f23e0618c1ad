"""From folders to what is learned from, and from predictions to files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.files import (
    is_file_name,
    output_path,
    parse_classes,
    read_items,
    result_volume,
)
from napari_apprentice.engine.groups import read_groups
from napari_apprentice.io import open_volume, save

if TYPE_CHECKING:
    from pathlib import Path

SPACING = {"spacing": (2.0, 0.5, 0.5), "unit": "um"}


def write(path: Path, array: np.ndarray, **how: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = how.pop("axes", {2: "YX", 3: "ZYX"}[array.ndim])
    classes = how.pop("classes", {})
    save(Volume(array, Grid.regular(axes, array.shape, **how), classes=classes), path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    labels = np.zeros((3, 8, 8), np.uint8)
    labels[1, 2:5, 2:5] = 1
    labels[1, 6, 6] = 4
    for name in ("a", "b"):
        write(tmp_path / "images" / f"{name}.tif", np.ones((3, 8, 8), np.uint16), **SPACING)
        write(tmp_path / "labels" / f"{name}.tif", labels, **SPACING)
    return tmp_path


# -- items --------------------------------------------------------------------------------


def test_items_have_classes_groups_and_count_everywhere(data: Path) -> None:
    items = read_items(data / "images", data / "labels", groups={"b": "patient 7"})
    assert [(item.name, item.group) for item in items] == [("a", None), ("b", "patient 7")]
    for item in items:
        assert [(c.value, c.name) for c in item.annotation.classes] == [
            (1, "class 1"),
            (4, "class 4"),
        ]
        assert item.annotation.extent.whole
        assert item.annotation.grid == item.volume.grid.spatial


def test_given_classes_win(data: Path) -> None:
    classes = parse_classes("1=cell")
    items = read_items(data / "images", data / "labels", classes=classes)
    assert items[0].annotation.classes == (LabelClass(1, "cell"),)


def test_labels_without_a_voxel_size_take_that_of_the_image(data: Path) -> None:
    path = data / "labels" / "a.tif"
    array = open_volume(path).numpy()
    path.unlink()
    write(path, array)
    (item, _) = read_items(data / "images", data / "labels")
    assert item.annotation.grid.spacing == (2.0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((3, 8, 7), SPACING), ((3, 8, 8), {"spacing": (2.0, 0.5, 0.6), "unit": "um"})],
)
def test_labels_on_another_grid_are_refused(
    data: Path, shape: tuple[int, ...], grid: dict[str, Any]
) -> None:
    (data / "labels" / "a.tif").unlink()
    write(data / "labels" / "a.tif", np.ones(shape, np.uint8), **grid)
    with pytest.raises(GridMismatchError, match=r"a\.tif.*expected labels on the grid"):
        read_items(data / "images", data / "labels")


def test_a_series_is_refused(tmp_path: Path) -> None:
    image = write(tmp_path / "t.tif", np.ones((4, 8, 8), np.uint16), axes="TYX")
    labels = write(tmp_path / "l.tif", np.ones((8, 8), np.uint8))
    with pytest.raises(BadInputError, match="one time point, found 4"):
        read_items(image, labels)


def test_groups_of_nobody_are_refused(data: Path) -> None:
    with pytest.raises(BadInputError, match="c"):
        read_items(data / "images", data / "labels", groups={"c": "x"})


def test_groups_come_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("name,age,group\na.nii.gz,3,p1\nb,4,p2\n", encoding="utf-8")
    assert read_groups(path) == {"a": "p1", "b": "p2"}
    path.write_text("file,group\na,p1\n", encoding="utf-8")
    with pytest.raises(BadInputError, match="columns name and group, found file, group"):
        read_groups(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInputError, match=r"groups\.csv"):
        read_groups(path)


def test_classes_come_from_text() -> None:
    assert parse_classes(" 2=b , 1 = a c ") == (LabelClass(1, "a c"), LabelClass(2, "b"))
    assert parse_classes("") == ()
    for text in ("a=1", "1", "1=", "0=x", "1=a,1=b", "99999=x"):
        with pytest.raises(BadInputError, match="value=name"):
            parse_classes(text)


# -- results ------------------------------------------------------------------------------


def result(volume: Volume) -> Volume:
    grid = volume.grid.without("C")
    found = result_volume(
        Prediction(grid, np.ones(grid.shape, np.uint8), classes=(LabelClass(1, "cell"),)), volume
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "grid", "expected"),
    [
        ("a.tif", {"unit": "um", "spacing": (2.0, 0.5, 0.5)}, "a.tif"),
        ("a.ome.tif", {"unit": "um", "spacing": (2.0, 0.5, 0.5)}, "a.ome.tif"),
        ("a.nii", {"unit": "mm", "spacing": (1.0, 1.0, 1.0), "world": "LPS"}, "a.nii"),
    ],
)
def test_a_result_keeps_name_and_format(
    tmp_path: Path, name: str, grid: dict[str, Any], expected: str
) -> None:
    source = write(tmp_path / name, np.ones((3, 8, 8), np.uint16), **grid)
    assert output_path(source, result(open_volume(source)), tmp_path / "out") == (
        tmp_path / "out" / expected
    )


def test_a_named_file_is_taken_as_it_is(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", np.ones((8, 8), np.uint16))
    assert output_path(source, result(open_volume(source)), tmp_path / "b.png").name == "b.png"
    assert is_file_name(tmp_path / "b.png")
    assert not is_file_name(tmp_path / "b")
    assert not is_file_name(tmp_path / "photo.jpg")
    (tmp_path / "odd.png").mkdir()
    assert not is_file_name(tmp_path / "odd.png")


def test_a_series_becomes_a_series(tmp_path: Path) -> None:
    source = write(tmp_path / "t.tif", np.ones((4, 8, 8), np.uint16), axes="TYX")
    found = result(open_volume(source))
    target = output_path(source, found, tmp_path / "out")
    target.parent.mkdir()
    save(found, target)
    again = open_volume(target)
    assert again.grid.axes == "TYX"
    np.testing.assert_array_equal(again.numpy(), 1)


def test_a_table_alone_leaves_no_file(tmp_path: Path) -> None:
    volume = Volume(np.ones((8, 8), np.uint8), Grid.regular("YX", (8, 8)))
    assert result_volume(Prediction(volume.grid, table={"cat": 0.9}), volume) is None


def test_an_answer_that_is_an_image_stays_one(tmp_path: Path) -> None:
    volume = Volume(np.ones((8, 8), np.uint8), Grid.regular("YX", (8, 8)))
    image = np.full((8, 8), 0.5, np.float32)
    found = result_volume(Prediction(volume.grid, image=image), volume)
    assert found is not None
    assert found.dtype == np.float32
    assert found.classes == {}
