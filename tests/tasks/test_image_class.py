"""Classification of whole images: targets, loss, answer, temperature, planning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import WholeImage
from napari_apprentice.tasks.image_class import TASK

GRID = Grid.regular("YX", (4, 5))
CLASSES = (LabelClass(1, "Füße"), LabelClass(2, "Hand"), LabelClass(5, "头"))
SPEC = ModelSpec(
    name="m",
    task="image_class",
    network="cnn",
    ndim=2,
    tile=(32, 32),
    classes=tuple(ClassSpec(value=c.value, name=c.name) for c in CLASSES),
)


def test_it_is_a_task_of_whole_images() -> None:
    assert isinstance(TASK, WholeImage)
    assert TASK.output_channels(SPEC) == 3


def test_targets_are_positions_found_by_name() -> None:
    for position, name in enumerate(("füße", "HAND", "头")):
        classes = (LabelClass(9, name),)
        target = TASK.targets(Annotation.of_image(GRID, name, classes), SPEC)
        assert (target.shape, int(target)) == ((), position)


def test_what_says_nothing_of_the_whole_is_refused() -> None:
    with pytest.raises(BadInputError, match="class of the whole image, found none"):
        TASK.targets(Annotation(GRID, np.zeros((4, 5), int), CLASSES), SPEC)
    with pytest.raises(BadInputError, match="expected one of Füße, Hand, 头, found 'Knie'"):
        TASK.targets(Annotation.of_image(GRID, "Knie", (LabelClass(1, "Knie"),)), SPEC)
    with pytest.raises(BadInputError, match="found 'Fuss'"):
        Annotation.of_image(GRID, "Fuss", CLASSES)


def test_an_annotation_of_a_whole_image_takes_no_memory() -> None:
    said = Annotation.of_image(Grid.regular("YX", (4000, 4000)), "Hand", CLASSES)
    assert said.labels.strides == (0, 0)
    assert said.extent.whole


def test_the_loss_falls_towards_the_truth() -> None:
    target = torch.tensor([0, 2], dtype=torch.uint8)
    truth = torch.nn.functional.one_hot(target.long(), 3).float()
    losses = [float(TASK.loss(truth * k, target, SPEC)) for k in (0.0, 1.0, 3.0)]
    assert losses[0] > losses[1] > losses[2]
    # Smoothing: endless confidence costs again.
    assert float(TASK.loss(truth * 60.0, target, SPEC)) > losses[2]


def test_the_answer_names_the_class_and_says_when_it_is_unsure() -> None:
    scores = np.log([[0.1, 0.7, 0.2]])
    answer = TASK.answer(scores, GRID, SPEC, unsure=0.5)
    assert (answer.image_class, answer.is_unsure, answer.summary) == ("Hand", False, "Hand 0.70")
    assert answer.table == pytest.approx({"Füße": 0.1, "Hand": 0.7, "头": 0.2})
    assert answer.labels is None
    unsure = TASK.answer(scores, GRID, SPEC, unsure=0.8)
    assert (unsure.is_unsure, unsure.summary) == (True, "unsure: Hand 0.70")


def test_planes_of_a_volume_vote_with_their_probabilities() -> None:
    answer = TASK.decode(np.log([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]]), GRID, SPEC)
    assert answer.table == pytest.approx({"Füße": 0.5, "Hand": 0.4, "头": 0.1})


def test_a_temperature_makes_an_overconfident_network_honest() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (4000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(3, p=p) for p in shares])
    spec = TASK.calibrated(4.0 * logits, truth, SPEC)
    assert spec.task_args["temperature"] == pytest.approx(4.0, rel=0.1)
    before = TASK.judge(4.0 * logits, truth, SPEC)
    after = TASK.judge(4.0 * logits, truth, spec)
    assert after["calibration_error"] < 0.03 < before["calibration_error"]
    assert after["accuracy"] == before["accuracy"]


def test_a_few_images_without_a_mistake_do_not_make_it_certain() -> None:
    logits = np.eye(3)[[0, 1, 2, 0]] * 8.0
    spec = TASK.calibrated(logits, np.array([0, 1, 2, 0]), SPEC)
    answer = TASK.answer(logits[:1], GRID, spec, unsure=0)
    assert 0.7 < answer.table["Füße"] < 0.95


def test_rates_are_of_sets() -> None:
    logits = np.eye(3)[[0, 0, 1, 2]] * 5.0
    scores = TASK.judge(logits, np.array([0, 1, 1, 2]), SPEC)
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert TASK.primary in scores
    assert "recall_hand" in scores
    assert "recall_头" in scores


@pytest.mark.parametrize(
    ("shape", "spacing", "tile"),
    [
        ((64, 64), (1, 1), (64, 64)),
        ((1000, 2000), (1, 1), (64, 128)),
        ((20, 30), (1, 1), (32, 32)),
        ((20, 512, 512), (2, 1, 1), (32, 64, 64)),
        ((35, 51, 36), (1, 1, 1), (32, 64, 32)),
    ],
)
def test_the_plan_fits_the_images_and_every_network(
    shape: tuple[int, ...], spacing: tuple[float, ...], tile: tuple[int, ...]
) -> None:
    grid = Grid.regular("ZYX"[-len(shape) :], shape, spacing, unit="mm")
    spec = TASK.default_spec("m", [Volume(np.zeros(shape, "u1"), grid)], CLASSES)
    assert spec.tile == tile
    assert spec.ndim == len(shape)
    for name in ("cnn", "densenet", "resnet", "efficientnet"):
        divisor = NETWORKS[name].divisor(ndim=spec.ndim, args={})
        assert all(t % d == 0 for t, d in zip(tile, divisor, strict=True))


def test_colours_keep_their_values_and_grey_pictures_are_taken_among_them() -> None:
    grey = Volume(np.zeros((8, 8), "u1"), Grid.regular("YX", (8, 8)))
    colours = ("red", "green", "blue")
    colour = Volume(
        np.zeros((3, 8, 8), "u1"), Grid.regular("CYX", (3, 8, 8)), channels=colours, rgb=True
    )
    spec = TASK.default_spec("m", [grey, colour], CLASSES)
    assert spec.channels == colours
    assert spec.grey_as_color
    assert (spec.normalization.kind, spec.normalization.high) == ("window", 255)
    assert TASK.default_spec("m", [grey], CLASSES).normalization.kind == "zscore"


def test_one_class_or_images_of_two_kinds_make_no_classifier() -> None:
    flat = Volume(np.zeros((8, 8), "u1"), Grid.regular("YX", (8, 8)))
    deep = Volume(np.zeros((8, 8, 8), "u1"), Grid.regular("ZYX", (8, 8, 8)))
    with pytest.raises(BadInputError, match="two classes or more"):
        TASK.default_spec("m", [flat], CLASSES[:1])
    with pytest.raises(BadInputError, match="images of one kind"):
        TASK.default_spec("m", [flat, deep], CLASSES)
