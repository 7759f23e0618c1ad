"""Grid: placement survives every operation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.engine.prepare import reorient, restore

spacings = st.tuples(*[st.floats(0.1, 5.0)] * 3)
shapes = st.tuples(*[st.integers(1, 9)] * 3)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Oblique, flipped, anisotropic 3-D grids."""
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix = np.eye(4)
    matrix[:3, :3] = rotation @ np.diag(draw(spacings))
    matrix[:3, 3] = rng.normal(scale=50, size=3)
    return Grid("ZYX", draw(shapes), Grid.freeze(matrix), "mm", "LPS")


@given(grids())
def test_spacing_and_voxel_size_come_from_the_affine(grid: Grid) -> None:
    assert grid.voxel_size == pytest.approx(np.prod(grid.spacing))


@given(grids(), st.permutations([0, 1, 2]), st.tuples(*[st.booleans()] * 3))
def test_a_reoriented_voxel_stays_where_it_is(grid: Grid, order: list[int], flips: tuple) -> None:
    marks = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    turned, view = grid.reoriented(order, flips), reorient(marks, order, flips)
    assert turned.shape == view.shape
    after = np.argwhere(view >= 0)
    before = np.stack(np.unravel_index(view[tuple(after.T)], grid.shape), axis=1)
    np.testing.assert_allclose(turned.to_world(after), grid.to_world(before), atol=1e-6)
    np.testing.assert_array_equal(restore(view, order, flips), marks)


@given(grids())
def test_the_closest_orientation_points_along_the_world(grid: Grid) -> None:
    turned = grid.reoriented(*grid.closest_orientation())
    assert turned.closest_orientation() == ((0, 1, 2), (False, False, False))


@given(grids(), shapes)
def test_resampling_keeps_the_outer_faces(grid: Grid, shape: tuple[int, int, int]) -> None:
    other = grid.with_shape(shape)
    for corner in np.ndindex(2, 2, 2):
        here = np.array(corner) * grid.spatial_shape - 0.5
        there = np.array(corner) * other.spatial_shape - 0.5
        np.testing.assert_allclose(grid.to_world(here), other.to_world(there), atol=1e-6)


@given(grids(), st.tuples(*[st.integers(-2, 2)] * 3))
def test_cropping_moves_the_origin_only(grid: Grid, start: tuple[int, int, int]) -> None:
    cut = grid.crop(start, [a + 3 for a in start])
    assert cut.spacing == pytest.approx(grid.spacing)
    np.testing.assert_allclose(cut.to_world((0, 0, 0)), grid.to_world(start), atol=1e-6)


@settings(max_examples=20)
@given(grids())
def test_equality_is_about_the_place(grid: Grid) -> None:
    matrix = grid.matrix
    matrix[0, 3] += 1e-7
    assert grid == Grid("ZYX", grid.shape, Grid.freeze(matrix), "mm", "LPS")
    matrix[0, 3] += 0.2 * min(grid.spacing)
    assert grid != Grid("ZYX", grid.shape, Grid.freeze(matrix), "mm", "LPS")


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("XY", (2, 2)), ("YXC", (2, 2, 3)), ("ZYX", (2, 2)), ("YX", (0, 2)), ("ZY", (2, 2))],
)
def test_wrong_axes_and_shapes_are_refused(axes: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(BadInputError, match=r"must be|expected"):
        Grid.regular(axes, shape)


@pytest.mark.parametrize("bad", [np.nan, 0.0, np.inf])
def test_affines_that_napari_would_choke_on_are_refused(bad: float) -> None:
    with pytest.raises(BadInputError, match="affine"):
        Grid.regular("YX", (2, 2), (bad, 1.0))


def test_time_and_channels_come_and_go() -> None:
    grid = Grid.regular("TCZYX", (2, 3, 4, 5, 6), (2.0, 1.0, 1.0), unit="um", time_step=1.5)
    assert grid.spatial.axes == "ZYX"
    assert grid.spatial.shape == (4, 5, 6)
    assert grid.without("T").axes == "CZYX"
    assert grid.without("T").time_step is None
    assert grid.with_channels(7).shape == (2, 7, 4, 5, 6)
    assert grid.plane().axes == "TCYX"
    assert grid.plane().spacing == (1.0, 1.0)
    assert grid.length("C") == 3
    assert grid.spatial.length("C") == 1


def test_a_box_of_the_wrong_size_is_refused() -> None:
    with pytest.raises(GridMismatchError):
        Grid.regular("YX", (4, 4)).crop((2, 2), (2, 3))
