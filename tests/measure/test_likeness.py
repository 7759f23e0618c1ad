"""Distances of sets of features, against what is known of normal distributions."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.measure.likeness import frechet_distance, kernel_distance, variety


def test_frechet_distance_of_normal_sets_is_that_of_their_distributions() -> None:
    rng = np.random.default_rng(0)
    one = rng.normal(size=(20_000, 2)) * (1.0, 3.0)
    other = rng.normal(size=(20_000, 2)) * (2.0, 3.0) + (0.0, 4.0)
    # |shift|² + Σ (σ - σ')² where the axes are independent
    assert frechet_distance(one, other) == pytest.approx(16 + 1, rel=0.05)
    assert frechet_distance(other, one) == pytest.approx(frechet_distance(one, other))
    assert frechet_distance(one, one) == pytest.approx(0.0, abs=1e-9)


def test_it_takes_fewer_rows_than_columns_and_a_single_column() -> None:
    rng = np.random.default_rng(0)
    few = rng.normal(size=(3, 10))
    assert frechet_distance(few, few + 1) == pytest.approx(10.0)
    assert frechet_distance(few[:, :1], few[:, :1]) == pytest.approx(0.0, abs=1e-12)


def test_kernel_distance_is_about_nothing_for_alike_sets_however_few() -> None:
    rng = np.random.default_rng(0)
    draws = [kernel_distance(rng.normal(size=(8, 6)), rng.normal(size=(5, 6))) for _ in range(400)]
    assert abs(np.mean(draws)) < 4 * np.std(draws) / 20
    assert min(draws) < 0 < max(draws)
    far = kernel_distance(rng.normal(size=(8, 6)), 3 + rng.normal(size=(5, 6)))
    assert far > 10 * np.std(draws)


def test_variety_is_one_where_sets_are_as_varied_and_none_where_all_is_alike() -> None:
    real = np.random.default_rng(0).normal(size=(100, 3))
    assert variety(real[::-1], real) == pytest.approx(1.0)
    assert variety(2 * real, real) == pytest.approx(2.0)
    assert variety(np.ones((5, 3)), real) == 0
    assert variety(np.ones((5, 3)), np.ones((4, 3))) == 1
    assert variety(real, np.ones((4, 3))) == float("inf")


def test_variety_is_that_of_the_least_varied_kind() -> None:
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1], 50)
    real = rng.normal(size=(100, 3)) + 50 * kinds[:, np.newaxis]
    one_each = np.where(kinds[:, np.newaxis] == 0, 0.0, 50.0) * np.ones((1, 3))
    assert variety(one_each, real) > 0.9  # kinds lie apart, whatever is in them
    assert variety(one_each, real, kinds, kinds) == 0
    half = np.where(kinds[:, np.newaxis] == 0, real, one_each)
    assert variety(half, real, kinds, kinds) == 0
    assert variety(real[:50], real, kinds[:50], kinds) == pytest.approx(1.0)
