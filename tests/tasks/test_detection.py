"""Points and boxes become maps and come back, in any spacing, with any number of classes, also none at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import IGNORE, Annotation, Extent, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.tasks import TASKS
from napari_apprentice.tasks._heat import MIDDLE, log_sizes, size_codes
from napari_apprentice.tasks._peaks import find_peaks, suppress

TASK: Any = TASKS["detection"]
CELL = (LabelClass(1, "cell"),)


def planned(said: Annotation, classes: tuple[LabelClass, ...] = CELL, ndim: int = 0) -> ModelSpec:
    volume = Volume(np.zeros(said.grid.shape, np.float32), said.grid)
    spec = TASK.default_spec("m", [volume], classes)
    if ndim:
        args = {"channels": [4, 8], "strides": [2], "num_res_units": 0}
        change = {"ndim": ndim, "tile": (16,) * ndim, "spacing": None, "network_args": args}
        spec = spec.model_copy(update=change)
    planned: ModelSpec = TASK.planned(spec, [said])
    return planned


def answer(said: Annotation, spec: ModelSpec) -> np.ndarray[Any, Any]:
    """What a network says that has learned its targets by heart."""
    target = torch.from_numpy(TASK.targets(said, spec))
    boxes = TASK.output_channels(spec) - len(spec.classes)
    heat = torch.logit(target[boxes:] / 255, 1e-6) + 2.2
    return torch.cat([log_sizes(target[:boxes]) - 4, heat]).numpy()


def annotated(
    shape: tuple[int, ...], spacing: tuple[float, ...], found: Detections, **more: Any
) -> Annotation:
    grid = Grid.regular("ZYX"[3 - len(shape) :], shape, spacing, unit="um")
    return Annotation.of_places(grid, found, more.pop("classes", CELL), **more)


def test_boxes_come_back_where_they_were_and_as_large() -> None:
    boxes = Detections.of(
        [(12.0, 12.0), (12.0, 40.0), (40.4, 30.3)], [(10.0, 14.0), (20.0, 16.0), (4.0, 5.0)]
    )
    said = annotated((64, 64), (0.5, 0.5), boxes)
    spec = planned(said)
    found = TASK.decode(answer(said, spec), said.grid, spec).detections
    order = np.lexsort(found.centres.T[::-1])
    np.testing.assert_allclose(found.centres[order], boxes.centres, atol=0.6)
    np.testing.assert_allclose(found.sizes[order], boxes.sizes, rtol=0.03)
    assert spec.task_args == {"diameter": 12.0, "boxes": True}
    assert TASK.score(TASK.decode(answer(said, spec), said.grid, spec), said)["ap50"] == 1.0


def test_a_bump_is_as_wide_as_its_object_along_every_axis() -> None:
    said = annotated((9, 61, 61), (2.0, 0.5, 0.5), Detections.of([(4.0, 30.0, 30.0)]))
    spec = planned(said).model_copy(update={"task_args": {"diameter": 24.0, "boxes": False}})
    heat = TASK.targets(said, spec)[0]
    assert heat[4, 30, 30] == MIDDLE
    # The same distance in the world is the same nearness.
    assert heat[5, 30, 30] == heat[3, 30, 30] == heat[4, 34, 30] == heat[4, 30, 26]
    assert 100 < heat[5, 30, 30] < MIDDLE
    assert heat[8].max() == 0


def test_scores_of_classes_are_told_where_objects_are_found() -> None:
    kinds, grid = (LabelClass(1, "a"), LabelClass(4, "b")), Grid.regular("YX", (12, 14))
    volume = Volume(np.zeros(grid.shape, np.float32), grid)
    for boxes in (0, 2):
        spec = TASK.default_spec("m", [volume], kinds).model_copy(
            update={"task_args": {"diameter": 2.0, "boxes": bool(boxes), "least_score": 0.3}}
        )
        output = torch.full((1, boxes + 2, 12, 14), -6.0)
        output[0, boxes + 1, 3, 5], output[0, boxes, 8, 9], output[0, boxes, 2, 11] = 9, 9, 1
        scores = TASK.class_scores(output, spec)
        told = TASK.told(scores, spec)[0]
        assert told.nonzero().tolist() == [[3, 5], [8, 9]]
        assert (int(told[3, 5]), int(told[8, 9])) == (2, 1)
        assert float(scores.softmax(dim=1)[0, 1, 8, 9]) == pytest.approx(
            1 / (1 + np.exp(2.2 - 9)), abs=1e-3
        )
        found = TASK.decode(output[0].numpy(), grid, spec).detections
        assert found is not None
        assert sorted(found.kinds.tolist()) == [1, 4]


@pytest.mark.parametrize(("ndim", "told"), [(2, 0), (3, 1)])
def test_less_is_enough_in_volumes(ndim: int, told: int) -> None:
    """Scores of heat maps stay low there; below 0.1 nothing at all was found after minutes of learning."""
    ball = Detections.of([(12.0,) * ndim], [(8.0,) * ndim])
    said = annotated((24,) * ndim, (1.0,) * ndim, ball)
    spec = planned(said, ndim=ndim)
    output = answer(said, spec)
    heat = output[TASK.output_channels(spec) - 1 :]
    doubtful = np.log(0.08 / 0.92) + 2.2
    heat[...] = -9.0
    heat[(0, *(slice(10, 15),) * ndim)] = doubtful
    found = TASK.decode(output, said.grid, spec).detections
    assert found is not None
    assert len(found) == told


def test_points_alone_teach_no_sizes() -> None:
    said = annotated((32, 32), (1, 1), Detections.of([(8.0, 8.0), (8.0, 20.0), (22.0, 14.0)]))
    spec = planned(said)
    assert spec.task_args["boxes"] is False
    assert TASK.output_channels(spec) == 1
    # Middles lie 12 apart and more: things are taken to be a little smaller than that.
    assert spec.task_args["diameter"] == pytest.approx(0.7 * 12, rel=0.1)
    found = TASK.decode(answer(said, spec), said.grid, spec).detections
    assert len(found) == 3
    assert not found.are_boxes.any()


def test_points_among_boxes_leave_sizes_open() -> None:
    mixed = Detections.of([(8.0, 8.0), (24.0, 24.0)], [(8.0, 8.0), (np.nan, np.nan)])
    said = annotated((32, 32), (1, 1), mixed)
    maps = TASK.targets(said, planned(said))
    assert maps[0, 8, 8] == maps[1, 8, 8] == size_codes(np.array([8.0]))[0]
    assert maps[:2, 20:, 20:].max() == 0
    assert maps[2, 24, 24] == MIDDLE


def test_classes_meet_by_name() -> None:
    theirs = (LabelClass(1, "mitotic"), LabelClass(5, "Resting"))
    boxes = Detections.of([(8.0, 8.0), (24.0, 24.0)], [(9.0, 9.0)] * 2, [5, 1])
    said = annotated((32, 32), (1, 1), boxes, classes=theirs)
    spec = planned(said, (LabelClass(1, "resting"), LabelClass(2, "mitotic")))
    maps = TASK.targets(said, spec)
    assert (maps[2, 8, 8], maps[3, 24, 24]) == (MIDDLE, MIDDLE)
    found = TASK.decode(answer(said, spec), said.grid, spec)
    assert sorted(found.detections.kinds.tolist()) == [1, 2]
    assert found.summary == "1 resting · 1 mitotic"
    stranger = replace(said, detections=replace(boxes, kinds=np.array([5, 9], np.int32)))
    with pytest.raises(BadInputError, match="class values \\[9\\]"):
        TASK.targets(stranger, spec)


def test_nothing_is_said_beyond_what_counts() -> None:
    extent = Extent(boxes=(((0, 0), (16, 32)),))
    boxes = Detections.of([(8.0, 8.0), (24.0, 24.0)], [(9.0, 9.0)] * 2)
    said = annotated((32, 32), (1, 1), boxes, extent=extent)
    spec = planned(said)
    maps = TASK.targets(said, spec)
    assert (maps[:, 16:] == IGNORE).all()
    assert not (maps[:, :16] == IGNORE).any()
    marks = TASK.marks(maps, spec)
    assert (marks[8, 8], marks[0, 0], marks[24, 24]) == (1, 0, IGNORE)
    output = torch.zeros(1, 3, 32, 32, requires_grad=True)
    TASK.loss(output, torch.from_numpy(maps)[None], spec).backward()
    assert output.grad is not None
    assert float(output.grad[..., 16:, :].abs().max()) == 0
    assert float(output.grad[..., :16, :].abs().max()) > 0


def test_an_image_without_objects_teaches_that_there_are_none() -> None:
    said = annotated((16, 16), (1, 1), Detections.none(2))
    spec = planned(said)
    maps = TASK.targets(said, spec)
    assert maps.shape == (1, 16, 16)
    assert maps.max() == 0
    output = torch.zeros(1, 1, 16, 16, requires_grad=True)
    TASK.loss(output, torch.from_numpy(maps)[None], spec).backward()
    assert output.grad is not None
    assert bool((output.grad > 0).all())
    found = TASK.decode(np.full((1, 16, 16), -9, np.float16), said.grid, spec)
    assert (found.count, found.summary) == (0, "0 cells")
    assert np.isnan(TASK.score(found, said)["f1"])


def test_a_2d_network_finds_a_thing_once_in_a_stack() -> None:
    boxes = Detections.of([(4.0, 10.0, 10.0), (8.0, 10.0, 22.0)], [(4.0, 8.0, 8.0)] * 2)
    said = annotated((12, 32, 32), (1.0, 0.5, 0.5), boxes)
    spec = planned(said, ndim=2)
    assert TASK.output_channels(spec) == 3
    found = TASK.decode(answer(said, spec), said.grid, spec).detections
    order = np.lexsort(found.centres.T[::-1])
    np.testing.assert_allclose(found.centres[order], boxes.centres, atol=0.5)
    np.testing.assert_allclose(found.sizes[:, 1:], 8.0, rtol=0.03)
    assert np.isnan(found.sizes[:, 0]).all()  # a plane does not tell how deep things are


def test_of_two_peaks_of_one_object_the_surer_stays() -> None:
    places = np.array([(10.0, 10.0), (10.0, 13.0), (10.0, 15.5)])
    kept = suppress(places, np.array([4.0, 4.0, 4.0]), (1.0, 1.0))
    # The second falls to the first; it cannot take the third along.
    assert kept.tolist() == [True, False, True]
    assert suppress(places, np.array([4.0, 4.0, 4.0]), (1.0, 2.0)).tolist() == [True, True, True]


def test_an_uneven_top_is_one_peak_once_it_is_blurred() -> None:
    y, x = np.ogrid[:40, :40]
    far = ((y - 20.0) ** 2 + (x - 18.0) ** 2) / (2 * 5.0**2)
    heat = 3 - far + 0.4 * ((y + x) % 2)  # as a transposed convolution draws it
    assert len(find_peaks(heat, 0.0)[0]) > 1
    voxels, places, heights = find_peaks(heat, 0.0, (1.5, 1.5))
    assert len(voxels) == 1
    np.testing.assert_allclose(places, [(20, 18)], atol=0.6)
    assert 1.5 < heights[0] < 3.4


def test_blurred_certainty_stays_finite() -> None:
    heat = np.full((9, 9), -1e4, np.float32)
    heat[4, 4] = 1e4
    heights = find_peaks(heat, -1e3, (0.5, 0.5))[2]
    assert np.isfinite(heights).all()


def test_sizes_grow_with_the_image() -> None:
    said = annotated((32, 32), (1, 1), Detections.of([(16.0, 16.0)], [(8.0, 12.0)]))
    spec = planned(said)
    maps = torch.from_numpy(TASK.targets(said, spec))[None].repeat(2, 1, 1, 1)
    maps[:, :, :4] = IGNORE
    larger = TASK.magnified(maps, torch.tensor([1.0, 2.0]), spec)
    lengths = 2 ** log_sizes(larger[:, :2, 16, 16])
    np.testing.assert_allclose(lengths[0], (8, 12), rtol=0.02)
    np.testing.assert_allclose(lengths[1], (16, 24), rtol=0.02)
    assert bool((larger[:, :, :4] == IGNORE).all())
    assert torch.equal(larger[:, 2], maps[:, 2])
    assert int(larger[1, 0, 31, 31]) == 0


def test_labels_give_boxes_and_named_ones_classes() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[2:6, 3:9], labels[10:15, 10:11] = 7, 900
    grid = Grid.regular("YX", labels.shape)
    named = Volume(labels, grid, is_labels=True, classes={7: "B", 900: "A"})
    found = TASK.places_in(named, grid, (LabelClass(1, "a"), LabelClass(2, "b"))).detections
    np.testing.assert_array_equal(found.centres, [(3.5, 5.5), (12.0, 10.0)])
    np.testing.assert_array_equal(found.sizes, [(4, 6), (5, 1)])
    assert found.kinds.tolist() == [2, 1]
    partly = replace(named, classes={7: "B"})
    with pytest.raises(BadInputError, match="1 without, such as 900"):
        TASK.places_in(partly, grid, (LabelClass(1, "a"), LabelClass(2, "b")))


def test_without_points_it_says_what_is_missing() -> None:
    grid = Grid.regular("YX", (8, 8))
    said = Annotation(grid, np.ones((8, 8), np.uint8), CELL)
    spec = planned(annotated((8, 8), (1, 1), Detections.none(2)))
    with pytest.raises(BadInputError, match="expected points or boxes, found none"):
        TASK.targets(said, spec)
