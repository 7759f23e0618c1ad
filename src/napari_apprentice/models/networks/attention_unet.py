"""U-Net whose skip connections are weighted by attention gates, for small structures in large volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from ._args import Channels, NetworkArgs, factors, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "AttentionUNetArgs", "AttentionUNetNetwork"]


class AttentionUNetArgs(NetworkArgs):
    """Arguments of MONAI's ``AttentionUnet``, which normalises by batch."""

    channels: Channels = Field(
        (32, 64, 128, 256),
        title="Channels",
        description="Feature channels of each level, top first",
    )
    strides: tuple[Annotated[int, Field(ge=1, le=4)], ...] = Field(
        (2, 2, 2),
        title="Strides",
        description="Down-sampling from each level to the next, same along all axes",
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, title="Dropout", description="Share of features dropped while learning"
    )

    @model_validator(mode="after")
    def _levels(self) -> AttentionUNetArgs:
        if len(self.strides) != len(self.channels) - 1:
            raise ValueError(
                f"expected {len(self.channels) - 1} strides for {len(self.channels)} levels, "
                f"found {len(self.strides)}"
            )
        return self


class AttentionUNetNetwork:
    """MONAI's ``AttentionUnet`` (Oktay et al., MIDL 2018)."""

    title = "Attention U-Net"
    Args = AttentionUNetArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(AttentionUNetArgs, args)
        with quiet_monai():
            from monai.networks.nets.attentionunet import AttentionUnet

            network: nn.Module = AttentionUnet(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                channels=checked.channels,
                strides=checked.strides,
                dropout=checked.dropout,
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Product of the strides; see `Network.divisor`."""
        return factors(parse(AttentionUNetArgs, args).strides, ndim)


NETWORK = AttentionUNetNetwork()
