"""Full-resolution U-Net in the manner of nnU-Net, with kernels and strides of its own at each level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from napari_apprentice.core.errors import ModelError

from ._args import Channels, NetworkArgs, PerAxis, factors, parse, per_axis, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "DynUNetArgs", "DynUNetNetwork"]

_Kernels = Annotated[tuple[PerAxis, ...], Field(max_length=8)]


class DynUNetArgs(NetworkArgs):
    """Arguments of MONAI's ``DynUNet``; deep supervision stays off, so that the answer is one tensor."""

    channels: Channels = Field(
        (16, 32, 64, 128),
        title="Channels",
        description="Feature channels of each level, top first",
    )
    strides: tuple[PerAxis, ...] = Field(
        (2, 2, 2),
        title="Strides",
        description="Down-sampling from each level to the next: one number, or one per axis",
    )
    kernels: _Kernels = Field(
        (),
        title="Kernels",
        description="Odd kernel sizes of each level, one number or one per axis; none: 3",
    )
    residual: bool = Field(
        False, title="Residual blocks", description="Add each block's input to its output"
    )
    dropout: float = Field(
        0.0, ge=0.0, lt=1.0, title="Dropout", description="Share of features dropped while learning"
    )

    @model_validator(mode="after")
    def _levels(self) -> DynUNetArgs:
        levels = len(self.channels)
        if levels < 3:
            raise ValueError(f"expected at least 3 levels, found channels {self.channels}")
        if len(self.strides) != levels - 1:
            raise ValueError(
                f"expected {levels - 1} strides for {levels} levels, found {len(self.strides)}"
            )
        if self.kernels and len(self.kernels) != levels:
            raise ValueError(
                f"expected {levels} kernels for {levels} levels, found {len(self.kernels)}"
            )
        sizes = [s for k in self.kernels for s in ((k,) if isinstance(k, int) else k)]
        if any(size % 2 == 0 for size in sizes):
            raise ValueError(f"expected odd kernel sizes, found {self.kernels}")
        return self


class DynUNetNetwork:
    """MONAI's ``DynUNet``, after nnU-Net's plan (Isensee et al., Nature Methods 18, 203, 2021)."""

    title = "DynUNet (nnU-Net's plan)"
    Args = DynUNetArgs

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(DynUNetArgs, args)
        kernels, strides = _plan(checked, ndim)
        with quiet_monai():
            from monai.networks.nets.dynunet import DynUNet

            network: nn.Module = DynUNet(
                spatial_dims=ndim,
                in_channels=in_channels,
                out_channels=out_channels,
                kernel_size=kernels,
                strides=strides,
                upsample_kernel_size=strides[1:],
                filters=checked.channels,
                dropout=checked.dropout or None,
                res_block=checked.residual,
                deep_supervision=False,
            )
        return network

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Product of the strides; see `Network.divisor`."""
        return factors(parse(DynUNetArgs, args).strides, ndim)


def _plan(args: DynUNetArgs, ndim: int) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Kernels and strides of every level and axis; the first level keeps full resolution."""
    kernels = [per_axis(k, ndim, "kernels") for k in args.kernels or (3,) * len(args.channels)]
    strides = [(1,) * ndim, *(per_axis(s, ndim, "strides") for s in args.strides)]
    for level, (kernel, stride) in enumerate(zip(kernels, strides, strict=True)):
        # A residual block skips through a kernel of 1; wider strides would need negative padding.
        widest = tuple(2 if args.residual else k + 1 for k in kernel)
        if any(s > w for s, w in zip(stride, widest, strict=True)):
            raise ModelError(
                f"expected strides of at most {list(widest)} at level {level} (kernel + 1, or 2 with "
                f"residual blocks), found {list(stride)}"
            )
    return kernels, strides


NETWORK = DynUNetNetwork()
