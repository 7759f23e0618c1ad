"""Smoothing without learning: units, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.baselines import BASELINES, SmoothConfig, smooth
from napari_apprentice.measure.image_quality import psnr
from napari_apprentice.measure.noise import noise_deviation


def image(shape: tuple[int, ...] = (150, 140)) -> tuple[np.ndarray, np.ndarray]:
    clean = gaussian_filter(np.random.default_rng(0).random(shape), 4)
    clean = 200 + 600 * (clean - clean.min()) / np.ptp(clean)
    return clean, clean + np.random.default_rng(1).normal(0, 40, shape)


@pytest.mark.parametrize("method", BASELINES)
def test_noise_goes_and_units_stay(method: str) -> None:
    clean, noisy = image()
    grid = Grid.regular("YX", clean.shape, (0.5, 0.5), unit="um")
    events: list[object] = []
    volume = Volume(noisy.clip(0).astype(np.uint16), grid)
    answer = run_to_end(smooth(volume, method), events.append)
    assert answer.image is not None
    assert (answer.image.dtype, answer.grid) == (np.uint16, grid)
    assert len(events) >= 2  # it can be cancelled between them
    assert psnr(answer.image, clean, 600) > psnr(noisy, clean, 600) + 4


def test_the_strength_is_that_of_the_filter() -> None:
    _, noisy = image()
    volume = Volume(noisy.astype(np.float32), Grid.regular("YX", noisy.shape))
    answer = run_to_end(smooth(volume, "gaussian", SmoothConfig(strength=2)))
    np.testing.assert_allclose(
        answer.image, gaussian_filter(noisy.astype(np.float32), 2.6, mode="nearest"), rtol=1e-4
    )


@pytest.mark.parametrize("method", BASELINES)
def test_frames_channels_planes_and_nan(method: str) -> None:
    voxels = np.random.default_rng(0).random((2, 2, 3, 20, 22)).astype(np.float32)
    voxels[0, 0, 1, 3, 4] = np.nan
    grid = Grid.regular("ZYX", (3, 20, 22))
    grid = Grid("TCZYX", voxels.shape, grid.affine, grid.unit, grid.world, None)
    answer = run_to_end(smooth(Volume(voxels, grid), method))
    assert answer.image is not None
    assert answer.image.shape == voxels.shape
    assert np.isfinite(answer.image).all()


@pytest.mark.parametrize("method", BASELINES)
def test_a_constant_image_stays_as_it_is(method: str) -> None:
    volume = Volume(np.full((20, 20), 9, np.uint8), Grid.regular("YX", (20, 20)))
    answer = run_to_end(smooth(volume, method))
    np.testing.assert_array_equal(answer.image, volume.data)


def test_what_cannot_be_smoothed_is_said() -> None:
    grid = Grid.regular("YX", (9, 9))
    with pytest.raises(BadInputError, match="no method named 'median'"):
        run_to_end(smooth(Volume(np.zeros((9, 9)), grid), "median"))
    with pytest.raises(BadInputError, match="expected numbers, found complex"):
        run_to_end(smooth(Volume(np.zeros((9, 9), complex), grid), "gaussian"))


def test_noise_is_measured_whatever_lies_beneath() -> None:
    _, noisy = image()
    assert noise_deviation(noisy) == pytest.approx(40, rel=0.1)
    noisy[0, 0] = np.nan
    assert noise_deviation(noisy) == pytest.approx(40, rel=0.1)
    assert noise_deviation(np.zeros((1, 1))) == 0.0
