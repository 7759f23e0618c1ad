"""Numbered objects: new, delete, merge, split; each one edit."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.objects import (
    delete_object,
    merge_objects,
    new_object,
    split_object,
)


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
