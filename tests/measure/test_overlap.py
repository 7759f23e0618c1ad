from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.measure import _arrays
from napari_apprentice.measure.confusion import confusion_matrix
from napari_apprentice.measure.overlap import overlap_scores

RATES = ("dice", "iou", "precision", "recall", "specificity")
SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5)


def labels(shape, dtype=np.uint8):
    return hnp.arrays(dtype, shape, elements=st.integers(0, 3))


PAIRS = SHAPES.flatmap(lambda shape: st.tuples(labels(shape), labels(shape)))


def test_a_square_shifted_by_half_its_side_overlaps_by_half():
    truth = np.zeros((8, 12), np.uint8)
    truth[2:6, 2:6] = 1
    prediction = np.roll(truth, 2, axis=1)

    scores = overlap_scores(prediction, truth, [1], spacing=(0.5, 2.0))

    assert scores.dice == pytest.approx(0.5)
    assert scores.iou == pytest.approx(1 / 3)
    assert scores.precision == pytest.approx(0.5)
    assert scores.recall == pytest.approx(0.5)
    assert scores.specificity == pytest.approx(72 / 80)
    assert scores.volume == pytest.approx(16.0)
    assert scores.truth_volume == pytest.approx(16.0)


def test_precision_and_recall_tell_too_much_from_too_little():
    truth = np.zeros((10, 10), np.int32)
    truth[:4, :5] = 7
    prediction = np.zeros_like(truth)
    prediction[:2, :5] = 7

    less = overlap_scores(prediction, truth, [7])
    more = overlap_scores(truth, prediction, [7])

    assert (less.precision[0], less.recall[0]) == (1.0, 0.5)
    assert (more.precision[0], more.recall[0]) == (0.5, 1.0)


def test_absent_from_both_is_nan_and_absent_from_one_is_zero():
    truth = np.array([[0, 1, 1], [0, 2, 2]])
    prediction = np.array([[0, 1, 1], [0, 3, 3]])

    scores = overlap_scores(prediction, truth, [1, 2, 3, 4])

    for name in ("dice", "iou", "precision", "recall"):
        found = getattr(scores, name)
        assert found[0] == 1.0
        assert found[1] == 0.0
        assert found[2] == 0.0
        assert np.isnan(found[3])
    assert scores.specificity[3] == 1.0


def test_specificity_without_a_negative_is_nan():
    ones = np.ones((3, 3), np.uint8)

    assert np.isnan(overlap_scores(ones, ones, [1]).specificity[0])


def test_voxels_that_do_not_count_change_nothing():
    truth = np.array([[1, 1, 0, 2]], np.uint8)
    prediction = np.array([[1, 0, 0, 1]], np.uint8)
    counts = np.array([[True, True, True, False]])

    scores = overlap_scores(prediction, truth, [1, 2], counts=counts)

    assert scores.dice[0] == pytest.approx(2 / 3)
    assert np.isnan(scores.dice[1])
    assert scores.truth_volume.tolist() == [2, 0]


def test_the_confusion_matrix_has_truth_in_rows():
    matrix = confusion_matrix(np.array([5, 5, 9, 0]), np.array([5, 9, 9, 7]), [9, 5])

    # Index 0: any other value; 1: class 9; 2: class 5.
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float32]
)
def test_every_dtype_counts_alike(dtype):
    random = np.random.default_rng(0)
    truth, prediction = random.integers(0, 5, (2, 6, 7, 8))
    expected = [
        [np.sum((truth == a) & (prediction == b)) for b in (3, 1, 100)] for a in (3, 1, 100)
    ]

    matrix = confusion_matrix(prediction.astype(dtype), truth.astype(dtype), [3, 1, 100])

    assert matrix[1:, 1:].tolist() == expected
    assert matrix.sum() == truth.size


def test_negative_and_large_values_are_told_apart():
    values = np.array([-1, 2**31 + 5, 255, -129, 0])

    assert _arrays.ClassCodes((2**31 + 5, -1)).encode(values).tolist() == [2, 1, 0, 0, 0]
    # In 8 bits, -1 and 255 share their bits: only the type tells which is meant.
    assert _arrays.ClassCodes((255,)).encode(np.array([-1], np.int8)).tolist() == [0]
    assert _arrays.ClassCodes((-1,)).encode(np.array([255], np.uint8)).tolist() == [0]
    assert _arrays.ClassCodes((1,)).encode(np.array([True, False])).tolist() == [1, 0]


@pytest.mark.parametrize("shape", [(7,), (5, 9), (3, 4, 5), (1, 1, 40), (0, 3)])
@pytest.mark.parametrize("most", [1, 6, 13, 1000])
def test_blocks_cover_every_voxel_once_and_stay_small(shape, most):
    seen = np.zeros(shape, int)
    for block in _arrays.blocks(shape, most):
        seen[block] += 1
        assert seen[block].size <= most

    assert (seen == 1).all()


def test_the_result_does_not_depend_on_the_blocks(monkeypatch):
    random = np.random.default_rng(1)
    truth, prediction = random.integers(0, 3, (2, 9, 10, 11))
    counts = random.random(truth.shape) < 0.5
    whole = confusion_matrix(prediction, truth, [1, 2], counts=counts)

    small_blocks = list(_arrays.blocks(truth.shape, 17))
    monkeypatch.setattr(
        "napari_apprentice.measure.confusion.blocks", lambda shape: iter(small_blocks)
    )

    assert np.array_equal(confusion_matrix(prediction, truth, [1, 2], counts=counts), whole)


def test_a_lazy_array_is_read_block_by_block():
    class Lazy:
        """Stands for a Zarr array: it has a shape and gives blocks, but not itself."""

        shape, ndim, dtype = (40, 8), 2, np.dtype(np.uint16)

        def __getitem__(self, key):
            return np.ones(self.shape, self.dtype)[key]

        def __array__(self, *_args, **_kwargs):
            raise AssertionError("read as a whole")

    assert overlap_scores(Lazy(), Lazy(), [1]).dice.tolist() == [1.0]


@given(PAIRS)
@settings(deadline=None)
def test_dice_and_iou_are_symmetric_and_bounded(pair):
    first, second = pair
    there = overlap_scores(first, second, [1, 2, 3])
    back = overlap_scores(second, first, [1, 2, 3])

    np.testing.assert_array_equal(there.dice, back.dice)
    np.testing.assert_array_equal(there.iou, back.iou)
    np.testing.assert_array_equal(there.precision, back.recall)
    for name in RATES:
        known = getattr(there, name)[~np.isnan(getattr(there, name))]
        assert ((known >= 0) & (known <= 1)).all()
    np.testing.assert_allclose(there.dice, 2 * there.iou / (1 + there.iou))


@given(SHAPES.flatmap(labels))
@settings(deadline=None)
def test_an_array_agrees_with_itself(array):
    dice = overlap_scores(array, array, [1, 2, 3]).dice

    for value, score in zip([1, 2, 3], dice, strict=True):
        assert score == 1.0 if (array == value).any() else np.isnan(score)


def test_agrees_with_monai():
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_dice, compute_iou

    random = np.random.default_rng(2)
    truth, prediction = random.integers(0, 4, (2, 12, 13, 14))
    hot = [
        torch.from_numpy(np.stack([array == c for c in range(4)])[None].astype(np.float32))
        for array in (prediction, truth)
    ]

    scores = overlap_scores(prediction, truth, [1, 2, 3])

    np.testing.assert_allclose(scores.dice, compute_dice(*hot, include_background=False)[0], 1e-6)
    np.testing.assert_allclose(scores.iou, compute_iou(*hot, include_background=False)[0], 1e-6)


def test_what_does_not_fit_is_refused():
    a = np.zeros((4, 4), np.uint8)
    with pytest.raises(GridMismatchError, match=r"\(4, 4\).*\(4, 5\)"):
        overlap_scores(np.zeros((4, 5), np.uint8), a, [1])
    with pytest.raises(GridMismatchError, match="where it counts"):
        overlap_scores(a, a, [1], counts=np.ones((2, 2), bool))
    with pytest.raises(BadInputError, match="boolean mask"):
        overlap_scores(a, a, [1], counts=np.ones((4, 4)))
    with pytest.raises(BadInputError, match="whole numbers"):
        overlap_scores(a + 0.5, a, [1])
    with pytest.raises(BadInputError, match="whole numbers"):
        overlap_scores(a + np.inf, a, [1])
    with pytest.raises(BadInputError, match="distinct class values"):
        overlap_scores(a, a, [1, 1])
    with pytest.raises(BadInputError, match="distinct class values"):
        overlap_scores(a, a, [])
    for spacing in [(1.0,), (1.0, 0.0), (1.0, np.nan)]:
        with pytest.raises(BadInputError, match="2 positive spacings"):
            overlap_scores(a, a, [1], spacing=spacing)
