"""Synthesis: what is planned, how images are varied before they are judged, when it is given up."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume
from napari_apprentice.tasks import ONE_KIND
from napari_apprentice.tasks._vary import vary
from napari_apprentice.tasks.synthesis import TASK, _sameness

KINDS = (LabelClass(1, "a"), LabelClass(2, "b"))


def image(shape: tuple[int, ...] = (40, 60), dtype: str = "uint8", *, high: float = 200) -> Volume:
    values = (np.random.default_rng(0).random(shape) * high).astype(dtype)
    grid = Grid.regular("CYX"[-len(shape) :], shape)
    colours = ("red", "green", "blue") if len(shape) == 3 else ()
    return Volume(values, grid, channels=colours, rgb=len(shape) == 3)


def test_small_images_are_seen_whole_and_large_ones_in_patches() -> None:
    small, large = (TASK.default_spec("m", [image(s)], KINDS) for s in ((44, 60), (400, 300)))
    assert (small.tile, small.task_args["sees"], small.mirror_axes) == ((48, 64), "whole", ())
    assert (large.tile, large.task_args["sees"], large.mirror_axes) == ((64, 64), "patch", (0, 1))
    assert small.network_args["size"] == [48, 64]


def test_brightness_means_the_same_in_all_images() -> None:
    bytes_ = TASK.default_spec("m", [image()], KINDS).normalization
    assert (bytes_.kind, bytes_.low, bytes_.high) == ("window", 0, 255)
    deep = TASK.default_spec("m", [image(dtype="uint16", high=n) for n in (900, 4000)], KINDS)
    assert (deep.normalization.kind, deep.task_args["dtype"]) == ("window", "uint16")
    assert 0 <= deep.normalization.low < 50 < 3900 < deep.normalization.high <= 4000
    nan = Volume(np.full((40, 40), np.nan), Grid.regular("YX", (40, 40)))
    assert TASK.default_spec("m", [nan], KINDS).normalization.high == 1
    flat = Volume(np.full((40, 40), 7.0), Grid.regular("YX", (40, 40)))
    assert TASK.default_spec("m", [flat], KINDS).normalization.high == 8


def test_colours_and_a_single_kind() -> None:
    spec = TASK.default_spec("m", [image((3, 40, 40)), image((40, 40))], ())
    assert spec.channels == ("red", "green", "blue")
    assert spec.grey_as_color
    assert spec.label_classes == (ONE_KIND,)
    grid = Grid.regular("YX", (4, 4))
    assert TASK.targets(Annotation.of_clean(grid), spec) == 0
    two = TASK.default_spec("m", [image()], KINDS)
    assert TASK.targets(Annotation.of_image(grid, "b", KINDS), two) == 1
    with pytest.raises(BadInputError, match="expected one of a, b, found no class"):
        TASK.targets(Annotation.of_clean(grid), two)


def test_values_come_back_and_stay_within_what_numbers_can_be() -> None:
    spec = TASK.default_spec("m", [image()], KINDS)
    made = np.array([[[-0.5, 0.0], [0.5, 1.2]]])
    answer = TASK.decode(made, Grid.regular("YX", (2, 2)), spec)
    np.testing.assert_array_equal(answer.image, [[0, 0], [128, 255]])


@pytest.mark.parametrize("how", ["light", "strong"])
def test_variation_lets_gradients_through_and_keeps_what_is_dark_dark(how: str) -> None:
    images = torch.zeros(6, 2, 32, 24)
    images[:, :, 10:20, 8:16] = 1.0
    images.requires_grad_(True)
    seen = vary(images, how, torch.Generator().manual_seed(0))
    assert seen.shape == images.shape
    assert not torch.equal(seen, images)
    seen.sum().backward()
    assert images.grad is not None
    assert bool((images.grad != 0).any())
    again = vary(images, how, torch.Generator().manual_seed(0))
    assert torch.equal(seen, again)
    assert vary(images, "none", torch.Generator()) is images


def test_a_shift_moves_both_channels_and_brings_in_nothing() -> None:
    images = torch.rand(40, 2, 16, 16)
    moved = vary(images, "light", torch.Generator().manual_seed(1))
    shifts = set()
    for one, other in zip(images, moved, strict=True):
        rows = other.abs().sum(dim=(0, 2)) == 0
        shifts.add(int(rows.sum()))
        contrast = (other[0].max() - other[0][other[0] != 0].min()).item()
        assert contrast <= 1.26 * (one.max() - one.min()).item() + 0.2
    assert shifts == {0, 1, 2}


def test_it_is_given_up_when_images_are_alike_or_far_worse_but_not_at_the_beginning() -> None:
    good = {"frechet_distance": 20.0, "variety": 0.8}
    assert TASK.trouble(good, 15.0, 0.9) == ""
    assert "all alike" in TASK.trouble({**good, "variety": 0.01}, 15.0, 0.5)
    assert TASK.trouble({**good, "variety": 0.01}, 15.0, 0.1) == ""
    worse = {"kernel_distance": 300.0, "variety": 0.8}
    assert "distance 300, at best 15" in TASK.trouble(worse, 15.0, 0.5)
    assert TASK.trouble(worse, 15.0, 0.1) == ""
    assert TASK.trouble(worse, float("inf"), 0.9) == ""
    assert TASK.trouble({"kernel_distance": 0.4, "variety": 1.0}, -0.1, 0.9) == ""
    assert "no numbers" in TASK.trouble({}, 15.0, 0.0)


def test_images_of_a_kind_are_asked_to_lie_apart_as_their_numbers_do() -> None:
    latent = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    kinds = torch.tensor([1, 0, 1, 2])
    made = torch.zeros(4, 1, 6, 6, requires_grad=True)
    alike = _sameness(made, latent, kinds)
    apart = _sameness(made + torch.tensor([0.0, 0, 1, 0]).reshape(4, 1, 1, 1), latent, kinds)
    assert alike > 20 * apart > 0
    assert _sameness(made[:2], latent[:2], kinds[:2]) == 0  # no two of one kind
