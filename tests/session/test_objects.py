"""Numbered objects: new, delete, merge, split, fill, keep the largest piece; each one edit."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.edit import Edit
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.objects import (
    delete_object,
    fill_object,
    keep_largest_piece,
    merge_objects,
    new_object,
)
from napari_apprentice.session.splitting import split_along, split_between, split_object


def disks(*centres, shape=(50, 60), radius=8):
    y, x = np.ogrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.uint16)
    for cy, cx in centres:
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = 7
    return labels


def state_of(labels, spacing=None):
    grid = Grid.regular("ZYX"[-labels.ndim :], labels.shape, spacing)
    return AnnotationState("cells", grid, labels, (LabelClass(1, "cell"),), objects=True)


def test_glued_disks_are_split_at_the_waist():
    state = state_of(disks((25, 20), (25, 33)))
    whole = state.labels > 0
    assert split_object(state, 7) == 2
    assert set(np.unique(state.labels)) == {0, 7, 8}
    assert np.array_equal(state.labels > 0, whole)
    assert state.labels[25, 15] != state.labels[25, 38]
    sizes = np.bincount(state.labels.ravel())[7:]
    assert abs(int(sizes[0]) - int(sizes[1])) < 40
    state.undo()
    assert set(np.unique(state.labels)) == {0, 7}


def test_pieces_become_objects_of_their_own():
    labels = disks((25, 20), (25, 33))
    labels[:, 30] = 0
    state = state_of(labels)
    assert split_object(state, 7) == 2
    assert (state.labels[:, :30] > 0).sum() == (state.labels == 7).sum()


def test_a_round_object_has_no_waist():
    with pytest.raises(BadInputError, match="Erase a line"):
        split_object(state_of(disks((25, 20))), 7)


def test_thick_slices_do_not_mislead():
    labels = np.stack([disks((25, 20), (25, 33))] * 5)
    state = state_of(labels, (8.0, 1.0, 1.0))
    split_object(state, 7)
    assert len({int(v) for v in state.labels[:, 25, 15]}) == 1
    assert state.labels[2, 25, 15] != state.labels[2, 25, 38]


def test_merge_delete_and_number():
    labels = disks((12, 12))
    labels[30:40, 30:40] = 9
    state = state_of(labels)
    assert new_object(state) == 10
    merge_objects(state, 7, 9)
    assert (state.labels[30:40, 30:40] == 7).all()
    state.undo()
    delete_object(state, 9)
    assert set(np.unique(state.labels)) == {0, 7}
    assert state.painted.sum() == 100
    assert state.undo_name == "Delete object 9"


@pytest.mark.parametrize("value", [0, 3])
def test_what_is_not_there_cannot_be_edited(value):
    state = state_of(disks((25, 20)))
    for action in (
        lambda: delete_object(state, value),
        lambda: split_object(state, value),
        lambda: merge_objects(state, 7, value),
        lambda: merge_objects(state, value, 7),
    ):
        with pytest.raises(BadInputError):
            action()
    assert not state.can_undo


def test_numbers_run_out_with_a_sentence():
    state = state_of(np.full((3, 3), 255, np.uint8))
    with pytest.raises(BadInputError, match="255 objects"):
        new_object(state)


def test_splitting_into_pieces_never_runs_over_the_last_number():
    labels = np.zeros((5, 9), np.uint8)
    labels[:, 0], labels[:, 4], labels[:, 8] = 254, 254, 254
    state = state_of(labels)
    with pytest.raises(BadInputError, match="at most 255 objects"):
        split_object(state, 254)
    assert not state.can_undo


# -- two clicks ----------------------------------------------------------------------------------


def test_two_clicks_cut_at_the_waist_wherever_in_the_halves_they_are():
    state = state_of(disks((25, 20), (25, 33)))
    whole = state.labels > 0
    assert split_between(state, (20, 17), (31, 36)) == 8
    assert np.array_equal(state.labels > 0, whole)
    assert set(state.labels[25, 12:26]) == {7}
    assert set(state.labels[25, 28:41]) == {8}
    assert state.undo_name == "Split object 7"
    state.undo()
    assert set(np.unique(state.labels)) == {0, 7}


def test_two_clicks_cut_a_round_object_half_way():
    state = state_of(disks((25, 30), radius=12))
    split_between(state, (25, 22), (25, 38))
    sizes = np.bincount(state.labels.ravel())[7:9]
    assert abs(int(sizes[0]) - int(sizes[1])) <= 25  # the middle column may go either way
    assert set(state.labels[25, 18:30]) == {7}
    assert set(state.labels[25, 31:43]) == {8}


def test_two_clicks_in_a_volume_measure_in_the_world():
    labels = np.zeros((4, 40, 40), np.uint16)
    labels[:, 10:30, 10:30] = 3
    state = state_of(labels, (20.0, 1.0, 1.0))
    split_between(state, (0, 20, 20), (3, 20, 20))
    assert (state.labels[:2, 10:30, 10:30] == 3).all()
    assert (state.labels[2:, 10:30, 10:30] == 4).all()


def test_pieces_without_a_click_keep_their_number():
    labels = disks((12, 12), (25, 40))
    state = state_of(labels)
    split_between(state, (25, 35), (25, 45))
    assert (state.labels[labels > 0][:10] == 7).all()
    assert set(np.unique(state.labels)) == {0, 7, 8}


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ((25, 20), "found one"),
        ((0, 0), "one in none"),
        ((40, 45), "object 9"),
        ((25, 99), "within"),
    ],
)
def test_two_clicks_must_lie_in_one_object(other, sentence):
    labels = disks((25, 20))
    labels[38:42, 43:48] = 9
    state = state_of(labels)
    with pytest.raises(BadInputError, match=sentence):
        split_between(state, (25, 20), other)
    assert not state.can_undo


# -- holes and pieces ----------------------------------------------------------------------------


def test_holes_are_filled_around_other_objects():
    labels = disks((25, 20))
    labels[25, 18:22] = 0
    labels[25, 19] = 9
    state = state_of(labels)
    assert fill_object(state, 7) == 3
    assert state.labels[25, 17:23].tolist() == [7, 7, 9, 7, 7, 7]
    with pytest.raises(BadInputError, match="no hole"):
        fill_object(state, 7)


def test_in_a_volume_a_tunnel_is_no_hole():
    labels = np.zeros((5, 9, 9), np.uint8)
    labels[:, 2:7, 2:7] = 2
    labels[2, 4, 4] = 0
    state = state_of(labels)
    assert fill_object(state, 2) == 1
    labels[:, 4, 4] = 0
    with pytest.raises(BadInputError, match="no hole"):
        fill_object(state_of(labels), 2)


def test_of_several_pieces_the_largest_stays():
    labels = disks((25, 20))
    labels[2:4, 2:4], labels[40, 50], labels[5, 30] = 7, 7, 9
    state = state_of(labels)
    assert keep_largest_piece(state, 7) == 2
    assert (state.labels == 7).sum() == (disks((25, 20)) == 7).sum()
    assert state.labels[5, 30] == 9
    with pytest.raises(BadInputError, match="one piece"):
        keep_largest_piece(state, 7)
    state.undo()
    assert state.labels[40, 50] == 7


# -- along a line ----------------------------------------------------------------------------------


def test_a_line_across_an_object_cuts_it_there():
    state = state_of(disks((25, 20)))
    before = state.labels.copy()
    assert split_along(state, np.array([[10.0, 16.0], [40.0, 16.0]])) == 2
    assert set(np.unique(state.labels)) == {0, 7, 8}
    assert np.array_equal(state.labels > 0, before > 0)  # no voxel is lost to the cut
    assert (state.labels[:, :16] != 7).all()
    assert (state.labels[:, 17:] != 8).all()
    state.undo()
    assert np.array_equal(state.labels, before)


def test_a_line_that_ends_inside_is_prolonged_and_a_steep_one_leaks_nowhere():
    state = state_of(disks((25, 20)))
    assert split_along(state, np.array([[24.0, 19.0], [27.0, 20.0]])) == 2
    sizes = np.bincount(state.labels.ravel())[7:]
    assert abs(int(sizes[0]) - int(sizes[1])) < 40


def test_the_object_under_most_of_the_line_is_cut_and_its_neighbours_stay():
    labels = disks((25, 20))
    labels[disks((25, 37)) > 0] = 9
    state = state_of(labels)
    nine = state.labels == 9
    split_along(state, np.array([[25.0, 5.0], [25.0, 31.0]]))
    assert np.array_equal(state.labels == 9, nine)
    assert state.labels[20, 20] != state.labels[30, 20]


def test_in_a_volume_the_knife_goes_through_all_slices():
    labels = np.zeros((6, 20, 30), np.uint16)
    labels[1:5, 5:15, 5:25] = 7
    state = state_of(labels, (3.0, 1.0, 1.0))
    assert split_along(state, np.array([[3.0, 2.0, 12.0], [3.0, 18.0, 12.0]]), (1, 2)) == 2
    assert (state.labels[1:5, 5:15, 14:25] == 7).all()
    assert (state.labels[1:5, 5:15, 5:11] == 8).all()
    state.undo()
    upright = np.array([[0.0, 10.0, 12.0], [5.0, 10.0, 12.0]])  # drawn in the Z-X view
    assert split_along(state, upright, (0, 2)) == 2
    assert len(np.unique(state.labels[1:5, 5:15, 5:11])) == 1


def test_a_line_beside_every_object_says_so():
    state = state_of(disks((25, 20)))
    with pytest.raises(BadInputError, match="across an object"):
        split_along(state, np.array([[1.0, 1.0], [1.0, 50.0]]))
    with pytest.raises(BadInputError, match="across an object"):
        split_along(state, np.array([[-9.0, -9.0], [-5.0, -9.0]]))
    state.apply(Edit("Lock", locks=frozenset({7})))
    with pytest.raises(BadInputError, match="locked"):
        split_along(state, np.array([[10.0, 16.0], [40.0, 16.0]]))
    assert not (state.labels == 8).any()
