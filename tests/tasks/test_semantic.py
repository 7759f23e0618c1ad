"""The semantic task: targets, loss, planning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import IGNORE, Annotation, Extent, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks.semantic import TASK

SPEC = ModelSpec(
    name="m",
    task="semantic",
    network="unet",
    ndim=2,
    tile=(8, 8),
    classes=(ClassSpec(value=3, name="cell"), ClassSpec(value=7, name="Edge")),
)


def annotation(labels: np.ndarray, extent: Extent, classes: tuple[LabelClass, ...]) -> Annotation:
    return Annotation(Grid.regular("YX", labels.shape), labels, classes, extent)


def test_values_become_channel_numbers_and_the_rest_is_ignored() -> None:
    labels = np.array([[0, 3], [7, 3]])
    classes = (LabelClass(3, "cell"), LabelClass(7, "edge"))
    target = TASK.targets(annotation(labels, Extent(slices=((0, 0),)), classes), SPEC)
    np.testing.assert_array_equal(target, [[0, 1], [IGNORE, IGNORE]])


def test_classes_meet_by_name_before_value() -> None:
    labels = np.array([[5, 0]])
    target = TASK.targets(annotation(labels, Extent(whole=True), (LabelClass(5, "EDGE"),)), SPEC)
    np.testing.assert_array_equal(target, [[2, 0]])


def test_an_unknown_value_is_named() -> None:
    with pytest.raises(BadInputError, match=r"found \[9\]"):
        TASK.targets(annotation(np.array([[9, 3]]), Extent(whole=True), ()), SPEC)


def test_the_loss_does_not_see_what_was_not_said() -> None:
    torch.manual_seed(0)
    output = torch.randn(2, 3, 4, 4, requires_grad=True)
    target = torch.randint(0, 3, (2, 4, 4), dtype=torch.uint8)
    target[:, 2:] = IGNORE
    TASK.loss(output, target, SPEC).backward()
    assert output.grad is not None
    assert float(output.grad[:, :, 2:].abs().max()) == 0
    assert float(output.grad[:, :, :2].abs().min()) > 0


def test_the_loss_falls_towards_the_truth_and_agrees_with_cross_entropy() -> None:
    target = torch.randint(0, 3, (1, 6, 6), dtype=torch.uint8)
    truth = torch.nn.functional.one_hot(target.long(), 3).movedim(-1, 1).float()
    losses = [float(TASK.loss(truth * k, target, SPEC)) for k in (0.0, 2.0, 30.0)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] == pytest.approx(0.0, abs=1e-3)
    output = torch.randn(1, 3, 6, 6)
    entropy = float(torch.nn.functional.cross_entropy(output, target.long()))
    assert entropy < float(TASK.loss(output, target, SPEC)) < entropy + 1


def test_nothing_said_gives_a_zero_loss_that_can_be_learned_from() -> None:
    output = torch.randn(1, 3, 4, 4, requires_grad=True)
    loss = TASK.loss(output, torch.full((1, 4, 4), IGNORE, dtype=torch.uint8), SPEC)
    loss.backward()
    assert float(loss.detach()) == 0


def test_labels_carry_the_classes_values() -> None:
    scores = torch.zeros(3, 1, 3)
    scores[0, 0, 0] = scores[1, 0, 1] = scores[2, 0, 2] = 1
    assert TASK.reduce(scores, SPEC)[0].tolist() == [[0, 3, 7]]
    grid = Grid.regular("YX", (1, 3), (0.5, 0.5), unit="um")
    prediction = TASK.decode(TASK.reduce(scores, SPEC).numpy(), grid, SPEC)
    assert prediction.summary == "cell: 0.25 µm² · Edge: 0.25 µm²"


def test_slices_are_in_doubt_where_their_voxels_are_likely_wrong() -> None:
    scores = torch.zeros(3, 4, 5, 6)
    scores[0] = 20.0
    scores[0, 1, 2, 3] = 0.0  # three classes alike: wrong in two of three cases
    scores[0, 1, 2, 4] = scores[1, 1, 2, 4] = 20.0  # two alike: in one of two
    scores[0, 3, 0, 0] = 4.0  # 96 % sure: no doubt
    grid = Grid.regular("ZYX", (4, 5, 6))
    prediction = TASK.decode(TASK.reduce(scores, SPEC).numpy(), grid, SPEC)
    planes, rows, columns = (axis.tolist() for axis in prediction.slice_doubts)
    assert planes == pytest.approx([0, 2 / 3 + 1 / 2, 0, 0], abs=0.01)
    assert rows == pytest.approx([0, 0, 2 / 3 + 1 / 2, 0, 0], abs=0.01)
    assert columns == pytest.approx([0, 0, 0, 2 / 3, 1 / 2, 0], abs=0.01)


def test_a_flat_image_has_no_slices_to_doubt() -> None:
    scores = torch.zeros(3, 2, 2)
    grid = Grid.regular("YX", (2, 2))
    assert TASK.decode(TASK.reduce(scores, SPEC).numpy(), grid, SPEC).slice_doubts == ()


def test_the_plan_fits_the_network_and_pools_coarse_axes_less() -> None:
    grid = Grid.regular("ZYX", (20, 200, 220), (5.0, 0.7, 0.7), unit="mm", world="LPS")
    volume = Volume(np.zeros(grid.shape, "i2"), grid)
    spec = TASK.default_spec("m", [volume], [LabelClass(1, "a")])
    divisor = NETWORKS[spec.network].divisor(ndim=3, args=spec.network_args)
    assert all(t % d == 0 for t, d in zip(spec.tile, divisor, strict=True))
    strides = spec.network_args["strides"]
    assert strides[0][0] == 1
    assert strides[0][1:] == [2, 2]
    assert spec.spacing == pytest.approx((5.0, 0.7, 0.7))
    assert (spec.orientation, spec.mirror_axes) == ("LPS", ())


def test_images_of_two_kinds_cannot_share_a_plan() -> None:
    volumes = [Volume(np.zeros(s), Grid.regular("ZYX"[-len(s) :], s)) for s in ((8, 8), (8, 8, 8))]
    with pytest.raises(BadInputError, match="one kind"):
        TASK.default_spec("m", volumes, [LabelClass(1, "a")])
    with pytest.raises(BadInputError, match="0 classes"):
        TASK.default_spec("m", volumes[:1], [])


def test_a_size_and_the_number_a_class_ends_in_do_not_read_as_one() -> None:
    classes = (
        ClassSpec(value=1, name="class 1"),
        ClassSpec(value=2, name="white, grey"),
    )
    spec = SPEC.model_copy(update={"classes": classes})
    labels = np.ones((4, 10, 10), np.uint8)
    labels[0, 0, 0] = 2
    grid = Grid.regular("ZYX", labels.shape, (2.0, 2.0, 2.0), unit="mm")
    summary = TASK.decode(np.stack([labels, np.zeros_like(labels)]), grid, spec).summary
    assert summary == "class 1: 3 192 mm³ · white, grey: 8 mm³"
