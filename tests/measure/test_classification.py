from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.measure.classification import classification_scores

CASES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


def test_against_numbers_worked_out_by_hand():
    truth = [0, 0, 0, 0, 1, 1, 2, 2]
    prediction = [0, 0, 0, 1, 1, 0, 2, 1]

    scores = classification_scores(prediction, truth, [0, 1, 2])

    assert scores.confusion.tolist() == [[3, 1, 0], [1, 1, 0], [0, 1, 1]]
    assert scores.accuracy == 5 / 8
    assert scores.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2 + 1 / 2) / 3)
    assert scores.precision == pytest.approx([3 / 4, 1 / 3, 1])
    assert scores.recall == pytest.approx([3 / 4, 1 / 2, 1 / 2])
    assert scores.f1 == pytest.approx([3 / 4, 2 / 5, 2 / 3])
    assert scores.specificity == pytest.approx([3 / 4, 4 / 6, 1])


def test_flat_names():
    flat = classification_scores([3, 5], [3, 3], [3, 5]).flat({3: "Head CT", 5: "hand"})

    assert flat["accuracy"] == flat["balanced_accuracy"] == 0.5
    assert flat["recall_head_ct"] == 0.5
    assert flat["f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert flat["precision_hand"] == 0.0


def test_always_saying_the_frequent_class_is_accurate_but_not_balanced():
    truth = np.array([0] * 95 + [1] * 5)

    scores = classification_scores(np.zeros(100, int), truth, [0, 1])

    assert scores.accuracy == 0.95
    assert scores.balanced_accuracy == 0.5


def test_a_class_without_a_true_case_does_not_count_in_balanced_accuracy():
    scores = classification_scores([0, 1, 2], [0, 1, 1], [0, 1, 2, 3])

    assert scores.balanced_accuracy == pytest.approx((1 + 0.5) / 2)
    assert scores.recall[2] == 0.0
    assert np.isnan(scores.recall[3])


@given(CASES)
def test_agrees_with_its_definitions(cases):
    prediction, truth = np.array(cases).T
    scores = classification_scores(prediction, truth, [0, 1, 2])

    assert scores.confusion.sum() == len(cases)
    assert scores.accuracy == pytest.approx(np.mean(prediction == truth))
    for value in range(3):
        chosen, actual = prediction == value, truth == value
        if chosen.any():
            assert scores.precision[value] == pytest.approx(np.mean(actual[chosen]))
        if actual.any():
            assert scores.recall[value] == pytest.approx(np.mean(chosen[actual]))
        if not actual.all():
            assert scores.specificity[value] == pytest.approx(np.mean(~chosen[~actual]))


def test_agrees_with_monai():
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_confusion_matrix_metric, get_confusion_matrix

    prediction, truth = np.random.default_rng(0).integers(0, 3, (2, 60))
    hot = [torch.eye(3)[torch.from_numpy(v)] for v in (prediction, truth)]
    counts = get_confusion_matrix(*hot).sum(dim=0)

    scores = classification_scores(prediction, truth, [0, 1, 2])

    for name in ("precision", "recall", "f1 score", "specificity"):
        expected = compute_confusion_matrix_metric(name, counts).numpy()
        np.testing.assert_allclose(getattr(scores, name.split()[0]), expected, rtol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInputError, match=r"\[4\]"):
        classification_scores([0, 4], [0, 1], [0, 1])
    with pytest.raises(BadInputError, match="one class value per case"):
        classification_scores([], [], [0, 1])
    with pytest.raises(BadInputError, match="one class value per case"):
        classification_scores([[0]], [[0]], [0, 1])
    with pytest.raises(GridMismatchError):
        classification_scores([0, 1], [0], [0, 1])
