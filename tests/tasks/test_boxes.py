"""Rows of anchors: what is read from them, and what they learn from the maps of points and boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import IGNORE, Annotation, Extent, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.engine.augment import Recipe, apply, magnification, make_parameters
from napari_apprentice.models.networks._anchors import anchors_of_level
from napari_apprentice.tasks import TASKS
from napari_apprentice.tasks._box_loss import _highest_beside, boxes_said
from napari_apprentice.tasks._boxes import boxes_of_rows, suppress_boxes, suppress_crowd, sure_boxes

TASK: Any = TASKS["detection"]
CELLS = (LabelClass(1, "cell"), LabelClass(2, "dividing cell"))
MIDDLES = [(12.0, 12.0), (12.5, 40.5), (40.3, 30.4)]
LENGTHS = [(10.0, 14.0), (21.0, 16.0), (8.0, 9.0)]
KINDS = [1, 2, 1]


def said_in(ndim: int = 2, sizes: Any = LENGTHS, extent: Extent | None = None) -> Annotation:
    lead = [[8.0]] * 3 if ndim == 3 else [[]] * 3
    places = [a + list(b) for a, b in zip(lead, MIDDLES, strict=True)]
    lengths = None if sizes is None else [a + list(b) for a, b in zip(lead, sizes, strict=True)]
    grid = Grid.regular("ZYX"[3 - ndim :], (16, 56, 56)[3 - ndim :])
    return Annotation.of_places(grid, Detections.of(places, lengths, KINDS), CELLS, extent)


def spec_of(ndim: int = 2, **args: Any) -> ModelSpec:
    return ModelSpec(
        name="m", task="detection", network="retinanet", ndim=ndim, tile=(64,) * ndim,
        task_args={"anchors": True, "boxes": True, "diameter": 12.0, **args},
        classes=tuple({"value": c.value, "name": c.name} for c in CELLS),
    )  # fmt: skip


def maps_of(said: Annotation, spec: ModelSpec) -> torch.Tensor:
    return torch.from_numpy(TASK.targets(said, spec))[None]


def rows_of(shape: tuple[int, ...], length: float = 12.0) -> torch.Tensor:
    """Rows ``(1, R, …)`` of anchors four voxels apart that say nothing yet."""
    anchors = anchors_of_level([n // 4 for n in shape], [4] * len(shape), [[length] * len(shape)])
    return torch.cat([anchors, torch.zeros(len(anchors), 2 * len(shape) + 2)], dim=1)[None]


@pytest.mark.parametrize("ndim", [2, 3])
def test_objects_are_read_back_from_the_maps(ndim: int) -> None:
    said, spec = said_in(ndim), spec_of(ndim)
    (found,) = boxes_said(maps_of(said, spec), ndim, [12.0] * ndim)
    order = np.lexsort(found.middles.numpy().T[::-1])
    np.testing.assert_allclose(found.middles[order], said.detections.centres, atol=0.15)
    np.testing.assert_allclose(found.lengths[order], said.detections.sizes, rtol=0.02)
    assert found.kinds[order].tolist() == [0, 1, 0]
    assert bool(found.sized.all())


@pytest.mark.parametrize("shape", [(9, 7), (6, 5, 7)])
def test_the_highest_beside_is_that_of_the_whole_neighbourhood(shape: tuple[int, ...]) -> None:
    maps = torch.rand((2, 3, *shape), generator=torch.Generator().manual_seed(0))
    pool: Any = (
        torch.nn.functional.max_pool3d if len(shape) == 3 else torch.nn.functional.max_pool2d
    )
    assert torch.equal(_highest_beside(maps), pool(maps, 3, 1, 1))
    assert torch.equal(_highest_beside(_highest_beside(maps)), pool(maps, 5, 1, 2))


@pytest.mark.parametrize("seed", range(6))
def test_an_object_is_one_also_where_a_moved_map_has_lost_or_doubled_its_middle(seed: int) -> None:
    said, spec = said_in(), spec_of()
    target, data = maps_of(said, spec), torch.zeros(1, 1, 56, 56)
    recipe = Recipe(spatial=1.0, rotate=25, scale=0.25)
    chance = torch.Generator().manual_seed(seed)
    parameters = make_parameters(recipe, data.shape, (1.0, 1.0), (0, 1), chance)
    maps = TASK.magnified(apply(data, target, parameters)[1], magnification(parameters), spec)
    (found,) = boxes_said(maps, 2, [12.0, 12.0])
    assert len(found.middles) == 3
    factor = float(magnification(parameters)[0])
    wanted = sorted(factor * length for length, _ in LENGTHS)
    np.testing.assert_allclose(sorted(found.lengths[:, 0].tolist()), wanted, rtol=0.05)


def test_points_have_the_usual_lengths_that_nobody_said() -> None:
    spec = spec_of(boxes=False)
    (found,) = boxes_said(maps_of(said_in(sizes=None), spec), 0, [12.0, 12.0])
    assert found.lengths.tolist() == [[12.0, 12.0]] * 3
    assert not bool(found.sized.any())


def test_the_loss_falls_as_rows_come_to_say_what_was_said() -> None:
    said, spec = said_in(), spec_of()
    target, rows = maps_of(said, spec), rows_of((56, 56))
    told = torch.nn.Parameter(torch.zeros(1, rows.shape[1], 6))
    learner = torch.optim.Adam([told], lr=0.2)
    for _ in range(80):
        loss = TASK.loss(torch.cat([rows[..., :4], told], dim=2), target, spec)
        learner.zero_grad()
        loss.backward()
        learner.step()
    assert float(loss.detach()) < 0.2
    found = TASK.found(torch.cat([rows[..., :4], told.detach()], dim=2)[0], spec)
    places = TASK.decode(found, said.grid, spec).detections
    order = np.lexsort(places.centres.T[::-1])
    np.testing.assert_allclose(places.centres[order], said.detections.centres, atol=1.0)
    np.testing.assert_allclose(places.sizes[order], said.detections.sizes, rtol=0.1)
    assert places.kinds[order].tolist() == KINDS


def test_where_nothing_was_said_nothing_is_learned() -> None:
    extent = Extent(boxes=(((0, 0), (28, 56)),))
    target, rows = maps_of(said_in(extent=extent), spec_of()), rows_of((56, 56))
    assert bool((target[..., 28:, :] == IGNORE).all())
    rows.requires_grad_(True)
    TASK.loss(rows, target, spec_of()).backward()
    beyond = rows[0, :, 0] >= 28
    told = rows.grad[0, :, 4:].abs().sum(dim=1)
    assert float(told[beyond].max()) == 0
    assert float(told[~beyond].min()) > 0


@pytest.mark.parametrize("sizes", [None, LENGTHS])
def test_points_teach_where_and_not_how_large(sizes: Any) -> None:
    spec = spec_of(boxes=sizes is not None)
    rows = rows_of((56, 56)).requires_grad_(True)
    TASK.loss(rows, maps_of(said_in(sizes=sizes), spec), spec).backward()
    assert float(rows.grad[..., 4:6].abs().sum()) > 0
    assert (float(rows.grad[..., 6:8].abs().sum()) > 0) is (sizes is not None)


def test_an_image_without_objects_teaches_that_there_are_none() -> None:
    grid = Grid.regular("YX", (32, 32))
    target = maps_of(Annotation.of_places(grid, Detections.none(2), CELLS), spec_of())
    rows = rows_of((32, 32)).requires_grad_(True)
    TASK.loss(rows, target, spec_of()).backward()
    assert bool((rows.grad[..., 8:] > 0).all())
    assert float(rows.grad[..., 4:8].abs().max()) == 0
    empty = TASK.decode(np.zeros((0, 6), np.float32), grid, spec_of())
    assert (empty.count, empty.summary) == (0, "0 cells · 0 dividing cells")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_network_gone_astray_has_a_loss_that_is_no_number(value: float) -> None:
    rows = rows_of((56, 56))
    rows[..., 4:6] = value
    assert not np.isfinite(float(TASK.loss(rows, maps_of(said_in(), spec_of()), spec_of())))


def test_of_points_places_alone_are_told_each_once() -> None:
    spec, grid = spec_of(boxes=False), Grid.regular("YX", (56, 56))
    rows = np.array(
        [(10, 10, 30, 30, 0.9, 0), (12, 11, 8, 8, 0.8, 0), (40, 40, 12, 12, 0.1, 0.7)], np.float32
    )
    found = TASK.decode(rows, grid, spec).detections
    assert found.centres.tolist() == [[10, 10], [40, 40]]
    assert found.kinds.tolist() == [1, 2]
    assert not found.are_boxes.any()


def test_of_boxes_that_overlap_the_surer_stays_and_takes_no_third_along() -> None:
    centres = np.array([(10.0, 10.0), (10.0, 14.0), (10.0, 18.0), (40.0, 40.0)])
    sizes = np.array([(10.0, 10.0)] * 3 + [(2.0, 2.0)])
    assert suppress_boxes(centres, sizes, 0.3).tolist() == [True, False, True, True]
    assert suppress_crowd(centres, sizes, 0.3).tolist() == [True, False, True, True]
    assert suppress_boxes(centres, sizes, 0.6).all()
    assert suppress_boxes(centres[:0], sizes[:0], 0.3).tolist() == []


@pytest.mark.parametrize("seed", range(3))
def test_suppression_is_that_of_monai(seed: int) -> None:
    from monai.data.box_utils import non_max_suppression

    random = np.random.default_rng(seed)
    centres, sizes = random.uniform(0, 40, (200, 3)), random.uniform(2, 20, (200, 3))
    corners = np.hstack([centres - sizes / 2, centres + sizes / 2])
    theirs = non_max_suppression(corners, np.linspace(1, 0, 200), 0.2)
    for suppress in (suppress_boxes, suppress_crowd):
        np.testing.assert_array_equal(np.flatnonzero(suppress(centres, sizes, 0.2)), theirs)


def test_doubtful_rows_are_left_out_and_boxes_keep_bounds() -> None:
    rows = rows_of((16, 16))[0]
    rows[:, 8:] = -9.0
    assert sure_boxes(rows, 2, least=0.1, overlap=0.4).shape == (0, 6)
    rows[5, 8:] = torch.tensor([3.0, 1.0])
    rows[5, 6:8] = 1e4
    ((y, x, height, width, first, second),) = sure_boxes(rows, 2, least=0.1, overlap=0.4)
    assert (y, x) == (5.5, 5.5)
    assert np.isfinite([height, width]).all()
    assert first > second > 0.5
    middles, lengths = boxes_of_rows(rows, 2)
    assert middles.shape == lengths.shape == (16, 2)
