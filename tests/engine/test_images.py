"""Whole images as samples: fitting, drawing, splitting, leaks; and learning from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, ModelError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, Metric, run_to_end
from napari_apprentice.core.spec import ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.adapt import Freezer, head_keys
from napari_apprentice.engine.checkpoints import LAST, read_checkpoint
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.image_split import check_images, plan_image_split
from napari_apprentice.engine.images import ImageArray, ImageSampler, fitted, prepare_images
from napari_apprentice.engine.learner import numpy_generator
from napari_apprentice.engine.predict import estimate, predict
from napari_apprentice.engine.prepare import prepare
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import TrainResult, train
from napari_apprentice.models.store import Model, build_network
from napari_apprentice.tasks import TASKS

CLASSES = (LabelClass(1, "left"), LabelClass(2, "right"))
TASK = TASKS["image_class"]


def picture(number: int, shape: tuple[int, ...] = (16, 16)) -> Volume:
    """A bright half on the left (even numbers) or the right (odd ones) in noise."""
    rng = np.random.default_rng(number)
    data = rng.normal(0, 0.3, shape).astype(np.float32)
    half = shape[-1] // 2
    data[..., slice(half, None) if number % 2 else slice(0, half)] += 2
    grid = Grid.regular("ZYX"[-len(shape) :], shape)
    return Volume(data, grid, name=f"p{number}", source=f"p{number}.tif")


def item(number: int, group: str | None = None, shape: tuple[int, ...] = (16, 16)) -> TrainItem:
    volume = picture(number, shape)
    said = Annotation.of_image(volume.grid, CLASSES[number % 2].name, CLASSES)
    return TrainItem(volume.name, volume, said, group)


def spec(ndim: int = 2, **more: Any) -> ModelSpec:
    planned = TASK.default_spec("tiny", [picture(0, (16,) * ndim)], CLASSES)
    base: dict[str, Any] = {
        "tile": (16,) * ndim,
        "network_args": {"channels": [4, 8], "grid": 2, "dense": 8, "dropout": 0.0},
        "mirror_axes": (),
    }
    return planned.model_copy(update=base | more)


def learn(items: list[TrainItem], folder: Path, **how: Any) -> tuple[TrainResult, list[Event]]:
    events: list[Event] = []
    settings = {"device": "cpu", "steps": 12, "batch_size": 8, "checks": 2} | how.pop("config", {})
    job = train(
        items,
        init=how.pop("init", spec()),
        config=TrainConfig(**settings),
        folder=folder,
        task="image_class",
        **how,
    )
    return run_to_end(job, events.append), events


def warnings_of(events: list[Event]) -> list[str]:
    return [e.message for e in events if isinstance(e, Log) and e.level == "warning"]


# -- fitting --------------------------------------------------------------------------------


def fit(volume: Volume, model: ModelSpec) -> np.ndarray:
    return run_to_end(fitted(prepare(volume, model), model))


def raw(**more: Any) -> ModelSpec:
    return spec(normalization=Normalization(kind="window", low=0, high=1), **more)


def test_the_whole_image_fits_with_its_proportions() -> None:
    wide = Volume(np.ones((10, 40), np.float32), Grid.regular("YX", (10, 40)))
    seen = fit(wide, raw())
    assert seen.shape == (1, 1, 16, 16)
    np.testing.assert_array_equal(seen[0, 0, 6:10], 1)
    assert seen.sum() == 4 * 16


def test_proportions_are_those_of_the_world() -> None:
    thick = Grid.regular("ZYX", (4, 16, 16), (4, 1, 1), unit="mm")
    seen = fit(Volume(np.ones(thick.shape, np.float32), thick), raw(ndim=3, tile=(16, 16, 16)))
    assert seen.shape == (1, 1, 16, 16, 16)
    assert seen.min() == 1


def test_small_images_grow_and_with_a_spacing_the_middle_is_taken() -> None:
    small = Volume(np.ones((4, 4), np.float32), Grid.regular("YX", (4, 4)))
    assert fit(small, raw()).min() == 1
    data = np.zeros((32, 8), np.float32)
    data[8:24] = 1
    grid = Grid.regular("YX", data.shape, (2, 2), unit="um")
    seen = fit(Volume(data, grid), raw(spacing=(2.0, 2.0), unit="um"))
    np.testing.assert_array_equal(seen[0, 0, :, 4:12], 1)
    assert seen.sum() == 16 * 8


def test_planes_of_a_volume_for_a_flat_model() -> None:
    volume = picture(0, (3, 16, 16))
    assert fit(volume, spec()).shape == (3, 1, 16, 16)
    assert estimate(volume, spec(), PredictConfig()).tiles == 3
    assert estimate(picture(0, (400, 500)), spec(), PredictConfig()).tiles == 1


# -- drawing --------------------------------------------------------------------------------


def arrays(targets: list[int]) -> list[ImageArray]:
    return [
        ImageArray(str(n), np.full((1, 16, 16), 10 * t + 1, np.float32), t, str(n))
        for n, t in enumerate(targets)
    ]


@pytest.mark.parametrize(("balance", "share"), [(1.0, 0.5), (0.0, 0.1), (0.5, 0.25)])
def test_rare_classes_are_drawn_as_often_as_wanted(balance: float, share: float) -> None:
    sampler = ImageSampler(
        arrays([0] * 90 + [3] * 10), balance=balance, generator=numpy_generator(0)
    )
    data, target = sampler.draw(2000)
    assert sampler.classes == [0, 3]
    assert (target == 3).mean() == pytest.approx(share, abs=0.03)
    np.testing.assert_array_equal(data.max(axis=(1, 2, 3)), 10.0 * target + 1)
    # At most a sixteenth is shifted out of sight.
    assert (data > 0).mean(axis=(1, 2, 3)).min() >= (15 / 16) ** 2


# -- splitting ------------------------------------------------------------------------------


def test_every_class_is_held_out_and_groups_stay_together() -> None:
    items = [item(n, group=f"patient {n // 4}") for n in range(40)]
    items += [item(2 * n) for n in range(20, 40)]  # twice as many of the left
    split = plan_image_split(items, TrainConfig(held_out=0.25))
    held = Counter(i.annotation.image_class for i in split.held_out)
    assert held["left"] >= held["right"] > 0
    groups = [{i.group or i.name for i in side} for side in (split.train, split.held_out)]
    assert not groups[0] & groups[1]
    assert "held out" in split.note
    again = plan_image_split(items, TrainConfig(held_out=0.25))
    assert [i.name for i in again.held_out] == [i.name for i in split.held_out]


def test_two_images_are_both_learned_from() -> None:
    split = plan_image_split([item(0), item(1)], TrainConfig())
    assert (len(split.train), len(split.held_out)) == (2, 0)
    assert "too few images" in split.note


def test_a_rare_class_of_one_image_is_learned_from() -> None:
    split = plan_image_split([item(n) for n in (0, 2, 4, 6, 8, 1)], TrainConfig())
    assert "p1" in [i.name for i in split.train]
    assert len(split.held_out) == 1


def test_one_class_only_and_no_class_are_refused() -> None:
    with pytest.raises(BadInputError, match="found 2 of the one class 'left'"):
        check_images([item(0), item(2)])
    bare = Annotation(picture(0).grid, np.ones((16, 16), int), CLASSES)
    with pytest.raises(BadInputError, match="p0: expected the class of the whole image"):
        check_images([TrainItem("p0", picture(0), bare)])
    with pytest.raises(BadInputError, match="found 0 of none"):
        check_images([])


# -- bad images -----------------------------------------------------------------------------


class Broken:
    shape, dtype = (16, 16), np.dtype("f4")

    def __getitem__(self, key: object) -> Any:
        raise BadInputError("the file is truncated")


def test_unreadable_images_are_named_counted_and_left_out() -> None:
    broken = [
        TrainItem(f"bad{n}", Volume(Broken(), Grid.regular("YX", (16, 16))), item(0).annotation)
        for n in range(5)
    ]
    job = prepare_images([item(0), *broken, item(1)], TASK, spec())
    events: list[Event] = []
    found, _ = run_to_end(job, events.append)
    assert [a.name for a in found] == ["p0", "p1"]
    said = warnings_of(events)
    assert said[0] == "left out: bad0: the file is truncated"
    assert said[-1] == "5 of 7 images left out (2 of them not named)"
    with pytest.raises(BadInputError, match="none of 5 images can be used"):
        run_to_end(prepare_images(broken, TASK, spec()))


def test_the_same_picture_on_both_sides_or_in_two_classes_is_told(tmp_path: Path) -> None:
    items = [item(n) for n in range(20)]
    double = TrainItem("double", items[0].volume, items[0].annotation)
    other = TrainItem("other", items[2].volume, items[1].annotation)
    everywhere = [TrainItem(f"{i.name} again", i.volume, i.annotation) for i in items]
    _, events = learn([*items, double, other, *everywhere], tmp_path, config={"steps": 1})
    said = " ".join(warnings_of(events))
    assert "are also learned from" in said
    assert "in two classes" in said
    _, events = learn(items, tmp_path / "clean", config={"steps": 1})
    assert warnings_of(events) == []


def test_constant_images_are_learned_from_without_nan(tmp_path: Path) -> None:
    flat = Volume(np.full((16, 16), 7.0, np.float32), Grid.regular("YX", (16, 16)), name="flat")
    items = [TrainItem(f"c{n}", flat, item(n).annotation) for n in range(10)]
    result, events = learn(items, tmp_path, config={"steps": 3})
    assert all(np.isfinite(e.value) for e in events if isinstance(e, Metric))
    said = warnings_of(events)
    assert any("images have one value everywhere" in one and "c0, c1" in one for one in said)
    assert not any("same picture" in one for one in said)  # they only look alike
    answer = run_to_end(
        predict(flat, Model(result.spec, result.state), PredictConfig(device="cpu"))
    )
    assert sum(answer.table.values()) == pytest.approx(1)
    assert answer.is_unsure or max(answer.table.values()) >= 0.5


# -- learning -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 16)])
def test_it_learns_left_from_right(tmp_path: Path, shape: tuple[int, ...]) -> None:
    items = [item(n, shape=shape) for n in range(30)]
    config = {"steps": 40, "learning_rate": 1e-2, "held_out": 0.4}
    result, events = learn(items, tmp_path, init=spec(len(shape)), config=config)
    assert result.after["balanced_accuracy"] == 1.0
    assert result.spec.task_args["temperature"] > 0
    assert "held-out balanced_accuracy" in {e.name for e in events if isinstance(e, Metric)}
    model = Model(result.spec, result.state)
    answer = run_to_end(predict(picture(101, shape), model, PredictConfig(device="cpu")))
    assert answer.image_class == "right"
    assert answer.summary.startswith("right 0.")
    assert answer.provenance is not None
    # Both are all right about what was held out: what was taught last is not thrown away for that.
    config = {"steps": 4, "learning_rate": 1e-5, "held_out": 0.4}
    again, _ = learn(items, tmp_path / "again", init=model, config=config)
    assert (again.before or {})["balanced_accuracy"] == again.after["balanced_accuracy"] == 1.0
    assert any(not torch.equal(again.state[key], value) for key, value in result.state.items())


def test_a_film_is_answered_frame_by_frame(tmp_path: Path) -> None:
    frames = np.stack([picture(n).numpy() for n in (100, 101)])
    film = Volume(frames, Grid.regular("TYX", frames.shape))
    model = Model(spec(), build_network(spec()).state_dict())
    answer = run_to_end(predict(film, model, PredictConfig(device="cpu")))
    assert set(answer.table) == {f"{c} (frame {t})" for c in ("left", "right") for t in (0, 1)}
    one = run_to_end(predict(film, model, PredictConfig(device="cpu"), time=1))
    assert one.image_class in ("left", "right")


def test_an_interrupted_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    items = [item(n) for n in range(12)]
    whole, _ = learn(items, tmp_path / "whole")

    class EnoughError(Exception):
        pass

    seen = 0

    def interrupt(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, Metric) and event.name == "loss"
        if seen == 5:
            raise EnoughError

    config = TrainConfig(device="cpu", steps=12, batch_size=8, checks=2)
    how: dict[str, Any] = {"init": spec(), "config": config, "folder": tmp_path / "part"}
    with pytest.raises(EnoughError):
        run_to_end(train(items, task="image_class", **how), interrupt)
    rest = run_to_end(train(items, task="image_class", resume=True, **how))
    for key, value in whole.state.items():
        assert torch.equal(value, rest.state[key]), key
    one, other = (read_checkpoint(tmp_path / f / LAST)[0] for f in ("whole", "part"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert whole.spec.task_args == rest.spec.task_args


# -- from a model ---------------------------------------------------------------------------


def renamed(items: list[TrainItem], *names: str) -> list[TrainItem]:
    classes = tuple(LabelClass(n, name) for n, name in enumerate(names, start=1))
    return [
        TrainItem(
            i.name, i.volume, Annotation.of_image(i.volume.grid, names[n % len(names)], classes)
        )
        for n, i in enumerate(items)
    ]


def test_other_classes_get_a_fresh_last_layer_and_keep_the_rest(tmp_path: Path) -> None:
    parent = Model(spec(task_args={"temperature": 3.0}), build_network(spec()).state_dict())
    items = renamed([item(n) for n in range(12)], "Fuß", "Hand", "Kopf")
    config = {"steps": 1, "freeze": 1.0, "held_out": 0}
    result, _ = learn(items, tmp_path, init=parent, config=config)
    assert [c.name for c in result.spec.classes] == ["Fuß", "Hand", "Kopf"]
    assert "temperature" not in result.spec.task_args
    head = head_keys(result.spec)
    body = [k for k, v in result.state.items() if k not in head and "running" not in k]
    assert all(torch.equal(result.state[k], parent.state[k]) for k in body)
    assert {len(result.state[k]) for k in head} == {3}


def test_known_classes_stay_and_new_ones_are_added(tmp_path: Path) -> None:
    parent = Model(spec(), build_network(spec()).state_dict())
    items = renamed([item(n) for n in range(12)], "RIGHT", "middle")
    result, _ = learn(items, tmp_path, init=parent, config={"steps": 1, "held_out": 0})
    assert [c.name for c in result.spec.classes] == ["left", "right", "middle"]
    assert len({c.value for c in result.spec.classes}) == 3


def test_frozen_layers_thaw_the_last_first(tmp_path: Path) -> None:
    network = build_network(spec())
    head = head_keys(spec())
    freezer = Freezer(network, 1.0, 0.5, head)
    names = [name for name, _ in network.named_parameters() if name not in head]

    def learning(fraction: float) -> list[str]:
        freezer.update(fraction)
        return [n for n, p in network.named_parameters() if p.requires_grad and n not in head]

    assert learning(0.0) == []
    assert learning(0.13) == names[-len(learning(0.13)) :] != []
    assert len(learning(0.13)) < len(learning(0.26)) < len(names)
    assert learning(0.5) == names
    network.train()
    freezer.update(0.0)
    freezer.calm()
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert not any(m.training for m in norms)


def test_thawing_goes_on_bit_for_bit_too(tmp_path: Path) -> None:
    items = [item(n) for n in range(12)]
    how = {"freeze": 1.0, "thaw": 0.6, "steps": 8}
    whole, _ = learn(items, tmp_path / "whole", config=how)
    part = tmp_path / "part"
    job = train(
        items,
        init=spec(),
        config=TrainConfig(device="cpu", batch_size=8, checks=2, **how),
        folder=part,
        task="image_class",
    )
    for event in job:
        if isinstance(event, Metric) and event.name == "loss" and event.step == 4:
            job.close()
            break
    rest, _ = learn(items, part, config=how, resume=True)
    assert all(torch.equal(value, rest.state[key]) for key, value in whole.state.items())


def test_a_backbone_is_taken_by_name_and_shape(tmp_path: Path) -> None:
    weights = build_network(spec()).state_dict()
    backbone = {f"module.{k}": torch.full_like(v, 0.25) for k, v in weights.items()}
    head = head_keys(spec())
    for key in head:
        backbone[f"module.{key}"] = torch.zeros(7, *weights[key].shape[1:])
    items = [item(n) for n in range(4)]
    config = {"steps": 1, "learning_rate": 1e-9, "held_out": 0, "freeze": 1.0}
    result, events = learn(items, tmp_path, config=config, backbone=backbone)
    first = next(k for k in weights if k.endswith("conv.weight"))
    assert torch.all(result.state[first] == 0.25)
    assert any("tensors taken from the backbone" in e.message for e in events if isinstance(e, Log))
    with pytest.raises(ModelError, match="weights of another network"):
        learn(items, tmp_path / "no", backbone={"x": torch.zeros(1)})


def test_left_and_right_are_told_apart_where_nothing_is_mirrored(tmp_path: Path) -> None:
    items = [item(n) for n in range(20)]
    config = {"steps": 30, "learning_rate": 1e-2, "mirror": False}
    result, _ = learn(items, tmp_path, init=spec(mirror_axes=(0, 1)), config=config)
    assert result.spec.mirror_axes == ()
    assert result.after["balanced_accuracy"] == 1.0


# -- wishes ---------------------------------------------------------------------------------


def test_the_network_and_the_size_can_be_chosen(tmp_path: Path) -> None:
    items = [item(n) for n in range(4)]
    config = {"steps": 1, "network": "densenet", "tile": (30, 70), "held_out": 0}
    job = train(
        items,
        init=None,
        config=TrainConfig(device="cpu", **config),
        folder=tmp_path,
        task="image_class",
    )
    said = next(job)
    assert isinstance(said, Log)
    job.close()
    from napari_apprentice.engine.wishes import with_wishes

    planned = TASK.default_spec("m", [i.volume for i in items], CLASSES)
    wished = with_wishes(planned, TASK, TrainConfig(**config))
    assert (wished.network, wished.tile, wished.network_args) == ("densenet", (32, 64), {})
    thick = planned.model_copy(update={"ndim": 3, "tile": (8, 8, 8), "spacing": (1.0, 3.0, 1.0)})
    wished = with_wishes(thick, TASK, TrainConfig(network="cnn_rnn"))
    assert wished.network_args == {"axis": 1}  # slices lie along the coarsest axis
    for settings, message in (
        (
            {"network": "unet"},
            "answers once per image for image_class, found unet. Choose one of cnn",
        ),
        ({"network": "object_net"}, "sees the image alone for image_class, found object_net"),
        ({"network": "resnext"}, "resnet"),
        ({"tile": (8, 8, 8)}, "expected 2 lengths, found 8 × 8 × 8"),
    ):
        with pytest.raises(BadInputError, match=message):
            with_wishes(planned, TASK, TrainConfig(**settings))  # type: ignore[arg-type]
