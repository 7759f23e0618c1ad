"""The feature table: hand-computed sizes, shapes, textures and neighbours; labels that cannot be measured."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import ConvexHull
from skimage.feature import graycomatrix, graycoprops
from skimage.measure import find_contours, regionprops_table

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, Progress, run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.measure.feature_config import GROUPS, FeatureConfig, FeatureSettings
from napari_apprentice.measure.features import COLUMNS, measure_objects

SPACING_2D = (0.5, 0.25)
SPACING_3D = (1.0, 0.5, 0.25)


def volume(array: Any, spacing: Any = None, unit: str = "um", **more: Any) -> Volume:
    axes = more.pop("axes", "ZYX"[-array.ndim :])
    n = sum(a in "ZYX" for a in axes)
    grid = Grid.regular(axes, array.shape, spacing or {2: SPACING_2D, 3: SPACING_3D}[n], unit=unit)
    return Volume(array, grid, **more)


def measured(labels: Volume, image: Volume | None = None, *groups: str, **more: Any) -> Any:
    config = FeatureConfig.of_groups(groups or ("all",), FeatureSettings(**more))
    return run_to_end(measure_objects(labels, image, config)).table


def box_2d() -> np.ndarray:
    labels = np.zeros((20, 30), np.uint16)
    labels[4:10, 5:25] = 7
    return labels


# -- size and shape -------------------------------------------------------------------------


def test_a_box_has_the_area_the_axes_and_the_place_that_it_has() -> None:
    row = measured(volume(box_2d()), None, "size", "shape").iloc[0]
    # 6 x 20 pixels of 0.5 x 0.25 µm: 3 µm x 5 µm.
    assert (row["label"], row["voxels"]) == (7, 120)
    assert row["area (µm²)"] == pytest.approx(15)
    assert row["equivalent diameter (µm)"] == pytest.approx(math.sqrt(60 / math.pi))
    # The ellipse of a rectangle's second moments has axes of 2/√3 of its sides.
    assert row["major axis (µm)"] == pytest.approx(5 * 2 / math.sqrt(3))
    assert row["minor axis (µm)"] == pytest.approx(3 * 2 / math.sqrt(3))
    assert row["elongation"] == pytest.approx(1 - 3 / 5)
    assert row["eccentricity"] == pytest.approx(4 / 5)
    assert row["solidity"] == 1
    # Half way between pixel centres: the sides less one pixel, and four cut corners.
    corner = math.hypot(0.25, 0.125)
    assert row["perimeter (µm)"] == pytest.approx(2 * 2.5 + 2 * 4.75 + 4 * corner)
    assert row["centroid y (µm)"] == pytest.approx(6.5 * 0.5)
    assert row["centroid x (µm)"] == pytest.approx(14.5 * 0.25)
    assert (row["box start y (voxel)"], row["box start x (voxel)"]) == (4, 5)
    assert (row["box y (µm)"], row["box x (µm)"]) == (3, 5)
    assert not row["touches border"]


def ball(diameter: float = 8.0) -> tuple[np.ndarray, tuple[float, ...]]:
    """A ball in µm, drawn on voxels that are four times as thick as they are wide."""
    shape = tuple(round(10 / s) for s in SPACING_3D)
    z, y, x = (
        a * s - 5 for a, s in zip(np.mgrid[tuple(map(slice, shape))], SPACING_3D, strict=True)
    )
    return (x**2 + y**2 + z**2 <= (diameter / 2) ** 2).astype(np.uint8), SPACING_3D


def test_a_ball_on_thick_slices_is_a_ball() -> None:
    labels, spacing = ball()
    row = measured(volume(labels, spacing), None, "size", "shape").iloc[0]
    assert row["volume (µm³)"] == pytest.approx(4 / 3 * math.pi * 4**3, rel=0.03)
    for name in ("equivalent diameter", "major axis", "middle axis", "minor axis"):
        assert row[f"{name} (µm)"] == pytest.approx(8, rel=0.03)
    assert row["elongation"] < 0.03
    assert row["surface (µm²)"] == pytest.approx(4 * math.pi * 4**2, rel=0.15)
    assert 0.85 < row["sphericity"] <= 1
    assert 0.85 < row["solidity"] <= 1


def test_a_disk_is_rounder_than_a_cross_and_as_scikit_image_says() -> None:
    y, x = np.mgrid[:40, :80]
    labels = ((y - 20) ** 2 + (x - 20) ** 2 < 15**2).astype(np.int32)
    labels[5:35, 55:65] = labels[15:25, 45:75] = 2
    table = measured(volume(labels, (0.5, 0.5)), None, "size", "shape")
    names = (
        "area",
        "axis_major_length",
        "axis_minor_length",
        "eccentricity",
        "solidity",
        "centroid",
    )
    theirs = regionprops_table(labels, properties=names, spacing=(0.5, 0.5))
    ours = {
        "area (µm²)": "area",
        "major axis (µm)": "axis_major_length",
        "minor axis (µm)": "axis_minor_length",
        "centroid x (µm)": "centroid-1",
    }
    for mine, other in ours.items():
        np.testing.assert_allclose(table[mine], theirs[other], rtol=0.01)
    np.testing.assert_allclose(table["solidity"], theirs["solidity"], atol=0.05)
    assert table["circularity"][0] > 0.85 > table["circularity"][1]


def test_holes_and_pieces_belong_to_an_object() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[2:12, 2:12] = 1
    whole = measured(volume(labels, (1, 1)), None, "shape").iloc[0]
    labels[5:9, 5:9] = 0
    labels[15:18, 15:18] = 1
    row = measured(volume(labels, (1, 1)), None, "shape").iloc[0]
    assert row["perimeter (µm)"] > whole["perimeter (µm)"] + 4 * 3
    assert row["circularity"] < whole["circularity"]


@pytest.mark.parametrize("shape", [(24, 30), (7, 14, 12)])
def test_outlines_and_hulls_of_ragged_objects_are_those_that_libraries_find(
    shape: tuple[int, ...],
) -> None:
    """Closed forms against scikit-image's contours and the hull of all faces, with holes, pieces and corners that touch."""
    spacing = (2.0, 0.5, 0.25)[-len(shape) :]
    mask = np.random.default_rng(0).random(shape) < 0.6
    row = measured(volume(mask.astype(np.uint8), spacing), None, "shape").iloc[0]
    steps = np.concatenate([np.eye(len(shape)), -np.eye(len(shape))]) / 2
    faces = (np.argwhere(mask)[:, None] + steps).reshape(-1, len(shape))
    assert row["solidity"] == pytest.approx(mask.sum() / ConvexHull(faces).volume)
    if len(shape) == 3:
        return
    length = area = 0.0
    for contour in find_contours(np.pad(mask, 1).astype(float), 0.5):
        points = contour * spacing
        length += np.hypot(*np.diff(points, axis=0).T).sum()
        area += (points[:-1, 0] @ points[1:, 1] - points[1:, 0] @ points[:-1, 1]) / 2
    assert row["perimeter (µm)"] == pytest.approx(length)
    assert row["circularity"] == pytest.approx(4 * math.pi * abs(area) / length**2)


def test_some_objects_are_measured_as_among_all_of_them() -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((30, 60), np.uint16)
    for n in range(12):
        labels[10 * (n // 6) + 1 : 10 * (n // 6) + 8, 10 * (n % 6) : 10 * (n % 6) + 7] = 3 * n + 2
    image = volume(rng.normal(size=labels.shape) * labels)
    every = measured(volume(labels), image)
    config = FeatureConfig.of_groups(["all"])
    some = run_to_end(measure_objects(volume(labels), image, config, numbers=[35, 8, 99])).table
    chosen = every[every["label"].isin([8, 35])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, chosen)
    with pytest.raises(BadInputError, match="some of the objects"):
        run_to_end(measure_objects(volume(labels), image, config, numbers=[99]))


def test_an_oblique_grid_gives_world_coordinates() -> None:
    turn = np.array([[0.0, 0.5, 10.0], [-0.25, 0.0, 3.0], [0, 0, 1]])
    grid = Grid("YX", (20, 30), Grid.freeze(turn), "um")
    row = measured(Volume(box_2d(), grid), None, "size").iloc[0]
    assert row["area (µm²)"] == pytest.approx(15)
    assert (row["centroid y (µm)"], row["centroid x (µm)"]) == (10 + 7.25, 3 - 0.25 * 6.5)


# -- intensity, texture, colour ---------------------------------------------------------------


def test_intensities_are_those_inside_and_leave_out_what_is_no_number() -> None:
    image = np.zeros((20, 30), np.float32)
    image[4:10, 5:25] = np.arange(120).reshape(6, 20)
    image[4, 5], image[9, 24] = np.nan, np.inf
    row = measured(volume(box_2d()), volume(image), "intensity").iloc[0]
    inside = np.arange(1, 119)
    assert row["intensity mean"] == inside.mean()
    assert row["intensity median"] == 59.5
    assert row["intensity sd"] == pytest.approx(inside.std())
    assert (row["intensity min"], row["intensity max"]) == (1, 118)
    assert row["intensity p25"] == pytest.approx(np.percentile(inside, 25))
    image[:] = np.nan
    row = measured(volume(box_2d()), volume(image), "intensity", "texture").iloc[0]
    assert np.isnan(row["intensity mean"])
    assert np.isnan(row["texture contrast"])


def test_channels_have_columns_of_their_own() -> None:
    image = np.stack([np.full((20, 30), 3, np.uint8), np.full((20, 30), 9, np.uint8)])
    two = volume(image, axes="CYX", channels=("DAPI", "actin"))
    row = measured(volume(box_2d()), two, "intensity").iloc[0]
    assert (row["intensity mean [DAPI]"], row["intensity mean [actin]"]) == (3, 9)
    same = volume(image, axes="CYX", channels=("a", "a"))
    assert "intensity mean [a 2]" in measured(volume(box_2d()), same, "intensity")


def test_texture_is_that_of_scikit_image_on_a_patch() -> None:
    patch = np.random.default_rng(0).integers(0, 8, (6, 20))
    image = np.zeros((20, 30))
    image[4:10, 5:25] = patch
    row = measured(volume(box_2d()), volume(image), "texture", gray_levels=8).iloc[0]
    levels = np.minimum(np.floor(patch / 7 * 8), 7).astype(np.uint8)
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    pairs = graycomatrix(levels, [1], angles, levels=8, symmetric=True).sum(axis=3, keepdims=True)
    for name in ("contrast", "correlation", "homogeneity", "energy"):
        assert row[f"texture {name}"] == pytest.approx(graycoprops(pairs, name)[0, 0])
    shares = pairs[pairs > 0] / pairs.sum()
    assert row["texture entropy"] == pytest.approx(-(shares * np.log2(shares)).sum())


def test_texture_does_not_see_what_lies_outside() -> None:
    labels = np.zeros((12, 12), np.uint8)
    labels[np.tril_indices(12)] = 1
    image = np.where(labels, 5.0, np.random.default_rng(0).normal(50, 9, labels.shape))
    row = measured(volume(labels), volume(image), "texture").iloc[0]
    assert (row["texture contrast"], row["texture entropy"]) == (0, 0)
    assert row["texture homogeneity"] == 1


def test_red_on_both_sides_of_zero_degrees_is_red() -> None:
    image = np.zeros((3, 20, 30), np.uint8)
    image[0] = 200
    image[1, :, :15], image[2, :, 15:] = 20, 20  # a little to orange, a little to pink
    picture = volume(image, axes="CYX", channels=("red", "green", "blue"), rgb=True)
    row = measured(volume(box_2d()), picture, "color").iloc[0]
    assert min(row["hue (°)"], 360 - row["hue (°)"]) < 1
    assert row["saturation"] == 1
    assert row["value"] == pytest.approx(200 / 255)
    gray = volume(np.full_like(image, 90), axes="CYX", channels=("r", "g", "b"), rgb=True)
    assert np.isnan(measured(volume(box_2d()), gray, "color")["hue (°)"].iloc[0])


# -- neighbours, border, classes ----------------------------------------------------------------


def dots(*places: tuple[int, int]) -> np.ndarray:
    labels = np.zeros((21, 41), np.int64)
    for number, place in enumerate(places, start=1):
        labels[place] = 3 * number
    return labels


def test_neighbours_are_counted_and_measured_in_the_unit() -> None:
    labels = dots((10, 4), (10, 12), (14, 12), (2, 38))
    table = measured(volume(labels), None, "neighbours", neighbour_radius=2.0)
    # Along x 8 pixels of 0.25 µm, along y 4 of 0.5 µm: 2 µm each.
    assert list(table["label"]) == [3, 6, 9, 12]
    far = math.hypot(8 * 0.5, 26 * 0.25)
    np.testing.assert_allclose(table["nearest neighbour (µm)"], [2, 2, 2, far])
    assert list(table["neighbours within 2 µm"]) == [1, 2, 1, 0]


def test_a_lonely_object_has_no_neighbour() -> None:
    row = measured(volume(dots((3, 3))), None, "neighbours").iloc[0]
    assert np.isnan(row["nearest neighbour (µm)"])


def test_objects_at_the_border_are_marked() -> None:
    table = measured(volume(dots((0, 9), (20, 9), (9, 0), (9, 40), (9, 9))), None, "size")
    assert list(table["touches border"]) == [True, True, True, True, False]


def test_classes_are_named_and_their_pieces_are_objects() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[2:5, 2:5] = labels[10:14, 10:14] = 1
    labels[14, 14] = 1  # touches at a corner
    labels[2:5, 20:25] = 2
    classes = volume(labels, classes={1: "nucleus", 2: "debris"})
    table = measured(classes, None, "size")
    assert list(table["class"]) == ["nucleus", "debris"]
    found = run_to_end(measure_objects(classes, None, FeatureConfig(components=True)))
    assert list(found.table["class"]) == ["nucleus", "debris", "nucleus"]
    assert list(found.table["voxels"]) == [9, 15, 17]
    assert [(found.labels == n).sum() for n in found.table["label"]] == [9, 15, 17]
    assert "class" not in measured(volume(labels), None, "size")


def test_a_mask_is_measured_by_its_pieces_only() -> None:
    mask = volume(box_2d() > 0)
    with pytest.raises(BadInputError, match=r"mask of true and false.*connected components"):
        measured(mask)
    assert list(measured(mask, None, "size", components=True)["voxels"]) == [120]


# -- bad input --------------------------------------------------------------------------------


def test_labels_that_are_none_are_refused_with_a_reason() -> None:
    with pytest.raises(BadInputError, match="only background"):
        measured(volume(np.zeros((5, 5), np.uint8)))
    with pytest.raises(BadInputError, match=r"whole numbers, found float32"):
        measured(volume(np.ones((5, 5), np.float32)))
    with pytest.raises(BadInputError, match=r"0 \(background\) and above, found -2"):
        measured(volume(np.full((5, 5), -2)))
    with pytest.raises(BadInputError, match="film"):
        measured(volume(np.ones((2, 5, 5), np.uint8), axes="TYX"))
    with pytest.raises(BadInputError, match=r"found colour.*Known: size"):
        FeatureConfig.of_groups(["colour"])
    with pytest.raises(BadInputError, match="found none"):
        FeatureConfig.of_groups([])


def test_another_grid_than_the_image_is_refused() -> None:
    labels = volume(box_2d())
    with pytest.raises(GridMismatchError, match="20 × 31"):
        measured(labels, volume(np.zeros((20, 31))))
    with pytest.raises(GridMismatchError, match=r"0\.7 × 0\.7 µm"):
        measured(labels, volume(np.zeros((20, 30)), (0.7, 0.7)))


def test_labels_without_voxel_size_take_that_of_the_image() -> None:
    plain = volume(box_2d(), (1, 1), unit="pixel")
    events: list[Event] = []
    found = run_to_end(measure_objects(plain, volume(np.zeros((20, 30)))), events.append)
    assert found.table["area (µm²)"][0] == pytest.approx(15)
    assert [e.level for e in events if isinstance(e, Log)] == ["warning"]
    assert measured(plain, None, "size")["area (px²)"][0] == 120


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4)])
def test_single_voxels_and_huge_numbers_are_measured(shape: tuple[int, ...]) -> None:
    labels = np.zeros(shape, np.uint32)
    labels.flat[0], labels.flat[-1] = 5, 2**32 - 1
    image = np.arange(labels.size, dtype=np.uint8).reshape(shape)
    table = measured(volume(labels), volume(image))
    assert list(table["label"]) == [5, 2**32 - 1]
    assert list(table["intensity max"]) == [0, labels.size - 1]
    assert (table["solidity"] == 1).all()
    roundness = "circularity" if len(shape) == 2 else "sphericity"
    assert table[roundness].between(0, 1).all()
    assert table["texture contrast"].isna().all()


# -- the table --------------------------------------------------------------------------------


def test_every_column_is_documented_and_every_documented_column_is_there() -> None:
    picture = np.zeros((3, 3, 20, 30), np.uint8)
    in_2d = volume(picture[:, 0], axes="CYX", channels=("r", "g", "b"), rgb=True)
    in_3d = volume(picture[0, :])
    found = set(measured(volume(box_2d(), classes={7: "box"}), in_2d, neighbour_radius=4))
    found = {name.removesuffix(" [r]") for name in found if not name.endswith(("[g]", "[b]"))}
    found |= set(measured(volume(np.stack([box_2d()] * 3)), in_3d, neighbour_radius=4))
    documented = {
        column.name.replace("{u}", "µm").replace("{a}", axis).replace("{r}", "4")
        for column in COLUMNS
        for axis in "zyx"
    }
    assert found == documented
    assert {column.group for column in COLUMNS} == {"", *GROUPS}


def test_it_can_be_cancelled_between_objects_and_says_how_far_it_is() -> None:
    labels = np.arange(1, 2001, dtype=np.int32).reshape(40, 50)
    job = measure_objects(volume(labels), None, FeatureConfig())
    events = [next(job) for _ in range(4)]
    assert isinstance(events[-1], Progress)
    assert events[-1].total == 2000
    job.close()
    with pytest.raises(StopIteration):
        next(job)


def test_the_table_is_a_plain_data_frame() -> None:
    table = measured(volume(box_2d()), volume(np.zeros((20, 30))))
    assert isinstance(table, pd.DataFrame)
    assert table["touches border"].dtype == bool
    assert all("{" not in name for name in table)
