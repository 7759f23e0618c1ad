"""Layers and volumes turn into each other without moving a voxel."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from napari.layers import Image, Labels

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.core.volume import Volume
from napari_apprentice.widgets.layers import (
    METADATA,
    as_stored,
    channel_group,
    contour_width,
    image_key_of,
    key_of,
    layer_kwargs,
    layer_tuples,
    prediction_layers,
    spatial_kwargs,
    unique_name,
    volume_of,
)

from ._fakes import CLASSES, volume

# Oblique volumes are drawn without the last bit of rotation, as napari says itself.
pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")

SHAPES = {"YX": (5, 6), "ZYX": (4, 5, 6), "TYX": (2, 5, 6), "TZYX": (2, 4, 5, 6)}


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Any placement a file can say: oblique, mirrored, anisotropic, in any unit."""
    axes = draw(st.sampled_from(sorted(SHAPES)))
    n = sum(a in "ZYX" for a in axes)
    numbers = st.floats(-3, 3, allow_nan=False).map(lambda v: round(v, 3))
    matrix = np.eye(n + 1)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        matrix[:n, :n] = np.linalg.qr(random.normal(size=(n, n)))[0]
    if draw(st.booleans()):
        matrix[:n, :n] *= random.choice([-1, 1], n)
    matrix[:n, :n] *= [draw(st.floats(0.05, 5)) for _ in range(n)]
    matrix[:n, n] = [draw(numbers) * 100 for _ in range(n)]
    unit = draw(st.sampled_from(["mm", "um", "nm", "pixel"]))
    world = "LPS" if n == 3 and draw(st.booleans()) else "stage"
    step = draw(st.sampled_from([None, 0.5])) if "T" in axes else None
    return Grid(axes, SHAPES[axes], Grid.freeze(matrix), unit, world, step)


@settings(max_examples=60, deadline=None)
@given(grids())
def test_every_voxel_stays_where_it_is_and_comes_back(grid: Grid) -> None:
    data = np.arange(np.prod(grid.shape), dtype=np.uint16).reshape(grid.shape)
    ((shown, state, kind),) = layer_tuples(Volume(data, grid, name="a"))
    layer = Image(shown, **state)
    assert kind == "image"
    assert np.shares_memory(shown, data), "views, no copies"
    lead = len(grid.axes) - grid.ndim
    for value in (0, 7, data.size - 1):
        here = np.argwhere(shown == value)[0]
        there = np.argwhere(data == value)[0][lead:]
        world = layer.data_to_world(here)[lead:]
        np.testing.assert_allclose(world, grid.to_world(there), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(sorted(layer.scale[lead:]), sorted(grid.spacing), rtol=1e-9)
    back = as_stored(volume_of(layer))
    assert back.grid == grid
    assert (back.grid.world, back.grid.time_step) == (grid.world, grid.time_step)
    np.testing.assert_array_equal(back.numpy(), data)


def test_a_sagittal_volume_is_shown_along_the_axes_of_the_world() -> None:
    matrix = np.array([[0, 1.5, 0, 3], [0, 0, -2, 40], [-1, 0, 0, 7], [0, 0, 0, 1.0]])
    grid = Grid("ZYX", (4, 5, 6), Grid.freeze(matrix), "mm", "LPS")
    ((shown, state, _),) = layer_tuples(Volume(np.zeros((4, 5, 6)), grid))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # napari warns where it cannot slice along the axes
        Image(shown, **state)
    assert shown.shape == (5, 6, 4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_placement_of_a_layer_is_read_as_napari_draws_it(seed: int) -> None:
    random = np.random.default_rng(seed)
    layer = Image(
        np.zeros((4, 5, 6)),
        scale=random.uniform(0.1, 3, 3),
        translate=random.normal(size=3),
        rotate=np.linalg.qr(random.normal(size=(3, 3)))[0],
        shear=random.normal(size=3) / 4,
        affine=np.block(
            [
                [np.linalg.qr(random.normal(size=(3, 3)))[0], random.normal(size=(3, 1))],
                [0, 0, 0, 1],
            ]
        ),
    )
    grid = volume_of(layer).grid
    for corner in ((0, 0, 0), (4, 0, 0), (0, 5, 0), (4, 5, 6)):
        np.testing.assert_allclose(grid.to_world(corner), layer.data_to_world(corner), atol=1e-6)
    # A result gets the very same placement.
    result = Labels(np.zeros((4, 5, 6), np.uint8), **layer_kwargs(layer, 3))
    for corner in ((0, 0, 0), (4, 5, 6)):
        assert result.data_to_world(corner) == layer.data_to_world(corner)


def test_results_without_time_lie_where_the_image_lies() -> None:
    affine = np.eye(4)
    affine[1:3, 1:3] = [[0, -1], [1, 0]]
    layer = Image(
        np.zeros((2, 5, 6)),
        scale=(7, 2, 3),
        affine=affine,
        axis_labels=("t", "y", "x"),
        units=("second", "um", "um"),
    )
    result = Labels(np.zeros((5, 6), np.uint8), **layer_kwargs(layer, 2))
    np.testing.assert_allclose(result.data_to_world((4, 5)), layer.data_to_world((0, 4, 5))[1:])
    assert [str(u) for u in result.units] == ["micrometer"] * 2


@pytest.mark.parametrize(
    ("shape", "labels", "axes"),
    [
        ((5, 6), None, "YX"),
        ((4, 5, 6), None, "ZYX"),
        ((2, 4, 5, 6), None, "TZYX"),
        ((2, 5, 6), ("t", "y", "x"), "TYX"),
        ((2, 5, 6), ("c", "y", "x"), "ZYX"),
        ((2, 5, 6), ("a", "b", "c"), "ZYX"),
    ],
)
def test_axes_of_strangers(shape: tuple[int, ...], labels: Any, axes: str) -> None:
    layer = Image(np.zeros(shape), axis_labels=labels)
    assert volume_of(layer).grid.axes == axes


def test_too_many_axes_are_refused_with_a_way_out() -> None:
    with pytest.raises(BadInputError, match="Split Stack"):
        volume_of(Image(np.zeros((1, 1, 2, 3, 4))))


def test_multiscale_gives_its_finest_level_and_stays_lazy() -> None:
    levels = [da.zeros((64, 64)), da.zeros((32, 32))]
    found = volume_of(Image(levels, multiscale=True, scale=(0.5, 0.5), units="um"))
    assert found.grid.shape == (64, 64)
    assert isinstance(found.data, da.Array)
    assert found.grid.unit == "um"


def test_colour_pictures_stay_one_layer() -> None:
    grid = Grid.regular("CYX", (3, 5, 6), [2, 2], unit="um")
    data = np.arange(90, dtype=np.uint8).reshape(3, 5, 6)
    original = Volume(data, grid, ("red", "green", "blue"), "photo", rgb=True)
    ((shown, state, _),) = layer_tuples(original)
    layer = Image(shown, **state)
    assert layer.rgb
    back = volume_of(layer)
    assert back.rgb
    assert back.grid == grid
    assert back.channels == original.channels
    np.testing.assert_array_equal(back.numpy(), data)


@pytest.mark.parametrize("lazy", [False, True])
def test_channels_become_layers_and_come_back_in_their_order(lazy: bool) -> None:
    grid = Grid.regular("CYX", (2, 5, 6), [2, 2], unit="um")
    data: Any = np.arange(60, dtype=np.uint16).reshape(2, 5, 6)
    original = Volume(da.from_array(data) if lazy else data, grid, ("DAPI", "GFP"), "cells")
    made = [Image(shown, **state) for shown, state, _ in layer_tuples(original)]
    assert [layer.name for layer in made] == ["cells · DAPI", "cells · GFP"]
    stranger = Image(np.zeros((5, 6)))
    assert channel_group(made[1], [stranger, *made]) == made
    back = volume_of(made[1], [made[1], stranger, made[0]])
    assert (back.grid, back.channels, back.name) == (grid, ("DAPI", "GFP"), "cells")
    np.testing.assert_array_equal(back.numpy(), data)
    assert volume_of(made[1]).channels == ("GFP",)
    assert key_of(made[0]) == key_of(made[1])


@pytest.mark.parametrize("kind", [np.float32, np.uint16, np.int16])
def test_lazy_scans_are_not_white(kind: type, viewer: Any) -> None:
    """A volume that does not lie around the origin: the first slice that napari asks for is outside of it."""
    data = np.arange(8 * 5 * 6, dtype=kind).reshape(8, 5, 6) * 10
    data[0] = 30_000 if kind is not np.float32 else np.nan
    grid = Grid.regular("ZYX", data.shape, (1, 1, 1), origin=(500, 500, 500), unit="mm")
    ((shown, state, _),) = layer_tuples(Volume(da.from_array(data), grid))
    layer = viewer.add_image(shown, **state)
    assert tuple(layer.contrast_limits) == (data[2].min(), data[6].max())
    for dull in (np.zeros((4, 5, 6), kind), data[:1]):
        ((_, state, _),) = layer_tuples(Volume(da.from_array(dull), grid.with_shape(dull.shape)))
        assert "contrast_limits" not in state


def test_the_contrast_of_a_channel_is_its_own() -> None:
    grid = Grid.regular("CYX", (2, 5, 6), [2, 2], unit="um")
    data = np.arange(60, dtype=np.uint16).reshape(2, 5, 6)
    made = [
        state["contrast_limits"] for _, state, _ in layer_tuples(Volume(da.from_array(data), grid))
    ]
    assert made == [(0, 29), (30, 59)]
    plain = layer_tuples(Volume(data, grid))
    assert all("contrast_limits" not in state for _, state, _ in plain)  # napari looks at all of it


def test_keys_follow_the_file_then_the_layer() -> None:
    ((data, state, _),) = layer_tuples(replace(volume(), source="/a/b.tif"))
    assert key_of(Image(data, **state)) == "/a/b.tif"
    one, other = Image(np.zeros((5, 6))), Image(np.zeros((5, 6)))
    assert key_of(one) != key_of(other)
    assert image_key_of(one) is None


def test_a_prediction_carries_where_it_comes_from() -> None:
    image = volume()
    labels = np.zeros((24, 32), np.uint8)
    labels[3:5] = 2
    made = Provenance("nuclei v1", "f" * 64, "cpu", 1.5, {"overlap": 0.5})
    prediction = Prediction(
        image.grid, labels, labels.astype(np.float32), CLASSES, summary="2 µm²", provenance=made
    )
    picture, answer = prediction_layers(prediction, image, "nuclei ▸ nuclei v1", key="key")
    assert (picture[2], answer[2]) == ("image", "labels")
    layer = Labels(answer[0], **answer[1])
    facts = layer.metadata[METADATA]
    assert facts["provenance"]["model"] == "nuclei v1"
    assert facts["of"] == image_key_of(layer) == "key"
    assert layer.name == "nuclei ▸ nuclei v1"
    assert tuple(layer.scale) == (0.25, 0.25)
    np.testing.assert_allclose(layer.colormap.color_dict[1], _rgba("#E69F00"), atol=1e-6)
    assert list(layer.features["class"]) == ["background", "nucleus", "debris"]


def _rgba(color: str) -> list[float]:
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)] + [1.0]


def test_numbered_objects_keep_colours_of_their_own() -> None:
    image = volume()
    labels = np.zeros((24, 32), np.uint16)
    labels[3, 4] = 143
    prediction = Prediction(image.grid, labels, classes=CLASSES)
    ((_, state, _),) = prediction_layers(prediction, image, "n")
    assert "colormap" not in state


def test_names_are_never_taken_twice() -> None:
    assert unique_name([], "a") == "a"
    assert unique_name(["a", "a [1]"], "a") == "a [2]"


def test_contours_suit_the_size() -> None:
    assert [contour_width(s) for s in ((36, 52, 36), (512, 512))] == [1, 2]


def test_a_layer_off_axis_keeps_its_spacing_in_scale() -> None:
    matrix = np.array([[0, -2.0, 5], [3.0, 0, 1], [0, 0, 1]])
    kwargs = spatial_kwargs(Grid("YX", (5, 6), Grid.freeze(matrix), "um"))
    assert kwargs["scale"] == (3.0, 2.0)
    np.testing.assert_allclose(kwargs["affine"] @ np.diag([3, 2, 1]), matrix)


def test_numbered_objects_are_saved_under_the_names_of_their_classes() -> None:
    from napari_apprentice.widgets._labels import labels_of

    image = volume()
    labels = np.zeros(image.grid.shape, np.int32)
    labels[2:5, 2:5], labels[8:12, 8:12] = 1, 2
    found = {"label": np.array([1, 2]), "score": np.array([0.5, 0.9]), "class": np.array([2, 1])}
    for objects, names in ((found, {1: "debris", 2: "nucleus"}), ({"label": found["label"]}, {})):
        prediction = Prediction(image.grid, labels, classes=CLASSES, objects=objects)
        ((data, state, _),) = prediction_layers(prediction, image, "nuclei")
        layer = Labels(data, **state)
        saved = labels_of(*layer.as_layer_data_tuple()[:2])
        assert saved.classes == names
        assert set(saved.colors) == set(names)
