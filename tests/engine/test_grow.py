"""The object at a place: from the maps of the network, around a click only."""

from __future__ import annotations

import numpy as np
import pytest

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.tasks import TASKS, GrowsObjects
from napari_apprentice.tasks._grow import grow_object
from napari_apprentice.tasks._objects import Reading

HOW = Reading(reach=3.0, smallest=5.0)


def spec_of(ndim=2, classes=1):
    names = tuple(ClassSpec(value=n, name=f"kind {n}") for n in range(1, classes + 1))
    return ModelSpec(
        name="cells",
        task="instance",
        network="unet",
        ndim=ndim,
        tile=(32,) * ndim,
        classes=names,
        task_args={"diameter": 10.0, "border": 1.0},
    )


def maps_of(*objects, shape=(40, 60)):
    """Interior and foreground: squares ``(row, column, half, certainty)``."""
    maps = np.zeros((2, *shape), np.uint8)
    for row, column, half, sure in objects:
        maps[0, row - half + 1 : row + half, column - half + 1 : column + half] = sure
        maps[1, row - half : row + half + 1, column - half : column + half + 1] = sure
    return maps


def test_an_object_that_the_network_is_sure_of_is_taken_as_it_is():
    grown = grow_object(maps_of((10, 10, 5, 230), (10, 40, 5, 230)), (1, 1), HOW, 80, (12, 11))
    assert grown is not None
    assert grown.mask.sum() == 121
    assert not grown.mask[:, 30:].any()
    assert grown.score > 0.8


def test_one_that_it_held_for_possible_is_grown_where_a_person_clicks():
    maps = maps_of((10, 10, 5, 60), (10, 40, 5, 230))
    assert grow_object(maps, (1, 1), HOW, 80, (10, 10)).mask.sum() == 121
    assert grow_object(maps, (1, 1), HOW, 80, (30, 30)) is None


def test_a_hole_is_closed_and_a_puddle_or_a_speck_is_no_object():
    maps = maps_of((10, 10, 5, 200))
    maps[:, 10, 10] = 0
    assert grow_object(maps, (1, 1), HOW, 80, (12, 12)).mask[10, 10]
    assert grow_object(maps_of((20, 30, 18, 200)), (1, 1), HOW, 80, (20, 30)) is None
    assert grow_object(maps_of((20, 30, 0, 200)), (1, 1), HOW, 80, (20, 30)) is None


def test_the_task_says_class_and_score_of_the_object_or_nothing():
    task, spec = TASKS["instance"], spec_of(classes=2)
    assert isinstance(task, GrowsObjects)
    maps = np.concatenate([maps_of((10, 10, 5, 90)), np.ones((1, 40, 60), np.uint8)])
    grid = Grid.regular("YX", (40, 60))
    found = task.grow(maps, grid, spec, (10, 10))
    assert found.count == 1
    assert found.objects["class"].tolist() == [2]
    assert set(np.unique(found.labels)) == {0, 1}
    assert task.grow(maps, grid, spec, (30, 50)).count == 0


def test_through_planes_it_follows_the_object_until_it_ends():
    task, spec = TASKS["instance"], spec_of()
    planes = [maps_of((10 + z, 10, 5, 200)) for z in range(4)] + [maps_of((30, 50, 5, 200))] * 2
    grid = Grid.regular("ZYX", (6, 40, 60), (2.0, 1.0, 1.0))
    found = task.grow(np.stack(planes, axis=1), grid, spec, (1, 11, 10))
    assert [bool(found.labels[z].any()) for z in range(6)] == [True] * 4 + [False] * 2
    assert (found.labels[2] > 0).sum() == 121


# -- in an image ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """A network that is the image: bright is inside of an object."""
    torch = pytest.importorskip("torch")
    from types import SimpleNamespace

    class Bright(torch.nn.Module):
        def forward(self, x):
            inside = 4 * x[:, :1]
            return torch.cat([-inside, inside, -4 * torch.ones_like(inside)], dim=1)

    spec = spec_of()
    return SimpleNamespace(spec=spec, build=Bright, fingerprint="0" * 64, state={})


def volume_of(shape=(300, 400), spacing=None):
    from napari_apprentice.core.volume import Volume

    y, x = np.ogrid[: shape[0], : shape[1]]
    data = np.zeros(shape, np.float32)
    for row in range(15, shape[0], 30):
        for column in range(15, shape[1], 30):
            data[(y - row) ** 2 + (x - column) ** 2 <= 25] = 1.0
    data += np.random.default_rng(0).normal(0, 0.05, shape).astype(np.float32)
    return Volume(data, Grid.regular("YX", shape, spacing), name="cells")


def test_it_finds_the_object_in_its_surroundings_only(model):
    from napari_apprentice.core.jobs import run_to_end
    from napari_apprentice.engine.config import PredictConfig
    from napari_apprentice.engine.grow import grow

    config = PredictConfig(device="cpu")
    found = run_to_end(grow(volume_of(), model, config, (255, 345), usual=10.0))
    assert found is not None
    assert found.mask.shape == (11, 11)
    assert found.start == (250, 340)
    assert found.note.by == "person"
    assert found.note.score > 0.5
    assert run_to_end(grow(volume_of(), model, config, (270, 360), usual=10.0)) is None
    corner = run_to_end(grow(volume_of(), model, config, (12, 15), usual=10.0))
    assert corner.start == (10, 10)
    with pytest.raises(BadInputError, match="voxel within"):
        run_to_end(grow(volume_of(), model, config, (300, 0)))


def test_a_model_that_paints_classes_cannot_be_asked(model):
    from types import SimpleNamespace

    from napari_apprentice.core.jobs import run_to_end
    from napari_apprentice.engine.config import PredictConfig
    from napari_apprentice.engine.grow import can_grow, grow

    painter = SimpleNamespace(spec=model.spec.model_copy(update={"task": "semantic"}))
    assert can_grow(model.spec)
    assert not can_grow(painter.spec)
    with pytest.raises(BadInputError, match="finds objects"):
        run_to_end(grow(volume_of(), painter, PredictConfig(), (5, 5)))
