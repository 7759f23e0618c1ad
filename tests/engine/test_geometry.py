"""Crop, resample, turn, flip: a marked point stays where it is in the world, or goes about the centre."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.geometry import (
    box_of,
    cropped,
    flipped,
    quarter_turned,
    resampling,
)


def phantom(dtype: type = np.float32) -> Volume:
    """A block in an oblique volume of thick slices."""
    data = np.zeros((8, 20, 30), dtype)
    data[2:4, 12:16, 21:27] = 100
    matrix = np.eye(4)
    angle = np.deg2rad(20)
    turn = [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    matrix[:3, :3] = np.array(turn) @ np.diag([3.0, 1.0, 0.5])
    matrix[:3, 3] = 7, -4, 11
    return Volume(data, Grid("ZYX", data.shape, Grid.freeze(matrix), "mm", "LPS"), source="a.nii")


def mark(volume: Volume) -> np.ndarray:
    """Where the block's centre of mass lies in the world."""
    data = volume.numpy().astype(float)
    index = [(np.indices(data.shape)[a] * data).sum() / data.sum() for a in range(data.ndim)]
    return volume.grid.to_world(index)


def test_cropping_moves_nothing() -> None:
    source = phantom()
    part = cropped(source, (1, 10, 20), (6, 20, 30))
    assert part.grid.shape == (5, 10, 10)
    np.testing.assert_allclose(mark(part), mark(source))
    assert part.source is None


@pytest.mark.parametrize("spacing", [(1.5, 1, 1), (3, 0.4, 0.4), (3, 2, 2)])
def test_resampling_moves_nothing(spacing: tuple[float, ...]) -> None:
    source = phantom()
    result = run_to_end(resampling(source, spacing))
    np.testing.assert_allclose(mark(result), mark(source), atol=0.05)
    np.testing.assert_allclose(result.grid.spacing, spacing, rtol=0.15)
    corners = [[-0.5] * 3, np.array(source.grid.shape) - 0.5]
    ends = [[-0.5] * 3, np.array(result.grid.shape) - 0.5]
    np.testing.assert_allclose(result.grid.to_world(ends), source.grid.to_world(corners))


def test_whole_numbers_stay_whole_and_labels_keep_their_values() -> None:
    source = phantom(np.uint8)
    assert run_to_end(resampling(source, (3, 2, 1))).dtype == np.uint8
    labels = Volume(source.numpy(), source.grid, is_labels=True)
    result = run_to_end(resampling(labels, (2, 1.3, 1.3)))
    assert set(np.unique(result.numpy())) == {0, 100}


@pytest.mark.parametrize("turns", [1, 2, 3, -1])
def test_turning_goes_about_the_centre(turns: int) -> None:
    source = phantom()
    result = quarter_turned(source, turns)
    n = 3
    centres = [v.grid.to_world((np.array(v.grid.shape) - 1) / 2) for v in (source, result)]
    np.testing.assert_allclose(centres[1], centres[0])
    directions = [v.grid.matrix[:n, :n] / v.grid.spacing for v in (source, result)]
    np.testing.assert_allclose(directions[1], directions[0], atol=1e-12)
    # In the axes of the image: (y, x) goes to (-x, y) at each turn against the clock, rows running down.
    from_centre = [np.linalg.solve(directions[0], mark(v) - centres[0]) for v in (source, result)]
    z, y, x = from_centre[0]
    for _ in range(turns % 4):
        y, x = -x, y
    np.testing.assert_allclose(from_centre[1], (z, y, x), atol=1e-9)


@pytest.mark.parametrize("axis", [-1, -2, -3])
def test_flipping_mirrors_about_the_centre(axis: int) -> None:
    source = phantom()
    result = flipped(source, axis)
    assert result.grid == source.grid
    middle = (np.array(source.grid.shape) - 1) / 2
    inverse = np.linalg.inv(source.grid.matrix)
    places = [(inverse @ np.append(mark(v), 1))[:3] - middle for v in (source, result)]
    places[0][axis] *= -1
    np.testing.assert_allclose(places[1], places[0], atol=1e-9)


def test_four_turns_are_none() -> None:
    source = phantom()
    result = source
    for _ in range(4):
        result = quarter_turned(result, 1)
    assert result.grid == source.grid
    assert (result.numpy() == source.numpy()).all()


def test_channels_and_time_come_along() -> None:
    data = np.random.default_rng(0).normal(size=(2, 3, 10, 12)).astype(np.float32)
    film = Volume(data, Grid.regular("TCYX", data.shape, (1, 1), unit="um"))
    assert cropped(film, (2, 3), (8, 9)).data.shape == (2, 3, 6, 6)
    assert run_to_end(resampling(film, (2, 2))).data.shape == (2, 3, 5, 6)
    assert quarter_turned(film, 1).data.shape == (2, 3, 12, 10)


def test_box_of_labels() -> None:
    labels = np.zeros((6, 9, 9), np.uint8)
    labels[2:4, 3:5, 1:8] = 1
    labels[5, 0, 0] = 2
    assert box_of(labels) == ((2, 0, 0), (6, 5, 8))
    assert box_of(labels, value=1, margin=2) == ((0, 1, 0), (6, 7, 9))
    with pytest.raises(BadInputError, match="found none"):
        box_of(labels, value=7)


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -2), (1e-4, 1e-4, 1e-4)])
def test_spacings_that_make_no_sense_are_refused(spacing: tuple[float, ...]) -> None:
    with pytest.raises(BadInputError, match="expected"):
        run_to_end(resampling(phantom(), spacing))
