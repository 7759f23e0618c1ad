"""Recipes: read and written in words, the same in learning, checking and predicting."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import FilterSpec, ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.arrays import prepare_items
from napari_apprentice.engine.check import Checker
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.filters import FILTERS, filtered
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.prepare import prepare
from napari_apprentice.engine.recipe import (
    WINDOWS,
    filters_text,
    normalization_text,
    parse_filters,
    parse_normalization,
)
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import train
from napari_apprentice.engine.wishes import with_wishes
from napari_apprentice.models.card import model_card
from napari_apprentice.models.store import ModelStore
from napari_apprentice.tasks import TASKS

from . import _fakes as fakes

Make = Callable[..., TrainItem]
STEPS = parse_filters("median, gaussian:sigma=0.7")


def test_filters_are_read_with_all_their_arguments() -> None:
    steps = parse_filters(" bias_field , median:radius=2,non_local_means:patch=3:distance=4")
    assert [s.name for s in steps] == ["bias_field", "median", "non_local_means"]
    assert steps[1].args == {"radius": 2}
    assert steps[2].args == {"strength": 0.6, "patch": 3, "distance": 4}
    assert filters_text(steps) == "bias_field, median:radius=2, non_local_means:patch=3:distance=4"
    assert parse_filters("") == ()


@pytest.mark.parametrize("name", FILTERS.names())
def test_every_filter_can_be_written_and_read(name: str) -> None:
    steps = parse_filters(name)
    assert filters_text(steps) == name
    assert json.loads(json.dumps(steps[0].args)) == steps[0].args


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("medain", "Did you mean 'median'"),
        ("median:radius", "name:argument=value"),
        ("median:radius=0", "greater than or equal to 1, found '0'"),
        ("median:size=3", "'size'.*Known arguments: radius"),
    ],
)
def test_filters_that_cannot_be_read_are_refused(text: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        parse_filters(text)
    with pytest.raises(ValidationError, match=message):
        TrainConfig(filters=text)


@pytest.mark.parametrize(
    ("text", "kind", "low", "high"),
    [
        ("zscore", "zscore", 0.5, 99.5),
        ("percentile", "percentile", 0.5, 99.5),
        ("percentile:1:99", "percentile", 1, 99),
        ("window:-160:240", "window", -160, 240),
        ("lung", "window", -1350, 150),
        ("soft tissue", "window", -150, 250),
        ("brain", "window", 0, 80),
    ],
)
def test_normalisations_are_read_and_written(text: str, kind: Any, low: float, high: float) -> None:
    how = parse_normalization(text)
    assert how == Normalization(kind=kind, low=low, high=high)
    assert normalization_text(how) == text
    assert parse_normalization(text.replace(" ", "_").upper()) == how


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lungs",
        "window",
        "percentile:1",
        "window:a:b",
        "window:5:1",
        "window:nan:1",
        "window:0:inf",
        "percentile:-1:99",
        "percentile:1:101",
    ],
)
def test_normalisations_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        parse_normalization(text)
    with pytest.raises(ValidationError):
        TrainConfig(normalization=text)


def test_windows_are_centre_and_width() -> None:
    for name, (centre, width) in WINDOWS.items():
        how = parse_normalization(name)
        assert ((how.low + how.high) / 2, how.high - how.low) == (centre, width)


def spec_with(spec: ModelSpec) -> ModelSpec:
    how = Normalization(kind="percentile", low=2, high=98)
    return spec.model_copy(update={"filters": STEPS, "normalization": how})


def test_filters_come_before_normalisation(tiny_spec: ModelSpec, make_item: Make) -> None:
    item, plain = make_item(0), prepare(make_item(0).volume, tiny_spec)
    raw = prepare(
        item.volume,
        tiny_spec.model_copy(update={"normalization": Normalization(kind="window", low=0, high=1)}),
    )
    assert raw.data.shape == plain.data.shape
    smooth = filtered(item.volume.numpy()[None].astype(np.float32), STEPS, ndim=3)
    expected = np.clip(
        (smooth - np.percentile(smooth, 2)) / np.ptp(np.percentile(smooth, (2, 98))), 0, 1
    )
    np.testing.assert_allclose(prepare(item.volume, spec_with(tiny_spec)).data, expected, atol=1e-5)


def test_learning_checking_and_predicting_see_the_same(
    tiny_spec: ModelSpec, make_item: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, item = spec_with(tiny_spec), make_item(0)
    size = item.volume.grid.shape
    (array,), _ = run_to_end(prepare_items([item], TASKS["semantic"], spec))
    checker = Checker([item], TASKS["semantic"], spec, is_held_out=True)
    fakes.install(monkeypatch)
    seen: list[torch.Tensor] = []

    def look(data: torch.Tensor) -> torch.Tensor:
        seen.append(data.clone())
        return torch.cat([data, data, data], dim=1)

    model = fakes.model(
        look,
        tile=size,
        filters=spec.filters,
        normalization=spec.normalization,
        spacing=spec.spacing,
        unit=spec.unit,
    )
    run_to_end(predict(item.volume, model, PredictConfig(device="cpu")))
    assert (checker._cases[0].prepared.data == array.data).all()
    assert (seen[0][0].numpy() == array.data).all()
    bare = prepare(item.volume, spec.model_copy(update={"filters": ()}))
    assert not np.allclose(bare.data, array.data, atol=0.01)


def test_a_recipe_stays_with_its_model(
    tiny_spec: ModelSpec, make_item: Make, tmp_path: Path
) -> None:
    config = TrainConfig(
        steps=1, checks=1, device="cpu", filters="median:radius=1", normalization="percentile:1:99"
    )
    items = [make_item(i) for i in range(2)]
    learned = run_to_end(
        train(items, init=None, config=config, folder=tmp_path / "run", name="mine")
    )
    assert learned.spec.filters == (FilterSpec(name="median", args={"radius": 1}),)
    store = ModelStore(folder=tmp_path / "models")
    saved = store.save(learned.spec, learned.state)
    assert store.load("mine").spec.filters == learned.spec.filters
    card = model_card(saved.spec)
    assert "| Filters | median (radius 1) |" in card
    assert "| Intensities | percentile 1 to 99 |" in card
    # Learning on from it with other wishes keeps what its weights are used to.
    other = TrainConfig(steps=1, checks=1, device="cpu", filters="gaussian", normalization="lung")
    job = train(items, init=store.load("mine"), config=other, folder=tmp_path / "on", name="on")
    assert run_to_end(job).spec.filters == learned.spec.filters


def test_another_network_keeps_the_recipe(tiny_spec: ModelSpec) -> None:
    config = TrainConfig(network="recurrent_unet", filters="median", normalization="lung")
    wished = with_wishes(tiny_spec, TASKS["semantic"], config)
    assert wished.network == "recurrent_unet"
    assert (wished.filters, wished.normalization) == (
        parse_filters("median"),
        parse_normalization("lung"),
    )


def test_planes_of_a_volume_are_filtered_one_by_one_for_a_2d_model(tiny_spec: ModelSpec) -> None:
    array = np.random.default_rng(0).normal(size=(4, 20, 20)).astype(np.float32)
    grid = Grid.regular("ZYX", array.shape, (1, 1, 1), unit="mm")
    spec = spec_with(tiny_spec).model_copy(
        update={
            "ndim": 2,
            "tile": (16, 16),
            "spacing": None,
            "normalization": Normalization(kind="window", low=-5, high=5),
        }
    )
    whole = prepare(Volume(array, grid), spec).data[0]
    alone = prepare(Volume(array[2], grid.plane()), spec).data[0]
    assert (whole[2] == alone).all()


def test_a_model_of_before_filters_opens(tiny_spec: ModelSpec) -> None:
    old = tiny_spec.model_dump(mode="json")
    del old["filters"]
    assert ModelSpec.model_validate(old) == tiny_spec
