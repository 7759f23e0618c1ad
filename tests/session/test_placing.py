"""What a person does to a layer of points or boxes, as the places there are then."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.session.placing import changed_places, clipped_boxes

SHAPE = (60, 80)


def places() -> Detections:
    centres = [(10.0, 10.0), (30.0, 20.0), (25.0, 40.0), (50.0, 70.0)]
    sizes = [(8.0, 8.0), (8.0, 8.0), (np.nan, np.nan), (6.0, 4.0)]
    return Detections.of(centres, sizes, [1, 2, 1, 2], [0.9, 0.6, 0.35, 0.8])


def boxes_of(found: Detections) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = np.flatnonzero(found.are_boxes)
    return rows, found.centres[rows].copy(), found.sizes[rows].copy()


def test_nothing_done_is_nothing_changed() -> None:
    found = places()
    rows, centres, sizes = boxes_of(found)
    assert changed_places(found, rows, centres.astype(np.float32), sizes, 1, SHAPE) is found
    assert changed_places(found, np.arange(4), found.centres.copy(), None, 1, SHAPE) is found


def test_a_moved_point_keeps_its_size_and_is_sure() -> None:
    found = places()
    centres = found.centres.copy()
    centres[1] += 2
    after = changed_places(found, np.arange(4), centres, None, 1, SHAPE)
    assert after.centres[1].tolist() == [32, 22]
    assert after.sizes[1].tolist() == [8, 8]
    assert after.scores.tolist() == pytest.approx([0.9, 1.0, 0.35, 0.8])


@pytest.mark.parametrize("gone", [[0], [3], [0, 2], [1, 2, 3], [0, 1, 2, 3]])
def test_points_are_deleted_wherever_they_stand(gone: list[int]) -> None:
    found = places()
    kept = np.delete(np.arange(4), gone)
    after = changed_places(found, np.arange(4), found.centres[kept], None, 1, SHAPE)
    np.testing.assert_array_equal(after.centres, found.centres[kept])
    np.testing.assert_array_equal(after.scores, found.scores[kept])


def test_boxes_are_drawn_changed_and_deleted_and_points_among_them_stay() -> None:
    found = places()
    rows, centres, sizes = boxes_of(found)
    sizes[0] = (12, 8)
    drawn = np.vstack([centres, (20, 20)]), np.vstack([sizes, (5, 6)])
    after = changed_places(found, rows, *drawn, 2, SHAPE)
    assert after.sizes[0].tolist() == [12, 8]
    assert after.kinds.tolist() == [1, 2, 1, 2, 2]
    assert after.scores.tolist() == pytest.approx([1.0, 0.6, 0.35, 0.8, 1.0])
    rows, centres, sizes = boxes_of(found)
    fewer = changed_places(found, rows, centres[1:], sizes[1:], 1, SHAPE)
    np.testing.assert_array_equal(fewer.centres, found.centres[1:])


def test_boxes_are_cut_at_the_edge() -> None:
    centres, sizes = clipped_boxes(np.array([[0.0, 40.0]]), np.array([[11.0, 200.0]]), SHAPE)
    np.testing.assert_allclose(centres - sizes / 2, [[-0.5, -0.5]])
    np.testing.assert_allclose(centres + sizes / 2, [[5.5, 79.5]])


@pytest.mark.parametrize(
    ("centre", "size", "word"),
    [
        ((20, 20), (0, 5), "1 without"),
        ((20, 20), (3, 1), "1 without"),
        ((-20, 20), (9, 9), "1 beyond"),
        ((20, 90), (9, 9), "1 beyond"),
    ],
)
def test_what_is_no_box_is_refused(
    centre: tuple[int, int], size: tuple[int, int], word: str
) -> None:
    found = places()
    rows, centres, sizes = boxes_of(found)
    drawn = np.vstack([centres, centre]), np.vstack([sizes, size])
    with pytest.raises(BadInputError, match=word):
        changed_places(found, rows, *drawn, 1, SHAPE, least=2.0)


def test_points_beyond_the_image_are_refused() -> None:
    found = places()
    drawn = np.vstack([found.centres, (70, 10)])
    with pytest.raises(BadInputError, match="1 beyond"):
        changed_places(found, np.arange(4), drawn, None, 1, SHAPE)
