"""U-Net that corrects a smoothed image: it is added to a blur that leaves out the voxel itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from ._args import Channels, NetworkArgs, PerAxis, factors, parse, per_axis, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "RestoringUNetArgs", "RestoringUNetNetwork"]


class RestoringUNetArgs(NetworkArgs):
    """Arguments; the first level keeps the full resolution."""

    channels: Channels = Field(
        (16, 32, 64, 128),
        title="Channels",
        description="Feature channels of each level, top first",
    )
    strides: tuple[PerAxis, ...] = Field(
        (1, 2, 2),
        title="Strides",
        description="Down-sampling from each level to the next: one number, or one per axis",
    )

    @model_validator(mode="after")
    def _levels(self) -> RestoringUNetArgs:
        if len(self.strides) != len(self.channels) - 1:
            raise ValueError(
                f"expected {len(self.channels) - 1} strides for {len(self.channels)} levels, "
                f"found {len(self.strides)}"
            )
        return self


class RestoringUNetNetwork:
    """MONAI's residual ``UNet`` with batch normalisation, added to the mean of each voxel's neighbours.

    The mean leaves out the voxel itself, so that a network that has to guess hidden voxels has nothing to unlearn. Answers
    of batch normalisation do not depend on what else is in a tile. With other channels out than in there is nothing to add
    to, and it is a plain U-Net.
    """

    title = "Restoring U-Net"
    rebuilds: Literal[True] = True
    has_middle = False
    Args = RestoringUNetArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(RestoringUNetArgs, args)
        with quiet_monai():
            from monai.networks.nets.unet import UNet

            network: nn.Module = UNet(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                channels=checked.channels,
                strides=[per_axis(stride, ndim, "strides") for stride in checked.strides],
                num_res_units=1,
                norm="batch",
            )
        return _on_neighbours(network, ndim) if in_channels == out_channels else network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Product of the strides; see `Network.divisor`."""
        return factors(parse(RestoringUNetArgs, args).strides, ndim)


def _on_neighbours(network: nn.Module, ndim: int) -> nn.Module:
    import torch
    from torch import nn
    from torch.nn import functional

    convolve = functional.conv3d if ndim == 3 else functional.conv2d
    side = torch.tensor([1.0, 2.0, 1.0])
    kernel = side
    for _ in range(ndim - 1):
        kernel = kernel.unsqueeze(-1) * side
    kernel[(1,) * ndim] = 0.0
    kernel = (kernel / kernel.sum())[None, None]

    class OnNeighbours(nn.Module):
        """A network added to the weighted mean of the nearest neighbours."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self.kernel: torch.Tensor
            self.register_buffer("kernel", kernel, persistent=False)

        def forward(self, data: torch.Tensor) -> torch.Tensor:
            flat = data.reshape(-1, 1, *data.shape[2:])
            padded = functional.pad(flat, (1, 1) * ndim, mode="replicate")
            around = convolve(padded, self.kernel.to(data.dtype)).reshape(data.shape)
            corrected: torch.Tensor = around + self.network(data)
            return corrected

    return OnNeighbours()


NETWORK = RestoringUNetNetwork()
