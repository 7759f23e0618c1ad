"""Densely connected layers: each sees the features of all before it, so that few weights go far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ._args import NetworkArgs, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "DenseNetArgs", "DenseNetNetwork"]

_Layers = Annotated[int, Field(ge=1, le=64)]


class DenseNetArgs(NetworkArgs):
    """Arguments of MONAI's ``DenseNet``; the defaults are DenseNet-121."""

    blocks: Annotated[tuple[_Layers, ...], Field(min_length=2, max_length=5)] = Field(
        (6, 12, 24, 16),
        title="Blocks",
        description="Layers of each dense block: 6, 12, 24, 16 is DenseNet-121, 6, 12, 32, 32 is DenseNet-169",
    )
    init_features: int = Field(
        64, ge=4, le=512, title="First channels", description="Feature channels of the first layer"
    )
    growth: int = Field(
        32, ge=2, le=256, title="Growth", description="Feature channels that each layer adds"
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, title="Dropout", description="Share of features dropped while learning"
    )


class DenseNetNetwork:
    """MONAI's ``DenseNet`` (Huang et al., CVPR 2017) in 2-D and 3-D; the network of MONAI's MedNIST tutorial."""

    title = "DenseNet"
    Args = DenseNetArgs
    per_image: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(DenseNetArgs, args)
        with quiet_monai():
            from monai.networks.nets.densenet import DenseNet

            network: nn.Module = DenseNet(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                init_features=checked.init_features,
                growth_rate=checked.growth,
                block_config=checked.blocks,
                dropout_prob=checked.dropout,
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Four at the entrance, two between blocks; see `Network.divisor`."""
        return (2 ** (len(parse(DenseNetArgs, args).blocks) + 1),) * ndim


NETWORK = DenseNetNetwork()
