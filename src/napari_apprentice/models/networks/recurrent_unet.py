"""Recurrent U-Net: reads a volume slice by slice, and hands on what it saw from slice to slice in both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ._args import Channels, NetworkArgs, coarsest_axis, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

__all__ = ["NETWORK", "RecurrentUNetArgs", "RecurrentUNetNetwork"]


class RecurrentUNetArgs(NetworkArgs):
    """Arguments of the recurrent U-Net; the defaults suit a laptop's CPU."""

    channels: Channels = Field(
        (32, 64, 128),
        title="Channels",
        description="Feature channels of each level, top first; every level halves the lengths within a slice",
    )
    recurrent: Annotated[int, Field(ge=0, le=8)] = Field(
        2,
        title="Recurrent levels",
        description="How many of the deepest levels hand on what they saw; 0: every slice on its own",
    )
    axis: Annotated[int, Field(ge=0, le=2)] = Field(
        0, title="Slice axis", description="Spatial axis along which the slices of a volume lie"
    )


class RecurrentUNetNetwork:
    """A 2-D U-Net over slices with bidirectional convolutional GRUs between them at its deepest levels.

    For volumes whose slices are much further apart than their pixels, where 3-D convolutions mix what is far apart.
    After Chen et al., "Combining fully convolutional and recurrent neural networks for 3D biomedical image
    segmentation", NeurIPS 2016. A picture is a volume of one slice.
    """

    title = "Recurrent U-Net"
    Args = RecurrentUNetArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(RecurrentUNetArgs, args)
        with quiet_monai():
            from ._slices import RecurrentUNet

            return RecurrentUNet(
                in_channels, out_channels, checked.channels, checked.recurrent, checked.axis
            )

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two for every level, within slices, and once more along one axis; see `Network.divisor`."""
        checked = parse(RecurrentUNetArgs, args)
        factor = 2 ** len(checked.channels)
        if ndim == 2:
            return factor, factor
        # A slice needs two voxels at the bottom, however many slices there are.
        within = [factor, 2 * factor]
        within.insert(checked.axis, 1)
        return tuple(within)

    def args_for(self, spacing: Sequence[float]) -> Mapping[str, Any]:
        """Slices along the coarsest axis; see `FitsSpacing`."""
        return {"axis": coarsest_axis(spacing)}


NETWORK = RecurrentUNetNetwork()
