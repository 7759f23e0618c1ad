"""Making a network faster on the CPU without changing what it computes."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as functional
from monai.networks.blocks.convolutions import ResidualUnit
from torch import nn

__all__ = ["tune"]

# Layers whose CPU kernels take the channels-last layout as it is; anything else that works on features
# (attention, layer norm on tokens) would copy back and forth.
_LAYOUT_BLIND = (nn.LayerNorm, nn.Linear, nn.MultiheadAttention)


_DROPOUTS = (nn.Dropout, nn.Dropout2d, nn.Dropout3d)
_NORMS = (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm)


class _InstanceNorm2d(nn.InstanceNorm2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        return _as_group_norm(self, input)


class _InstanceNorm3d(nn.InstanceNorm3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        return _as_group_norm(self, input)


def _as_group_norm(norm: nn.InstanceNorm2d | nn.InstanceNorm3d, data: torch.Tensor) -> torch.Tensor:
    """Instance norm is group norm with one channel per group, whose kernel is several times faster."""
    return functional.group_norm(data, data.shape[1], norm.weight, norm.bias, norm.eps)


class _Conv2d(nn.Conv2d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        return _direct(self, input)


class _Conv3d(nn.Conv3d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        return _direct(self, input)


def _direct(layer: nn.Conv2d | nn.Conv3d, data: torch.Tensor) -> torch.Tensor:
    """Call oneDNN even for small feature maps.

    For a single tile torch takes a loop over copied patches instead wherever the map has fewer than 20480 values
    per column, which makes the deep levels of a U-Net two to four times slower.
    """
    answer: torch.Tensor = torch.mkldnn_convolution(
        data,
        layer.weight,
        layer.bias,
        layer.padding,  # type: ignore[arg-type]  # a name only where `_plain_convolution` says no
        layer.stride,
        layer.dilation,
        layer.groups,
    )
    return answer


class _PReLU(nn.PReLU):
    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's own name
        return functional.leaky_relu_(input, float(self.weight))


class _ResidualUnit(ResidualUnit):  # type: ignore[misc]  # MONAI ships no types
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add into the answer of the convolutions: nobody else holds it."""
        answer: torch.Tensor = self.conv(x)
        return answer.add_(self.residual(x))


def _activate_in_place(network: nn.Module) -> None:
    """Let activations overwrite what a normalisation right before them made: nobody else holds that.

    Only inside ``nn.Sequential``, where the answer of a layer goes to the next one alone.
    """
    for chain in network.modules():
        if not isinstance(chain, nn.Sequential) or type(chain).forward is not nn.Sequential.forward:
            continue
        layers = [layer for layer in chain if not isinstance(layer, _DROPOUTS)]
        for norm, activation in itertools.pairwise(layers):
            if not isinstance(norm, _NORMS):
                continue
            if type(activation) is nn.PReLU and activation.num_parameters == 1:
                activation.__class__ = _PReLU
            elif type(activation) in (nn.ReLU, nn.LeakyReLU):
                setattr(activation, "inplace", True)  # noqa: B010 - the stubs know no such attribute


def _plain_norm(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.InstanceNorm2d | nn.InstanceNorm3d) and not module.track_running_stats
    )


def _plain_convolution(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d | nn.Conv3d)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
    )


def tune(network: nn.Module, ndim: int) -> tuple[nn.Module, torch.memory_format]:
    """Let a float32 network in evaluation mode compute the same faster on the CPU.

    Only how layers are computed changes; weights, names and structure stay. Only layers of exactly torch's own
    classes are touched. Measured on two AVX-512 cores for one 64³ tile against plain torch: residual U-Net 2.4 ×,
    DynUNet 1.6 ×.

    Parameters
    ----------
    network
        Changed in place: give a copy of what must stay.
    ndim
        Spatial axes of its input.

    Returns
    -------
    network, memory_format
        The network, and the layout its input should have: channels last where convolutions do the work.
    """
    if not torch.backends.mkldnn.is_available():
        return network, torch.contiguous_format
    faster: dict[type[nn.Module], type[nn.Module]] = {
        nn.Conv2d: _Conv2d,
        nn.Conv3d: _Conv3d,
        nn.InstanceNorm2d: _InstanceNorm2d,
        nn.InstanceNorm3d: _InstanceNorm3d,
    }
    for module in network.modules():
        if _plain_norm(module) or _plain_convolution(module):
            # Same state, another forward: code that looks at its layers finds what it expects.
            module.__class__ = faster.get(type(module), type(module))
        elif type(module) is ResidualUnit:
            module.__class__ = _ResidualUnit
    _activate_in_place(network)
    layout, spatial = _layout(network)
    # The overload with only a memory format is missing from torch's stubs.
    network = network.to(memory_format=layout)  # type: ignore[call-overload]
    return network, layout if spatial == ndim else torch.contiguous_format


def _layout(network: nn.Module) -> tuple[torch.memory_format, int]:
    """Layout of the weights and their spatial axes: channels last, unless there are layers that do not know it or instance norms left that are slow with it."""
    spatial = 0
    for module in network.modules():
        if isinstance(module, _LAYOUT_BLIND):
            return torch.contiguous_format, 0
        if isinstance(module, nn.InstanceNorm2d | nn.InstanceNorm3d) and not isinstance(
            module, _InstanceNorm2d | _InstanceNorm3d
        ):
            return torch.contiguous_format, 0
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            spatial = max(spatial, module.weight.ndim - 2)
    by_axes = {2: torch.channels_last, 3: torch.channels_last_3d}
    return by_axes.get(spatial, torch.contiguous_format), spatial
