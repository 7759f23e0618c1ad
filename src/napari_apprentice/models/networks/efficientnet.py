"""Inverted bottlenecks whose depth, width and resolution grow together: much accuracy for few weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ._args import NetworkArgs, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "EfficientNetArgs", "EfficientNetNetwork"]


class EfficientNetArgs(NetworkArgs):
    """Arguments of MONAI's ``EfficientNetBN``."""

    size: Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7"] = Field(
        "b0",
        title="Size",
        description="b0 is the smallest (4 million weights in 2-D), b7 the largest",
    )
    momentum: float = Field(
        0.1,
        gt=0.0,
        le=1.0,
        title="Momentum",
        description="How fast batch normalisation follows; 0.01 as published is for a hundred thousand steps",
    )


class EfficientNetNetwork:
    """MONAI's ``EfficientNetBN`` (Tan & Le, ICML 2019) with fresh weights: nothing is downloaded."""

    title = "EfficientNet"
    Args = EfficientNetArgs
    per_image: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(EfficientNetArgs, args)
        with quiet_monai():
            from monai.networks.nets.efficientnet import EfficientNetBN

            network: nn.Module = EfficientNetBN(
                f"efficientnet-{checked.size}",
                pretrained=False,
                spatial_dims=ndim,
                in_channels=in_channels,
                num_classes=out_channels,
                norm=("batch", {"eps": 1e-3, "momentum": checked.momentum}),
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Five halvings; see `Network.divisor`."""
        return (32,) * ndim


NETWORK = EfficientNetNetwork()
