"""The weights that are handed over: what was learned, and a share of what was known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_apprentice.core.annotation import IGNORE
from napari_apprentice.engine.blend import Blend, images_told, share_of_start


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((1, 1), float(value)), "count": torch.tensor(int(value))}


def test_a_share_of_the_start_is_kept_and_counters_are_not_mixed() -> None:
    mixed = Blend(nn.Identity(), weights(0), 0.25, images=1).state(weights(8))
    assert mixed["weight"].item() == pytest.approx(6)
    assert mixed["count"].item() == 8


@pytest.mark.parametrize(("start", "keep"), [({}, 0.5), (weights(3), 0.0)])
def test_without_a_start_or_a_share_it_is_what_was_learned(
    start: dict[str, torch.Tensor], keep: float
) -> None:
    blend = Blend(nn.Identity(), start, keep, images=1)
    assert not blend.is_mixing
    assert blend.state(weights(8))["weight"].item() == 8


def test_the_more_is_learned_from_the_less_is_kept() -> None:
    shares = [share_of_start(n) for n in (1, 2, 8, 100)]
    assert shares == sorted(shares, reverse=True)
    assert Blend(nn.Identity(), weights(0), images=1).state(weights(1))["weight"].item() < (
        Blend(nn.Identity(), weights(0), images=8).state(weights(1))["weight"].item()
    )


def test_parts_of_images_count_as_parts() -> None:
    slices = np.full((8, 4, 4), IGNORE, np.uint8)
    slices[2] = 1
    slices[5, :2] = 0
    assert images_told([slices]) == pytest.approx(1.5 / 8)
    assert images_told([slices, np.array(3, np.uint8)]) == pytest.approx(1 + 1.5 / 8)
    assert share_of_start(0) == share_of_start(0.5) == share_of_start(1) > share_of_start(1.5)


def test_the_second_network_leaves_the_one_that_learns_alone() -> None:
    learning = nn.Linear(1, 1, bias=False)
    nn.init.constant_(learning.weight, 5.0)
    tried = Blend(learning, {}, images=1).network({"weight": torch.zeros(1, 1)})
    with torch.no_grad():
        assert tried(torch.ones(1, 1)).item() == 0.0
        assert learning(torch.ones(1, 1)).item() == 5.0
