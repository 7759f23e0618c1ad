"""Predictions lie where the image lies, seams do not show, cancelling and running out of memory leave no trace."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.errors import BadInputError, JobError, OutOfMemoryError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Log, Progress, run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import Cost, estimate
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.prepare import prepare

from ._fakes import Function, install, model, steps, steps_of

CPU = PredictConfig(device="cpu")


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path))
    install(monkeypatch)


def smooth(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Blobs in 0..1 whose steps are some voxels wide."""
    from scipy.ndimage import gaussian_filter

    array = gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.0)
    array = (array - array.min()) / max(np.ptp(array), 1e-9)
    return array.astype(np.float32)


def volume(array: np.ndarray, axes: str = "ZYX", **grid: Any) -> Volume:
    return Volume(array, Grid.regular(axes, array.shape, **grid))


# -- geometry ---------------------------------------------------------------------------


def test_a_voxelwise_network_comes_back_voxel_exact() -> None:
    array = smooth((13, 21, 18))
    result = run_to_end(predict(volume(array), model(steps, tile=(8, 8, 8)), CPU))
    assert result.grid == volume(array).grid
    assert result.labels is not None
    assert result.labels.dtype == np.uint8
    np.testing.assert_array_equal(result.labels, steps_of(array))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_patient_volumes_of_any_orientation(
    order: tuple[int, ...], flips: tuple[bool, ...]
) -> None:
    shape = (9, 14, 11)
    tilt = np.deg2rad(12)
    oblique = np.eye(4)
    oblique[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    oblique[:3, :3] *= [3.0, 0.9, 0.7]
    grid = Grid("ZYX", shape, Grid.freeze(oblique), "mm", "LPS").reoriented(order, flips)
    array = smooth(grid.shape)
    # Adds a ramp along the working first axis: wrong order or flips would show in the labels.
    ramp = Function(lambda x: steps(x + torch.linspace(0, 0.3, x.shape[2]).view(1, 1, -1, 1, 1)))
    fake = model(ramp, tile=(10, 16, 12), orientation="LPS")
    result = run_to_end(predict(Volume(array, grid), fake, CPU))
    back, undo = grid.closest_orientation()
    turned = array.transpose(back)[tuple(slice(None, None, -1 if f else 1) for f in undo)]
    padded = np.linspace(0, 0.3, 10, dtype=np.float32)[:9].reshape(-1, 1, 1)
    expected = steps_of(turned + padded)
    found = result.labels.transpose(back)[tuple(slice(None, None, -1 if f else 1) for f in undo)]
    np.testing.assert_array_equal(found, expected)
    assert result.grid == grid


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (5.0, 1.3, 0.6)])
def test_scores_are_resampled_linearly_with_outer_faces_kept(spacing: tuple[float, ...]) -> None:
    source = Grid.regular("ZYX", (7, 20, 22), (2.0, 1.0, 1.0), unit="mm", world="LPS")
    array = smooth(source.shape)
    fake = model(lambda x: x * 1.0, tile=(4, 8, 8), task="scores", spacing=spacing, unit="mm")
    result = run_to_end(predict(Volume(array, source), fake, CPU))
    working = prepare(Volume(array, source), fake.spec)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(working.data)[None], size=source.shape, mode="trilinear"
    )[0, 0]
    assert working.grid.shape != source.shape
    np.testing.assert_allclose(result.image, expected.numpy(), atol=1e-3)


def test_2d_models_go_through_a_volume_plane_by_plane() -> None:
    array = smooth((5, 30, 17))
    fake = model(steps, tile=(8, 8))
    events: list[Any] = []
    result = run_to_end(predict(volume(array), fake, CPU), events.append)
    np.testing.assert_array_equal(result.labels, steps_of(array))
    progress = [e for e in events if isinstance(e, Progress)]
    assert progress[0].done == 0
    assert progress[-1].done == progress[0].total
    assert all(len(shape) == 4 for shape in fake.network.seen)


def test_2d_models_keep_z_and_resample_the_plane() -> None:
    grid = Grid.regular("ZYX", (3, 20, 24), (4.0, 1.0, 1.0), unit="um")
    array = np.repeat(smooth((1, 20, 24)), 3, axis=0)
    fake = model(lambda x: x * 1.0, tile=(8, 8), task="scores", spacing=(2.0, 2.0), unit="um")
    result = run_to_end(predict(Volume(array, grid), fake, CPU))
    assert result.image.shape == (3, 20, 24)
    np.testing.assert_array_equal(result.image[0], result.image[2])
    assert np.corrcoef(result.image[1].ravel(), array[1].ravel())[0, 1] > 0.97


def test_planes_channels_and_pictures() -> None:
    array = smooth((2, 25, 31))
    fake = model(
        lambda x: torch.cat([x[:, :1], x[:, 1:]], 1), tile=(16, 16), channels=("a", "b"), classes=1
    )
    source = Volume(array, Grid.regular("CYX", array.shape), channels=("a", "b"))
    result = run_to_end(predict(source, fake, CPU))
    assert result.grid.axes == "YX"
    np.testing.assert_array_equal(result.labels, array.argmax(0))


# -- tiles ------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.8])
def test_seams_are_invisible(overlap: float) -> None:
    array = smooth((19, 23, 26))
    fake = model(lambda x: torch.cat([x, 1 - x], 1), tile=(6, 8, 10), task="scores")
    config = PredictConfig(device="cpu", overlap=overlap)
    result = run_to_end(predict(volume(array), fake, config))
    np.testing.assert_allclose(result.image, array, atol=1e-3)


def test_answers_as_monai_answers() -> None:
    from monai.inferers import sliding_window_inference

    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv3d(1, 4, 3, padding=1),
        torch.nn.InstanceNorm3d(4),
        torch.nn.LeakyReLU(),
        torch.nn.Conv3d(4, 3, 3, padding=1),
    ).eval()
    array = smooth((20, 17, 33))
    result = run_to_end(predict(volume(array), model(network, tile=(8, 8, 8)), CPU))
    with torch.inference_mode():
        expected = sliding_window_inference(
            torch.from_numpy(array)[None, None], (8, 8, 8), 4, network, overlap=0.5, mode="gaussian"
        )[0].argmax(0)
    assert (result.labels == expected.numpy()).mean() > 0.999


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 50), (64, 5, 7)])
def test_images_smaller_than_a_tile(shape: tuple[int, ...]) -> None:
    array = np.full(shape, 0.9, dtype=np.float32)
    result = run_to_end(predict(volume(array), model(steps, tile=(16, 16, 16)), CPU))
    np.testing.assert_array_equal(result.labels, 2)


@pytest.mark.parametrize(("wish", "used"), [((7, 9), (8, 8)), ((1, 1), (4, 8)), (None, (12, 12))])
def test_tiles_are_rounded_to_what_the_network_takes(
    monkeypatch: pytest.MonkeyPatch, wish: tuple[int, int] | None, used: tuple[int, int]
) -> None:
    install(monkeypatch, divisor=4)
    fake = model(steps, tile=(12, 12))
    config = PredictConfig(device="cpu", tile=wish)
    result = run_to_end(predict(volume(smooth((30, 30)), "YX"), fake, config))
    assert {shape[2:] for shape in fake.network.seen} == {used}
    assert result.provenance.parameters["tile"] == list(used)


def test_mirrored_passes_are_averaged_and_turned_back() -> None:
    def shifted(x: torch.Tensor) -> torch.Tensor:
        return torch.roll(x, 1, dims=3)

    array = smooth((16, 16))
    fake = model(shifted, tile=(16, 16), task="scores", mirror_axes=(1,))
    plain = run_to_end(predict(volume(array, "YX"), fake, CPU)).image
    config = PredictConfig(device="cpu", mirror=True)
    mirrored = run_to_end(predict(volume(array, "YX"), fake, config)).image
    np.testing.assert_allclose(plain, np.roll(array, 1, 1), atol=1e-3)
    expected = (np.roll(array, 1, 1) + np.roll(array, -1, 1)) / 2
    np.testing.assert_allclose(mirrored, expected, atol=1e-3)


# -- input ------------------------------------------------------------------------------


def test_nan_constant_and_half_precision_weights() -> None:
    array = smooth((12, 14))
    array[3, 4] = np.nan
    fake = model(steps, tile=(8, 8))
    result = run_to_end(predict(volume(array, "YX"), fake, CPU))
    assert "1 voxels were NaN" in result.provenance.notes[0]
    constant = run_to_end(predict(volume(np.full((12, 14), 7), "YX"), fake, CPU))
    assert len(np.unique(constant.labels)) == 1
    half = torch.nn.Conv2d(1, 3, 1).half()
    run_to_end(predict(volume(smooth((12, 14)), "YX"), model(half, tile=(8, 8)), CPU))


@pytest.mark.parametrize("cancelled", [False, True])
def test_its_end_does_not_look_through_all_objects_of_the_program(
    monkeypatch: pytest.MonkeyPatch, cancelled: bool
) -> None:
    # A full garbage collection holds the GIL: the window stood still for half a second at the end of each prediction.
    full: list[Any] = []
    monkeypatch.setattr("gc.collect", lambda *generation: full.append(generation) or 0)
    job = predict(volume(smooth((24, 28)), "YX"), model(steps, tile=(8, 8)), CPU)
    if cancelled:
        with closing(job):
            next(job)
    else:
        run_to_end(job)
    assert full == []


def test_lazy_input_is_read_one_time_point_at_a_time() -> None:
    import dask.array as da

    frames = np.stack([smooth((12, 10), seed) for seed in range(3)])
    read: list[int] = []

    def block(array: np.ndarray, block_info: Any = None) -> np.ndarray:
        read.append(block_info[0]["chunk-location"][0])
        return array

    lazy = da.from_array(frames, chunks=(1, 12, 10)).map_blocks(
        block, dtype=np.float32, meta=frames
    )
    source = Volume(lazy, Grid.regular("TYX", (3, 12, 10)))
    fake = model(steps, tile=(8, 8))
    one = run_to_end(predict(source, fake, CPU, time=1))
    assert set(read) == {1}
    assert one.grid.axes == "YX"
    np.testing.assert_array_equal(one.labels, steps_of(frames[1]))
    all_of_them = run_to_end(predict(source, fake, CPU))
    assert all_of_them.grid == source.grid
    for found, frame in zip(all_of_them.labels, frames, strict=True):
        np.testing.assert_array_equal(found, steps_of(frame))


def test_scores_of_all_frames_keep_their_names() -> None:
    frames = np.stack([smooth((8, 8)), smooth((8, 8), 1)])
    source = Volume(frames, Grid.regular("TYX", frames.shape))
    result = run_to_end(predict(source, model(lambda x: x * 1, tile=(8, 8), task="scores"), CPU))
    assert set(result.table) == {"peak (frame 0)", "peak (frame 1)"}
    assert result.image.shape == frames.shape


def test_what_does_not_fit_is_said() -> None:
    flat = volume(smooth((8, 8)), "YX")
    with pytest.raises(BadInputError, match="expects 3-D"):
        run_to_end(predict(flat, model(steps, tile=(8, 8, 8)), CPU))
    with pytest.raises(BadInputError, match="time point from 0 to 0, found 4"):
        predict(flat, model(steps, tile=(8, 8)), CPU, time=4)
    bad = model(lambda x: x[..., ::2], tile=(8, 8))
    with pytest.raises(BadInputError, match="expected scores of"):
        run_to_end(predict(flat, bad, CPU))


def test_a_failing_network_is_a_job_error() -> None:
    def broken(x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(JobError, match="mat1 and mat2") as caught:
        run_to_end(predict(volume(smooth((8, 8)), "YX"), model(broken, tile=(8, 8)), CPU))
    assert not isinstance(caught.value, OutOfMemoryError)


# -- jobs -------------------------------------------------------------------------------


def test_progress_counts_every_tile_and_tells_the_time_left() -> None:
    fake = model(steps, tile=(8, 8))
    job = predict(volume(smooth((32, 32)), "YX"), fake, CPU)
    with closing(job):
        first = next(job)
        assert fake.built == 0
        assert not fake.network.seen
    assert isinstance(first, Progress)
    events: list[Any] = []
    run_to_end(predict(volume(smooth((32, 32)), "YX"), fake, CPU), events.append)
    done = [e.done for e in events]
    assert done == sorted(done)
    assert set(done) == set(range(first.total + 1))
    assert events[-1].total == first.total == 49
    assert all(e.seconds_left is None or e.seconds_left >= 0 for e in events)


@pytest.mark.parametrize("stop_after", [1, 2, 5, 9, 20])
def test_cancelled_at_any_yield_it_leaves_nothing(stop_after: int) -> None:
    fake = model(steps, tile=(8, 8))
    array = smooth((32, 32))
    kept = array.copy()
    job = predict(volume(array, "YX"), fake, CPU)
    for _ in range(stop_after):
        next(job)
    calls = len(fake.network.seen)
    job.close()
    assert len(fake.network.seen) == calls
    assert not torch.is_inference_mode_enabled()
    np.testing.assert_array_equal(array, kept)
    result = run_to_end(predict(volume(array, "YX"), fake, CPU))
    np.testing.assert_array_equal(result.labels, steps_of(array))


def test_no_torch_mode_stays_on_between_events() -> None:
    job = predict(volume(smooth((16, 16)), "YX"), model(steps, tile=(8, 8)), CPU)
    for _ in job:
        assert not torch.is_inference_mode_enabled()
        assert torch.is_grad_enabled()


def test_provenance_says_how() -> None:
    result = run_to_end(predict(volume(smooth((16, 16)), "YX"), model(steps, tile=(8, 8)), CPU))
    provenance = result.provenance
    assert (provenance.model, provenance.device) == ("fake", "cpu")
    assert provenance.fingerprint == "0" * 64
    assert provenance.seconds > 0
    assert provenance.parameters["overlap"] == 0.5


# -- memory -----------------------------------------------------------------------------


def test_scores_of_the_whole_volume_never_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 0
    zeros, stack = torch.zeros, torch.stack

    def watch(make: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> torch.Tensor:
            nonlocal largest
            made = make(*args, **kwargs)
            largest = max(largest, made.numel())
            return made

        return wrapper

    monkeypatch.setattr(torch, "zeros", watch(zeros))
    monkeypatch.setattr(torch, "stack", watch(stack))
    array = smooth((96, 16, 16))
    run_to_end(predict(volume(array), model(steps, tile=(8, 8, 8)), CPU))
    assert 0 < largest <= 3 * 8 * 16 * 16
    assert largest < 3 * array.size / 8


class Hungry(torch.nn.Module):
    """Runs out of memory for more than `batch` tiles, or tiles wider than `tile`, as often as asked."""

    def __init__(self, tile: int, message: str = "", kind: type[Exception] = RuntimeError) -> None:
        super().__init__()
        self.tile, self.error = tile, kind(message)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        if data.shape[2] > self.tile or data.shape[0] > 1:
            raise self.error
        return steps(data)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("CUDA out of memory. Tried to allocate 2 GiB", torch.OutOfMemoryError),
        (
            "[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory",
            RuntimeError,
        ),
        ("", MemoryError),
    ],
)
def test_the_ladder_ends_with_the_labels_of_a_direct_run(
    message: str, kind: type[Exception]
) -> None:
    array = smooth((24, 16, 18))
    direct = run_to_end(predict(volume(array), model(steps, tile=(16, 16, 16)), CPU))
    events: list[Any] = []
    fake = model(Hungry(4, message, kind), tile=(16, 16, 16))
    result = run_to_end(predict(volume(array), fake, CPU), events.append)
    np.testing.assert_array_equal(result.labels, direct.labels)
    logs = [e for e in events if isinstance(e, Log)]
    assert [log.level for log in logs] == ["warning"] * 3
    assert "one tile at a time" in logs[0].message
    assert "tiles of 8 × 8 × 8 voxels" in logs[1].message
    assert result.provenance.notes == tuple(log.message for log in logs)
    assert result.provenance.parameters["tile"] == [4, 4, 4]
    progress = [e for e in events if isinstance(e, Progress)]
    assert progress[-1].done == progress[-1].total


def test_every_rung_of_the_ladder() -> None:
    from napari_apprentice.engine._sliding import Plan, next_plan

    plan = Plan("cuda:0", "cuda:0", 4, (24, 8), 0.5, mixed=True)
    said = []
    while (step := next_plan(plan, (4, 8))) is not None:
        plan, how = step
        said.append(how)
    assert said == [
        "one tile at a time",
        "stitching in main memory",
        "tiles of 12 × 8 voxels",
        "tiles of 4 × 16 voxels",
        "the network on the CPU",
    ]
    assert (plan.device, plan.mixed) == ("cpu", False)


def test_when_all_was_tried_it_says_what_to_do() -> None:
    fake = model(Hungry(0, "out of memory"), tile=(16, 16))
    with pytest.raises(OutOfMemoryError, match="choose a smaller tile"):
        run_to_end(predict(volume(smooth((20, 20)), "YX"), fake, CPU))


# -- cost -------------------------------------------------------------------------------


def test_an_estimate_counts_the_tiles_that_will_run() -> None:
    source = volume(smooth((20, 30, 40)))
    fake = model(steps, tile=(8, 8, 8))
    cost = estimate(source, fake.spec, CPU)
    assert not cost.measured
    run_to_end(predict(source, fake, CPU))
    assert sum(shape[0] for shape in fake.network.seen) == cost.tiles
    measured = estimate(source, fake.spec, CPU)
    assert measured.measured
    assert measured.tiles == cost.tiles
    assert measured.seconds > 0
    assert measured.memory_bytes > source.nbytes


def test_tiles_overlap_as_the_model_says_unless_told_otherwise() -> None:
    source = volume(smooth((20, 30, 40)))
    half = model(steps, tile=(8, 8, 8))
    none = model(steps, tile=(8, 8, 8), overlap=0.0)
    assert estimate(source, none.spec, CPU).tiles < estimate(source, half.spec, CPU).tiles
    prediction = run_to_end(predict(source, none, CPU))
    assert prediction.provenance.parameters["overlap"] == 0.0
    wish = PredictConfig(device="cpu", overlap=0.5)
    assert estimate(source, none.spec, wish).tiles == estimate(source, half.spec, CPU).tiles


def test_an_unreadable_memory_of_speeds_is_no_error(tmp_path: Any) -> None:
    (tmp_path / "speed.json").write_text("{]")
    source, fake = volume(smooth((16, 16)), "YX"), model(steps, tile=(8, 8))
    assert estimate(source, fake.spec, CPU).seconds > 0
    (tmp_path / "speed.json").unlink()
    (tmp_path / "speed.json").mkdir()
    run_to_end(predict(source, fake, CPU))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.01, "1 s"), (3.2, "3 s"), (240, "4 min"), (9000, "2.5 h")]
)
def test_costs_are_told_with_units(seconds: float, text: str) -> None:
    assert Cost(seconds, 234_000_000, "cpu", 5).describe() == f"≈ {text} on CPU · 0.2 GB"


def test_importing_and_estimating_loads_no_torch() -> None:
    code = """
import sys
import numpy as np
import napari_apprentice.engine.predict as p, napari_apprentice.engine.cost as c
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.core.grid import Grid
class Net:
    def divisor(self, *, ndim, args): return (8,) * ndim
c.NETWORKS = {"fake": Net()}
spec = ModelSpec(name="m", task="semantic", network="fake", ndim=3, tile=(64, 64, 64))
shape = (10_000, 100_000, 100_000)  # nobody would come to the end of a pass over it
volume = Volume(np.broadcast_to(np.uint8(0), shape), Grid.regular("ZYX", shape))
p.estimate(volume, spec, PredictConfig())
assert not {"torch", "monai"} & set(sys.modules), "torch was loaded"
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, timeout=60, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_replacing_the_spec_changes_nothing_else() -> None:
    fake = model(steps, tile=(8, 8))
    spec = fake.spec.model_copy(update={"tile": (16, 16)})
    larger = replace(fake, spec=spec)
    array = smooth((40, 30))
    both = [run_to_end(predict(volume(array, "YX"), m, CPU)).labels for m in (fake, larger)]
    np.testing.assert_array_equal(*both)
