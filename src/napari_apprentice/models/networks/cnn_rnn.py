"""CNN and RNN: a convolutional network sees each slice, a recurrent one reads the sequence and answers once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ._args import NetworkArgs, Width, coarsest_axis, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

__all__ = ["NETWORK", "CnnRnnArgs", "CnnRnnNetwork"]


class CnnRnnArgs(NetworkArgs):
    """Arguments of the network over slices."""

    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=6)] = Field(
        (16, 32, 64),
        title="Channels",
        description="Feature channels of each block of the CNN; every block halves the lengths within a slice",
    )
    cell: Literal["gru", "lstm"] = Field(
        "gru", title="Cell", description="Kind of recurrent cell that reads the slices"
    )
    hidden: Annotated[int, Field(ge=1, le=4096)] = Field(
        64, title="Hidden", description="Units of the recurrent cell, in each direction"
    )
    dropout: float = Field(
        0.3, ge=0.0, lt=1.0, title="Dropout", description="Share of units dropped while learning"
    )
    axis: Annotated[int, Field(ge=0, le=2)] = Field(
        0, title="Slice axis", description="Spatial axis along which the slices of a volume lie"
    )


class CnnRnnNetwork:
    """Convolution blocks per slice, averaged; a bidirectional GRU or LSTM over slices; its states' mean and maximum.

    After Donahue et al., "Long-term recurrent convolutional networks for visual recognition and description",
    CVPR 2015, read in both directions. A picture is a sequence of one slice.
    """

    title = "CNN + RNN over slices"
    Args = CnnRnnArgs
    per_image: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(CnnRnnArgs, args)
        with quiet_monai():
            from torch import nn

            from ._slices import CnnRnn

            return CnnRnn(
                in_channels,
                out_channels,
                widths=checked.channels,
                cell=nn.GRU if checked.cell == "gru" else nn.LSTM,
                hidden=checked.hidden,
                dropout=checked.dropout,
                axis=checked.axis,
            )

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two for every block, within slices; see `Network.divisor`."""
        checked = parse(CnnRnnArgs, args)
        slices = checked.axis if ndim == 3 else None
        return tuple(1 if axis == slices else 2 ** len(checked.channels) for axis in range(ndim))

    def args_for(self, spacing: Sequence[float]) -> Mapping[str, Any]:
        """Slices along the coarsest axis; see `FitsSpacing`."""
        return {"axis": coarsest_axis(spacing)}


NETWORK = CnnRnnNetwork()
