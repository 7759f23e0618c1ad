"""Plain U-Net with max pooling: the network of most papers, and of many published weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ._args import NetworkArgs, Width, factors, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "BasicUNetArgs", "BasicUNetNetwork"]

_POOLINGS = 4


class BasicUNetArgs(NetworkArgs):
    """Arguments of MONAI's ``BasicUNet``, which always has five levels."""

    channels: Annotated[tuple[Width, ...], Field(min_length=6, max_length=6)] = Field(
        (32, 32, 64, 128, 256, 32),
        title="Channels",
        description="Feature channels of the five levels, top first, then of the last decoder level",
    )
    norm: Literal["instance", "batch"] = Field(
        "instance", title="Normalisation", description="Layer that normalises features"
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, title="Dropout", description="Share of features dropped while learning"
    )
    upsample: Literal["deconv", "pixelshuffle", "nontrainable"] = Field(
        "deconv", title="Up-sampling", description="How the decoder goes back to finer levels"
    )


class BasicUNetNetwork:
    """MONAI's ``BasicUNet`` (after Falk et al., Nature Methods 16, 67, 2019)."""

    title = "Basic U-Net"
    Args = BasicUNetArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(BasicUNetArgs, args)
        with quiet_monai():
            from monai.networks.nets.basic_unet import BasicUNet

            network: nn.Module = BasicUNet(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                features=checked.channels,
                norm=(checked.norm, {"affine": True}),
                dropout=checked.dropout,
                upsample=checked.upsample,
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Four poolings by two; see `Network.divisor`."""
        parse(BasicUNetArgs, args)
        return factors((2,) * _POOLINGS, ndim)


NETWORK = BasicUNetNetwork()
