"""From a volume to what a network sees, and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from scipy.ndimage import gaussian_filter1d

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.spec import ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine._resample import resample
from napari_apprentice.engine.prepare import (
    axis_zooms,
    fits,
    labels_to_working,
    normalize,
    prepare,
    preparing,
)


def spec(ndim: int = 3, **more: object) -> ModelSpec:
    known = {"name": "m", "task": "semantic", "network": "unet", "ndim": ndim, "tile": (8,) * ndim}
    return ModelSpec.model_validate(known | more)


def volume(shape: tuple[int, ...] = (4, 6, 8), **more: object) -> Volume:
    axes = "CZYX"[-len(shape) :] if "axes" not in more else str(more.pop("axes"))
    grid = Grid.regular(axes, shape, **more)
    return Volume(np.random.default_rng(0).normal(size=shape), grid)


@pytest.mark.parametrize(
    ("given", "model", "reason"),
    [
        (volume((6, 8)), spec(3), "expects 3-D"),
        (volume((3, 6, 8), axes="CYX"), spec(2), "expects 1 channel, found 3"),
        (volume((4, 6, 8)), spec(3, channels=("a", "b")), "expects 2 channels, found 1"),
        (volume((4, 6, 8)), spec(2), None),
        (volume((4, 6, 8)), spec(3), None),
    ],
)
def test_a_model_says_why_it_cannot_take_a_volume(
    given: Volume, model: ModelSpec, reason: str | None
) -> None:
    assert fits(given, model) == reason
    if reason is not None:
        with pytest.raises(BadInputError, match=reason):
            prepare(given, model)


def test_a_colour_image_is_called_one() -> None:
    colour = Volume(np.zeros((3, 4, 4), "u1"), Grid.regular("CYX", (3, 4, 4)), rgb=True)
    assert "colour" in str(fits(colour, spec(2)))


def test_patients_are_turned_to_the_models_orientation() -> None:
    matrix = np.diag([1.0, -1.0, -1.0, 1.0])
    grid = Grid("ZYX", (4, 6, 8), Grid.freeze(matrix), "mm", "LPS")
    given = Volume(np.arange(4 * 6 * 8, dtype=float).reshape(4, 6, 8), grid)
    prepared = prepare(given, spec(orientation="LPS"))
    assert prepared.flips == (False, True, True)
    order = np.argsort(prepared.data[0].ravel())
    expected = np.argsort(given.numpy()[:, ::-1, ::-1].ravel())
    np.testing.assert_array_equal(order, expected)


def test_resampling_goes_to_the_models_spacing_in_its_own_unit() -> None:
    given = volume((4, 6, 8), spacing=(4000.0, 1000.0, 1000.0), unit="um")
    prepared = prepare(given, spec(spacing=(2.0, 1.0, 1.0), unit="mm"))
    assert prepared.grid.shape == (8, 6, 8)
    assert prepared.grid.spacing == pytest.approx((2000, 1000, 1000))


def test_a_plane_model_keeps_z() -> None:
    given = volume((5, 12, 12), spacing=(4.0, 0.5, 0.5), unit="um")
    prepared = prepare(given, spec(2, spacing=(1.0, 1.0), unit="um"))
    assert prepared.grid.shape == (5, 6, 6)


def test_unknown_voxel_size_is_said() -> None:
    prepared = prepare(volume(), spec(spacing=(1.0, 1.0, 1.0), unit="mm"))
    assert prepared.grid.shape == (4, 6, 8)
    assert "voxel size unknown" in prepared.notes[0]


def test_a_smooth_ramp_survives_resampling() -> None:
    ramp = np.broadcast_to(np.arange(32.0), (8, 8, 32)).copy()
    given = Volume(ramp, Grid.regular("ZYX", ramp.shape, (1, 1, 1), unit="mm"))
    prepared = prepare(
        given,
        spec(
            spacing=(1, 1, 2), unit="mm", normalization=Normalization(kind="window", low=0, high=31)
        ),
    )
    inner = prepared.data[0, 4, 4, 3:-3] * 31
    np.testing.assert_allclose(inner, np.arange(16)[3:-3] * 2 + 0.5, atol=0.05)


def test_nan_is_replaced_and_said() -> None:
    data = np.random.default_rng(0).normal(5, 1, (4, 6, 8))
    data[0, 0, 0], data[1, 1, 1] = np.nan, np.inf
    prepared = prepare(Volume(data, Grid.regular("ZYX", data.shape)), spec())
    assert np.isfinite(prepared.data).all()
    assert "2 voxels" in prepared.notes[0]


@pytest.mark.parametrize("kind", ["zscore", "percentile"])
def test_a_constant_image_becomes_zero(kind: str) -> None:
    out = normalize(np.full((1, 4, 4), 7e6, np.float32), Normalization(kind=kind))
    assert np.isfinite(out).all()
    assert float(np.abs(out).max()) == 0


def test_scaling_the_image_changes_nothing() -> None:
    data = np.random.default_rng(0).gamma(2, 1, (1, 20, 20)).astype(np.float32)
    for kind in ("zscore", "percentile"):
        how = Normalization(kind=kind)
        np.testing.assert_allclose(
            normalize(data, how), normalize(data * 1e5 + 3e4, how), atol=5e-3
        )


def test_labels_follow_the_image() -> None:
    grid = Grid.regular("ZYX", (4, 6, 8), (2, 1, 1), unit="mm")
    given = Volume(np.random.default_rng(0).normal(size=grid.shape), grid)
    prepared = prepare(given, spec(spacing=(1, 1, 1), unit="mm"))
    labels = np.zeros(grid.shape, "u1")
    labels[1, 2:4] = 3
    working = labels_to_working(labels, prepared)
    assert working.shape == prepared.grid.shape
    assert set(np.unique(working)) == {0, 3}
    np.testing.assert_array_equal(np.flatnonzero(working.any((1, 2))), [2, 3])
    with pytest.raises(GridMismatchError):
        labels_to_working(labels[1:], prepared)


@pytest.mark.parametrize("shape", [(2, 9, 31, 12), (1, 30, 17)])
@pytest.mark.parametrize("factor", [0.4, 1.7])
def test_axis_by_axis_is_the_same_as_all_axes_at_once(
    shape: tuple[int, ...], factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_apprentice.engine._resample._SLAB_BYTES", 300)
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    wanted = [round(n * factor) for n in shape[1:]]
    found = run_to_end(resample(data, wanted))
    blurred = data
    for axis, new in enumerate(wanted, start=1):
        if new < shape[axis]:
            blurred = gaussian_filter1d(
                blurred, (shape[axis] / new - 1) / 2, axis=axis, mode="nearest"
            )
    mode = {2: "bilinear", 3: "trilinear"}[len(wanted)]
    expected = functional.interpolate(
        torch.from_numpy(blurred)[None], size=wanted, mode=mode, align_corners=False
    )
    np.testing.assert_allclose(found, expected[0].numpy(), atol=1e-5)


def test_a_lazy_volume_is_read_a_slab_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy:
        dtype, shape = np.dtype("u2"), (10, 4, 4)

        def __init__(self) -> None:
            self.asked: list[object] = []

        def __getitem__(self, key: object) -> np.ndarray:
            self.asked.append(key)
            return np.arange(160, dtype="u2").reshape(10, 4, 4)[key]

    monkeypatch.setattr("napari_apprentice.engine._resample._SLAB_BYTES", 3 * 64)
    lazy = Lazy()
    job = preparing(Volume(lazy, Grid.regular("ZYX", lazy.shape)), spec())
    assert [next(job), next(job)][1] == Progress("reading the image", 3, 10, "plane")
    assert lazy.asked == [(slice(0, 3),)]
    prepared = run_to_end(job)
    assert len(lazy.asked) == 4
    np.testing.assert_array_equal(np.argsort(prepared.data.ravel()), np.arange(160))


def test_time_has_to_be_chosen_first() -> None:
    with pytest.raises(BadInputError, match="single time point"):
        prepare(volume((2, 6, 8), axes="TYX"), spec(2))


def test_zooming_out_keeps_slices_that_lie_far_apart() -> None:
    assert axis_zooms((2.0, 1.0, 1.0), 0.8) == (1.0, 0.8, 0.8)
    assert axis_zooms((2.0, 1.0, 1.0), 0.25) == (0.5, 0.25, 0.25), "as long as wide, and no finer"
    assert axis_zooms((1.0, 1.0), 0.5) == (0.5, 0.5)
    assert axis_zooms((0.5, 1.0, 1.0), 0.5) == (0.5, 0.5, 0.5), "finer slices are zoomed as pixels"
    assert axis_zooms((4.0, 1.0, 1.0), 2.0) == (2.0, 2.0, 2.0)
