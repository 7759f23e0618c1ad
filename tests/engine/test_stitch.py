"""The rolling window gives what a full-size accumulator gives, and rows come when nothing can change them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_apprentice.engine._stitch import Answer, RowSampler, Window
from napari_apprentice.engine.tiles import blend_weights, padding, tiles


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(4, 30), tile=st.integers(1, 4), overlap=st.floats(0, 0.8), seed=st.integers(0)
)
def test_a_window_sums_what_the_whole_would(
    rows: int, tile: int, overlap: float, seed: int
) -> None:
    shape, size = (rows, 7), (tile, 3)
    weights = torch.from_numpy(blend_weights(size))
    random = torch.Generator().manual_seed(seed % 2**31)
    total, weight = torch.zeros(2, *shape), torch.zeros(shape)
    window, found = Window(2, shape, weights), []
    for start in tiles(shape, size, overlap):
        if start[0] != window.first:
            found.append(window.final(start[0]).clone())
            window.advance(start[0])
        scores = torch.rand(2, *size, generator=random)
        place = tuple(slice(s, s + t) for s, t in zip(start, size, strict=True))
        total[(slice(None), *place)] += scores * weights
        weight[place] += weights
        window.add(start, scores)
    found.append(window.final(rows).clone())
    torch.testing.assert_close(torch.cat(found, dim=1), total / weight)


def test_a_window_refuses_a_tile_out_of_order() -> None:
    window = Window(1, (8, 8), torch.ones(4, 4))
    with pytest.raises(ValueError, match="starting in row 0, found 2"):
        window.add((2, 0), torch.zeros(1, 4, 4))


@settings(deadline=None, max_examples=60)
@given(
    working=st.tuples(st.integers(1, 12), st.integers(1, 6), st.integers(1, 6)),
    source=st.tuples(st.integers(1, 20), st.integers(1, 9), st.integers(1, 9)),
    tile=st.integers(1, 14),
    step=st.integers(1, 5),
)
def test_rows_are_those_of_one_interpolation(
    working: tuple[int, ...], source: tuple[int, ...], tile: int, step: int
) -> None:
    scores = torch.rand(2, *working)
    pad = padding(working, (tile, 3, 8))
    padded = functional.pad(scores, [v for pair in reversed(pad) for v in pair], value=9.0)
    sampler = RowSampler(working, source, pad)
    result, expected_row = torch.zeros(2, *source), 0
    for first in range(0, padded.shape[1], step):
        for row, chunk in sampler.push(first, padded[:, first : first + step]):
            assert row == expected_row
            expected_row += chunk.shape[1]
            result[:, row:expected_row] = chunk
    assert expected_row == source[0]
    expected = functional.interpolate(scores[None], size=source, mode="trilinear")[0]
    torch.testing.assert_close(result, expected, atol=1e-5, rtol=1e-5)


def test_planes_are_interpolated_along_one_row_axis() -> None:
    scores = torch.rand(3, 5, 6)
    sampler = RowSampler((5, 6), (11, 4), ((0, 0), (0, 0)))
    found = torch.cat([chunk for _, chunk in sampler.push(0, scores)], dim=1)
    expected = functional.interpolate(scores[None], size=(11, 4), mode="bilinear")[0]
    torch.testing.assert_close(found, expected)


def test_rows_come_as_soon_as_they_are_settled() -> None:
    sampler = RowSampler((8, 2), (8, 2), ((0, 0), (0, 0)))
    assert [row for row, _ in sampler.push(0, torch.zeros(1, 3, 2))] == [0]
    finer = RowSampler((8, 2), (16, 2), ((0, 0), (0, 0)))
    chunks = list(finer.push(0, torch.zeros(1, 4, 2)))
    assert sum(chunk.shape[1] for _, chunk in chunks) == 7


def test_answers_without_a_reduction_are_half_precision_scores() -> None:
    answer = Answer((2, 3, 4), None)
    answer.put((slice(1, 2),), torch.full((5, 1, 3, 4), 0.25))
    assert answer.dense is not None
    assert answer.dense.shape == (5, 2, 3, 4)
    assert answer.dense.dtype == np.float16
    assert answer.dense[:, 0].max() == 0
    assert (answer.dense[:, 1] == 0.25).all()
