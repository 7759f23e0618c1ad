"""Images zoomed to the size of objects a network knows: in training, and in prediction by asking the network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, Extent
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.arrays import prepare_item
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.cost import estimate
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.prepare import fits
from napari_apprentice.engine.size import bounded, planned_spec, training_zoom
from napari_apprentice.engine.split import TrainItem
from napari_apprentice.engine.train import train
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS

from ._fakes import FakeModel, FakeNetwork, Function

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.prediction import Prediction

TASK: Any = TASKS["instance"]


def spec_of(diameter: float | None = 12.0, **more: Any) -> ModelSpec:
    fields: dict[str, Any] = {
        "name": "cells",
        "task": "instance",
        "network": "fake",
        "ndim": 2,
        "tile": (32, 32),
        "normalization": Normalization(kind="window", low=0.0, high=1.0),
        "classes": (ClassSpec(value=1, name="cell"),),
    }
    spec = ModelSpec(**fields | more)
    return spec if diameter is None else TASK.with_diameter(spec, diameter)


def discs(shape: tuple[int, ...], diameter: float, step: int) -> NDArray[np.int32]:
    """Discs in rows, apart from one another, the same in every plane."""
    y, x = np.indices(shape[-2:])
    near = ((y % step) - step / 2) ** 2 + ((x % step) - step / 2) ** 2 <= (diameter / 2) ** 2
    plane = np.where(near, 1 + y // step * 100 + x // step, 0).astype(np.int32)
    return np.broadcast_to(plane, shape).copy()


def item(labels: NDArray[Any], *, unit: str = "pixel", spacing: float = 1.0) -> TrainItem:
    axes = "ZYX"[-labels.ndim :]
    grid = Grid.regular(axes, labels.shape, (spacing,) * labels.ndim, unit=unit)
    image = (labels > 0).astype(np.float32)
    return TrainItem("a", Volume(image, grid), Annotation(grid, labels, ()))


def bright(data: torch.Tensor) -> torch.Tensor:
    """Background and interior by brightness; it says nothing about borders."""
    inside = 20 * (data.mean(dim=1, keepdim=True) - 0.5)
    return torch.cat([-inside, inside, torch.full_like(inside, -20)], dim=1)


@pytest.fixture
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {"fake": FakeNetwork()}
    for module in ("predict", "cost"):
        monkeypatch.setattr(f"napari_apprentice.engine.{module}.NETWORKS", networks)


def found(volume: Volume, spec: ModelSpec, **config: Any) -> tuple[Prediction, Function]:
    network = Function(bright)
    settings = PredictConfig(device="cpu", **config)
    job: Any = predict(volume, FakeModel(spec, network), settings)  # type: ignore[arg-type]
    return run_to_end(job), network


# -- learning -----------------------------------------------------------------------------


def test_training_images_are_zoomed_to_the_models_diameter() -> None:
    labels = discs((80, 120), 24, 40)
    assert training_zoom(item(labels), TASK, spec_of(12)) == pytest.approx(0.5, rel=0.03)
    assert training_zoom(item(labels), TASK, spec_of(22)) == 1.0, "about the same already"
    assert training_zoom(item(discs((40, 40), 24, 40)), TASK, spec_of(12)) == 1.0, (
        "one tells little"
    )
    assert training_zoom(item(labels), TASKS["semantic"], spec_of(12)) == 1.0
    prepared, annotation = run_to_end(prepare_item(item(labels), TASK, spec_of(12)))
    assert prepared.grid.shape == annotation.labels.shape == pytest.approx((40, 60), abs=1)
    assert prepared.grid.spacing == pytest.approx((2, 2), rel=0.05)
    assert len(np.unique(annotation.labels)) == len(np.unique(labels))


def test_a_zoom_does_not_outgrow_memory() -> None:
    assert bounded(4.0, (4096, 4096)) == pytest.approx(2**1.5)
    assert bounded(4.0, (512, 512)) == 4.0
    assert bounded(0.5, (10**6, 10**6)) == 0.5
    assert bounded(2.0, (10**6, 10**6)) == 1.0


def test_planes_of_a_volume_keep_their_number() -> None:
    prepared, annotation = run_to_end(
        prepare_item(item(discs((3, 80, 80), 24, 40)), TASK, spec_of(12))
    )
    assert prepared.grid.shape == annotation.grid.shape == pytest.approx((3, 40, 40), abs=1)


def test_only_what_counts_is_measured() -> None:
    labels = discs((80, 160), 24, 40)
    labels[:, 80:] = discs((80, 80), 8, 16) * 10_000
    half = item(labels)
    said = replace(half.annotation, extent=Extent(boxes=(((0, 0), (80, 80)),)))
    zoom = training_zoom(replace(half, annotation=said), TASK, spec_of(12))
    assert zoom == pytest.approx(0.5, rel=0.03)


def test_a_new_model_learns_at_the_size_of_its_objects_within_reason() -> None:
    same = planned_spec(spec_of(None), [item(discs((80, 120), 24, 40))], TASK)
    assert TASK.diameter(same) == pytest.approx(24, rel=0.03)
    large = item(discs((320, 480), 80, 160), unit="um", spacing=0.5)
    spec = planned_spec(spec_of(None, spacing=(0.5, 0.5), unit="um"), [large], TASK)
    assert TASK.diameter(spec) == 40
    assert spec.spacing == pytest.approx((1.0, 1.0), rel=0.02)
    assert training_zoom(large, TASK, spec) == 1.0, "the spacing has done it"


# -- predicting ---------------------------------------------------------------------------


@pytest.mark.usefixtures("_fake")
@pytest.mark.parametrize("diameter", [5, 12, 40])
def test_the_network_is_asked_for_the_size_of_objects(diameter: int) -> None:
    labels = discs((max(60, 4 * diameter),) * 2, diameter, 2 * diameter)
    prediction, _ = found(item(labels).volume, spec_of(12))
    assert prediction.count == len(np.unique(labels)) - 1
    assert prediction.provenance is not None
    (note,) = [n for n in prediction.provenance.notes if "taken to be about" in n]
    assert float(note.split()[5]) == pytest.approx(diameter, rel=0.25)
    assert note.endswith("px wide")


@pytest.mark.usefixtures("_fake")
def test_a_given_diameter_or_a_known_voxel_size_asks_nothing() -> None:
    labels = discs((160, 160), 40, 80)
    prediction, network = found(item(labels).volume, spec_of(10), diameter=40)
    assert prediction.count == 4
    assert max(np.prod(s[2:]) for s in network.seen) <= 40**2
    assert len(network.seen) <= 9
    volume = item(labels, unit="um", spacing=0.25).volume
    prediction, network = found(volume, spec_of(10, spacing=(1.0, 1.0), unit="um"))
    assert prediction.provenance is not None
    assert prediction.provenance.notes == ()
    assert prediction.count == 4
    _, again = found(volume, spec_of(10), diameter=10)
    assert len(again.seen) == len(network.seen), "in the unit of the image"


@pytest.mark.usefixtures("_fake")
def test_an_estimate_knows_the_zoom_where_the_size_is_given() -> None:
    volume = item(discs((80, 80), 10, 20)).volume
    spec = spec_of(20)
    plain, given, unzoomed = (
        estimate(volume, spec, PredictConfig(device="cpu", diameter=d)) for d in (None, 10, 20)
    )
    assert given.tiles > 2 * unzoomed.tiles == 2 * plain.tiles
    assert given.is_sized
    assert not plain.is_sized
    assert plain.describe().endswith("more where objects are small")


@pytest.mark.usefixtures("_fake")
def test_memory_that_runs_out_while_the_size_is_looked_for_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def greedy(*_: Any) -> Any:
        yield Progress("looking")
        raise MemoryError

    monkeypatch.setattr("napari_apprentice.engine._find_size.finding_zoom", greedy)
    labels = discs((60, 60), 12, 20)
    prediction, _ = found(item(labels).volume, spec_of(12))
    assert prediction.count == 9
    assert prediction.provenance is not None
    assert "memory ran out" in prediction.provenance.notes[0]


@pytest.mark.usefixtures("_fake")
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_an_empty_image_and_one_giant_object_are_answers(value: float) -> None:
    image = np.full((70, 90), value, np.float32)
    prediction, _ = found(Volume(image, Grid.regular("YX", image.shape)), spec_of(12))
    assert prediction.count == int(value)
    assert prediction.summary.startswith(f"{int(value)} cell")


@pytest.mark.usefixtures("_fake")
def test_a_volume_is_found_plane_by_plane_and_joined() -> None:
    labels = discs((4, 60, 60), 12, 20)
    prediction, _ = found(item(labels).volume, spec_of(12))
    assert prediction.count == 9
    assert prediction.labels is not None
    assert (prediction.labels[0] == prediction.labels[3]).all()


@pytest.mark.usefixtures("_fake")
def test_frames_are_independent_and_their_objects_stand_in_one_table() -> None:
    one = discs((60, 60), 12, 20)
    film = np.stack([one, np.where(one == 1, 0, one)])
    grid = Grid.regular("TYX", film.shape)
    prediction, _ = found(Volume((film > 0).astype(np.float32), grid), spec_of(12))
    assert prediction.count == 17
    assert prediction.objects["frame"].tolist() == [0] * 9 + [1] * 8
    assert prediction.objects["label"].tolist() == [*range(1, 10), *range(1, 9)]


@pytest.mark.usefixtures("_fake")
def test_one_model_takes_grey_and_colour() -> None:
    labels = discs((60, 60), 12, 20)
    spec = spec_of(12, channels=("red", "green", "blue"), grey_as_color=True)
    grey = item(labels).volume
    colour = Volume(
        np.repeat(np.asarray(grey.data)[None], 3, 0), Grid.regular("CYX", (3, 60, 60)), rgb=True
    )
    answers = [found(volume, spec)[0].labels for volume in (grey, colour)]
    assert answers[0] is not None
    np.testing.assert_array_equal(answers[0], answers[1])
    two = Volume(np.zeros((2, 60, 60)), Grid.regular("CYX", (2, 60, 60)))
    assert fits(two, spec) == "expects 3 channels, found 2"
    strict = spec.model_copy(update={"grey_as_color": False})
    assert fits(grey, strict) == "expects 3 channels, found 1"


def test_a_small_network_learns_objects(tmp_path: Path) -> None:
    """End to end: three touching pairs a row, grey and colour, in seconds."""
    torch.manual_seed(0)
    labels = discs((48, 48), 10, 12)
    items = [item(labels), replace(item(labels[::-1].copy()), name="b", weight=3.0)]
    spec = spec_of(
        10,
        network="unet",
        network_args={"channels": [8, 16], "strides": [2], "num_res_units": 0},
    )
    config = TrainConfig(steps=60, held_out=0, device="cpu", checks=1, ema=0.5)
    result = run_to_end(train(items, init=spec, config=config, folder=tmp_path, task="instance"))
    assert result.after["ap50"] > 0.6
    assert result.spec.task_args["diameter"] == 10


def test_a_volume_of_thick_slices_is_learned_and_found_in_3d(tmp_path: Path) -> None:
    labels = np.zeros((6, 32, 32), np.int32)
    for number, (y, x) in enumerate(((4, 4), (4, 18), (18, 4), (18, 18)), start=1):
        labels[1:5, y : y + 10, x : x + 10] = number
    grid = Grid.regular("ZYX", labels.shape, (3.0, 1.0, 1.0), unit="um")
    image = Volume((labels > 0).astype(np.float32), grid)
    items = [TrainItem("a", image, Annotation(grid, labels, ()))]
    config = TrainConfig(steps=25, held_out=0, device="cpu", checks=1, ema=0.5)
    plan = TASK.default_spec("cells", [image], [])
    args = {**plan.network_args, "channels": [4, 8], "strides": plan.network_args["strides"][:1]}
    plan = plan.model_copy(update={"network_args": args, "tile": (6, 24, 24)})
    result = run_to_end(train(items, init=plan, config=config, folder=tmp_path, task="instance"))
    assert result.spec.spacing == pytest.approx((3, 1, 1), rel=0.3)
    assert result.after["f1_50"] > 0.5
    prediction = run_to_end(predict(image, Model(result.spec, result.state), PredictConfig()))
    assert prediction.count
    assert prediction.provenance is not None
    assert prediction.provenance.notes == (), "the voxel size is known: nothing is assumed"
