"""What each filter is for: less noise, a flat background, an even field."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, grey_opening, median_filter

from napari_apprentice.core.errors import BadInputError, MissingDependencyError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import FilterSpec
from napari_apprentice.engine.filters import filtered
from napari_apprentice.engine.filters._filter import by_blocks, widths


def run(
    data: Any, name: str, spacing: tuple[float, ...] | None = None, **args: Any
) -> np.ndarray[Any, np.dtype[np.float32]]:
    steps = [FilterSpec(name=name, args=args)]
    array = np.asarray(data, np.float32)[np.newaxis]
    return filtered(array, steps, ndim=array.ndim - 1, spacing=spacing)[0]


def scene() -> tuple[Any, Any]:
    """A clean picture of blocks and the same with noise of deviation 10."""
    clean = np.full((64, 64), 50.0)
    clean[10:30, 10:40] = 150
    clean[40:56, 20:60] = 100
    return clean, clean + np.random.default_rng(1).normal(0, 10, clean.shape)


@pytest.mark.parametrize(
    ("name", "share"),
    [("gaussian", 0.95), ("median", 0.65), ("non_local_means", 0.35), ("total_variation", 0.35)],
)
def test_denoising_comes_nearer_to_the_truth(name: str, share: float) -> None:
    clean, noisy = scene()
    before = np.sqrt(np.mean((noisy - clean) ** 2))
    after = np.sqrt(np.mean((run(noisy, name) - clean) ** 2))
    assert after < share * before


def test_what_is_small_stays_on_an_even_background() -> None:
    x = np.indices((96, 96))[1]
    ramp = 0.5 * x + 10
    spots = np.zeros((96, 96))
    spots[20:24, 20:24] = spots[70:74, 80:84] = 100
    result = run(ramp + spots, "background", radius=8)
    assert abs(result[spots > 0].mean() - 100) < 8
    assert np.abs(result[spots == 0]).max() < 0.12 * np.ptp(ramp)
    dark = run(200 - spots + ramp, "background", radius=8, objects="dark")
    np.testing.assert_allclose(dark[spots > 0].mean(), -100, atol=8)


def test_local_contrast_shows_the_dim_half_as_well() -> None:
    rng = np.random.default_rng(0)
    texture = gaussian_filter(rng.normal(0, 1, (64, 128)), 2)
    data = np.where(np.arange(128) < 64, 100 + 20 * texture, 1000 + 200 * texture)
    result = run(data, "local_contrast", size=32, clip=0.05)
    shares = [a[:, :48].std() / np.ptp(a) for a in (data, result)]
    assert shares[1] > 2 * shares[0]
    np.testing.assert_allclose([result.min(), result.max()], [data.min(), data.max()], rtol=1e-3)


@pytest.mark.parametrize("shape", [(48, 56), (12, 32, 36)])
def test_the_bias_field_is_found(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    where = np.indices(shape)
    centre = [n / 2 for n in shape]
    radius = [0.42 * n for n in shape]
    inside = sum(((w - c) / r) ** 2 for w, c, r in zip(where, centre, radius, strict=True)) < 1
    field = np.exp(0.5 * np.sin(2 * where[-1] / shape[-1]))
    data = np.where(inside, 100 * field, 5) + rng.normal(0, 1, shape)
    result = run(data, "bias_field", steps=15, longest=28)
    before, after = (np.std(a[inside]) / np.mean(a[inside]) for a in (data, result))
    assert after < 0.4 * before
    assert abs(result[inside].mean() / data[inside].mean() - 1) < 0.1


def test_without_its_library_the_bias_field_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingDependencyError, match=r"bias field.*napari-apprentice\[mri\]"):
        run(np.ones((8, 8)), "bias_field")


def test_blocks_come_to_the_same_as_the_whole() -> None:
    data = np.random.default_rng(0).normal(size=(40, 9, 8)).astype(np.float32)

    def change(part: Any) -> Any:
        return median_filter(part, 5, mode="nearest")

    assert (run_to_end(by_blocks(data, (2, 2, 2), 1, change)) == change(data)).all()


@pytest.mark.parametrize("name", ["non_local_means", "total_variation"])
def test_no_seam_is_seen_between_blocks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module(f"napari_apprentice.engine.filters.{name}")
    clean = np.pad(np.full((60, 60), 100.0), 20, constant_values=50)
    noisy = clean + np.random.default_rng(0).normal(0, 10, clean.shape)
    blocks = {"non_local_means": "_COMPARISONS", "total_variation": "_VOXEL_STEPS"}[name]
    whole, parts = (
        (monkeypatch.setattr(module, blocks, size), run(noisy, name))[1] for size in (10**9, 1)
    )
    assert np.abs(whole - parts).max() < 0.5


def test_filters_along_axes_come_to_the_same_as_all_at_once() -> None:
    data = np.random.default_rng(0).normal(size=(12, 20, 9)).astype(np.float32)
    spacing = (2.0, 1.0, 1.0)
    blurred = run(data, "gaussian", spacing, sigma=1.5)
    np.testing.assert_allclose(
        blurred, gaussian_filter(data, (0.75, 1.5, 1.5), mode="nearest"), atol=1e-5
    )
    below = gaussian_filter(
        grey_opening(data, (3, 5, 5), mode="nearest"), (0.5, 1, 1), mode="nearest"
    )
    np.testing.assert_allclose(run(data, "background", spacing, radius=2), data - below, atol=1e-5)


def test_lengths_are_the_same_in_the_world_along_coarser_axes() -> None:
    assert widths(4, (3.0, 1.0, 1.0)) == (3, 9, 9)
    point = np.zeros((9, 21, 21))
    point[4, 10, 10] = 1
    result = run(point, "gaussian", (3.0, 1.0, 1.0), sigma=2)
    deviations = [
        np.sqrt((result * (np.indices(point.shape)[a] - point.shape[a] // 2) ** 2).sum())
        for a in range(3)
    ]
    np.testing.assert_allclose(deviations, [2 / 3, 2, 2], rtol=0.05)


def test_filters_are_applied_in_order() -> None:
    _, noisy = scene()
    steps = [FilterSpec(name="median"), FilterSpec(name="gaussian", args={"sigma": 2})]
    array = noisy[np.newaxis].astype(np.float32)
    result = filtered(array, steps, ndim=2)[0]
    np.testing.assert_array_equal(result, run(run(noisy, "median"), "gaussian", sigma=2))
    assert filtered(array, (), ndim=2) is array


def test_a_name_that_does_not_exist_is_said() -> None:
    with pytest.raises(BadInputError, match=r"no filter named 'medain'.*median"):
        run(np.ones((4, 4)), "medain")
