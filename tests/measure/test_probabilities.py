"""Scores of probabilities, against closed forms and counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.measure.probabilities import probability_scores, roc_auc, roc_curve


def auc_by_pairs(scores: np.ndarray, is_class: np.ndarray) -> float:
    wins = [
        1.0 if a > b else 0.5 if a == b else 0.0
        for a in scores[is_class]
        for b in scores[~is_class]
    ]
    return float(np.mean(wins))


def test_area_counts_pairs_and_ties_half() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.integers(0, 6, 30) / 5
        is_class = rng.random(30) < 0.4
        assert roc_auc(scores, is_class) == pytest.approx(auc_by_pairs(scores, is_class))


def test_area_is_that_under_the_curve() -> None:
    rng = np.random.default_rng(1)
    scores, is_class = rng.integers(0, 9, 40) / 8, rng.random(40) < 0.5
    curve = roc_curve(scores, is_class)
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(roc_auc(scores, is_class))
    assert (curve.true_positive_rate[0], curve.false_positive_rate[0]) == (0, 0)
    assert (curve.true_positive_rate[-1], curve.false_positive_rate[-1]) == (1, 1)
    assert np.isinf(curve.threshold[0])
    assert len(curve.threshold) == 1 + len(np.unique(scores))


def test_one_kind_only_has_no_area() -> None:
    assert np.isnan(roc_auc([0.1, 0.9], [True, True]))
    with pytest.raises(BadInputError, match="only one kind"):
        roc_curve([0.1, 0.9], [False, False])


def test_scores_by_hand() -> None:
    shares = np.array([[0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    scores = probability_scores(shares, [0, 1, 1], bins=10)
    assert scores.log_loss == pytest.approx(-np.log([0.8, 0.4, 0.7]).mean())
    assert scores.brier == pytest.approx((2 * 0.04 + 2 * 0.36 + 2 * 0.09) / 3)
    # Bins 0.8, 0.6, 0.7 with one case each: sure by 0.8 and right, 0.6 and wrong, 0.7 and right.
    assert scores.calibration_error == pytest.approx((0.2 + 0.6 + 0.3) / 3)
    assert scores.auc.tolist() == [1.0, 1.0]


def test_honest_probabilities_are_calibrated() -> None:
    rng = np.random.default_rng(2)
    sure = rng.uniform(0.5, 1.0, 20_000)
    truth = (rng.random(20_000) < sure).astype(int)
    shares = np.stack([1 - sure, sure], axis=1)
    assert probability_scores(shares, truth).calibration_error < 0.02
    swollen = np.stack([1 - np.sqrt(sure), np.sqrt(sure)], axis=1)
    assert probability_scores(swollen, truth).calibration_error > 0.05


@pytest.mark.parametrize(
    ("shares", "truth", "message"),
    [
        ([[0.5, 0.5]], [0, 1], "expected probabilities"),
        ([[0.5, 0.6]], [0], r"found 1\.1 in case 0"),
        ([[0.5, 0.5]], [2], "expected classes 0 to 1, found 2"),
        ([[np.nan, 1.0]], [0], "add up to 1"),
        (np.zeros((0, 2)), [], "expected probabilities"),
    ],
)
def test_what_are_no_probabilities_is_refused(shares: object, truth: object, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        probability_scores(shares, truth)  # type: ignore[arg-type]
