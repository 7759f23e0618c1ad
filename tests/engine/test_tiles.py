"""Tiles cover every voxel, fit inside, and weigh their middle most."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_apprentice.engine.tiles import blend_weights, padding, tile_shape, tile_starts, tiles

axis = st.tuples(st.integers(1, 40), st.integers(1, 12))


@settings(deadline=None, max_examples=80)
@given(axes=st.lists(axis, min_size=1, max_size=3), overlap=st.floats(0, 0.8))
def test_tiles_cover_every_voxel_and_stay_inside(
    axes: list[tuple[int, int]], overlap: float
) -> None:
    shape, tile = zip(*axes, strict=True)
    padded = tuple(s + a + b for s, (a, b) in zip(shape, padding(shape, tile), strict=True))
    seen = np.zeros(padded, dtype=int)
    starts = tiles(padded, tile, overlap)
    for start in starts:
        assert all(0 <= s <= p - t for s, p, t in zip(start, padded, tile, strict=True))
        seen[tuple(slice(s, s + t) for s, t in zip(start, tile, strict=True))] += 1
    assert seen.min() >= 1
    assert list(starts) == sorted(set(starts))


@given(length=st.integers(8, 200), tile=st.integers(1, 8), overlap=st.floats(0, 0.8))
def test_neighbours_overlap_at_least_as_asked(length: int, tile: int, overlap: float) -> None:
    steps = np.diff(tile_starts(length, tile, overlap))
    assert (steps <= max(1, tile * (1 - overlap))).all()


@given(axes=st.lists(axis, min_size=1, max_size=3))
def test_padding_is_even_and_just_enough(axes: list[tuple[int, int]]) -> None:
    shape, tile = zip(*axes, strict=True)
    for (before, after), length, size in zip(padding(shape, tile), shape, tile, strict=True):
        assert length + before + after == max(length, size)
        assert 0 <= after - before <= 1


@pytest.mark.parametrize(
    ("wish", "divisor", "found"),
    [
        ((96, 96), (16, 16), (96, 96)),
        ((100, 3), (16, 8), (96, 8)),
        ((5, 5), (1, 2), (5, 4)),
        ((3, 9), (8, 8), (8, 16)),
    ],
)
def test_tiles_are_multiples_of_the_divisor(
    wish: tuple[int, ...], divisor: tuple[int, ...], found: tuple[int, ...]
) -> None:
    assert tile_shape(wish, divisor) == found
    held = tile_shape(wish, divisor, at_least=True)
    assert all(h >= w and h % d == 0 for h, w, d in zip(held, wish, divisor, strict=True))


@pytest.mark.parametrize("tile", [(96, 96, 96), (9, 16), (1, 5, 4)])
def test_weights_are_those_of_monai(tile: tuple[int, ...]) -> None:
    from monai.data.utils import compute_importance_map

    expected = compute_importance_map(tile, mode="gaussian", sigma_scale=0.125).clamp(min=1e-3)
    weights = blend_weights(tile)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, expected.numpy(), atol=1e-6)
