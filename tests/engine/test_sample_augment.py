"""Patches come from where they teach; augmentation moves image and target together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_apprentice.core.annotation import IGNORE
from napari_apprentice.engine.augment import RECIPES, Recipe, apply, make_parameters
from napari_apprentice.engine.learner import learning_rate
from napari_apprentice.engine.sample import PatchSampler, TrainArray, planes


def array(shape: tuple[int, ...], seed: int = 0) -> TrainArray:
    rng = np.random.default_rng(seed)
    target = np.zeros(shape, np.uint8)
    target[tuple(slice(n // 2, n // 2 + 2) for n in shape)] = 1
    return TrainArray("a", rng.normal(size=(1, *shape)).astype(np.float32) + 10, target)


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(*[st.integers(2, 20)] * 3), st.tuples(*[st.integers(2, 12)] * 3), st.integers(0, 99)
)
def test_a_patch_is_a_piece_of_image_and_target_at_one_place(
    shape: tuple[int, ...], patch: tuple[int, ...], seed: int
) -> None:
    source = array(shape)
    # Mark every voxel in the target by its own image value.
    source.target[...] = (np.round(source.data[0] * 7) % 250).astype(np.uint8)
    sampler = PatchSampler([source], patch, foreground=0.5, generator=np.random.default_rng(seed))
    data, target = sampler.draw(2)
    assert data.shape == (2, 1, *patch)
    known = target != IGNORE
    np.testing.assert_array_equal(
        (np.round(data[:, 0] * 7) % 250).astype(np.uint8)[known], target[known]
    )
    assert (data[:, 0][~known] == 0).all()


def test_the_foreground_share_is_kept() -> None:
    source = array((60, 60))
    sampler = PatchSampler([source], (6, 6), foreground=1.0, generator=np.random.default_rng(0))
    _, target = sampler.draw(50)
    assert ((target == 1).any(axis=(1, 2))).all()


def test_every_class_is_drawn_equally_often() -> None:
    source = array((40, 40))
    source.target[0, 0] = 2
    sampler = PatchSampler([source], (4, 4), foreground=1.0, generator=np.random.default_rng(0))
    _, target = sampler.draw(200)
    share = (target == 2).any(axis=(1, 2)).mean()
    assert 0.35 < share < 0.65


def test_patches_look_only_where_something_was_said() -> None:
    source = array((40, 40))
    source.target[:] = IGNORE
    source.target[30:34, 5:9] = 0
    sampler = PatchSampler([source], (8, 8), foreground=0.5, generator=np.random.default_rng(0))
    _, target = sampler.draw(40)
    assert ((target != IGNORE).any(axis=(1, 2))).all()


def test_only_planes_that_count_are_cut() -> None:
    source = array((6, 8, 8))
    source.target[:] = IGNORE
    source.target[2] = 0
    assert [p.name for p in planes(source)] == ["a z2"]


@pytest.mark.parametrize("name", sorted(RECIPES))
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_same_parameters_give_the_same_batch(name: str, ndim: int) -> None:
    shape = (3, 2, *(12,) * ndim)
    generator = torch.Generator().manual_seed(3)
    parameters = make_parameters(RECIPES[name], shape, (1.0,) * ndim, (0,), generator)
    data = torch.randn(shape)
    target = torch.randint(0, 3, (3, *(12,) * ndim), dtype=torch.uint8)
    first, second = apply(data, target, parameters), apply(data, target, parameters)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert first[1].dtype == torch.uint8
    assert set(first[1].unique().tolist()) <= {0, 1, 2, IGNORE}


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.0)])
def test_image_and_target_move_together(spacing: tuple[float, ...]) -> None:
    recipe = Recipe(spatial=1.0, rotate=40, scale=0.2)
    target = torch.zeros(4, 24, 24, 24, dtype=torch.uint8)
    target[:, 8:17, 6:14, 9:20] = 1
    data = target.float().unsqueeze(1)
    parameters = make_parameters(
        recipe, data.shape, spacing, (0, 1, 2), torch.Generator().manual_seed(0)
    )
    moved, labels = apply(data, target, parameters)
    inside = labels != IGNORE
    agree = ((moved[:, 0] > 0.5) == (labels == 1))[inside].float().mean()
    assert agree > 0.98
    assert not torch.equal(labels, target)


def test_an_anisotropic_volume_is_turned_in_plane_only() -> None:
    recipe = Recipe(spatial=1.0, rotate=45)
    target = torch.zeros(1, 8, 24, 24, dtype=torch.uint8)
    target[:, 3] = 1
    parameters = make_parameters(
        recipe, (1, 1, 8, 24, 24), (5.0, 1.0, 1.0), (), torch.Generator().manual_seed(1)
    )
    _, labels = apply(target.float().unsqueeze(1), target, parameters)
    for z in range(8):
        seen = set(labels[0, z].unique().tolist()) - {IGNORE}
        assert seen == ({1} if z == 3 else {0})


def test_mirroring_only_where_it_is_allowed() -> None:
    data = torch.arange(8.0).view(1, 1, 2, 4).expand(16, 1, 2, 4)
    target = data[:, 0].to(torch.uint8)
    parameters = make_parameters(
        Recipe(), data.shape, (1.0, 1.0), (1,), torch.Generator().manual_seed(0)
    )
    mirrored, labels = apply(data, target, parameters)
    assert torch.equal(mirrored[:, 0].to(torch.uint8), labels)
    rows = {tuple(m[0, 0].tolist()) for m in mirrored}
    assert rows == {(0.0, 1.0, 2.0, 3.0), (3.0, 2.0, 1.0, 0.0)}


def test_the_learning_rate_rises_then_falls() -> None:
    rates = [learning_rate(1.0, 0.1, f) for f in np.linspace(0, 1, 101)]
    assert max(rates) == pytest.approx(1.0)
    assert rates.index(max(rates)) == 10
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)
