"""Plain convolutional network: a few rounds of convolution, ReLU and pooling, then dropout and dense layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ._args import NetworkArgs, Width, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "CnnArgs", "CnnNetwork"]


class CnnArgs(NetworkArgs):
    """Arguments of the plain network; the defaults are three blocks."""

    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=6)] = Field(
        (16, 32, 64),
        title="Channels",
        description="Feature channels of each block; every block halves all lengths",
    )
    norm: Literal["batch", "instance", "none"] = Field(
        "batch", title="Normalisation", description="Layer that normalises features; none: plain"
    )
    grid: int = Field(
        4,
        ge=1,
        le=16,
        title="Grid",
        description="Cells per axis to which the last features are averaged before the dense layers",
    )
    dense: int = Field(
        128, ge=1, le=4096, title="Dense", description="Units of the hidden dense layer"
    )
    dropout: float = Field(
        0.3, ge=0.0, lt=1.0, title="Dropout", description="Share of units dropped while learning"
    )


class CnnNetwork:
    """Blocks of 3-wide convolution, ReLU and max pooling, then averaging to a small grid, dropout and dense layers.

    Averaging makes the dense layers independent of the image's size. The convolutions are MONAI's.
    """

    title = "Plain CNN"
    Args = CnnArgs
    per_image: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(CnnArgs, args)
        with quiet_monai():
            from monai.networks.blocks.convolutions import Convolution
            from monai.networks.layers.factories import Pool
            from torch import nn

            blocks: list[nn.Module] = []
            width = in_channels
            for wider in checked.channels:
                convolution = Convolution(
                    spatial_dims=ndim,
                    in_channels=width,
                    out_channels=wider,
                    act="RELU",
                    norm=None if checked.norm == "none" else checked.norm,
                    adn_ordering="NA",
                )
                blocks += [convolution, Pool[Pool.MAX, ndim](2)]
                width = wider
            return nn.Sequential(
                *blocks,
                Pool[Pool.ADAPTIVEAVG, ndim](checked.grid),
                nn.Flatten(),
                nn.Dropout(checked.dropout),
                nn.Linear(width * checked.grid**ndim, checked.dense),
                nn.ReLU(),
                nn.Dropout(checked.dropout),
                nn.Linear(checked.dense, out_channels),
            )

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two for every block; see `Network.divisor`."""
        return (2 ** len(parse(CnnArgs, args).channels),) * ndim


NETWORK = CnnNetwork()
