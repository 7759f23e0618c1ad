"""A tuned network says what the plain one says, and only its way of computing changed."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from monai.networks.blocks.convolutions import ResidualUnit
from torch import nn

from napari_apprentice.engine._tune import tune
from napari_apprentice.models.networks import NETWORKS

# Channels last sums in another order: a few ten-thousandths of the largest score.
TOLERANCE = {torch.contiguous_format: 1e-5}


def small(divisor: tuple[int, ...]) -> list[int]:
    """About 16 along each axis, with at least two voxels at the bottom."""
    return [max(16 // d, 1) * d for d in (*divisor[:-1], 2 * divisor[-1])]


def answers(network: nn.Module, data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """What a network says before and after tuning, both channels-contiguous, and the layout tuning chose."""
    network.eval()
    with torch.inference_mode():
        plain = network(data)
        tuned, layout = tune(network, data.ndim - 2)
        return plain, tuned(data.contiguous(memory_format=layout)), layout


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", NETWORKS.names())
def test_every_network_says_the_same(name: str, ndim: int) -> None:
    torch.manual_seed(0)
    entry = NETWORKS[name]
    network = entry.build(ndim=ndim, in_channels=2, out_channels=3, args={})
    keys = list(network.state_dict())
    before = {k: v.clone() for k, v in network.state_dict().items()}
    size = small(entry.divisor(ndim=ndim, args={}))
    plain, tuned, layout = answers(network, torch.randn(1, 2, *size))
    scale = float(plain.abs().max())
    assert float((plain - tuned).abs().max()) <= TOLERANCE.get(layout, 1e-3) * max(1.0, scale)
    assert list(network.state_dict()) == keys
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", NETWORKS.names())
def test_without_another_layout_it_is_the_same_to_rounding(
    name: str, ndim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "napari_apprentice.engine._tune._layout", lambda network: (torch.contiguous_format, 0)
    )
    torch.manual_seed(0)
    entry = NETWORKS[name]
    network = entry.build(ndim=ndim, in_channels=1, out_channels=2, args={}).eval()
    data = torch.randn(1, 1, *small(entry.divisor(ndim=ndim, args={})))
    with torch.inference_mode():
        exact = copy.deepcopy(network).double()(data.double())
    plain, tuned, _ = answers(network, data)
    # Both differ from the answer in double precision by rounding only: far less than any other mathematics would.
    known, now = (float((answer - exact).abs().max()) for answer in (plain, tuned))
    assert now <= 16 * known + 1e-6 * max(1.0, float(exact.abs().max()))


def test_layers_with_ways_of_their_own_are_left_alone() -> None:
    class Own(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            return super().forward(input) * 2

    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        Own(4, 4, 3, padding=1),
        nn.InstanceNorm2d(4, track_running_stats=True),
        nn.Conv2d(
            4, 4, (1, 3), stride=(1, 2), padding=(0, 1), dilation=(2, 1), groups=2, bias=False
        ),
    )
    kinds = [type(layer) for layer in network]
    plain, tuned, layout = answers(network, torch.randn(1, 1, 12, 12))
    assert [type(layer) for layer in network][:4] == kinds[:4]
    assert type(network[4]) is not kinds[4]
    # Instance norm with running statistics is slow in channels last.
    assert layout == torch.contiguous_format
    torch.testing.assert_close(tuned, plain)


def test_activations_overwrite_only_what_a_norm_made() -> None:
    class Twice(nn.Sequential):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            return super().forward(input) + super().forward(input)

    after_norm = nn.Sequential(nn.InstanceNorm2d(3), nn.Dropout2d(0.5), nn.PReLU(init=0.3))
    first = nn.Sequential(nn.LeakyReLU(0.2), nn.GroupNorm(1, 3), nn.LeakyReLU(0.2), nn.ReLU())
    own = Twice(nn.BatchNorm2d(3), nn.ReLU())
    network = nn.Sequential(after_norm, first, own, nn.GroupNorm(1, 3), nn.PReLU(3))
    data = torch.randn(1, 3, 8, 8)
    kept = data.clone()
    plain, tuned, _ = answers(network, data)
    torch.testing.assert_close(tuned, plain)
    assert torch.equal(data, kept)
    assert type(after_norm[2]) is not nn.PReLU
    assert [first[0].inplace, first[2].inplace, first[3].inplace] == [False, True, False]
    assert not own[1].inplace
    assert type(network[4]) is nn.PReLU


def test_residual_units_add_in_place_and_leave_their_input_alone() -> None:
    unit = ResidualUnit(2, 3, 3, subunits=1)
    assert type(unit.conv[0].adn.A) is nn.PReLU
    data = torch.randn(1, 3, 8, 8)
    kept = data.clone()
    plain, tuned, _ = answers(nn.Sequential(unit), data)
    torch.testing.assert_close(tuned, plain, rtol=1e-4, atol=1e-5)
    assert torch.equal(data, kept)
    assert type(unit) is not ResidualUnit
    # The dropout between them does nothing now: the activation may overwrite the norm's answer.
    assert type(unit.conv[0].adn.A) is not nn.PReLU


def test_networks_of_tokens_keep_their_layout() -> None:
    assert tune(nn.Sequential(nn.Conv3d(1, 2, 3), nn.LayerNorm(4)), 3)[1] == torch.contiguous_format
    assert tune(nn.Sequential(nn.Conv3d(1, 2, 3), nn.ReLU()), 3)[1] == torch.channels_last_3d
    # Slices of a volume: the layers know it, its input does not.
    assert tune(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), 3)[1] == torch.contiguous_format
    assert tune(nn.Sequential(nn.Identity()), 2)[1] == torch.contiguous_format


def test_without_onednn_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    network = nn.Sequential(nn.Conv2d(1, 2, 3))
    assert tune(network, 2) == (network, torch.contiguous_format)
    assert type(network[0]) is nn.Conv2d
