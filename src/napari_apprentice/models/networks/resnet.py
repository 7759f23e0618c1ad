"""Residual network: layers that only add a correction to what they are given, so that many can be stacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ._args import NetworkArgs, Width, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "ResNetArgs", "ResNetNetwork"]

_Layers = Annotated[int, Field(ge=1, le=64)]


class ResNetArgs(NetworkArgs):
    """Arguments of MONAI's ``ResNet``; the defaults are ResNet-18."""

    block: Literal["basic", "bottleneck"] = Field(
        "basic",
        title="Block",
        description="basic: two 3-wide convolutions; bottleneck: 1, 3, 1 wide with four times the channels (ResNet-50)",
    )
    layers: tuple[_Layers, _Layers, _Layers, _Layers] = Field(
        (2, 2, 2, 2),
        title="Layers",
        description="Blocks of each stage: 2, 2, 2, 2 is ResNet-18, 3, 4, 6, 3 ResNet-34 and 50",
    )
    channels: tuple[Width, Width, Width, Width] = Field(
        (64, 128, 256, 512), title="Channels", description="Feature channels of each stage"
    )
    stem: Literal["large", "small"] = Field(
        "large",
        title="Stem",
        description="large: 7-wide convolution with stride 2 and pooling, as published; small: 3-wide, for small images",
    )
    dropout: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        title="Dropout",
        description="Share of features dropped before the dense layer while learning",
    )


class ResNetNetwork:
    """MONAI's ``ResNet`` (He et al., CVPR 2016; 3-D: Hara et al., CVPR 2018)."""

    title = "ResNet"
    Args = ResNetArgs
    per_image: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(ResNetArgs, args)
        large = checked.stem == "large"
        with quiet_monai():
            from monai.networks.nets.resnet import ResNet
            from torch import nn

            network: Any = ResNet(
                block=checked.block,
                layers=list(checked.layers),
                block_inplanes=list(checked.channels),
                spatial_dims=ndim,
                n_input_channels=in_channels,
                conv1_t_size=7 if large else 3,
                conv1_t_stride=2 if large else 1,
                no_max_pool=not large,
                num_classes=out_channels,
                # As torchvision has it: files with such weights fit.
                bias_downsample=False,
            )
            if checked.dropout:
                network.avgpool = nn.Sequential(network.avgpool, nn.Dropout(checked.dropout))
        built: nn.Module = network
        return built

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two for each stage but the first, four more for the large stem; see `Network.divisor`."""
        return (32 if parse(ResNetArgs, args).stem == "large" else 8,) * ndim


NETWORK = ResNetNetwork()
