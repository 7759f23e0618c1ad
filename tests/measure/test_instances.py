"""Scores of objects against a slow implementation that shares nothing with ours, and against known cases."""

from __future__ import annotations

import tracemalloc
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.measure.instances import (
    ERRORS,
    THRESHOLDS,
    InstanceScores,
    error_image,
    score_instances,
)

NUMBERS = st.sampled_from([0, 0, 1, 2, 7, 70_000])
SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5)


def labels(shape):
    return hnp.arrays(np.int32, shape, elements=NUMBERS)


def triples(shape):
    return st.tuples(labels(shape), labels(shape), hnp.arrays(bool, shape))


# -- an independent implementation: sets of voxels, every matching tried ------------------------


def objects_of(array):
    found = {}
    for place, value in np.ndenumerate(array):
        if value:
            found.setdefault(int(value), set()).add(place)
    return found


def judged(prediction, truth, counts):
    inside = {place for place, yes in np.ndenumerate(counts) if yes}
    true, said = objects_of(truth), objects_of(prediction)
    for value in [v for v, o in true.items() if 2 * len(o & inside) < len(o)]:
        inside -= true.pop(value)
    true = {v: o & inside for v, o in true.items()}
    kept = {}
    for value, voxels in said.items():
        covers = any(2 * len(voxels & o) > len(o) for o in true.values())
        if covers or 2 * len(voxels & inside) >= len(voxels):
            kept[value] = voxels & inside
    return true, kept


def best_matching(true, said, threshold):
    """Most pairs, then the largest sum of IoU, by trying all of them."""
    few, many = sorted((list(true.values()), list(said.values())), key=len)
    best = (0, 0.0)
    for order in permutations(many, len(few)):
        pairs = [len(a & b) / len(a | b) for a, b in zip(few, order, strict=True) if a & b]
        good = [iou for iou in pairs if iou >= threshold]
        best = max(best, (len(good), sum(good)))
    return best


def broken(ones, others):
    """How many of `ones` hold at least two of `others` mostly."""
    return sum(
        any(
            2 * len(a & one) > len(a) and 2 * len(b & one) > len(b)
            for a, b in combinations(others, 2)
        )
        for one in ones
    )


@settings(max_examples=150, deadline=None)
@given(SHAPES.flatmap(triples), st.sampled_from([0.1, 0.3, 0.5, 0.55, 0.9, 1.0]))
def test_agrees_with_trying_everything(arrays, threshold):
    prediction, truth, counts = arrays
    true, said = judged(prediction, truth, counts)

    scores = score_instances(prediction, truth, counts=counts, thresholds=(threshold,))

    hits, _ = best_matching(true, said, threshold)
    assert scores.found.true_positive[0] == hits
    assert (scores.n_true, scores.n_predicted) == (len(true), len(said))
    if true or said:
        assert scores.ap[0] == pytest.approx(hits / (len(true) + len(said) - hits))
    assert scores.splits == broken(true.values(), said.values())
    assert scores.merges == broken(said.values(), true.values())
    more_than_half, total = best_matching(true, said, 0.5 + 1e-9)
    if more_than_half:
        expected = total / (more_than_half + (len(true) + len(said) - 2 * more_than_half) / 2)
        assert scores.panoptic_quality == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(SHAPES.flatmap(triples))
def test_numbers_mean_nothing_and_the_error_image_shows_the_counts(arrays):
    prediction, truth, _ = arrays
    renumbered = (np.searchsorted(np.unique(prediction), prediction) + 1) * 3
    renumbered[prediction == 0] = 0
    one, other = score_instances(prediction, truth), score_instances(renumbered, truth)
    np.testing.assert_equal(one.to_dict(), other.to_dict())
    errors = error_image(prediction, truth)
    wrong = one.found.false_positive[0] + one.found.false_negative[0] + one.splits + one.merges
    assert errors.any() == (wrong > 0)
    assert not errors[(prediction == 0) & (truth == 0)].any()


# -- known cases ----------------------------------------------------------------------------------


def test_the_four_errors_are_told_apart_and_shown():
    truth = np.zeros((20, 40), np.uint16)
    truth[2:8, 2:12] = 5  # split
    truth[2:8, 20:25] = 6  # merged with the next
    truth[2:8, 26:31] = 9
    truth[12:18, 2:8] = 300  # missed
    truth[12:18, 12:18] = 11  # right
    prediction = np.zeros(truth.shape, np.int64)
    prediction[2:8, 2:7], prediction[2:8, 7:12] = 1, 2
    prediction[2:8, 20:31] = 70_000
    prediction[12:18, 12:18] = 4
    prediction[12:18, 30:36] = 8  # nothing there

    scores = score_instances(prediction, truth)
    errors = error_image(prediction, truth)

    assert (scores.n_true, scores.n_predicted) == (5, 5)
    assert (scores.splits, scores.merges) == (1, 1)
    assert scores.found.true_positive[0] == 2  # the right one, and one half at exactly 0.5
    assert scores.panoptic.true_positive[0] == 1
    assert scores.segmentation_quality == 1
    assert scores.panoptic_quality == pytest.approx(1 / 5)
    names = {c.value: c.name for c in ERRORS}
    shown = [names.get(int(errors[at])) for at in ((4, 4), (4, 25), (14, 4), (14, 14), (14, 32))]
    assert shown == ["split", "merge", "false negative", None, "false positive"]


def test_the_shift_of_a_square_passes_the_thresholds_it_should():
    truth = np.zeros((30, 30), np.uint8)
    truth[5:15, 5:15] = 1
    scores = score_instances(np.roll(truth, 2, axis=0), truth)  # IoU 80 / 120
    assert scores.ap.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert scores.mean_ap == pytest.approx(4 / 9)
    assert scores.to_dict()["sq"] == pytest.approx(2 / 3)
    assert {"ap50", "ap55", "ap90", "f1_50", "precision_50", "recall_50"} <= set(scores.to_dict())


def test_an_empty_side_scores_zero_and_two_empty_sides_are_left_out():
    empty, one = np.zeros((4, 4), int), np.eye(4, dtype=int)
    for pair in ((empty, one), (one, empty)):
        scores = score_instances(*pair).to_dict()
        assert (scores["ap50"], scores["f1_50"], scores["pq"]) == (0, 0, 0)
    assert np.isnan(score_instances(empty, empty).to_dict()["ap"])
    assert np.isnan(score_instances(np.zeros((0, 4), int), np.zeros((0, 4), int)).mean_ap)


def test_a_data_set_weighs_objects_not_images():
    many = np.arange(1, 10).reshape(3, 3)
    right, missed = score_instances(many, many), score_instances(many[:1] * 0, many[:1])
    pooled = InstanceScores.pooled([right, missed])
    assert pooled.ap[0] == pytest.approx(9 / 12)
    assert (pooled.n_true, pooled.n_predicted) == (12, 9)
    with pytest.raises(BadInputError, match="same thresholds"):
        InstanceScores.pooled([right, score_instances(many, many, thresholds=(0.5,))])
    with pytest.raises(BadInputError, match="at least one"):
        InstanceScores.pooled([])


def test_what_lies_outside_of_what_counts_is_nobodys_fault():
    truth = np.zeros((10, 30), int)
    truth[2:8, 2:8], truth[2:8, 12:18] = 1, 2  # the second lies mostly outside
    prediction = np.zeros_like(truth)
    prediction[2:8, 2:8], prediction[2:8, 12:18], prediction[2:8, 22:28] = 1, 2, 3
    counts = np.zeros(truth.shape, bool)
    counts[:, :14] = True
    scores = score_instances(prediction, truth, counts=counts)
    assert (scores.n_true, scores.n_predicted, scores.mean_ap) == (1, 1, 1)
    assert not error_image(prediction, truth, counts=counts).any()
    grown = np.where(counts, 0, 1)
    grown[2:8, 2:8] = 1  # goes on where nobody looked: still the same object
    assert score_instances(grown, truth, counts=counts).mean_ap == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (np.ones((4, 4), bool), "a mask"),
        (np.ones((4, 4)), "float64"),
        (np.full((4, 4), -1), "found -1"),
    ],
)
def test_what_cannot_be_object_numbers_is_refused(wrong, sentence):
    good = np.ones((4, 4), int)
    with pytest.raises(BadInputError, match=sentence):
        score_instances(wrong, good)
    with pytest.raises(BadInputError, match=sentence):
        error_image(good, wrong)


def test_other_shapes_masks_and_thresholds_are_refused():
    good = np.ones((4, 4), int)
    with pytest.raises(GridMismatchError):
        score_instances(good[:2], good)
    with pytest.raises(GridMismatchError):
        score_instances(good, good, counts=np.ones((2, 4), bool))
    with pytest.raises(BadInputError, match="boolean"):
        score_instances(good, good, counts=good)
    for threshold in (0.0, 1.5, float("nan")):
        with pytest.raises(BadInputError, match="threshold"):
            score_instances(good, good, thresholds=(threshold,))


def test_twenty_thousand_objects_take_little_memory():
    y, x = np.ogrid[:1400, :1400]
    truth = ((y // 10) * 140 + x // 10 + 1).astype(np.uint32)
    truth[(y % 10 == 0) | (x % 10 == 0) & (y >= 0)] = 0
    prediction = np.roll(truth, 3, axis=(0, 1)) * 5
    tracemalloc.start()
    try:
        scores = score_instances(prediction, truth, thresholds=(0.05, *THRESHOLDS))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert scores.n_true == 19_600
    assert scores.found.true_positive[0] > 19_000
    assert peak < 500e6  # a dense table of 19 600 × 19 600 would take 3 GB
