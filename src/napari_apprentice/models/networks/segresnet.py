"""Residual encoder-decoder with group normalisation; many published radiology weights use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from ._args import NetworkArgs, factors, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "SegResNetArgs", "SegResNetNetwork"]

_Blocks = Annotated[int, Field(ge=1, le=16)]
_GROUPS = 8


class SegResNetArgs(NetworkArgs):
    """Arguments of MONAI's ``SegResNet``."""

    init_filters: int = Field(
        16,
        ge=_GROUPS,
        le=256,
        multiple_of=_GROUPS,
        title="First channels",
        description="Feature channels at full resolution; each level doubles them",
    )
    blocks_down: Annotated[tuple[_Blocks, ...], Field(min_length=2, max_length=6)] = Field(
        (1, 2, 2, 4),
        title="Encoder blocks",
        description="Residual blocks of each encoder level, top first",
    )
    blocks_up: Annotated[tuple[_Blocks, ...], Field(min_length=1, max_length=5)] = Field(
        (1, 1, 1),
        title="Decoder blocks",
        description="Residual blocks of each decoder level, deepest first",
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, title="Dropout", description="Share of features dropped while learning"
    )

    @model_validator(mode="after")
    def _levels(self) -> SegResNetArgs:
        if len(self.blocks_up) != len(self.blocks_down) - 1:
            raise ValueError(
                f"expected {len(self.blocks_down) - 1} decoder levels for {len(self.blocks_down)} encoder "
                f"levels, found {len(self.blocks_up)}"
            )
        return self


class SegResNetNetwork:
    """MONAI's ``SegResNet`` (Myronenko, BrainLes 2018, without the autoencoder branch)."""

    title = "SegResNet"
    Args = SegResNetArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(SegResNetArgs, args)
        with quiet_monai():
            from monai.networks.nets.segresnet import SegResNet

            network: nn.Module = SegResNet(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                init_filters=checked.init_filters,
                blocks_down=checked.blocks_down,
                blocks_up=checked.blocks_up,
                dropout_prob=checked.dropout or None,
                norm=("GROUP", {"num_groups": _GROUPS}),
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two for every level below the first; see `Network.divisor`."""
        levels = len(parse(SegResNetArgs, args).blocks_down)
        return factors((2,) * (levels - 1), ndim)


NETWORK = SegResNetNetwork()
