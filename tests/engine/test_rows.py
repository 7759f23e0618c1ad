"""Networks that answer box by box, through the engine: tiles, mirrored passes, planes, learning in 2-D and 3-D."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Metric, run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.start import first_spec
from napari_apprentice.engine.train import train
from napari_apprentice.models.networks._anchors import anchors_of_level
from napari_apprentice.models.store import Model, load_model, save_model

from ._fakes import FakeNetwork, model

CELL = (LabelClass(1, "cell"),)
ANCHORS = {"anchors": True}
CPU = PredictConfig(device="cpu")


class Seer(torch.nn.Module):
    """Tells of a box of 8 around each bright voxel, wherever in a tile it sees it; its anchors lie four voxels apart."""

    finds_boxes = True

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        n = data.ndim - 2
        shape = [length // 4 for length in data.shape[2:]]
        anchors = anchors_of_level(shape, [4] * n, [[8.0] * n])
        told = torch.zeros(len(data), len(anchors), 2 * n + 1)
        told[..., -1] = -9.0
        for number, one in enumerate(data):
            for place in torch.nonzero(one[0] > 0.5).float():
                own = (anchors[:, :n] - place).norm(dim=1).argmin()
                told[number, own, :n] = (place - anchors[own, :n]) / 8
                told[number, own, -1] = 3.0
        return torch.cat([anchors.expand(len(data), *anchors.shape), told], dim=2)


@pytest.fixture
def seer(monkeypatch: pytest.MonkeyPatch) -> Any:
    networks = {"fake": FakeNetwork(4)}
    monkeypatch.setattr("napari_apprentice.engine.predict.NETWORKS", networks)
    monkeypatch.setattr("napari_apprentice.engine.cost.NETWORKS", networks)

    def make(tile: tuple[int, ...], **spec: Any) -> Any:
        return model(Seer(), tile=tile, task="detection", classes=1, task_args=ANCHORS, **spec)

    return make


def spots(shape: tuple[int, ...], places: Any) -> Volume:
    image = np.zeros(shape, np.float32)
    image[tuple(np.transpose(places))] = 1
    return Volume(image, Grid.regular("ZYX"[3 - len(shape) :], shape))


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("tile", [(100, 100), (32, 32), (24, 40)])
def test_every_object_is_told_of_once_wherever_tiles_meet(
    seer: Any, tile: tuple[int, int], mirror: bool
) -> None:
    places = np.array([(y, x) for y in range(2, 100, 13) for x in range(1, 100, 13)])
    made = seer(tile, mirror_axes=(0, 1))
    config = PredictConfig(device="cpu", mirror=mirror)
    found = run_to_end(predict(spots((100, 100), places), made, config)).detections
    assert found is not None
    order = np.lexsort(found.centres.T[::-1])
    np.testing.assert_allclose(found.centres[order], places, atol=1e-3)
    np.testing.assert_allclose(found.sizes, 8.0)
    assert found.scores.min() > 0.9


def test_an_image_smaller_than_a_tile_is_read_in_its_own_voxels(seer: Any) -> None:
    found = run_to_end(predict(spots((20, 13), [(5, 6)]), seer((32, 32)), CPU)).detections
    assert found is not None
    np.testing.assert_allclose(found.centres, [(5, 6)], atol=1e-4)


def test_of_planes_that_show_the_same_thing_one_tells_of_it_without_depth(seer: Any) -> None:
    places = [(2, 10, 10), (3, 10, 10), (4, 10, 10), (3, 25, 12), (9, 10, 10)]
    made = seer((32, 32), ndim=2)
    found = run_to_end(predict(spots((12, 32, 32), places), made, CPU)).detections
    assert found is not None
    assert len(found) == 3
    assert np.isnan(found.sizes[:, 0]).all()
    np.testing.assert_allclose(found.sizes[:, 1:], 8.0)
    assert sorted(found.centres[:, 1].round().tolist()) == [10, 10, 25]


def test_no_object_and_a_higher_score_wished(seer: Any) -> None:
    empty = Volume(np.zeros((40, 40), np.float32), Grid.regular("YX", (40, 40)))
    assert run_to_end(predict(empty, seer((32, 32)), CPU)).count == 0
    wished = PredictConfig(device="cpu", least_score=0.99)
    assert run_to_end(predict(spots((40, 40), [(9, 9)]), seer((32, 32)), wished)).count == 0


# -- learning -------------------------------------------------------------------------------


def item(seed: int, ndim: int) -> TrainItem:
    random = np.random.default_rng(seed)
    shape = (16, 32, 32)[3 - ndim :]
    where = np.meshgrid(*[(8, 24)] * 2, indexing="ij")
    places = np.stack(where, -1).reshape(-1, 2) + random.uniform(-2, 2, (4, 2))
    if ndim == 3:
        places = np.hstack([random.uniform(5, 11, (4, 1)), places])
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    image = np.zeros(shape, np.float32)
    for place in places:
        away = sum((a - p) ** 2 for a, p in zip(axes, place, strict=True))
        np.maximum(image, np.exp(-np.asarray(away) / 8), out=image)
    image += random.normal(0, 0.05, shape)
    grid = Grid.regular("ZYX"[3 - ndim :], shape)
    boxes = Detections.of(places, np.full(places.shape, 8.0))
    return TrainItem(f"i{seed}", Volume(image, grid), Annotation.of_places(grid, boxes, CELL))


def tiny(ndim: int) -> ModelSpec:
    return ModelSpec(
        name="tiny", task="detection", network="retinanet", ndim=ndim, tile=(16, 32, 32)[3 - ndim :],
        network_args={"channels": [8, 8], "strides": [2, 2], "features": 8}, task_args=ANCHORS,
        classes=({"value": 1, "name": "cell"},),
    )  # fmt: skip


FAST = {"checks": 1, "device": "cpu", "learning_rate": 1e-2, "ema": 0.8, "batch_size": 2}


@pytest.mark.parametrize(("ndim", "steps"), [(2, 40), (3, 25)])
def test_it_learns_to_find_and_to_measure(tmp_path: Path, ndim: int, steps: int) -> None:
    items = [item(k, ndim) for k in range(3)]
    config = TrainConfig(steps=steps, held_out=0, augment="none", **FAST)
    result = run_to_end(
        train(items, init=tiny(ndim), config=config, folder=tmp_path, task="detection")
    )
    assert result.after["f1"] > 0.85
    # All are 8 wide: that lies between the two anchors, which the model keeps.
    small, large = result.spec.network_args["anchors"]
    assert len(small) == ndim
    assert small[0] < 8 < large[0]
    save_model(result.spec, result.state, tmp_path / "kept")
    again = load_model(tmp_path / "kept")
    found = run_to_end(predict(item(9, ndim).volume, again, CPU)).detections
    assert found is not None
    np.testing.assert_allclose(np.median(found.sizes, axis=0), 8.0, rtol=0.3)


def test_stopped_and_gone_on_with_it_is_the_same(tmp_path: Path) -> None:
    items = [item(k, 2) for k in range(2)]

    def learn(folder: Path, *, stop_at: int | None, resume: bool = False) -> Any:
        stop = threading.Event()
        config = TrainConfig(steps=6, held_out=0, **FAST)
        job = train(
            items, init=tiny(2), config=config, folder=folder, task="detection",
            stop=stop, resume=resume,
        )  # fmt: skip
        while True:
            try:
                event = next(job)
            except StopIteration as end:
                return end.value
            if isinstance(event, Metric) and event.name == "loss" and event.step == stop_at:
                stop.set()

    whole = learn(tmp_path / "whole", stop_at=None)
    assert learn(tmp_path / "parts", stop_at=3).steps < 6
    parts = learn(tmp_path / "parts", stop_at=None, resume=True)
    assert parts.steps == whole.steps == 6
    for key, value in whole.state.items():
        torch.testing.assert_close(parts.state[key], value, rtol=0, atol=0)


def test_a_corrected_model_keeps_its_anchors_and_learns_a_class_more(tmp_path: Path) -> None:
    from napari_apprentice.models.store import build_network

    args = {**tiny(2).network_args, "anchors": [5.0, 9.0]}
    start = tiny(2).model_copy(update={"network_args": args})
    first = Model(start, build_network(start).state_dict())
    two = (*CELL, LabelClass(2, "dividing"))
    said = item(0, 2).annotation
    kinds = Detections.of(said.detections.centres, said.detections.sizes, [1, 2, 1, 2])
    taught = TrainItem("i", item(0, 2).volume, Annotation.of_places(said.grid, kinds, two))
    config = TrainConfig(steps=2, held_out=0, keep=0, **FAST)
    result = run_to_end(
        train([taught], init=first, config=config, folder=tmp_path, task="detection")
    )
    assert result.spec.network_args["anchors"] == [5.0, 9.0]
    assert [c.name for c in result.spec.classes] == ["cell", "dividing"]
    key = "classes.cls_logits.bias"
    assert (len(first.state[key]), len(result.state[key])) == (2, 4)
    # The bias of what was known has hardly moved; the further class is fresh.
    torch.testing.assert_close(result.state[key][:2], first.state[key], rtol=0, atol=0.1)


@pytest.mark.parametrize("unit", ["um", "pixel"])
def test_anchors_and_strides_are_planned_for_the_objects_and_voxels(unit: str) -> None:
    # Where nobody knows how long voxels are, the objects tell.
    spacing = (2.0, 0.5, 0.5) if unit == "um" else (1.0, 1.0, 1.0)
    grid = Grid.regular("ZYX", (16, 96, 96), spacing, unit=unit)
    sizes = np.array([(4.0, 16.0, 16.0)] * 5 + [(8.0, 32.0, 32.0)] * 5)
    boxes = Detections.of(np.linspace((4, 20, 20), (12, 80, 80), 10), sizes)
    taught = TrainItem(
        "i", Volume(np.zeros(grid.shape, np.float32), grid), Annotation.of_places(grid, boxes, CELL)
    )
    config = TrainConfig(network="retinanet")
    spec = first_spec([taught], [taught], task="detection", init=None, config=config, name="m")
    assert spec.network == "retinanet"
    assert spec.task_args["anchors"] is True
    strides, anchors = spec.network_args["strides"], spec.network_args["anchors"]
    assert strides[0] == [1, 2, 2]
    assert strides[3] == [2, 2, 2]
    np.testing.assert_allclose([b[1] / b[0] for b in anchors], 4.0, rtol=0.01)
    assert anchors[0][1] < 24 < anchors[1][1] * 2
    divisor = np.prod(strides, axis=0)
    assert (np.asarray(spec.tile) % divisor == 0).all()


def test_boxes_are_learned_by_anchors_and_points_by_maps() -> None:
    def network(taught: TrainItem, **wish: Any) -> str:
        config = TrainConfig(**wish)
        spec = first_spec([taught], [taught], task="detection", init=None, config=config, name="m")
        assert bool(spec.task_args.get("anchors")) is (spec.network == "retinanet")
        return spec.network

    flat = item(0, 2)
    points = Detections.of(flat.annotation.detections.centres)
    said = Annotation.of_places(flat.annotation.grid, points, CELL)
    assert network(flat) == "retinanet"
    assert network(TrainItem("p", flat.volume, said)) == "unet"
    assert network(item(0, 3)) == "retinanet"
    for taught in (flat, item(0, 3)):
        assert network(taught, network="unet") == "unet"
    assert network(TrainItem("p", flat.volume, said), network="retinanet") == "retinanet"
