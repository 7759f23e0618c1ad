"""Training: it learns, stops, goes on, and never leaves half a checkpoint."""

from __future__ import annotations

import errno
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.errors import (
    ApprenticeError,
    BadInputError,
    JobError,
    OutOfMemoryError,
    TrainingDivergedError,
)
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Event, Log, Metric, Preview, Progress, run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.engine.checkpoints import BEST, LAST, read_checkpoint, write_checkpoint
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.learner import Learner
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import TrainResult, train
from napari_apprentice.models.store import Model

Make = Callable[..., TrainItem]


def config(**more: object) -> TrainConfig:
    known = {"steps": 12, "checks": 3, "device": "cpu", "learning_rate": 1e-2, "ema": 0.8}
    return TrainConfig.model_validate(known | more)


def learn(
    items: list[TrainItem], spec: ModelSpec | Model | None, folder: Path, **more: object
) -> tuple[TrainResult, list[Event]]:
    events: list[Event] = []
    settings = {k: more.pop(k) for k in ("resume", "stop", "name") if k in more}
    job = train(items, init=spec, config=config(**more), folder=folder, **settings)  # type: ignore[arg-type]
    return run_to_end(job, events.append), events


def values(events: list[Event], name: str) -> list[float]:
    return [e.value for e in events if isinstance(e, Metric) and e.name == name]


def test_it_learns_and_tells_how(tmp_path: Path, tiny_spec: ModelSpec, make_item: Make) -> None:
    items = [make_item(i) for i in range(5)]
    result, events = learn(items, tiny_spec, tmp_path, steps=60, name="mine")
    assert result.after["dice"] > 0.8
    losses = values(events, "loss")
    assert losses[-1] < 0.5 * losses[0]
    assert len(values(events, "held-out dice")) == 2
    assert any(isinstance(e, Preview) and e.labels for e in events)
    progress = [e for e in events if isinstance(e, Progress) and e.stage == "learning"]
    assert (progress[-1].done, progress[-1].total) == (59, 60)
    assert (len(result.split.train), len(result.split.held_out)) == (4, 1)
    assert result.spec.name == "mine"
    assert result.spec.scores["dice"] == result.after["dice"]
    assert result.spec.training["steps"] == 60
    assert result.before is None


def test_an_interrupted_run_continues_bit_for_bit(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    items = [make_item(i) for i in range(3)]
    straight, _ = learn(items, tiny_spec, tmp_path / "a", augment="strong")
    job = train(items, init=tiny_spec, config=config(augment="strong"), folder=tmp_path / "b")
    for event in job:
        if isinstance(event, Metric) and event.name == "loss" and event.step == 7:
            break
    job.close()
    _, data = read_checkpoint(tmp_path / "b" / LAST)
    assert data["learner"]["step"] == 7
    resumed, events = learn(items, tiny_spec, tmp_path / "b", augment="strong", resume=True)
    assert resumed.steps == straight.steps == 12
    assert all(torch.equal(straight.state[k], resumed.state[k]) for k in straight.state)
    assert len(values(events, "loss")) == 5


def test_going_on_still_knows_how_good_the_parent_was(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    items = [make_item(i) for i in range(3)]
    first, _ = learn(items, tiny_spec, tmp_path / "a", steps=4)
    parent = Model(first.spec, first.state, None)
    straight, _ = learn(items, parent, tmp_path / "b")
    job = train(items, init=parent, config=config(), folder=tmp_path / "c")
    for event in job:
        if isinstance(event, Metric) and event.name == "loss" and event.step == 5:
            break
    job.close()
    resumed, _ = learn(items, parent, tmp_path / "c", resume=True)
    assert resumed.before == straight.before
    assert resumed.before is not None


def test_fine_tuning_never_ends_worse_on_the_held_out_part(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    items = [make_item(i) for i in range(4)]
    first, _ = learn(items, tiny_spec, tmp_path / "a", steps=30)
    parent = Model(first.spec, first.state, None)
    second, _ = learn(items, parent, tmp_path / "b", steps=3, learning_rate=0.9)
    assert second.before is not None
    assert second.after["dice"] >= second.before["dice"]
    assert second.spec.parent == first.spec.name
    assert first.spec.data in second.spec.data


def test_a_part_of_the_start_stays_in_what_is_handed_over(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    first, _ = learn([make_item(0)], tiny_spec, tmp_path / "a", steps=2)
    parent = Model(first.spec, first.state, None)
    # Better than a start of two steps, after as many again: the last check is the best.
    more = {"steps": 12, "checks": 1, "learning_rate": 2e-3, "held_out": 0.0}
    alone, _ = learn([make_item(0)], parent, tmp_path / "b", keep=0.0, **more)
    mixed, _ = learn([make_item(0)], parent, tmp_path / "c", keep=0.02, **more)
    assert alone.after["dice"] > alone.before["dice"]  # type: ignore[index]
    for name, weight in mixed.state.items():
        expected = torch.lerp(alone.state[name].float(), parent.state[name].float(), 0.02)
        torch.testing.assert_close(weight.float(), expected)


def test_a_start_that_only_harms_is_not_kept(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    first, _ = learn([make_item(0)], tiny_spec, tmp_path / "a", steps=30)
    swapped = {k: -v if v.is_floating_point() else v for k, v in first.state.items()}
    parent = Model(first.spec, swapped, None)
    result, events = learn(
        [make_item(0)], parent, tmp_path / "b", steps=60, checks=1, keep=0.9, held_out=0.0
    )
    assert "too far from the start to keep any of it" in [
        e.message for e in events if isinstance(e, Log)
    ]
    assert result.after["dice"] > result.before["dice"] + 0.02  # type: ignore[index]


def test_stop_returns_the_best_so_far(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    stop = threading.Event()
    job = train(
        [make_item(i) for i in range(3)],
        init=tiny_spec,
        config=config(steps=10_000),
        folder=tmp_path,
        stop=stop,
    )
    result = run_to_end(job, lambda e: stop.set() if isinstance(e, Metric) else None)
    assert 1 <= result.steps < 5
    assert (tmp_path / BEST).exists()
    assert result.state


def test_one_volume_holds_out_a_slab(tmp_path: Path, tiny_spec: ModelSpec, make_item: Make) -> None:
    result, _ = learn([make_item()], tiny_spec, tmp_path, steps=2)
    train_counts = result.split.train[0].annotation.counts()
    held_counts = result.split.held_out[0].annotation.counts()
    assert not (train_counts & held_counts).any()
    assert held_counts.any()
    assert "held out slice" in result.split.note


def test_groups_are_never_divided(tmp_path: Path, tiny_spec: ModelSpec, make_item: Make) -> None:
    items = [make_item(i, group=f"patient {i // 2}") for i in range(6)]
    result, _ = learn(items, tiny_spec, tmp_path, steps=1, held_out=0.4)
    train_groups = {i.group for i in result.split.train}
    assert train_groups.isdisjoint({i.group for i in result.split.held_out})


def test_sparse_slices_are_enough_to_learn_the_rest(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    slices = Extent(slices=tuple((0, z) for z in (4, 6, 8, 10, 12, 13)))
    items = [make_item(0, slices), make_item(1, slices)]
    result, _ = learn(items, tiny_spec, tmp_path, steps=60, held_out=0.5)
    assert result.after["dice"] > 0.7


def test_time_limits_are_kept(tmp_path: Path, tiny_spec: ModelSpec, make_item: Make) -> None:
    items = [make_item(i) for i in range(2)]
    result, events = learn(items, tiny_spec, tmp_path, steps=None, minutes=0.02)
    assert result.steps >= 1
    left = [e.seconds_left for e in events if isinstance(e, Progress) and e.stage == "learning"]
    assert left == sorted(left, reverse=True)


def test_patience_ends_a_run_that_gets_no_better(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    items = [make_item(i) for i in range(3)]
    result, events = learn(
        items, tiny_spec, tmp_path, steps=40, checks=40, patience=2, learning_rate=1e-9
    )
    assert result.steps < 40
    assert any(isinstance(e, Log) and "no better score" in e.message for e in events)


def test_a_model_with_other_classes_keeps_what_it_knows(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    first, _ = learn([make_item(0), make_item(1)], tiny_spec, tmp_path / "a", steps=2)
    item = make_item(2)
    labels = np.where(item.annotation.labels == 2, 9, item.annotation.labels)
    classes = (LabelClass(1, "ball"), LabelClass(9, "new"))
    changed = TrainItem("new", item.volume, Annotation(item.annotation.grid, labels, classes))
    second, _ = learn([changed], Model(first.spec, first.state, None), tmp_path / "b", steps=1)
    assert [(c.value, c.name) for c in second.spec.classes] == [
        (1, "ball"),
        (2, "cube"),
        (9, "new"),
    ]
    # A head with a new class has no start to be mixed with.
    free, _ = learn(
        [changed], Model(first.spec, first.state, None), tmp_path / "c", steps=1, keep=0.0
    )
    assert all(torch.equal(free.state[k], v) for k, v in second.state.items())


def test_frozen_layers_do_not_move(tmp_path: Path, tiny_spec: ModelSpec, make_item: Make) -> None:
    items = [make_item(0), make_item(1)]
    first, _ = learn(items, tiny_spec, tmp_path / "a", steps=2)
    second, _ = learn(
        items, Model(first.spec, first.state, None), tmp_path / "b", steps=3, freeze=0.5, held_out=0
    )
    moved = [k for k in first.state if not torch.equal(first.state[k], second.state[k])]
    still = [k for k in first.state if k not in moved]
    assert moved
    assert still
    assert next(iter(first.state)) in still


# -- bad input and bad luck -----------------------------------------------------------------


def test_what_cannot_be_learned_from_is_refused_before_any_work(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    good = make_item()
    empty = Annotation(good.annotation.grid, np.zeros((16, 16, 16), "u1"), good.annotation.classes)
    other = Annotation(Grid.regular("ZYX", (4, 4, 4)), np.ones((4, 4, 4), "u1"), ())
    for items, message in (
        ([], "found none"),
        ([TrainItem("x", good.volume, empty)], "only background"),
        ([TrainItem("x", good.volume, other)], r"expected labels of \(16, 16, 16\)"),
        ([make_item(0, Extent())], "marked as finished"),
    ):
        with pytest.raises(BadInputError, match=message):
            learn(items, tiny_spec, tmp_path / "never")
    assert not (tmp_path / "never").exists()


def test_a_model_for_other_images_is_refused_by_name(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    spec = tiny_spec.model_copy(update={"channels": ("a", "b")})
    with pytest.raises(BadInputError, match="expects 2 channels, found 1"):
        learn([make_item()], spec, tmp_path)


def test_a_loss_that_becomes_nan_keeps_the_last_good_weights(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [make_item(0), make_item(1)]
    first, _ = learn(items, tiny_spec, tmp_path / "a", steps=4)
    monkeypatch.setattr(
        type(learner_task()), "loss", lambda self, output, target, spec: output.sum() * math.nan
    )
    with pytest.raises(TrainingDivergedError, match="nan"):
        learn(items, Model(first.spec, first.state, None), tmp_path / "b", steps=40)
    state, _ = read_checkpoint(tmp_path / "b" / BEST)
    assert all(bool(torch.isfinite(v).all()) for v in state.values())


def learner_task() -> object:
    from napari_apprentice.tasks import TASKS

    return TASKS["semantic"]


@pytest.mark.parametrize("times", [1, 3, 10_000])
def test_out_of_memory_shrinks_until_it_fits_or_says_so(
    tmp_path: Path,
    tiny_spec: ModelSpec,
    make_item: Make,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    step, left = Learner.step, [times]

    def sometimes(self: Learner, fraction: float) -> float:
        if left[0] > 0:
            left[0] -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, fraction)

    monkeypatch.setattr(Learner, "step", sometimes)
    items = [make_item(0), make_item(1)]
    if times > 100:
        with pytest.raises(OutOfMemoryError, match="smallest batch"):
            learn(items, tiny_spec, tmp_path, batch_size=4)
        return
    result, events = learn(items, tiny_spec, tmp_path, batch_size=4, steps=3)
    notes = [e.message for e in events if isinstance(e, Log) and "memory ran out" in e.message]
    assert len(notes) == times
    assert result.steps == 3


def test_a_runtime_error_of_the_network_is_told_as_ours(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Learner, fraction: float) -> float:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Learner, "step", broken)
    with pytest.raises(ApprenticeError, match="mat1 and mat2") as caught:
        learn([make_item(0), make_item(1)], tiny_spec, tmp_path)
    assert not isinstance(caught.value, RuntimeError)


def test_a_full_disk_leaves_the_checkpoint_before(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [make_item(0), make_item(1)]
    learn(items, tiny_spec, tmp_path)
    before = (tmp_path / LAST).read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(JobError, match="No space left"):
        learn(items, tiny_spec, tmp_path, steps=2)
    assert (tmp_path / LAST).read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {LAST, BEST}


def test_resuming_needs_the_same_data_and_a_real_checkpoint(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    with pytest.raises(BadInputError, match="no checkpoint"):
        learn([make_item(0), make_item(1)], tiny_spec, tmp_path, resume=True)
    learn([make_item(0), make_item(1)], tiny_spec, tmp_path, steps=1)
    with pytest.raises(BadInputError, match="other images"):
        learn([make_item(2), make_item(3)], tiny_spec, tmp_path, resume=True)
    (tmp_path / LAST).write_bytes(b"\x80\x04pickle")
    with pytest.raises(BadInputError, match="not a checkpoint"):
        learn([make_item(0), make_item(1)], tiny_spec, tmp_path, resume=True)


def test_a_checkpoint_that_was_read_does_not_hang_on_its_file(tmp_path: Path) -> None:
    path = tmp_path / LAST
    write_checkpoint(path, {"w": torch.arange(1000.0)}, {})
    tensors, _ = read_checkpoint(path)
    with path.open("r+b") as file:  # in place, as one that were still mapped would show
        file.seek(-4000, os.SEEK_END)
        file.write(bytes(4000))
    assert torch.equal(tensors["w"], torch.arange(1000.0))
