"""Residual U-Net that strides in its first layer: few operations per step, so many steps per minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ._args import Channels, NetworkArgs, PerAxis, factors, parse, per_axis, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "UNetArgs", "UNetNetwork"]


class UNetArgs(NetworkArgs):
    """Arguments of MONAI's ``UNet``; the defaults are the recipe that learns fastest on two CPU cores."""

    channels: Channels = Field(
        (32, 64, 128, 256),
        title="Channels",
        description="Feature channels of each level, top first",
    )
    strides: tuple[PerAxis, ...] = Field(
        (2, 2, 2),
        title="Strides",
        description="Down-sampling from each level to the next: one number, or one per axis",
    )
    num_res_units: int = Field(
        1,
        ge=0,
        le=8,
        title="Residual units",
        description="Convolutions in each level's residual unit; 0: plain",
    )
    norm: Literal["instance", "batch", "group"] = Field(
        "instance", title="Normalisation", description="Layer that normalises features"
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, title="Dropout", description="Share of features dropped while learning"
    )

    @model_validator(mode="after")
    def _levels(self) -> UNetArgs:
        if len(self.strides) != len(self.channels) - 1:
            raise ValueError(
                f"expected {len(self.channels) - 1} strides for {len(self.channels)} levels, "
                f"found {len(self.strides)}"
            )
        return self


class UNetNetwork:
    """MONAI's ``UNet`` (Kerfoot et al., STACOM 2018): a U-Net of residual units with strided convolutions."""

    title = "U-Net"
    Args = UNetArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(UNetArgs, args)
        with quiet_monai():
            from monai.networks.nets.unet import UNet

            network: nn.Module = UNet(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                channels=checked.channels,
                strides=[per_axis(stride, ndim, "strides") for stride in checked.strides],
                num_res_units=checked.num_res_units,
                norm=_norm(checked.norm),
                dropout=checked.dropout,
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Product of the strides; see `Network.divisor`."""
        return factors(parse(UNetArgs, args).strides, ndim)


def _norm(name: str) -> str | tuple[str, dict[str, int]]:
    # One group: works with any number of channels.
    return ("group", {"num_groups": 1}) if name == "group" else name


NETWORK = UNetNetwork()
