from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.measure.image_quality import image_quality_scores, psnr, ssim


@pytest.fixture
def pair():
    random = np.random.default_rng(0)
    reference = random.random((24, 32, 28)).cumsum(axis=1) / 32
    return reference + random.normal(scale=0.05, size=reference.shape), reference


def test_psnr_of_a_constant_error_follows_from_its_formula():
    reference = np.full((8, 8), 100, np.uint8)

    # Unsigned: 100 - 110 must not wrap around to 246.
    assert psnr(reference + 10, reference, 255) == pytest.approx(20 * np.log10(255 / 10))
    assert psnr(reference - 10, reference, 255) == pytest.approx(20 * np.log10(255 / 10))


def test_equal_images_are_perfect(pair):
    _, reference = pair

    assert psnr(reference, reference, 1.0) == np.inf
    assert ssim(reference, reference, 1.0) == pytest.approx(1.0)


def test_more_noise_scores_lower(pair):
    noisy, reference = pair
    noisier = reference + 3 * (noisy - reference)

    assert psnr(noisier, reference, 1.0) == pytest.approx(
        psnr(noisy, reference, 1.0) - 20 * np.log10(3)
    )
    assert ssim(noisier, reference, 1.0) < ssim(noisy, reference, 1.0) < 1


def test_agrees_with_monai(pair):
    torch = pytest.importorskip("torch")
    from monai.metrics import PSNRMetric, SSIMMetric

    for noisy, reference in (pair, (pair[0][0], pair[1][0])):
        tensors = [torch.from_numpy(a[None, None]) for a in (noisy, reference)]
        expected = SSIMMetric(spatial_dims=noisy.ndim, data_range=1.0)(*tensors).item()
        assert ssim(noisy, reference, 1.0) == pytest.approx(expected, abs=1e-5)
        expected = PSNRMetric(max_val=1.0)(*tensors).item()
        assert psnr(noisy, reference, 1.0) == pytest.approx(expected, rel=1e-6)


def test_a_thin_stack_is_scored_plane_by_plane(pair):
    noisy, reference = (array[:4] for array in pair)

    planes = [ssim(a, b, 1.0) for a, b in zip(noisy, reference, strict=True)]

    assert ssim(noisy, reference, 1.0) == pytest.approx(np.mean(planes))


def test_flat_names(pair):
    scores = image_quality_scores(*pair, data_range=1.0)

    assert scores["psnr_db"] == psnr(*pair, 1.0)
    assert scores["ssim"] == ssim(*pair, 1.0)
    assert scores["mae"] == pytest.approx(np.abs(pair[0] - pair[1]).mean())


def test_what_does_not_fit_is_refused(pair):
    noisy, reference = pair
    for data_range in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(BadInputError, match="data range"):
            psnr(noisy, reference, data_range)
    with pytest.raises(GridMismatchError):
        ssim(noisy[:5], reference, 1.0)
    with pytest.raises(BadInputError, match="finite"):
        psnr(np.full((3, 3), np.nan), np.zeros((3, 3)), 1.0)
    with pytest.raises(BadInputError, match="finite"):
        psnr(np.empty((0, 3)), np.empty((0, 3)), 1.0)
    with pytest.raises(BadInputError, match="11 voxels"):
        ssim(noisy[:8, :8], reference[:8, :8], 1.0)
    with pytest.raises(BadInputError, match="11 voxels"):
        ssim(noisy[0, 0], reference[0, 0], 1.0)
