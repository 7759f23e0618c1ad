"""Points and boxes through the engine: tiles, orientation, spacing, films, learning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.engine.augment import Recipe, apply, magnification, make_parameters
from napari_apprentice.engine.config import PredictConfig, TrainConfig
from napari_apprentice.engine.predict import predict
from napari_apprentice.engine.split import TrainItem, check_items, plan_split
from napari_apprentice.engine.train import train
from napari_apprentice.models.store import Model
from napari_apprentice.tasks import TASKS

from ._fakes import FakeNetwork, model

CELL = (LabelClass(1, "cell"),)
PLACES = np.array([(20.0, 30.0), (61.5, 32.0), (64.0, 95.2), (97.0, 60.0)])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = {"fake": FakeNetwork()}
    monkeypatch.setattr("napari_apprentice.engine.predict.NETWORKS", networks)
    monkeypatch.setattr("napari_apprentice.engine.cost.NETWORKS", networks)


def bumps(shape: tuple[int, ...], places: Any, sigma: tuple[float, ...]) -> np.ndarray[Any, Any]:
    """An image that is the heat map of its objects."""
    image = np.zeros(shape, np.float32)
    axes = np.ogrid[tuple(slice(n) for n in shape)]
    for place in places:
        squares = sum(((a - p) / s) ** 2 for a, p, s in zip(axes, place, sigma, strict=True))
        np.maximum(image, np.exp(-0.5 * np.asarray(squares)), out=image)
    return image


def reads(*lengths: float) -> Any:
    """A network that says what it sees, and that things have these lengths in working voxels."""

    def answer(data: torch.Tensor) -> torch.Tensor:
        size = [torch.full_like(data[:, :1], float(np.log2(n / 16))) for n in lengths]
        return torch.cat([*size, torch.logit(data[:, :1].clamp(1e-4, 1 - 1e-4)) + 2.2], dim=1)

    return answer


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("tile", [(128, 128), (32, 32)])
def test_no_object_is_lost_or_doubled_where_tiles_meet(tile: tuple[int, int]) -> None:
    volume = Volume(bumps((128, 128), PLACES, (3, 3)), Grid.regular("YX", (128, 128)))
    made = model(reads(12, 10), tile=tile, task="detection", classes=1)
    found = run_to_end(predict(volume, made, PredictConfig(device="cpu"))).detections  # type: ignore[arg-type]
    assert found is not None
    order = np.lexsort(found.centres.T[::-1])
    np.testing.assert_allclose(found.centres[order], PLACES, atol=0.3)
    np.testing.assert_allclose(found.sizes, [(12, 10)] * 4, rtol=1e-2)


@pytest.mark.usefixtures("fake")
def test_places_and_sizes_are_those_of_the_image_and_not_of_the_working_grid() -> None:
    # Stored x, z, y and x to the right; the network sees LPS at twice the voxel size in plane.
    place, shape = (10.0, 6.0, 30.0), (24, 16, 48)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[0, 1], affine[1, 2], affine[3, 3] = -1.0, 3.0, 1.0, 1.0
    grid = Grid("ZYX", shape, Grid.freeze(affine), "mm", "LPS")
    volume = Volume(bumps(shape, [place], (3, 2, 3)), grid)
    made = model(
        reads(4, 5, 6), tile=(16, 16, 16), task="detection", classes=1,
        spacing=(3.0, 2.0, 2.0), unit="mm", orientation="LPS",
    )  # fmt: skip
    answer = run_to_end(predict(volume, made, PredictConfig(device="cpu")))  # type: ignore[arg-type]
    assert answer.grid == grid
    assert answer.detections is not None
    np.testing.assert_allclose(answer.detections.centres, [place], atol=0.5)
    # z, y, x of the network are the image's second, third and first axis; 5 of 2 mm are 10 of 1 mm.
    np.testing.assert_allclose(answer.detections.sizes, [(12, 4, 10)], rtol=1e-2)


@pytest.mark.usefixtures("fake")
def test_a_film_says_of_which_frame_each_is() -> None:
    frames = np.stack([bumps((64, 64), places, (3, 3)) for places in ([(20, 20)], [], [(9, 40)])])
    volume = Volume(frames, Grid.regular("TYX", frames.shape))
    made = model(reads(12, 10), tile=(64, 64), task="detection", classes=1)
    answer = run_to_end(predict(volume, made, PredictConfig(device="cpu")))  # type: ignore[arg-type]
    assert answer.frames is not None
    assert answer.frames.tolist() == [0, 2]
    assert answer.count == 2


@pytest.mark.usefixtures("fake")
def test_doubtful_ones_come_on_request() -> None:
    image = 0.08 * bumps((64, 64), [(20, 20)], (3, 3)) + bumps((64, 64), [(50, 50)], (3, 3))
    volume = Volume(image, Grid.regular("YX", (64, 64)))
    made = model(reads(12, 10), tile=(64, 64), task="detection", classes=1)
    counts = [
        run_to_end(predict(volume, made, PredictConfig(device="cpu", least_score=least))).count  # type: ignore[arg-type]
        for least in (None, 0.02)
    ]
    assert counts == [1, 2]


@pytest.mark.usefixtures("fake")
def test_an_image_of_noise_and_nan_is_no_trouble() -> None:
    image = np.zeros((40, 40), np.float32)
    image[3, 3] = np.nan
    made = model(reads(12, 10), tile=(32, 32), task="detection", classes=1)
    volume = Volume(image, Grid.regular("YX", image.shape))
    assert run_to_end(predict(volume, made, PredictConfig(device="cpu"))).count == 0  # type: ignore[arg-type]


# -- learning -------------------------------------------------------------------------------


def item(seed: int, extent: Extent | None = None) -> TrainItem:
    random = np.random.default_rng(seed)
    places = np.array([(y, x) for y in (8, 24, 40) for x in (8, 24, 40)], float)
    places += random.uniform(-2, 2, places.shape)
    image = bumps((48, 48), places, (2, 2)) + random.normal(0, 0.05, (48, 48)).astype(np.float32)
    grid = Grid.regular("YX", image.shape, (0.5, 0.5), unit="um")
    boxes = Detections.of(places, np.full(places.shape, 8.0))
    return TrainItem(
        f"i{seed}", Volume(image, grid), Annotation.of_places(grid, boxes, CELL, extent)
    )


@pytest.fixture
def tiny() -> ModelSpec:
    return ModelSpec(
        name="tiny", task="detection", network="unet", ndim=2, tile=(32, 32),
        network_args={"channels": [8, 16], "strides": [2], "num_res_units": 0},
        classes=({"value": 1, "name": "cell"},), spacing=(0.5, 0.5), unit="um",
    )  # fmt: skip


def test_it_learns_to_find_and_to_measure(tmp_path: Path, tiny: ModelSpec) -> None:
    config = TrainConfig(steps=80, checks=2, device="cpu", learning_rate=1e-2, ema=0.8, seed=1)
    job = train(
        [item(k) for k in range(4)], init=tiny, config=config, folder=tmp_path, task="detection"
    )
    result = run_to_end(job)
    assert result.after["f1"] > 0.9
    assert result.spec.task_args == {"diameter": 8.0, "boxes": True}
    found = run_to_end(
        predict(item(9).volume, Model(result.spec, result.state), PredictConfig(device="cpu"))
    ).detections
    assert found is not None
    assert np.median(found.sizes) == pytest.approx(8.0, rel=0.3)
    assert result.after["distance_um"] < 1.0


def test_of_a_single_image_a_band_is_held_out(tiny: ModelSpec) -> None:
    split = plan_split([item(0)], TrainConfig())
    (held,) = split.held_out
    rows = np.flatnonzero(held.annotation.counts().any(axis=1))
    assert (np.diff(rows) == 1).all()
    assert len(rows) == pytest.approx(0.2 * 48, abs=1)


def test_points_are_enough_to_learn_from_and_none_at_all_are_not() -> None:
    check_items([item(0)])
    grid = Grid.regular("YX", (16, 16))
    empty = Annotation.of_places(grid, Detections.none(2), CELL)
    with pytest.raises(BadInputError, match="found only background"):
        check_items([TrainItem("e", Volume(np.zeros((16, 16), np.float32), grid), empty)])


@pytest.mark.parametrize("seed", range(3))
def test_maps_move_with_the_image_and_boxes_grow_as_it_does(seed: int, tiny: ModelSpec) -> None:
    recipe = Recipe(spatial=1.0, scale=0.3)
    said = item(0)
    task: Any = TASKS["detection"]
    spec = task.planned(tiny, [said.annotation])
    target = torch.from_numpy(task.targets(said.annotation, spec))[None]
    data = torch.from_numpy(np.asarray(said.volume.data))[None, None]
    generator = torch.Generator().manual_seed(seed)
    parameters = make_parameters(recipe, data.shape, (1.0, 1.0), (0, 1), generator)
    moved, maps = apply(data, target, parameters)
    assert maps.shape == target.shape
    middles = maps[0, 2] == 254
    assert bool(middles.any())
    assert float(moved[0, 0][middles].min()) > 0.5  # the image is bright there
    # A step of a fifth magnifies by as much as the distance of neighbours has grown.
    rows = torch.nonzero(middles).float()
    gaps = (rows[:, None] - rows[None]).norm(dim=2)
    nearest = gaps[gaps > 3].min() if bool((gaps > 3).any()) else None
    factor = float(magnification(parameters)[0])
    if nearest is not None:
        before = torch.nonzero(target[0, 2] == 254).float()
        old = (before[:, None] - before[None]).norm(dim=2)
        assert float(nearest) / float(old[old > 3].min()) == pytest.approx(factor, abs=0.25)
