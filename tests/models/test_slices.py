"""Networks that read volumes slice by slice."""

from __future__ import annotations

import pytest
import torch

from napari_apprentice.models.networks import NETWORKS, FitsSpacing
from napari_apprentice.models.networks._slices import ConvGRU, fold, unfold

AXES = [0, 1, 2]


@pytest.mark.parametrize("axis", AXES)
def test_slices_are_folded_and_unfolded_along_their_axis(axis: int) -> None:
    volume = torch.arange(2 * 3 * 4 * 5 * 6, dtype=torch.float32).reshape(2, 3, 4, 5, 6)
    slices = fold(volume, axis)
    assert torch.equal(slices[1], volume.select(2 + axis, 1)[0])
    assert torch.equal(unfold(slices, volume, axis), volume)


def test_the_recurrent_layer_is_a_gated_recurrent_unit() -> None:
    """On images of one pixel with kernels of one it is torch's own GRU, but for where the reset gate acts."""
    torch.manual_seed(0)
    layer = ConvGRU(5, 3, kernel=1).eval()
    sequence = torch.randn(2, 4, 5, 1, 1)
    found = layer(sequence)[..., 0, 0]
    state = torch.zeros(2, 3)
    weight, bias = layer.of_slice.weight[..., 0, 0], layer.of_slice.bias
    gates, kept = layer.of_state.weight[..., 0, 0], layer.of_kept.weight[..., 0, 0]
    for number in range(4):
        seen = sequence[:, number, :, 0, 0] @ weight.T + bias
        update = torch.sigmoid(seen[:, :3] + state @ gates[:3].T)
        reset = torch.sigmoid(seen[:, 3:6] + state @ gates[3:].T)
        new = torch.tanh(seen[:, 6:] + (reset * state) @ kept.T)
        state = (1 - update) * state + update * new
        torch.testing.assert_close(found[:, number], state)


def reach(name: str, args: dict[str, object], axis: int) -> list[int]:
    """Slices whose change the answer for the middle slice, or the whole answer, feels."""
    torch.manual_seed(0)
    network = NETWORKS[name].build(ndim=3, in_channels=1, out_channels=2, args=args).eval()
    volume = torch.randn(1, 1, 8, 8, 8, requires_grad=True)
    answer = network(volume)
    part = answer if answer.ndim == 2 else answer.select(2 + axis, 4)
    (part * torch.randn_like(part)).sum().backward()
    assert volume.grad is not None
    felt = volume.grad.abs().movedim(2 + axis, 0).flatten(1).sum(dim=1)
    return felt.nonzero().flatten().tolist()


@pytest.mark.parametrize("axis", AXES)
def test_a_slice_knows_of_all_others_only_through_the_recurrence(axis: int) -> None:
    args = {"channels": [4, 4], "axis": axis}
    assert reach("recurrent_unet", {**args, "recurrent": 0}, axis) == [4]
    assert reach("recurrent_unet", {**args, "recurrent": 1}, axis) == list(range(8))
    assert reach("cnn_rnn", {"channels": [4], "hidden": 3, "axis": axis}, axis) == list(range(8))


def test_the_order_of_slices_matters() -> None:
    torch.manual_seed(0)
    network = NETWORKS["cnn_rnn"].build(ndim=3, in_channels=1, out_channels=2, args={}).eval()
    volume = torch.randn(1, 1, 6, 16, 16)
    mixed = volume[:, :, [3, 0, 5, 1, 4, 2]]
    assert not torch.allclose(network(volume), network(mixed), atol=1e-5)


@pytest.mark.parametrize("name", ["recurrent_unet", "cnn_rnn"])
def test_slices_lie_along_the_coarsest_axis(name: str) -> None:
    network = NETWORKS[name]
    assert isinstance(network, FitsSpacing)
    assert network.args_for((1.0, 1.0, 1.0)) == {"axis": 0}
    assert network.args_for((0.5, 0.5, 3.0)) == {"axis": 2}
    args = {"channels": [4, 4, 4], "axis": 2}
    assert network.divisor(ndim=3, args=args)[2] == 1
    assert min(network.divisor(ndim=2, args=args)) > 1
