"""Boxes of a volume that are seen a slice at a time: the depth of new ones, and where they begin and end."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.session.depths import deepened, usual_depth, with_slices

SPACING = (2.0, 0.5, 0.5)


def boxes() -> Detections:
    return Detections.of(
        [(4.0, 10.0, 10.0), (5.0, 30.0, 20.0), (9.2, 40.0, 40.0)],
        [(3.0, 8.0, 8.0), (5.0, 6.0, 6.0), (0.5, 4.0, 4.0)],
        scores=[0.5, 0.6, 0.7],
    )


def test_slices_that_boxes_pass_through() -> None:
    first, last = boxes().slices(0, 8)
    assert (first.tolist(), last.tolist()) == ([3, 3, 7], [5, 7, 7])


def test_rectangles_take_the_depth_of_their_boxes_also_where_some_are_gone() -> None:
    shown = boxes().select(np.array([0, 1]))
    flat = np.array([[5.0, 30.0, 20.0]]), np.array([[0.0, 6.0, 6.0]])
    centres, sizes = deepened(shown, *flat, 0, 5, SPACING, boxes())
    assert (centres.tolist(), sizes.tolist()) == ([[5, 30, 20]], [[5, 6, 6]])


@pytest.mark.parametrize(("axis", "depth"), [(0, 3), (1, 6), (2, 6)])
def test_a_new_box_is_as_deep_as_the_others(axis: int, depth: int) -> None:
    assert usual_depth(boxes(), axis, np.array([1.0, 1.0, 1.0]), SPACING) == depth


@pytest.mark.parametrize(
    ("axis", "lengths", "depth"), [(0, (0, 16, 24), 5), (0, (0, 1, 1), 1), (1, (2, 0, 8), 8)]
)
def test_the_first_box_is_as_deep_as_it_is_wide_in_world_units(axis, lengths, depth) -> None:
    assert usual_depth(Detections.none(3), axis, np.array(lengths, float), SPACING) == depth


def test_an_even_depth_has_one_slice_more_behind() -> None:
    even = Detections.of([(4.0, 10.0, 10.0)], [(4.0, 8.0, 8.0)])
    drawn = np.array([[7.0, 20.0, 20.0]]), np.array([[0.0, 4.0, 4.0]])
    centres, sizes = deepened(Detections.none(3), *drawn, 0, 7, SPACING, even)
    first, last = Detections.of(centres, sizes).slices(0, 20)
    assert (first.tolist(), last.tolist()) == ([6], [9])


def test_boxes_begin_and_end_where_they_are_told_and_the_other_end_stays() -> None:
    later = with_slices(boxes(), [0, 1], 0, 12, last=9)
    assert (later.centres[:, 0].tolist(), later.sizes[:, 0].tolist()) == (
        [6.0, 6.0, 9.2],
        [7.0, 7.0, 0.5],
    )
    assert later.scores.tolist() == pytest.approx([1.0, 1.0, 0.7])
    beyond = with_slices(boxes(), [0], 0, 12, first=8)
    assert (beyond.centres[0, 0], beyond.sizes[0, 0]) == (8.0, 1.0)


def test_what_begins_and_ends_there_already_is_no_change() -> None:
    sure = with_slices(boxes(), [0], 0, 12, first=3, last=5)
    assert sure.scores[0] == 1.0
    assert with_slices(sure, [0], 0, 12, first=3) is sure
    assert with_slices(sure, [0], 0, 12, last=6) is not sure


@pytest.mark.parametrize("index", [-1, 12])
def test_slices_that_there_are_not_are_refused(index: int) -> None:
    with pytest.raises(BadInputError, match="from 0 to 11"):
        with_slices(boxes(), [0], 0, 12, last=index)
