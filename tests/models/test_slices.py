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


def test_the_recurrent_layer_is_torchs_gru_at_every_pixel() -> None:
    """Both directions; torch's update gate says what is kept, ours what is new."""
    torch.manual_seed(0)
    layer = ConvGRU(5, 3).eval()
    torchs = torch.nn.GRU(5, 3, batch_first=True, bidirectional=True).eval()
    for of, convolution in (("ih", layer.of_slice), ("hh", layer.of_state)):
        assert convolution.bias is not None
        ways = zip(
            convolution.weight.chunk(2), convolution.bias.chunk(2), ("", "_reverse"), strict=True
        )
        for weight, bias, way in ways:
            for name, values in (("weight", weight[..., 0, 0]), ("bias", bias)):
                update, reset, new = values.detach().chunk(3)
                getattr(torchs, f"{name}_{of}_l0{way}").data = torch.cat([reset, -update, new])
    sequence = torch.randn(2, 4, 5, 1, 2)
    found = layer(sequence)
    for x in (0, 1):
        expected, _ = torchs(sequence[..., 0, x])
        torch.testing.assert_close(found[..., 0, x], expected)


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
