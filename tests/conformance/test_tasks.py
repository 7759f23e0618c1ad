"""What `Task` promises, asked of every task that is registered."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import IGNORE, Annotation, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import (
    TASKS,
    AnswersWithImage,
    ClassesObjects,
    FindsPlaces,
    HasOwnStep,
    MakesImages,
    NumbersObjects,
    ReducesOutput,
    Task,
    WholeImage,
    inputs_of,
    primary_of,
)
from napari_apprentice.tasks._heat import log_sizes

if TYPE_CHECKING:
    from napari_apprentice.core.prediction import Prediction

CLASSES = (LabelClass(1, "round"), LabelClass(2, "square"))
NAMES = TASKS.names()
_WHOLE = WholeImage | MakesImages | ClassesObjects
DENSE = [name for name in NAMES if not isinstance(TASKS[name], _WHOLE)]
BOTH = [
    (name, n) for name in NAMES for n in ((2,) if isinstance(TASKS[name], MakesImages) else (2, 3))
]


def case(ndim: int) -> tuple[Volume, Annotation]:
    """Two bright objects, one of each class, and what every kind of task wants to know of them."""
    shape = (8, 48, 48)[3 - ndim :]
    labels = np.zeros(shape, np.uint8)
    labels[..., 6:20, 6:20], labels[..., 28:42, 26:44] = 1, 2
    grid = Grid.regular("ZYX"[3 - ndim :], shape, (2.0, 0.5, 0.5)[3 - ndim :], unit="um")
    volume = Volume(labels.astype(np.float32), grid)
    boxes = Detections.of(
        [(3.5, 12.5, 12.5)[3 - ndim :], (3.5, 34.5, 34.5)[3 - ndim :]],
        [(8, 14, 14)[3 - ndim :], (8, 14, 18)[3 - ndim :]],
        [1, 2],
    )
    said = Annotation(
        grid,
        labels,
        CLASSES,
        object_classes={1: 1, 2: 2},
        image_class="round",
        clean=labels[np.newaxis].astype(np.float32),
        detections=boxes,
    )
    return volume, said


def planned(name: str, ndim: int) -> tuple[Task, ModelSpec, Volume, Annotation]:
    task = TASKS[name]
    volume, said = case(ndim)
    return task, task.default_spec("m", [volume], CLASSES), volume, said


def spatial_of(task: Task, target: torch.Tensor) -> tuple[int, ...]:
    """Spatial shape of a batch of targets: images have channels before it."""
    several = isinstance(task, AnswersWithImage | FindsPlaces)
    return tuple(target.shape[2 if several else 1 :])


def answered(task: Task, spec: ModelSpec, said: Annotation) -> Prediction:
    """Read the answer of a network that is sure of everything, as the engine does."""
    if isinstance(task, AnswersWithImage):
        return task.decode(np.asarray(task.targets(said, spec)), said.grid, spec)
    target = torch.from_numpy(np.asarray(task.targets(said, spec))).long()
    channels = task.output_channels(spec)
    if isinstance(task, FindsPlaces):
        sizes, heat = target[: spec.ndim], target[spec.ndim :] / 255
        return task.decode(
            torch.cat([log_sizes(sizes) - 4, torch.logit(heat, 1e-6)]).numpy(), said.grid, spec
        )
    if isinstance(task, ClassesObjects):
        numbers, kinds = task.known_objects(said, spec)
        scores = 50.0 * np.eye(channels, dtype=np.float32)[kinds]
        np.testing.assert_array_equal(task.decode(scores, said.grid, spec).objects["class"], [1, 2])
        return task.classed(scores, numbers, said.labels, said.grid, spec)
    if isinstance(task, NumbersObjects):
        kind = torch.where(target > 0, (target - 1) % 3 + 1, target).clamp_max(2)
        number = torch.div(target - 1, 3, rounding_mode="floor").clamp_min(1) - 1
        parts = [torch.nn.functional.one_hot(kind, 3)]
        parts += [torch.nn.functional.one_hot(number, channels - 3)] if channels > 3 else []
        scores = torch.cat(parts, -1).movedim(-1, 0)
    else:
        scores = torch.nn.functional.one_hot(target, channels).movedim(-1, 0)
    scores = 50.0 * scores.float()
    dense = task.reduce(scores, spec) if isinstance(task, ReducesOutput) else scores
    return task.decode(dense.numpy(), said.grid, spec)


@pytest.mark.parametrize("name", NAMES)
def test_it_says_who_it_is(name: str) -> None:
    task = TASKS[name]
    assert isinstance(task, Task)
    assert task.name == name
    assert task.title[0].isupper()
    assert task.primary


@pytest.mark.parametrize(("name", "ndim"), BOTH)
def test_its_plan_builds_a_network_and_survives_json(name: str, ndim: int) -> None:
    task, spec, _, _ = planned(name, ndim)
    assert (spec.name, spec.task, spec.ndim) == ("m", name, ndim)
    asked = [] if isinstance(task, AnswersWithImage) else ["round", "square"]
    assert [c.name for c in spec.classes] == asked
    assert ModelSpec.model_validate(json.loads(json.dumps(spec.model_dump(mode="json")))) == spec
    with torch.device("meta"):
        NETWORKS[spec.network].build(
            ndim=ndim,
            in_channels=inputs_of(task, spec),
            out_channels=task.output_channels(spec),
            args=spec.network_args,
        )
    divisor = NETWORKS[spec.network].divisor(ndim=ndim, args=spec.network_args)
    assert all(t % d == 0 for t, d in zip(spec.tile, divisor, strict=True))


@pytest.mark.parametrize(("name", "ndim"), BOTH)
def test_targets_are_small_numbers_or_an_image_on_the_annotations_grid(
    name: str, ndim: int
) -> None:
    task, spec, _, said = planned(name, ndim)
    before = said.labels.copy()
    target = task.targets(said, spec)
    if isinstance(task, AnswersWithImage):
        assert (target.dtype, target.shape) == (np.float32, (1, *said.grid.shape))
        return
    assert target.dtype == np.uint8
    maps = (task.output_channels(spec),) if isinstance(task, FindsPlaces) else ()
    if isinstance(task, ClassesObjects):
        np.testing.assert_array_equal(target, [0, 1])
        return
    whole = isinstance(task, WholeImage | MakesImages)
    assert target.shape == (() if whole else (*maps, *said.grid.shape))
    assert not (target == IGNORE).any()
    np.testing.assert_array_equal(said.labels, before)


@pytest.mark.parametrize(("name", "ndim"), BOTH)
def test_the_loss_can_be_learned_from(name: str, ndim: int) -> None:
    task, spec, _, said = planned(name, ndim)
    target = torch.from_numpy(np.asarray(task.targets(said, spec)))
    if not isinstance(task, ClassesObjects):  # two objects are a batch
        target = target[None].repeat(2, *(1,) * target.ndim)
    torch.manual_seed(0)
    output = torch.randn(
        2, task.output_channels(spec), *spatial_of(task, target), requires_grad=True
    )
    first = task.loss(output, target, spec)
    first.backward()
    assert output.grad is not None
    assert bool(output.grad.isfinite().all())
    with torch.no_grad():
        better = task.loss(output - 0.1 * output.grad / output.grad.abs().max(), target, spec)
    assert float(better) < float(first.detach())


@pytest.mark.parametrize(("name", "ndim"), BOTH)
def test_a_perfect_answer_has_a_perfect_score(name: str, ndim: int) -> None:
    task, spec, _, said = planned(name, ndim)
    if isinstance(task, MakesImages):
        pytest.skip("only sets are scored: see below")
    prediction = answered(task, spec, said)
    assert prediction.grid == said.grid
    assert prediction.summary
    scores = task.score(prediction, said)
    assert scores
    assert all(isinstance(value, float) for value in scores.values())
    if isinstance(task, WholeImage):
        # Rates are of sets: two images, one of each class.
        scores = task.judge(50.0 * np.eye(2, dtype=np.float32), np.arange(2), spec)
    if isinstance(task, AnswersWithImage):
        assert scores[task.primary] == np.inf  # decibels
        return
    assert scores[task.primary] == pytest.approx(1.0)


@pytest.mark.parametrize("name", DENSE)
def test_reduced_answers_are_small_and_know_their_slab(name: str) -> None:
    task, spec, _, _ = planned(name, 2)
    if not isinstance(task, ReducesOutput):
        pytest.skip("keeps its scores")
    scores = torch.randn(task.output_channels(spec), 6, 7)
    whole = task.reduce(scores, spec)
    assert whole.shape[-2:] == (6, 7)
    assert whole.ndim in (2, 3)
    assert whole.dtype in (torch.uint8, torch.int32)
    parts = [task.reduce(scores[:, rows], spec) for rows in (slice(0, 2), slice(2, 6))]
    assert torch.equal(torch.cat(parts, dim=-2), whole)


IMAGES = [name for name in NAMES if isinstance(TASKS[name], AnswersWithImage)]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", IMAGES)
def test_images_come_from_what_the_network_says_and_saw(name: str, ndim: int) -> None:
    task, spec, _volume, said = planned(name, ndim)
    assert isinstance(task, AnswersWithImage)
    alone = task.planned(spec, has_clean=False)
    assert alone.task_args["lesson"] in ("hidden", "itself")
    assert (spec.spacing, spec.orientation) == (None, None)  # answers on the image's own voxels
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(1, *said.grid.shape)).astype(np.float32)
    output = rng.normal(size=(task.output_channels(alone), *said.grid.shape)).astype(np.float32)
    image = task.image(output, seen, alone)
    assert (image.dtype, image.shape) == (np.float32, seen.shape)
    assert np.isfinite(image).all()
    target = torch.full((2, 1, *said.grid.shape), torch.nan)
    answer = torch.zeros(2, task.output_channels(alone), *said.grid.shape, requires_grad=True)
    loss = task.loss(answer, target, alone)  # nothing is asked
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert answer.grad is not None
    assert not bool(answer.grad.any())


MAKERS = [name for name in NAMES if isinstance(TASKS[name], MakesImages)]


@pytest.mark.parametrize("name", MAKERS)
def test_sets_of_made_up_images_are_scored_and_single_ones_are_not(name: str) -> None:
    task, spec, _, said = planned(name, 2)
    assert isinstance(task, MakesImages)
    assert task.lower_is_better
    assert spec.normalization.kind == "window"
    assert spec.task_args["sees"] in ("whole", "patch")
    rng = np.random.default_rng(0)
    real = rng.normal(size=(400, 5))
    alike, apart, same = rng.normal(size=(300, 5)), 2 + real, np.zeros((300, 5))
    for count in (400, 4):  # many, and fewer than there are features
        scores = [task.judge(one, real[:count]) for one in (alike, apart, same)]
        primary = primary_of(task, scores[0])
        assert scores[0][primary] < scores[1][primary]
        assert scores[2]["variety"] == 0 < scores[0]["variety"]
    assert task.judge(np.full((9, 5), np.nan), real) == {}
    made = np.random.default_rng(0).random((1, *spec.tile)).astype(np.float32)
    answer = task.decode(made, Grid.regular("YX", spec.tile), spec)
    assert answer.image is not None
    assert str(answer.image.dtype) == spec.task_args["dtype"]
    assert answer.summary
    with pytest.raises(BadInputError, match="only sets"):
        task.score(answer, said)
    with pytest.raises(BadInputError, match="found volumes"):
        task.default_spec("m", [case(3)[0]], CLASSES)


@pytest.mark.parametrize("name", [n for n in NAMES if isinstance(TASKS[n], HasOwnStep)])
def test_one_backward_pass_teaches_every_weight_and_leaves_nothing_behind(name: str) -> None:
    task, spec, *_ = planned(name, 2)
    assert isinstance(task, HasOwnStep)
    network = NETWORKS[spec.network].build(
        ndim=2,
        in_channels=1,
        out_channels=task.output_channels(spec),
        args={**spec.network_args, "channels": (4, 8)},
    )
    data, target = torch.rand(4, 1, *spec.tile), torch.tensor([0, 1, 1, 0])
    losses = []
    for varied in ("none", "light", "strong", "strong"):
        generator = torch.Generator().manual_seed(7)
        network.train().zero_grad()
        how = {"varied": varied, "generator": generator}
        loss = task.step_loss(network, data, target, spec, **how)
        loss.backward()
        losses.append(float(loss.detach()))
        idle = [k for k, p in network.named_parameters() if p.grad is None or not p.requires_grad]
        assert idle == []
    assert network.training
    assert len(set(losses[:3])) == 3
    assert losses[2] == pytest.approx(losses[3], rel=0.2)  # chance comes from the generator alone
    assert task.trouble({}, 1.0, 0.5)


def test_listing_tasks_loads_no_torch() -> None:
    code = (
        "import sys\n"
        "from napari_apprentice.tasks import TASKS\n"
        "print([task.title for _, task in TASKS.items()])\n"
        "sys.exit(bool({'torch', 'monai'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_there_are_tasks() -> None:
    known = {"semantic", "instance", "image_class", "restoration", "anomaly", "detection"}
    assert {*known, "synthesis", "object_class"} <= set(NAMES)
