"""The starting model as a teacher, where nobody said anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_apprentice.core.annotation import IGNORE, Extent
from napari_apprentice.core.jobs import Metric, run_to_end
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.engine.sample import TrainArray
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.teacher import Teacher, teacher_for
from napari_apprentice.engine.train import TrainResult, train
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS

Make = Callable[..., TrainItem]
TASK = TASKS["semantic"]


class Says(nn.Module):
    """Answers with fixed scores ``(1, K, x)``, whatever it sees."""

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.scores = nn.Parameter(scores)

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        return self.scores.expand(len(data), -1, -1)


def test_only_what_it_is_sure_of_and_only_where_nothing_was_said(tiny_spec: ModelSpec) -> None:
    # Sure of background, sure of class 2, not sure, sure of class 1 but a person spoke.
    scores = torch.tensor([[[9.0, 0, 1, 0], [0, 0, 1, 9], [0, 9, 0, 0]]])
    teacher = Teacher(Says(scores), TASK, tiny_spec, 2.0)  # type: ignore[arg-type]
    target = torch.tensor([[IGNORE, IGNORE, IGNORE, 2]], dtype=torch.uint8)
    output = torch.randn(1, 3, 4, requires_grad=True)
    found = teacher.loss(torch.zeros(1, 1, 4), output, target)
    believed = torch.tensor([[0, 2, IGNORE, IGNORE]], dtype=torch.uint8)
    assert found.item() == pytest.approx(2 * TASK.loss(output, believed, tiny_spec).item())
    found.backward()
    assert output.grad is not None
    assert output.grad[..., 2:].abs().sum() == 0


def test_it_stays_as_it_was_at_the_start(tiny_spec: ModelSpec) -> None:
    network = Says(torch.tensor([[[9.0], [0], [0]]]))
    teacher = Teacher(network, TASK, tiny_spec, 1.0)  # type: ignore[arg-type]
    target = torch.full((1, 1), IGNORE, dtype=torch.uint8)
    output = torch.zeros(1, 3, 1)
    before = teacher.loss(torch.zeros(1, 1, 1), output, target)
    with torch.no_grad():
        network.scores.neg_()
    assert torch.equal(teacher.loss(torch.zeros(1, 1, 1), output, target), before)


def test_it_is_there_only_where_it_makes_sense(tiny_spec: ModelSpec) -> None:
    network = nn.Conv3d(1, 3, 1)
    model = Model(tiny_spec, network.state_dict())
    gaps = [TrainArray("a", np.zeros((1, 2), np.float32), np.array([0, IGNORE], np.uint8))]
    whole = [replace(gaps[0], target=np.zeros(2, np.uint8))]
    more = tiny_spec.model_copy(
        update={"classes": (*tiny_spec.classes, ClassSpec(value=3, name="new"))}
    )
    config = TrainConfig()

    def found(task: str = "semantic", init=model, spec=tiny_spec, config=config, arrays=gaps):  # type: ignore[no-untyped-def]
        return teacher_for(TASKS[task], network, init, spec, config, arrays)

    assert found() is not None
    assert found(arrays=whole) is None
    assert found(init=None) is None
    assert found(init=tiny_spec) is None
    assert found(spec=more) is None  # it would be sure that there is nothing new
    assert found(config=TrainConfig(believe=0)) is None
    assert found(task="instance") is None


def test_corrected_slices_do_not_cost_what_was_known_of_the_ends(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make
) -> None:
    """Slices that all show the ball teach nothing of where it ends."""

    def learn(items: list[TrainItem], init: Model | ModelSpec, **more: object) -> TrainResult:
        settings = {"device": "cpu", "checks": 1, "held_out": 0, "ema": 0.8, **more}
        config = TrainConfig.model_validate(settings)
        return run_to_end(train(items, init=init, config=config, folder=tmp_path / "run"))

    items = [make_item(i) for i in range(4)]
    known = learn(items, tiny_spec, steps=60, learning_rate=1e-2)
    start = Model(known.spec, known.state)
    few = [
        replace(i, annotation=replace(i.annotation, extent=Extent(slices=((0, 5),)))) for i in items
    ]
    asked = [make_item(9)]

    def after(believe: float) -> float:
        how = {"steps": 40, "learning_rate": 1e-2, "keep": 0.0, "believe": believe}
        learned = learn(few, start, **how)
        scored = learn(asked, Model(learned.spec, learned.state), steps=1, learning_rate=1e-9)
        assert scored.before is not None
        return scored.before["dice"]

    assert after(1.0) > after(0.0)


def test_an_interrupted_lesson_has_the_same_teacher_afterwards(
    tmp_path: Path, tiny_spec: ModelSpec, make_item: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher is the starting model, not the state at which the training stopped."""
    monkeypatch.setattr(
        "napari_apprentice.tasks.semantic._SURE", 0.0
    )  # fresh weights are sure of nothing
    network = NETWORKS[tiny_spec.network].build(
        ndim=3, in_channels=1, out_channels=3, args=tiny_spec.network_args
    )
    start = Model(tiny_spec, network.state_dict())
    items = [make_item(n, Extent(slices=((0, 5),))) for n in range(2)]
    settings = {"device": "cpu", "steps": 8, "checks": 1, "held_out": 0, "learning_rate": 1e-2}
    config = TrainConfig.model_validate(settings)
    straight = run_to_end(train(items, init=start, config=config, folder=tmp_path / "a"))
    alone = config.model_copy(update={"believe": 0.0})
    untaught = run_to_end(train(items, init=start, config=alone, folder=tmp_path / "c"))
    assert any(not torch.equal(straight.state[k], untaught.state[k]) for k in straight.state)
    job = train(items, init=start, config=config, folder=tmp_path / "b")
    for event in job:
        if isinstance(event, Metric) and event.name == "loss" and event.step == 5:
            break
    job.close()
    again = train(items, init=start, config=config, folder=tmp_path / "b", resume=True)
    resumed = run_to_end(again)
    assert all(torch.equal(straight.state[k], resumed.state[k]) for k in straight.state)
