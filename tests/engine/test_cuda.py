"""On a GPU: the same answers as on the CPU, learning in half precision, and the way back when its memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_apprentice.core.jobs import Log, run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.engine import _sliding
from napari_apprentice.engine.checkpoints import LAST
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import TrainResult, train
from napari_apprentice.models.store import Model, build_network

pytestmark = pytest.mark.gpu

Make = Callable[..., TrainItem]


@pytest.fixture
def model(tiny_spec: ModelSpec) -> Model:
    torch.manual_seed(0)
    return Model(tiny_spec, build_network(tiny_spec).state_dict())


def labels(item: TrainItem, model: Model, **more: object) -> np.ndarray:
    config = PredictConfig.model_validate({"overlap": 0.5, **more})
    found = run_to_end(predict(item.volume, model, config)).labels
    assert found is not None
    return found


@pytest.mark.parametrize("mixed", [False, True])
def test_the_answer_is_that_of_the_cpu(model: Model, make_item: Make, mixed: bool) -> None:
    item = make_item(0)
    on_gpu = labels(item, model, device="cuda", mixed_precision=mixed)
    on_cpu = labels(item, model, device="cpu")
    assert (on_gpu == on_cpu).mean() >= (0.99 if mixed else 0.9999)


def learn(items: list[TrainItem], spec: ModelSpec, folder: Path, **more: object) -> TrainResult:
    known = {"device": "cuda", "steps": 60, "checks": 3, "learning_rate": 1e-2, "ema": 0.8}
    resume = bool(more.pop("resume", False))
    config = TrainConfig.model_validate({**known, **more})
    return run_to_end(train(items, init=spec, config=config, folder=folder, resume=resume))


@pytest.mark.parametrize("mixed", [False, True])
def test_it_learns_and_goes_on(
    tiny_spec: ModelSpec, make_item: Make, tmp_path: Path, mixed: bool
) -> None:
    items = [make_item(i) for i in range(5)]
    result = learn(items, tiny_spec, tmp_path, mixed_precision=mixed)
    assert result.after["dice"] > 0.8
    assert all(value.device.type == "cpu" for value in result.state.values())
    assert (tmp_path / LAST).exists()
    more = learn(items, tiny_spec, tmp_path, mixed_precision=mixed, steps=70, resume=True)
    assert more.steps == 70
    # What was learned on the GPU predicts on the CPU.
    assert labels(items[0], Model(more.spec, more.state), device="cpu").max() == 2


def test_out_of_its_memory_the_cpu_finishes(
    model: Model, make_item: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _sliding.Runner._pass

    def full(self: _sliding.Runner, *args: object) -> torch.Tensor:
        if self._plan.device != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return run(self, *args)

    monkeypatch.setattr(_sliding.Runner, "_pass", full)
    said: list[str] = []
    item = make_item(1)
    job = predict(item.volume, model, PredictConfig(device="cuda"))
    found = run_to_end(job, lambda e: said.append(e.message) if isinstance(e, Log) else None)
    assert "the network on the CPU" in said[-1]
    monkeypatch.undo()
    np.testing.assert_array_equal(found.labels, labels(item, model, device="cpu"))
