"""Points and boxes keep their place through every grid, and refuse what is none."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid

PLACES = [(1.25, 4.0, 7.5), (0.0, 9.0, 0.0)]
SIZES = [(2.0, 3.0, 4.0), (1.0, 1.0, 5.0)]


def test_they_stay_where_they_are_in_the_world_when_the_grid_is_turned_and_resampled() -> None:
    grid = Grid.regular("ZYX", (4, 10, 12), (3.0, 1.0, 0.5), origin=(5, 6, 7), unit="um")
    order, flips = (2, 0, 1), (True, False, True)
    turned = grid.reoriented(order, flips)
    finer = turned.with_shape((24, 7, 5))
    places = Detections.of(PLACES, SIZES)
    there = places.reoriented(grid.shape, order, flips)
    moved = there.resized(turned.shape, finer.shape)
    np.testing.assert_allclose(finer.to_world(moved.centres), grid.to_world(places.centres))
    lengths = (places.sizes * grid.spacing)[:, list(order)]
    np.testing.assert_allclose(moved.sizes * finer.spacing, lengths)
    back = moved.resized(finer.shape, turned.shape).restored(grid.shape, order, flips)
    np.testing.assert_allclose(back.centres, places.centres)
    np.testing.assert_allclose(back.sizes, places.sizes)


def test_a_box_around_one_voxel_has_its_faces_as_corners() -> None:
    low, high = Detections.of([(3.0, 3.0)], [(1.0, 3.0)]).corners()
    assert (low.tolist(), high.tolist()) == ([[2.5, 1.5]], [[3.5, 4.5]])


@pytest.mark.parametrize(
    ("centres", "sizes", "said"),
    [
        ([(np.nan, 1.0)], None, "1 NaN or infinite"),
        ([(1.0, np.inf)], None, "1 NaN or infinite"),
        ([(1.0, 1.0)], [(0.0, 2.0)], "1 without"),
        ([(1.0, 1.0)], [(-3.0, 2.0)], "1 without"),
        ([(1.0, 1.0)], [(2.0, 2.0, 2.0)], "a size"),
    ],
)
def test_what_is_no_place_is_refused(centres: object, sizes: object, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        Detections.of(centres, sizes)  # type: ignore[arg-type]


def test_places_beyond_the_image_mark_nothing() -> None:
    grid = Grid.regular("YX", (8, 8))
    places = Detections.of([(2.0, 3.4), (-4.0, 2.0), (7.6, 1.0)])
    marked = Annotation.of_places(grid, places, (LabelClass(1, "cell"),)).marked()
    assert np.argwhere(marked).tolist() == [[2, 3]]
    assert places.in_image(grid.shape).tolist() == [True, False, False]


def test_an_annotation_wants_a_coordinate_per_axis() -> None:
    with pytest.raises(BadInputError, match="2 axes, found 3"):
        Annotation.of_places(Grid.regular("YX", (8, 8)), Detections.none(3), ())
