"""The instance task: targets, loss, and maps that become numbered objects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_apprentice.core.annotation import IGNORE, Annotation, Extent, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ClassSpec, ModelSpec
from napari_apprentice.core.volume import Volume
from napari_apprentice.measure.instances import score_instances
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import _objects
from napari_apprentice.tasks._borders import BORDER, INTERIOR, TOUCHING, border_kinds
from napari_apprentice.tasks._objects import Reading, find_objects
from napari_apprentice.tasks.instance import TASK

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPEC = TASK.with_diameter(
    ModelSpec(
        name="m",
        task="instance",
        network="unet",
        ndim=2,
        tile=(32, 32),
        classes=(ClassSpec(value=1, name="nucleus"),),
    ),
    12.0,
)
TWO = SPEC.model_copy(
    update={"classes": (ClassSpec(value=3, name="normal"), ClassSpec(value=5, name="odd"))}
)


def annotation(labels: NDArray[Any], extent: Extent | None = None, **more: Any) -> Annotation:
    grid = Grid.regular("ZYX"[-labels.ndim :], labels.shape)
    return Annotation(grid, labels, more.pop("classes", ()), extent or Extent(whole=True), **more)


def packed(shape: tuple[int, int] = (96, 80), radius: int = 6) -> NDArray[np.int32]:
    """Discs so close that all of them touch, cut at the border of the image."""
    step = 2 * radius
    centres = np.stack(np.meshgrid(*(np.arange(0, n + step, step) for n in shape), indexing="ij"))
    seeds = centres.reshape(2, -1).T + np.resize([0, 3], (centres[0].size, 1))
    points = np.stack(np.indices(shape), -1)
    distance = np.linalg.norm(points[..., None, :] - seeds, axis=-1)
    labels = np.where(distance.min(-1) <= radius + 0.8, distance.argmin(-1) + 1, 0)
    slivers = np.flatnonzero(np.bincount(labels.ravel()) < 20)
    return np.where(np.isin(labels, slivers), 0, labels).astype(np.int32)


def perfect(labels: NDArray[Any], spec: ModelSpec = SPEC) -> NDArray[np.uint8]:
    """The maps of a network that learned everything."""
    target = TASK.targets(annotation(labels), spec)
    return np.stack([(target == INTERIOR) * 255, (target > 0) * 255]).astype(np.uint8)


def same_objects(one: NDArray[Any] | None, other: NDArray[Any]) -> bool:
    """Whether the objects are the same but for the voxels in which corners of several meet."""
    assert one is not None
    scores = score_instances(one, other, thresholds=(0.85,))
    return scores.n_true == scores.n_predicted and float(scores.ap[0]) == 1


# -- targets ------------------------------------------------------------------------------


def test_touching_objects_get_a_border_on_both_sides_and_the_image_edge_none() -> None:
    labels = np.zeros((9, 20), int)
    labels[:, :10], labels[:, 10:] = 7, 4
    kinds = border_kinds(labels, np.ones(labels.shape, bool), (1, 1), 2.0)
    assert (kinds[:, 8:12] == TOUCHING).all()
    assert (np.delete(kinds, range(8, 12), 1) == INTERIOR).all()


def test_a_border_to_the_background_is_of_the_width_asked_for_and_something_stays_inside() -> None:
    labels = np.zeros((40, 40), int)
    labels[5:25, 5:25] = 1
    labels[30:33, 30:33] = 2
    labels[37, 2] = 3
    kinds = border_kinds(labels, np.ones(labels.shape, bool), (1, 1), 2.0)
    assert (kinds[5:7, 5:25] == BORDER).all()
    assert (kinds[7:23, 7:23] == INTERIOR).all()
    assert (kinds[labels == 0] == 0).all()
    for value in (1, 2, 3):
        assert (kinds[labels == value] == INTERIOR).any()


def test_an_object_at_the_edge_of_what_counts_is_not_taught_as_cut() -> None:
    labels = np.zeros((20, 30), int)
    labels[5:15, 5:25] = 1
    counts = np.zeros(labels.shape, bool)
    counts[:, :15] = True
    kinds = border_kinds(labels, counts, (1, 1), 2.0)
    assert (kinds[:, 15:] == IGNORE).all()
    assert (kinds[7:13, 13:15] == IGNORE).all()
    assert (kinds[7:13, 7:13] == INTERIOR).all()
    assert (kinds[5:7, 13] == BORDER).all(), "its border to the background is known there too"


def test_thick_slices_take_no_border_of_their_own_unless_two_objects_meet() -> None:
    labels = np.zeros((4, 20, 20), int)
    labels[0:2, 4:16, 4:16], labels[2:4, 4:16, 4:16] = 1, 2
    kinds = border_kinds(labels, np.ones(labels.shape, bool), (5, 1, 1), 2.0)
    assert (kinds[0, 8:12, 8:12] == INTERIOR).all()
    assert (kinds[1:3, 8:12, 8:12] == TOUCHING).all()


def test_planes_of_a_2d_model_have_borders_of_their_own() -> None:
    labels = np.zeros((2, 20, 20), int)
    labels[0, 4:16, 4:16], labels[1, 4:16, 4:16] = 1, 2
    target = TASK.targets(annotation(labels), SPEC)
    np.testing.assert_array_equal(target[0], target[1])
    assert target[0, 10, 10] == INTERIOR


def test_classes_are_taught_inside_of_objects_whose_class_is_known() -> None:
    labels = np.zeros((12, 36), int)
    for number, value in enumerate((8, 70_000, 3)):
        labels[2:10, 12 * number + 2 : 12 * number + 10] = value
    classes = (LabelClass(1, "ODD"), LabelClass(2, "normal"))
    said = annotation(labels, classes=classes, object_classes={8: 2, 70_000: 1})
    target = TASK.targets(said, TWO)
    assert set(np.unique(target[:, :12])) == {0, 1 + 3, 2 + 3}
    assert set(np.unique(target[:, 12:24])) == {0, 1 + 6, 2 + 6}
    assert set(np.unique(target[:, 24:])) == {0, 1, 2}, "an object without a class is an object"


@pytest.mark.parametrize("bad", [np.zeros((4, 4), bool), np.full((4, 4), -2)])
def test_what_cannot_number_objects_is_refused(bad: NDArray[Any]) -> None:
    grid = Grid.regular("YX", bad.shape)
    with pytest.raises(BadInputError, match=r"mask of true and false|found -2"):
        TASK.annotation(Volume(bad, grid, source="here.tif"), grid, ())
    with pytest.raises(BadInputError, match="float"):
        TASK.annotation(Volume(bad.astype(float), grid), grid, ())


# -- loss ---------------------------------------------------------------------------------


def test_the_loss_falls_towards_the_truth_and_does_not_see_what_was_not_said() -> None:
    torch.manual_seed(0)
    labels = packed((24, 24))
    said = annotation(labels, Extent(slices=tuple((0, i) for i in range(12))))
    target = torch.from_numpy(TASK.targets(said, SPEC))[None]
    kinds = torch.where(target == IGNORE, 0, target).clamp_max(2).long()
    truth = torch.nn.functional.one_hot(kinds, 3).movedim(-1, 1).float()
    losses = [float(TASK.loss(truth * k, target, SPEC)) for k in (0.0, 2.0, 30.0)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] == pytest.approx(0, abs=1e-3)
    output = torch.randn(1, 3, 24, 24, requires_grad=True)
    TASK.loss(output, target, SPEC).backward()
    assert output.grad is not None
    assert float(output.grad[:, :, 12:].abs().max()) == 0


def test_class_channels_learn_inside_of_objects_only() -> None:
    labels = np.zeros((12, 12), int)
    labels[2:10, 2:10] = 1
    said = annotation(labels, classes=(LabelClass(3, "normal"),), object_classes={1: 3})
    target = torch.from_numpy(TASK.targets(said, TWO))[None]
    assert TASK.output_channels(TWO) == 5
    output = torch.zeros(1, 5, 12, 12, requires_grad=True)
    TASK.loss(output, target, TWO).backward()
    assert output.grad is not None
    seen = output.grad[0, 3:].abs().sum(0) > 0
    np.testing.assert_array_equal(seen.numpy(), labels > 0)
    nothing = torch.full((1, 12, 12), IGNORE, dtype=torch.uint8)
    assert float(TASK.loss(output, nothing, TWO).detach()) == 0


# -- reading the answer -------------------------------------------------------------------


def test_maps_are_probabilities_and_classes() -> None:
    output = torch.tensor([0.0, 9.0, 0.0, 1.0, 5.0]).view(5, 1, 1)
    interior, foreground, winner = TASK.reduce(output, TWO).flatten().tolist()
    assert (interior, foreground, winner) == (255, 255, 1)
    assert TASK.reduce(output[:3], SPEC).dtype == torch.uint8


@pytest.mark.parametrize("spec", [SPEC, TWO], ids=["one", "two"])
def test_scores_of_classes_are_what_the_maps_say(spec: ModelSpec) -> None:
    torch.manual_seed(0)
    output = 2 * torch.randn(2, TASK.output_channels(spec), 9, 7)
    scores = TASK.class_scores(output, spec)
    shares, told = scores.softmax(dim=1), TASK.told(scores, spec)
    for number in range(2):
        maps = TASK.reduce(output[number], spec)
        there = shares[number, 1:].sum(dim=0)
        assert torch.allclose(there, maps[1] / 255, atol=1 / 255)
        number_of_class = maps[2].long() + 1 if len(maps) == 3 else 1
        assert torch.equal(told[number], number_of_class * (there > 0.5))


def test_objects_that_touch_everywhere_are_found_again() -> None:
    labels = packed()
    prediction = TASK.decode(perfect(labels), Grid.regular("YX", labels.shape), SPEC)
    assert prediction.labels is not None
    assert same_objects(prediction.labels, labels)
    assert prediction.labels.dtype == np.int32
    count = int(prediction.labels.max())
    assert prediction.objects["label"].tolist() == list(range(1, count + 1))
    assert prediction.count == count
    assert ((prediction.objects["score"] > 0) & (prediction.objects["score"] <= 1)).all()
    assert prediction.summary.startswith(f"{count} nuclei · median ⌀ ")
    assert TASK.score(prediction, annotation(labels))["ap75"] == 1


def test_slabs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Touching objects lie on every border of a slab."""
    labels = packed((96, 60))
    soft = ndimage.gaussian_filter(perfect(labels).astype(np.float32), (0, 1, 1)).astype(np.uint8)
    whole = find_objects(soft, (1, 1), Reading(reach=4))
    for rows in (1, 5, 7, 64):
        monkeypatch.setattr(_objects, "_SLAB_VOXELS", rows * 60)
        parts = find_objects(soft, (1, 1), Reading(reach=4))
        np.testing.assert_array_equal(parts.labels, whole.labels)
        np.testing.assert_allclose(parts.scores, whole.scores, rtol=1e-5)


def test_slabs_of_a_volume_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = packed((30, 30))
    labels = np.stack([plane + 1000 * (z // 3) * (plane > 0) for z in range(9)])
    spec = SPEC.model_copy(update={"ndim": 3, "tile": (8, 16, 16)})
    grid = Grid.regular("ZYX", labels.shape, (2, 1, 1), unit="um")
    target = TASK.targets(Annotation(grid, labels, ()), spec)
    maps = np.stack([(target == INTERIOR) * 255, (target > 0) * 255]).astype(np.uint8)
    whole = TASK.decode(maps, grid, spec)
    assert same_objects(whole.labels, labels)
    monkeypatch.setattr(_objects, "_SLAB_VOXELS", 2 * 900)
    parts = TASK.decode(maps, grid, spec)
    assert parts.labels is not None
    assert whole.labels is not None
    np.testing.assert_array_equal(parts.labels, whole.labels)


def test_planes_are_joined_through_z_one_to_one() -> None:
    labels = np.zeros((4, 40, 40), int)
    labels[0:3, 5:17, 5:17] = 1
    labels[2:4, 22:34, 5:17] = 2
    labels[0, 5:17, 22:34], labels[3, 5:17, 22:34] = 3, 4
    grid = Grid.regular("ZYX", labels.shape, (3, 1, 1), unit="um")
    target = TASK.targets(Annotation(grid, labels, ()), SPEC)
    maps = np.stack([(target == INTERIOR) * 255, (target > 0) * 255]).astype(np.uint8)
    prediction = TASK.decode(maps, grid, SPEC)
    assert same_objects(prediction.labels, labels)
    assert prediction.count == 4


def test_more_objects_than_sixteen_bits_hold() -> None:
    maps = np.zeros((2, 530, 530), np.uint8)
    maps[:, ::2, ::2] = 255
    found = find_objects(maps, (1, 1), Reading(reach=1))
    assert len(found.sizes) == 265**2 > 65_535
    assert len(np.unique(found.labels)) == 265**2 + 1


def test_every_object_takes_the_class_of_most_of_its_voxels() -> None:
    labels = np.zeros((20, 40), int)
    labels[4:16, 4:16], labels[4:16, 24:36] = 1, 2
    winner = np.zeros((1, 20, 40), np.uint8)
    winner[0, :, 12:40] = 1
    winner[0, :, 24:27] = 0
    maps = np.concatenate([perfect(labels), winner])
    maps[2, :, 8:10] = 0
    prediction = TASK.decode(maps, Grid.regular("YX", (20, 40)), TWO)
    assert prediction.objects["class"].tolist() == [3, 5]
    assert "odd" in prediction.summary


@pytest.mark.parametrize("full", [0, 255])
def test_an_empty_image_and_one_giant_object(full: int) -> None:
    maps = np.full((2, 50, 60), full, np.uint8)
    prediction = TASK.decode(maps, Grid.regular("YX", (50, 60), (0.5, 0.5), unit="um"), SPEC)
    assert prediction.count == full // 255
    assert prediction.summary.startswith("1 nucleus · " if full else "0 nuclei")
    assert prediction.labels is not None
    assert (prediction.labels == full // 255).all()


def test_small_and_many_objects_are_taught_and_measured() -> None:
    labels = np.zeros((300, 300), np.int64)
    labels[::2, ::2] = 10**9 + np.arange(150 * 150).reshape(150, 150) * 7
    target = TASK.targets(annotation(labels), SPEC)
    assert ((target == INTERIOR) == (labels > 0)).all()
    diameters = TASK.diameters(labels, Grid.regular("YX", labels.shape), SPEC)
    assert len(diameters) == 22_500
    assert diameters == pytest.approx(2 / np.sqrt(np.pi))


def test_two_slices_are_a_volume() -> None:
    labels = np.stack([packed((40, 40))] * 2)
    spec = SPEC.model_copy(update={"ndim": 3, "tile": (2, 16, 16)})
    grid = Grid.regular("ZYX", labels.shape, (5, 1, 1), unit="um")
    target = TASK.targets(Annotation(grid, labels, ()), spec)
    maps = np.stack([(target == INTERIOR) * 255, (target > 0) * 255]).astype(np.uint8)
    prediction = TASK.decode(maps, grid, spec)
    assert same_objects(prediction.labels, labels)


# -- size and plan ------------------------------------------------------------------------


def test_the_border_scales_with_the_diameter_it_is_read_at() -> None:
    bare = SPEC.model_copy(update={"task_args": {}})
    assert TASK.diameter(bare) is None
    new = TASK.with_diameter(bare, 30)
    assert (TASK.diameter(new), new.task_args["border"]) == (30, 2.5)
    finer = TASK.with_diameter(new, 60)
    assert finer.task_args["border"] == 5
    assert TASK.with_diameter(bare, 6).task_args["border"] == 1


def test_the_plan_keeps_full_resolution_and_takes_grey_and_colour() -> None:
    grey = Volume(np.zeros((64, 64), np.uint8), Grid.regular("YX", (64, 64)))
    data = np.zeros((3, 64, 64), np.uint8)
    colour = Volume(
        data, Grid.regular("CYX", data.shape), channels=("red", "green", "blue"), rgb=True
    )
    spec = TASK.default_spec("m", [grey, colour], [])
    assert spec.network_args["strides"][0] == [1, 1]
    assert (spec.channels, spec.grey_as_color) == (("red", "green", "blue"), True)
    assert [c.name for c in spec.classes] == ["object"]
    assert not TASK.default_spec("m", [grey], []).grey_as_color
    other = replace(colour, rgb=False)
    with pytest.raises(BadInputError, match="one kind"):
        TASK.default_spec("m", [grey, other], [])
    divisor = NETWORKS[spec.network].divisor(ndim=2, args=spec.network_args)
    assert all(t % d == 0 for t, d in zip(spec.tile, divisor, strict=True))


def test_names_of_objects_in_a_file_are_their_classes() -> None:
    labels = np.zeros((8, 8), np.int32)
    labels[:3, :3], labels[5:, 5:] = 4, 9
    grid = Grid.regular("YX", (8, 8))
    file = Volume(labels, grid, classes={4: "odd", 9: "normal"})
    classes = TASK.named_classes([file])
    said = TASK.annotation(file, grid, classes)
    assert [(c.value, c.name) for c in said.classes] == [(1, "normal"), (2, "odd")]
    assert said.object_classes == {4: 2, 9: 1}
    plain = Volume(labels, grid, is_labels=True)
    assert TASK.named_classes([plain]) == ()
    with pytest.raises(BadInputError, match="objects named a, b"):
        TASK.annotation(plain, grid, (LabelClass(1, "a"), LabelClass(2, "b")))


# -- scores of classes ------------------------------------------------------------------------


def test_an_object_of_another_class_is_not_the_object_that_was_looked_for():
    labels = np.zeros((20, 40), np.int32)
    labels[2:8, 2:8], labels[2:8, 12:18], labels[2:8, 22:28] = 1, 2, 3
    grid = Grid.regular("YX", labels.shape)
    classes = (LabelClass(1, "nucleus"), LabelClass(2, "blurred"))
    said = Annotation(grid, labels, classes, object_classes={1: 1, 2: 2})
    objects = {"label": np.arange(1, 4), "score": np.ones(3)}
    plain = TASK.score(Prediction(grid, labels, classes=classes[:1], objects=objects), said)
    assert plain["ap_any"] == 1.0
    assert (plain["ap nucleus"], plain["ap blurred"], plain["ap"]) == (0.5, 0.0, 0.25)
    told = objects | {"class": np.array([1, 2, 2])}
    right = TASK.score(Prediction(grid, labels, classes=classes, objects=told), said)
    assert right["ap"] == 1.0  # the third object's class nobody said
    one = Annotation(grid, labels, classes[:1])
    assert "ap_any" not in TASK.score(Prediction(grid, labels, objects=objects), one)


# -- objects without a core ---------------------------------------------------------------------


def blob(maps: NDArray[np.uint8], place: tuple[slice, slice], core: int, body: int) -> None:
    """Write an object's maps; its interior is a pixel smaller on every side."""
    maps[(1, *place)] = body
    inner = tuple(slice(part.start + 1, part.stop - 1) for part in place)
    maps[(0, *inner)] = core


def test_a_small_object_that_is_all_border_is_found_where_the_network_is_sure() -> None:
    maps = np.zeros((2, 40, 60), np.uint8)
    blob(maps, (slice(4, 16), slice(4, 16)), 250, 250)
    blob(maps, (slice(4, 9), slice(30, 35)), 90, 240)
    blob(maps, (slice(20, 25), slice(30, 35)), 90, 150)
    blob(maps, (slice(30, 32), slice(4, 6)), 0, 255)
    prediction = TASK.decode(maps, Grid.regular("YX", (40, 60)), SPEC)
    assert prediction.labels is not None
    assert prediction.labels[6, 32] == 2
    assert prediction.labels[22, 32] == 0, "not sure enough"
    assert prediction.labels[30, 4] == 0, "a speck"
    scores = prediction.objects["score"]
    assert scores[0] > 0.95 > 0.8 > scores[1] > 0.7


def test_what_hangs_on_an_object_is_no_object_of_its_own() -> None:
    maps = np.zeros((2, 30, 60), np.uint8)
    blob(maps, (slice(4, 16), slice(4, 16)), 250, 250)
    maps[1, 8:12, 16:50] = 250
    prediction = TASK.decode(maps, Grid.regular("YX", (30, 60)), SPEC)
    assert prediction.count == 1
