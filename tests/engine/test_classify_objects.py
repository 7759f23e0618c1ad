"""Objects classed by a network on crops: learning, asking, and what cannot be used."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError, ModelError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.classify_objects import classify_objects
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.crops import cutting
from napari_apprentice.engine.object_feed import plan_object_split
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import train
from napari_apprentice.models.card import model_card
from napari_apprentice.models.networks import _object_measures
from napari_apprentice.models.store import Model
from napari_apprentice.tasks.object_class import TASK

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = (LabelClass(1, "helle Zellen"), LabelClass(2, "тёмные"))
CPU = PredictConfig(device="cpu")


def field(
    ndim: int = 2, *, channels: int = 1, unit: str = "um", seed: int = 0
) -> tuple[Volume, np.ndarray, dict[int, int]]:
    """Squares on a grid, those with odd numbers bright: image, labels and the class of each."""
    rng = np.random.default_rng(seed)
    shape = (6, 96, 96)[3 - ndim :]
    labels = np.zeros(shape, np.int32)
    kinds: dict[int, int] = {}
    for row in range(6):
        for column in range(6):
            number = 5 + 3 * len(kinds)
            labels[..., 16 * row + 3 : 16 * row + 12, 16 * column : 16 * column + 10] = number
            kinds[number] = 1 + len(kinds) % 2
    if ndim == 3:
        labels[[0, -1]] = 0
    bright = np.isin(labels, [n for n, kind in kinds.items() if kind == 1])
    image = rng.normal(0, 0.3, shape) + 2.0 * (labels > 0) + 2.0 * bright
    grid = Grid.regular("ZYX"[3 - ndim :], shape, (2.0, 0.5, 0.5)[3 - ndim :], unit=unit)
    data = image.astype(np.float32)
    if channels > 1:
        data = np.stack([rng.normal(size=shape).astype(np.float32)] * (channels - 1) + [data])
        return Volume(data, grid.with_channels(channels)), labels, kinds
    return Volume(data, grid), labels, kinds


def item(volume: Volume, labels: np.ndarray, kinds: dict[int, int]) -> TrainItem:
    said = Annotation(volume.grid.spatial, labels, CLASSES, object_classes=kinds)
    return TrainItem("field", volume, said)


def taught(items: list[TrainItem], folder: Path, **how: Any) -> Model:
    settings = {"device": "cpu", "steps": 12, "held_out": 0.0, "checks": 1, "learning_rate": 1e-2}
    config = TrainConfig(**{**settings, **how})
    result = run_to_end(
        train(items, init=None, config=config, folder=folder, task="object_class", name="m")
    )
    return Model(result.spec, result.state)


@pytest.mark.parametrize(
    ("ndim", "channels", "unit"), [(2, 1, "um"), (2, 2, "pixel"), (3, 1, "um")]
)
def test_a_few_classed_objects_class_the_rest(
    tmp_path: Path, ndim: int, channels: int, unit: str
) -> None:
    volume, labels, kinds = field(ndim, channels=channels, unit=unit)
    some = dict(list(kinds.items())[:8])
    model = taught([item(volume, labels, some)], tmp_path)
    assert [c.name for c in model.spec.classes] == ["helle Zellen", "тёмные"]
    other, same, truth = field(ndim, channels=channels, unit=unit, seed=1)
    found = run_to_end(classify_objects(other, same, model, CPU))
    assert dict(zip(*(found.objects[n].tolist() for n in ("label", "class")), strict=True)) == truth
    assert found.grid == other.grid.without("C").spatial
    assert ((found.objects["score"] > 0.5) & (found.objects["score"] <= 1)).all()
    assert ((found.objects["uncertainty"] >= 0) & (found.objects["uncertainty"] < 1)).all()
    assert found.summary == "18 helle Zellen · 18 тёмные"
    assert found.provenance is not None
    assert found.provenance.model == "m"
    scores = TASK.score(found, Annotation(found.grid, same, CLASSES, object_classes=truth))
    assert scores["f1"] == scores["accuracy"] == 1.0


def test_a_model_goes_on_learning_and_may_be_asked_about_some(tmp_path: Path) -> None:
    volume, labels, kinds = field()
    model = taught([item(volume, labels, dict(list(kinds.items())[:6]))], tmp_path / "a")
    flipped = {n: 3 - kind for n, kind in list(kinds.items())[:12]}
    config = TrainConfig(device="cpu", steps=20, held_out=0.0, checks=1, learning_rate=2e-2, keep=0)
    job = train(
        [item(volume, labels, flipped)],
        init=model,
        config=config,
        folder=tmp_path / "b",
        task="object_class",
        name="n",
    )
    result = run_to_end(job)
    assert result.spec.parent == "m"
    asked = list(kinds)[20:24]
    found = run_to_end(
        classify_objects(volume, labels, Model(result.spec, result.state), CPU, numbers=asked)
    )
    assert found.objects["label"].tolist() == asked
    assert found.objects["class"].tolist() == [3 - kinds[n] for n in asked]


def test_convolutions_learn_from_enough_objects_and_only_where_some_are_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume, labels, kinds = field()
    one = item(volume, labels, kinds)

    def steps(folder: str, held_out: float) -> int:
        return int(taught([one], tmp_path / folder, held_out=held_out).spec.training["steps"])

    assert steps("few", 0.25) == 0
    monkeypatch.setattr(_object_measures, "_FEWEST", 20)
    assert steps("unchecked", 0.0) == 0
    model = taught([one], tmp_path / "enough", held_out=0.25)
    assert model.spec.training["steps"] == 12
    assert model.spec.scores["f1"] == 1.0
    # All right already: what steps added was kept only if it made the answers surer.
    assert bool(model.state["seen.weight"].any()) == (model.spec.training["best_step"] > 0)


def two_stains(unit: str = "um", spacing: float = 0.5) -> list[tuple[Volume, np.ndarray]]:
    """The same field stained weakly and strongly: only what lies between the images tells their objects apart."""
    volume, labels, _ = field()
    grid = Grid.regular("YX", labels.shape, (spacing, spacing), unit=unit)
    return [(Volume(gain * volume.numpy() + gain, grid), labels) for gain in (1, 8)]


def test_brightness_between_images_and_any_unit_of_length(tmp_path: Path) -> None:
    kinds = field()[2]
    some = list(kinds)[:8]
    items = [
        replace(item(volume, labels, dict.fromkeys(some, kind)), name=f"stain {kind}")
        for kind, (volume, labels) in enumerate(two_stains(), start=1)
    ]
    model = taught(items, tmp_path)
    assert model.spec.task_args["measures"][:2] == ["voxels", "area"]
    assert "intensity mean" in model.spec.task_args["measures"]
    scores = []
    for volumes in (two_stains(), two_stains("mm", 0.0005)):
        for kind, (volume, labels) in enumerate(volumes, start=1):
            found = run_to_end(classify_objects(volume, labels, model, CPU)).objects
            assert (found["class"] == kind).all()
            scores.append(found["score"])
    np.testing.assert_allclose(scores[:2], scores[2:], rtol=1e-3)


def test_grey_pictures_are_asked_of_a_model_of_colours(tmp_path: Path) -> None:
    volume, labels, kinds = field(unit="pixel")
    gain = np.array([40, 5, 20]).reshape(3, 1, 1)
    colours = np.clip(gain * volume.numpy() + 30, 0, 255).astype(np.uint8)
    grid = volume.grid.with_channels(3)
    picture = Volume(colours, grid, channels=("red", "green", "blue"), rgb=True)
    some = dict(list(kinds.items())[:8])
    model = taught([item(picture, labels, some)], tmp_path)
    assert {"hue cos", "saturation", "intensity mean 3"} <= set(model.spec.task_args["measures"])
    grey = Volume(np.clip(25 * volume.numpy() + 30, 0, 255).astype(np.uint8), volume.grid)
    found = run_to_end(classify_objects(grey, labels, model, CPU)).objects
    assert np.isfinite(found["score"]).all()


def test_a_volume_and_a_model_from_before_are_refused_in_words(tmp_path: Path) -> None:
    volume, labels, kinds = field()
    model = taught([item(volume, labels, dict(list(kinds.items())[:4]))], tmp_path / "t")
    deep, many, _ = field(3)
    with pytest.raises(BadInputError, match="flat images, found a volume"):
        run_to_end(classify_objects(deep, many, model, CPU))
    broken = model.spec.model_copy(update={"task_args": {"measures": ["area", 7]}})
    with pytest.raises(ModelError, match=r"names of \d\d measures in m, found"):
        run_to_end(classify_objects(volume, labels, Model(broken, model.state), CPU))
    assert "| Measured of objects | [voxels, area, " in model_card(model.spec)
    old = {k: v for k, v in model.state.items() if not k.startswith(("table.", "crop."))}
    args = {"channels": model.spec.network_args["channels"]}
    spec = model.spec.model_copy(update={"network_args": args, "task_args": {}})
    with pytest.raises(ModelError, match="teach it anew"):
        Model(spec, {**old, "measured.bias": model.state["seen.bias"]}).build()


def test_tiny_and_border_objects_are_cut_and_classed(tmp_path: Path) -> None:
    volume, labels, kinds = field()
    model = taught([item(volume, labels, dict(list(kinds.items())[:6]))], tmp_path)
    spec = model.spec.model_copy(update={"spacing": (4.0, 4.0)})  # an eighth: specks vanish
    labels[:] = 0
    labels[0, 0], labels[95, 94:96], labels[40, 41] = 1, 2, 3
    cutter = run_to_end(cutting(volume, labels, TASK, spec))
    crops = cutter.cut([1, 2, 3])
    assert crops.shape == (3, 2, *spec.tile)
    assert np.isfinite(crops).all()
    assert (crops[:, -1].reshape(3, -1).sum(axis=1) >= 1).all()
    found = run_to_end(classify_objects(volume, labels, Model(spec, model.state), CPU))
    assert found.objects["label"].tolist() == [1, 2, 3]
    assert np.isfinite(found.objects["score"]).all()


def test_a_crop_shows_the_object_where_it_lies() -> None:
    volume, labels, kinds = field()
    spec = TASK.default_spec("m", [volume], CLASSES)
    spec = TASK.planned(spec, [item(volume, labels, kinds).annotation])
    assert spec.spacing == (0.5, 0.5)  # never finer than the image
    cutter = run_to_end(cutting(volume, labels, TASK, spec))
    number = list(kinds)[14]
    (crop,) = cutter.cut([number])
    inside = crop[-1] > 0
    assert inside.sum() == (labels == number).sum()
    mean = float(cutter.data[0][labels == number].mean())
    assert float(crop[0][inside].mean()) == pytest.approx(mean, abs=1e-5)


def test_large_objects_fit_into_coarser_crops() -> None:
    volume, _, _ = field()
    labels = np.zeros((96, 96), np.int32)
    labels[2:70, 4:80], labels[75:90, 60:90] = 1, 2
    said = Annotation(volume.grid, labels, CLASSES, object_classes={1: 1, 2: 2})
    spec = TASK.planned(TASK.default_spec("m", [volume], CLASSES), [said])
    assert spec.spacing is not None
    assert 32 * spec.spacing[0] >= 76 * 0.5
    without = replace(volume, grid=Grid.regular("YX", (96, 96)))
    said = Annotation(without.grid, labels, CLASSES, object_classes={1: 1, 2: 2})
    spec = TASK.planned(TASK.default_spec("m", [without], CLASSES), [said])
    assert spec.spacing is None
    assert 0.2 < TASK.zoom(spec) < 0.5


def test_some_of_every_class_are_held_out() -> None:
    volume, labels, kinds = field()
    split = plan_object_split([item(volume, labels, kinds)], TrainConfig(held_out=0.25))
    learned, held = (side[0].annotation.object_classes for side in (split.train, split.held_out))
    assert not learned.keys() & held.keys()
    assert learned.keys() | held.keys() == kinds.keys()
    assert {*held.values()} == {1, 2}
    assert "learns from 28 objects, held out 8" in split.note
    few = dict(list(kinds.items())[:6])
    split = plan_object_split([item(volume, labels, few)], TrainConfig(held_out=0.25))
    assert split.held_out == ()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({}, "two classes or more, found none"),
        ({5: 1, 8: 1}, "found 2 of the one class 'helle Zellen'"),
    ],
)
def test_one_class_cannot_be_learned(tmp_path: Path, kinds: dict[int, int], message: str) -> None:
    volume, labels, _ = field()
    with pytest.raises(BadInputError, match=message):
        taught([item(volume, labels, kinds)], tmp_path)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    volume, labels, kinds = field()
    model = taught([item(volume, labels, {**dict(list(kinds.items())[:2])})], tmp_path, steps=1)
    with pytest.raises(BadInputError, match="only background"):
        run_to_end(classify_objects(volume, np.zeros_like(labels), model, CPU))
    with pytest.raises(GridMismatchError, match="expected labels of"):
        run_to_end(classify_objects(volume, labels[:50], model, CPU))
    with pytest.raises(BadInputError):
        run_to_end(classify_objects(volume, labels.astype(float), model, CPU))
    with pytest.raises(BadInputError, match="expects 1 channel"):
        run_to_end(classify_objects(field(channels=2)[0], labels, model, CPU))
    with pytest.raises(BadInputError, match="Give the labels"):
        run_to_end(predict(volume, model, CPU))


def test_objects_that_are_held_out_stay_so_when_more_have_a_class() -> None:
    volume, labels, kinds = field()
    config = TrainConfig(held_out=0.25)

    def held(said: dict[int, int]) -> dict[int, int]:
        (one,) = plan_object_split([item(volume, labels, said)], config).held_out
        return dict(one.annotation.object_classes)

    some = dict(list(kinds.items())[:24])
    before, after = held(some), held(kinds)
    assert len(after) > len(before)
    for kind in set(kinds.values()):
        was = {number for number, k in before.items() if k == kind}
        known = {number for number, k in after.items() if k == kind and number in some}
        assert was
        assert was <= known or known <= was
