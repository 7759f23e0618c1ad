"""Learning from images without labels: hidden voxels, pairs, what is refused; the restored image on its own grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, Extent
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Log, Metric, Preview, run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.hidden import LessonArray, LessonSampler, hide, prepare_lessons
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.prepare import prepare
from napari_apprentice.engine.restore import in_units
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import train
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS

QUICK = TrainConfig(device="cpu", steps=4, checks=1, batch_size=2)


def small(task: str = "restoration", lesson: str = "hidden", **more: Any) -> ModelSpec:
    base: dict[str, Any] = {
        "name": "tiny",
        "task": task,
        "network": "unet",
        "network_args": {
            "channels": [4, 8],
            "strides": [2],
            "num_res_units": 0,
            "norm": "batch",
        },
        "ndim": 2,
        "tile": (16, 16),
        "mirror_axes": (0, 1),
        "task_args": {"lesson": lesson},
    }
    return ModelSpec(**base | more)


def item(shape: tuple[int, ...] = (40, 36), *, clean: bool = False, seed: int = 0) -> TrainItem:
    rng = np.random.default_rng(seed)
    grid = Grid.regular("ZYX"[-len(shape) :], shape, (0.5,) * len(shape), unit="um")
    truth = 500 + 300 * np.sin(np.arange(shape[-1]) / 4) * np.ones(shape)
    noisy = np.clip(truth + rng.normal(0, 60, shape), 0, None).astype(np.uint16)
    said = Annotation.of_clean(grid, truth[np.newaxis] if clean else None)
    return TrainItem(f"image {seed}", Volume(noisy, grid), said)


class Same(torch.nn.Module):
    """Gives back what it sees."""

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        return data


def fake_model(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setattr(Model, "build", lambda _: Same())
    return Model(spec, {})


def test_only_hidden_voxels_are_asked_and_their_own_value_is_gone() -> None:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(2, 2, 32, 32)).astype(np.float32)
    seen, asked = hide(data, data, rng, share=0.1)
    hidden = np.isfinite(asked)
    assert 0.05 < hidden.mean() < 0.15
    np.testing.assert_array_equal(hidden[:, 0], hidden[:, 1])  # all channels of a voxel
    np.testing.assert_array_equal(asked[hidden], data[hidden])
    np.testing.assert_array_equal(seen[~hidden], data[~hidden])
    assert (seen[hidden] != data[hidden]).all()
    assert np.isin(seen[hidden], data).all()  # values of neighbours
    thin = rng.normal(size=(1, 1, 1, 40)).astype(np.float32)
    assert np.isfinite(hide(thin, thin, rng, share=0.5)[0]).all()


@pytest.mark.parametrize("patch", [(16, 16), (64, 16)])
def test_patches_of_pairs_stay_together(patch: tuple[int, int]) -> None:
    data = np.random.default_rng(1).normal(size=(1, 40, 36)).astype(np.float32)
    target = 2 * data
    target[:, :20] = np.nan
    sampler = LessonSampler(
        [LessonArray("a", data, target)],
        patch,
        hides=False,
        axes=(0, 1),
        generator=np.random.default_rng(0),
    )
    seen, asked = sampler.draw(6)
    assert seen.shape == asked.shape == (6, 1, *patch)
    known = np.isfinite(asked)
    assert all(known[n].any() for n in range(6))
    np.testing.assert_array_equal(asked[known], 2 * seen[known])


def test_values_that_are_no_numbers_are_never_asked() -> None:
    one = item()
    voxels = one.volume.numpy().astype(np.float32)
    voxels[3, 4] = np.nan
    one = replace(one, volume=replace(one.volume, data=voxels))
    arrays, _ = run_to_end(prepare_lessons([one], TASKS["restoration"], small()))
    assert np.isfinite(arrays[0].data).all()
    assert np.isnan(arrays[0].target[0, 3, 4])
    assert np.isfinite(arrays[0].target).mean() > 0.99


def test_a_volume_is_planes_for_a_flat_model_and_only_what_counts_is_asked() -> None:
    one = item((4, 20, 20), clean=True)
    said = replace(one.annotation, extent=Extent(slices=((0, 1), (0, 2))))
    arrays, _ = run_to_end(
        prepare_lessons(
            [replace(one, annotation=said)], TASKS["restoration"], small(lesson="pairs")
        )
    )
    assert [a.name for a in arrays] == ["image 0 z1", "image 0 z2"]


@pytest.mark.parametrize("clean", [True, False])
def test_it_learns_from_one_image_shows_it_and_goes_on_where_it_stopped(
    tmp_path: Path, clean: bool
) -> None:
    spec = small(lesson="pairs" if clean else "hidden")
    events: list[Any] = []
    twice = QUICK.model_copy(update={"checks": 2})
    how: dict[str, Any] = {"init": spec, "task": "restoration", "folder": tmp_path}
    result = run_to_end(train([item(clean=clean)], config=twice, **how), events.append)
    primary = "psnr_db" if clean else "hidden_psnr_db"
    assert next(iter(result.after)) == primary
    assert ("noisy_psnr_db" in result.after) == clean
    assert any(isinstance(e, Metric) and e.name == f"held-out {primary}" for e in events)
    assert any(isinstance(e, Log) and "rows" in e.message for e in events)
    more = twice.model_copy(update={"steps": 6})
    again = run_to_end(train([item(clean=clean)], config=more, resume=True, **how))
    assert again.steps == 6


def test_the_preview_has_the_units_of_the_image(tmp_path: Path) -> None:
    previews: list[Preview] = []
    config = QUICK.model_copy(update={"checks": 2})
    job = train([item()], init=small(), config=config, folder=tmp_path, task="restoration")
    run_to_end(job, lambda e: previews.append(e) if isinstance(e, Preview) else None)
    assert previews
    assert not previews[0].labels
    assert previews[0].data.dtype == np.uint16
    assert previews[0].grid.spacing == (0.5, 0.5)


def test_two_images_hold_one_out(tmp_path: Path) -> None:
    items = [item(seed=0), item((24, 24), seed=1)]
    job = train(items, init=small(), config=QUICK, folder=tmp_path, task="restoration")
    result = run_to_end(job)
    assert len(result.split.train) == len(result.split.held_out) == 1


def test_an_image_smaller_than_a_patch_can_be_learned_from_and_restored(tmp_path: Path) -> None:
    one = item((9, 11))
    job = train([one], init=small(), config=QUICK, folder=tmp_path, task="restoration")
    result = run_to_end(job)
    model = Model(result.spec, result.state)
    answer = run_to_end(predict(one.volume, model, PredictConfig(device="cpu")))
    assert answer.image is not None
    assert answer.image.shape == (9, 11)


def test_what_cannot_be_learned_from_is_said(tmp_path: Path) -> None:
    def refused(items: list[TrainItem]) -> str:
        with pytest.raises(BadInputError) as caught:
            run_to_end(
                train(items, init=small(), config=QUICK, folder=tmp_path, task="restoration")
            )
        return str(caught.value)

    assert "found none" in refused([])
    one = item()
    flat = replace(one, volume=replace(one.volume, data=np.full((40, 36), 7, np.uint8)))
    assert "the same value everywhere" in refused([flat])
    nan = replace(one, volume=replace(one.volume, data=np.full((40, 36), np.nan)))
    assert "the same value everywhere" in refused([nan])
    assert "for all images or for none" in refused([one, item(clean=True, seed=1)])
    two = Annotation.of_clean(one.volume.grid, np.zeros((2, 40, 36)))
    assert "expected a clean image of (1, 40, 36)" in refused([replace(one, annotation=two)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64", "bool"]
)
def test_units_and_kind_of_numbers_come_back(dtype: str) -> None:
    rng = np.random.default_rng(0)
    voxels = (rng.random((2, 12, 14)) * 200).astype(dtype)
    volume = Volume(voxels, Grid.regular("YX", (12, 14)).with_channels(2))
    prepared = prepare(volume, small(channels=("a", "b")))
    back = in_units(prepared.data, prepared, volume.dtype)
    assert back.dtype == (
        voxels.dtype if np.dtype(dtype).kind == "i" or dtype[:4] == "uint" else np.float32
    )
    np.testing.assert_allclose(back, voxels.astype(np.float32), rtol=1e-5, atol=1e-4)


def test_integers_are_held_within_their_range() -> None:
    volume = Volume(np.array([[0, 255], [0, 255]], np.uint8), Grid.regular("YX", (2, 2)))
    prepared = prepare(volume, small())
    back = in_units(prepared.data * 3, prepared, volume.dtype)
    np.testing.assert_array_equal(back[0], [[0, 255], [0, 255]])


@pytest.mark.parametrize(
    ("axes", "shape"), [("YX", (70, 50)), ("ZYX", (3, 40, 30)), ("TCYX", (2, 2, 30, 40))]
)
def test_the_restored_image_lies_on_its_source_without_seams(
    axes: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    voxels = np.random.default_rng(0).integers(0, 60_000, shape).astype(np.uint16)
    spatial = [a for a in axes if a in "ZYX"]
    grid = Grid.regular("".join(spatial), shape[-len(spatial) :], (0.3,) * len(spatial), unit="um")
    if "C" in axes:
        grid = grid.with_channels(2)
    if "T" in axes:
        grid = replace(grid, axes=axes, shape=shape)
    channels = ("a", "b") if "C" in axes else ("image",)
    model = fake_model(small(channels=channels), monkeypatch)
    answer = run_to_end(predict(Volume(voxels, grid), model, PredictConfig(device="cpu")))
    assert answer.image is not None
    assert answer.grid == grid
    assert answer.image.dtype == np.uint16
    # Blending adds and divides in single precision: one grey value of 60,000.
    assert np.abs(answer.image.astype(int) - voxels).max() <= 1


def test_a_constant_image_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = Volume(np.full((20, 20), 42, np.uint8), Grid.regular("YX", (20, 20)))
    model = fake_model(small(), monkeypatch)
    answer = run_to_end(predict(volume, model, PredictConfig(device="cpu")))
    np.testing.assert_array_equal(answer.image, volume.data)


def test_an_anomaly_map_is_in_deviations(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = item().volume
    model = fake_model(small("anomaly", "itself", mirror_axes=()), monkeypatch)
    answer = run_to_end(predict(volume, model, PredictConfig(device="cpu")))
    assert answer.image is not None
    assert (answer.image.dtype, answer.grid) == (np.float32, volume.grid)
    assert answer.table["anomaly"] == pytest.approx(0.0, abs=1e-4)


@pytest.fixture(autouse=True)
def _home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], None]:
    monkeypatch.setenv("NAPARI_APPRENTICE_HOME", str(tmp_path_factory.mktemp("home")))
    return lambda: None
