"""Learning to make images up: what is drawn, what is refused, how it ends, how it goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, TrainingDivergedError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, Metric, Preview, Progress, run_to_end
from napari_apprentice.core.spec import ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.checkpoints import BEST, LAST, read_checkpoint
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.contest import PictureSampler
from napari_apprentice.engine.contest_check import real_set
from napari_apprentice.engine.images import ImageArray
from napari_apprentice.engine.looks import Looks, with_kinds
from napari_apprentice.engine.made import between, kinds_in_turn, latent_of, picture_sheet
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import train
from napari_apprentice.models.store import Model, load_model, save_model
from napari_apprentice.tasks import TASKS

KINDS = (LabelClass(1, "bar"), LabelClass(2, "box"))
QUICK = TrainConfig(device="cpu", steps=4, checks=2, batch_size=4)
SMALL: dict[str, Any] = {"channels": [4, 8], "latent": 6}


def item(number: int, shape: tuple[int, ...] = (32, 32), **more: Any) -> TrainItem:
    rng = np.random.default_rng(number)
    image = rng.integers(0, 30, shape).astype(np.uint8)
    y, x = rng.integers(4, 12, 2)
    image[..., y : y + 14, x : x + (14 if number % 2 else 5)] += 180
    grid = Grid.regular("CYX"[-len(shape) :], shape)
    volume = Volume(image, grid, name=f"image {number}", rgb=len(shape) == 3)
    said = Annotation.of_image(grid.spatial, KINDS[number % 2].name, KINDS)
    return TrainItem(f"image {number}", volume, said, **more)


def spec_for(items: list[TrainItem], **changes: Any) -> ModelSpec:
    planned = TASKS["synthesis"].default_spec("m", [i.volume for i in items], KINDS)
    args = {**planned.network_args, **SMALL}
    return planned.model_copy(update={"network_args": args, **changes})


def learn(
    items: list[TrainItem], folder: Path, config: TrainConfig = QUICK, **how: Any
) -> tuple[Any, list[Event]]:
    events: list[Event] = []
    how = {"init": spec_for(items), **how}
    job = train(items, config=config, folder=folder, task="synthesis", name="new", **how)
    return run_to_end(job, events.append), events


@pytest.fixture
def items() -> list[TrainItem]:
    return [item(n) for n in range(10)]


def test_it_learns_shows_images_and_says_how_far_they_are_from_real_ones(
    tmp_path: Path, items: list[TrainItem]
) -> None:
    more = [item(n) for n in range(50)]
    result, events = learn(more, tmp_path)
    assert set(result.after) == {"kernel_distance", "variety"}
    curve = [e for e in events if isinstance(e, Metric) and e.name != "loss"]
    assert {e.name for e in curve} == {"held-out kernel_distance"}
    preview = next(e for e in events if isinstance(e, Preview))
    assert not preview.labels
    assert preview.data.dtype == np.uint8
    assert preview.data.shape == (4 * 34 - 2, 6 * 34 - 2)  # 12 of each kind, folded
    saved = save_model(result.spec, result.state, tmp_path / "saved")
    again = load_model(tmp_path / "saved")
    assert again.spec == saved.spec
    assert (again.build().latent, again.spec.data) == (6, "40 annotated images")
    few, _ = learn(items, tmp_path / "few")  # too few to hold any out
    assert few.after["kernel_distance"] > 0


def test_the_best_check_is_the_nearest_one(tmp_path: Path, items: list[TrainItem]) -> None:
    result, events = learn(items, tmp_path, QUICK.model_copy(update={"steps": 8, "checks": 4}))
    found = [e.value for e in events if isinstance(e, Metric) and "distance" in e.name]
    assert result.after["kernel_distance"] <= min(found)


def test_it_goes_on_bit_for_bit(tmp_path: Path, items: list[TrainItem]) -> None:
    whole, _ = learn(items, tmp_path / "whole")
    stopped = tmp_path / "stopped"
    job = train(
        items, init=spec_for(items), config=QUICK, folder=stopped, task="synthesis", name="new"
    )
    for event in job:
        if isinstance(event, Metric) and event.name == "loss" and event.step == 3:
            break
    job.close()
    resumed, _ = learn(items, stopped, resume=True)
    assert resumed.steps == whole.steps
    for key, value in read_checkpoint(tmp_path / "whole" / LAST)[0].items():
        assert torch.equal(value, read_checkpoint(stopped / LAST)[0][key]), key
    assert all(torch.equal(value, resumed.state[key]) for key, value in whole.state.items())


def test_a_model_learns_another_kind_and_keeps_what_it_knew(
    tmp_path: Path, items: list[TrainItem]
) -> None:
    first, _ = learn(items, tmp_path / "first")
    three = (*KINDS, LabelClass(3, "dot"))
    other = replace(
        item(20), annotation=Annotation.of_image(item(20).annotation.grid, "dot", three)
    )
    result, _ = learn(
        [*items, other], tmp_path / "second", init=Model(first.spec, first.state, None)
    )
    assert [c.name for c in result.spec.classes] == ["bar", "box", "dot"]
    assert result.spec.parent == "new"
    assert result.state["maker.kind.weight"].shape[0] == 3


def test_large_images_are_seen_in_patches_and_colours_are_kept(tmp_path: Path) -> None:
    large = [item(n, (3, 90, 40)) for n in range(2)]
    spec = spec_for(large, tile=(32, 32))
    spec = spec.model_copy(update={"task_args": {**spec.task_args, "sees": "patch"}})
    result, events = learn(large, tmp_path, init=spec)
    assert len(result.spec.channels) == 3
    preview = next(e for e in events if isinstance(e, Preview))
    assert (preview.grid.axes, preview.data.shape[0]) == ("CYX", 3)


def test_what_nothing_can_be_made_up_from_is_refused(
    tmp_path: Path, items: list[TrainItem]
) -> None:
    grid = Grid.regular("YX", (32, 32))
    flat = Volume(np.full((32, 32), 9, np.uint8), grid)
    deep = Volume(np.zeros((4, 32, 32), np.uint8), Grid.regular("ZYX", (4, 32, 32)))
    half = replace(items[1], annotation=Annotation.of_clean(grid))
    volume = replace(items[0], volume=deep, annotation=Annotation.of_image(deep.grid, "bar", KINDS))
    wrong: list[tuple[list[TrainItem], str]] = [
        ([], "expected images to learn to make more of, found none"),
        ([volume], "found a volume"),
        ([items[0], half], "found 1 of 2 with one"),
        ([replace(i, volume=flat) for i in items], "the same value everywhere"),
        (items[:1], "expected at least two images, found 1"),
    ]
    for given, message in wrong:
        job = train(
            given, init=None, config=QUICK, folder=tmp_path / "x", task="synthesis", name="new"
        )
        with pytest.raises(BadInputError, match=message):
            run_to_end(job)
    zscore = spec_for(items, normalization=Normalization())
    with pytest.raises(BadInputError, match="expected one window of intensities"):
        learn(items, tmp_path / "x", init=zscore)
    with pytest.raises(
        BadInputError, match="expected a network that makes images up for synthesis, found unet"
    ):
        learn(items, tmp_path / "x", QUICK.model_copy(update={"network": "unet"}), init=None)
    assert not (tmp_path / "x").exists()


def test_a_model_that_makes_images_up_is_not_applied_to_one(items: list[TrainItem]) -> None:
    model = Model(spec_for(items), {}, None)
    with pytest.raises(BadInputError, match="makes images up and is not applied to one"):
        run_to_end(predict(items[0].volume, model, PredictConfig(device="cpu")))


def test_nan_and_collapse_end_it_with_the_last_good_weights(
    tmp_path: Path, items: list[TrainItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = TASKS["synthesis"]
    kind, real_step = type(task), type(task).step_loss
    count = iter(range(1000))

    def breaks(self: Any, *given: Any, **how: Any) -> torch.Tensor:
        loss = real_step(self, *given, **how)
        return loss * torch.nan if next(count) >= 4 else loss

    monkeypatch.setattr(kind, "step_loss", breaks)
    config = QUICK.model_copy(update={"steps": 30, "checks": 15})
    result, events = learn(items, tmp_path / "a", config)
    said = [e.message for e in events if isinstance(e, Log)]
    assert any("nan" in m and "the best so far is kept" in m for m in said)
    assert result.steps < 30
    assert all(bool(v.isfinite().all()) for v in result.state.values())
    with pytest.raises(TrainingDivergedError, match="nan"):  # from the first step on
        learn(items, tmp_path / "b", config.model_copy(update={"checks": 1}))
    monkeypatch.undo()

    def worse(self: Any, made: Any, real: Any, *kinds: Any) -> dict[str, float]:
        return {"kernel_distance": next(looks), "variety": 1.0}

    looks = iter((50.0, 20.0, 30.0, 300.0, 40.0, 20.0))
    monkeypatch.setattr(kind, "judge", worse)
    config = QUICK.model_copy(update={"steps": 10, "checks": 5})
    result, events = learn(items, tmp_path / "c", config)
    said = [e.message for e in events if isinstance(e, Log)]
    assert any("unlike the real ones (distance 300, at best 20)" in m for m in said)
    assert result.steps == 8
    assert read_checkpoint(tmp_path / "c" / BEST)[1]["step"] == 4


def test_kinds_are_drawn_equally_and_patches_come_from_everywhere() -> None:
    rng = np.random.default_rng(0)
    arrays = [
        ImageArray(str(n), rng.random((1, 9, 8)).astype(np.float32), int(n == 0), "")
        for n in range(9)
    ]
    sampler = PictureSampler(
        arrays, (8, 8), balance=1.0, axes=(1,), generator=np.random.default_rng(0)
    )
    data, kinds = sampler.draw(400)
    assert 150 < int(kinds.sum()) < 250
    only = data[kinds == 1]
    found = {one.tobytes() for one in only}
    first = arrays[0].data
    expected = {
        np.ascontiguousarray(p).tobytes()
        for y in (0, 1)
        for p in (first[:, y : y + 8], first[:, y : y + 8, ::-1])
    }
    assert found == expected
    as_they_occur = PictureSampler(
        arrays, (8, 8), balance=0.0, axes=(), generator=np.random.default_rng(0)
    )
    assert as_they_occur.draw(400)[1].sum() < 80
    images, where = real_set(arrays, spec_for([item(0)], tile=(8, 8)))
    assert images.shape[1:] == (1, 8, 8)
    assert len(images) == len(where) == 9 * 64


def test_features_see_contrast_colour_and_kind() -> None:
    images = torch.rand(70, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    now = Progress("looking")
    looks = Looks()
    plain = run_to_end(looks.of(images, now))
    assert plain.shape == (70, 130)
    dim = run_to_end(looks.of(images / 2, now))
    np.testing.assert_allclose(dim[:, :128], plain[:, :128], atol=1e-3)
    np.testing.assert_allclose(dim[:, 128:], plain[:, 128:] / 2, rtol=1e-4)
    assert run_to_end(looks.of(images.repeat(1, 3, 1, 1), now)).shape == (70, 390)
    assert np.isfinite(run_to_end(looks.of(torch.full((2, 1, 64, 64), 0.5), now))).all()
    kinds = np.arange(70) % 2
    joined = with_kinds(plain, kinds, 2, 3.0)
    np.testing.assert_array_equal(joined[:2, 130:], [[3, 0], [0, 3]])
    assert with_kinds(plain, kinds, 1, 3.0) is plain


def test_random_numbers_belong_to_their_seed_and_the_way_between_them_keeps_its_length() -> None:
    class Net(torch.nn.Module):
        latent = 64

    one, other = (latent_of(Net(), seed) for seed in (3, 4))
    np.testing.assert_array_equal(one, latent_of(Net(), 3))
    assert not np.array_equal(one, other)
    steps = between(one, other, 5)
    np.testing.assert_allclose(steps[[0, -1]], [one, other], atol=1e-5)
    lengths = np.linalg.norm(steps, axis=1)
    assert lengths.min() > 0.9 * min(np.linalg.norm(one), np.linalg.norm(other))
    np.testing.assert_allclose(between(one, one, 3), [one] * 3, rtol=1e-5)


def test_a_sheet_has_a_row_for_each_kind() -> None:
    kinds = kinds_in_turn(3, 24)
    np.testing.assert_array_equal(np.bincount(kinds), [8, 8, 8])
    images = np.ones((24, 2, 5, 4), np.float32) * kinds[:, None, None, None]
    sheet = picture_sheet(images, kinds)
    assert sheet.shape == (2, 3 * 7 - 2, 8 * 6 - 2)
    assert {float(v) for v in sheet[0, 7:12].ravel()} == {0.0, 1.0}
    alone = picture_sheet(np.ones((24, 1, 5, 5)), kinds_in_turn(1, 24))
    assert alone.shape == (1, 4 * 7 - 2, 6 * 7 - 2)
