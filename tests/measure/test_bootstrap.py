"""Intervals cover what they promise, are repeatable, and know that images of one patient are no independent cases."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.measure.bootstrap import (
    Uncertainty,
    difference,
    interval,
    means_of,
    resample,
)


def drawn(values, groups=None, resamples=300, seed=0):
    statistic = means_of([{"x": v} for v in values])
    job = resample([statistic], len(values), groups, resamples=resamples, seed=seed)
    return run_to_end(job)[0]["x"]


def test_means_leave_out_what_does_not_apply():
    means = means_of([{"a": 1.0, "b": np.nan}, {"a": 3.0}, {"a": np.inf, "b": 2.0}])
    found = means(np.array([1.0, 3.0, 0.0]))
    assert found["a"] == 2.5
    assert np.isnan(found["b"])
    assert means(np.ones(3))["b"] == 2.0
    assert means(np.ones(3))["a"] == np.inf


def test_the_spread_of_the_mean_is_that_of_theory():
    values = np.random.default_rng(1).normal(size=100)
    expected = values.std() / 10
    assert drawn(values, resamples=2000).std() == pytest.approx(expected, rel=0.1)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(100):
        low, high = interval(drawn(rng.normal(size=30), resamples=200, seed=trial), 0.9)
        hits += low <= 0 <= high
    assert 78 <= hits <= 98


def test_draws_are_repeatable():
    values = np.arange(12.0)
    assert np.array_equal(drawn(values, seed=4), drawn(values, seed=4))
    assert not np.array_equal(drawn(values, seed=4), drawn(values, seed=5))


def test_groups_are_drawn_as_a_whole():
    # Four patients with twenty equal images each: not eighty cases.
    values, groups = np.repeat([0.0, 1.0, 0.0, 1.0], 20), np.repeat(list("abcd"), 20).tolist()
    assert drawn(values, groups).std() > 3 * drawn(values).std()
    assert set(np.round(drawn(values, groups) * 4) % 1) == {0.0}


def test_a_pair_of_models_is_compared_on_the_same_draws():
    cases = np.random.default_rng(0).normal(size=40)
    statistics = [means_of([{"x": v} for v in values]) for values in (cases + 0.1, cases)]
    first, second = run_to_end(resample(statistics, 40, resamples=200))
    (low, high) = difference(first, second)["x"]
    assert (low, high) == pytest.approx((0.1, 0.1))


def test_what_hardly_ever_applies_has_no_interval():
    assert interval(np.array([1.0, np.nan, np.nan])) is None
    assert interval(np.array([1.0, np.inf])) is None
    assert interval(np.array([1.0, np.nan, 2.0]), 0.5) == (1.25, 1.75)


def test_one_unit_says_nothing_about_others():
    with pytest.raises(BadInputError, match="two cases or groups"):
        drawn([1.0])
    with pytest.raises(BadInputError, match="two cases or groups"):
        drawn([1.0, 2.0], ["a", "a"])
    with pytest.raises(BadInputError, match="a group for each of 2"):
        drawn([1.0, 2.0], ["a"])


def test_it_can_be_cancelled(monkeypatch):
    monkeypatch.setattr("napari_apprentice.measure.bootstrap._SECONDS", 0.0)
    job = resample([means_of([{"x": 1.0}] * 3)], 3, resamples=5)
    assert isinstance(next(job), Progress)
    job.close()


def test_it_says_how_it_came_about():
    assert Uncertainty(0.95, 1000, 0, 24).describe() == (
        "95 % intervals from 1000 bootstrap resamples of 24 cases"
    )
    assert Uncertainty(0.9, 10, 0, 3, True).describe().endswith("3 groups")
