"""Autoencoder with a narrow middle and no way around it: what it gives back has passed through few numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ._args import Channels, NetworkArgs, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "AutoencoderArgs", "AutoencoderNetwork"]


class AutoencoderArgs(NetworkArgs):
    """Arguments of MONAI's ``AutoEncoder``; every level halves all lengths."""

    channels: Channels = Field(
        (16, 32, 64, 64),
        title="Channels",
        description="Feature channels of each level, top first; every level halves all lengths",
    )
    bottleneck: int = Field(
        8,
        ge=1,
        le=512,
        title="Bottleneck",
        description="Channels of the middle: with four levels in 2-D, 8 of them are one number for 32 pixels",
    )


class AutoencoderNetwork:
    """MONAI's ``AutoEncoder``: strided convolutions down to a narrow middle, transposed ones back.

    ``encode`` of the built module gives the middle ``(B, bottleneck, *spatial / divisor)``.
    """

    title = "Autoencoder"
    rebuilds: Literal[True] = True
    has_middle = True
    Args = AutoencoderArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(AutoencoderArgs, args)
        with quiet_monai():
            from monai.networks.nets.autoencoder import AutoEncoder

            network: nn.Module = AutoEncoder(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                channels=(*checked.channels, checked.bottleneck),
                strides=(*(2,) * len(checked.channels), 1),
                norm="batch",
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two for every level; see `Network.divisor`."""
        return (2 ** len(parse(AutoencoderArgs, args).channels),) * ndim


NETWORK = AutoencoderNetwork()
