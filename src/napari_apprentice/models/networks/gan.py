"""Generative adversarial network: one half makes images up, the other tells them from real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from napari_apprentice.core.errors import ModelError

from ._args import Channels, NetworkArgs, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "GanArgs", "GanNetwork"]

_Length = Annotated[int, Field(ge=2, le=1024)]


class GanArgs(NetworkArgs):
    """Arguments; every level halves or doubles all lengths."""

    channels: Channels = Field(
        (16, 32, 64, 128),
        title="Channels",
        description="Feature channels of each level of both halves, top first; every level halves all lengths",
    )
    size: Annotated[tuple[_Length, ...], Field(min_length=2, max_length=3)] | None = Field(
        None,
        title="Size",
        description="Size of the images that are made, a multiple of 2 for every level; none: four times that",
    )
    latent: int = Field(
        64, ge=1, le=1024, title="Latent", description="How many random numbers make an image"
    )


class GanNetwork:
    """DCGAN with the kind of image given to both halves, and spectral normalisation of the half that judges.

    The built module is called with images ``(B, in, *spatial)`` and says how real they look as each of ``out`` kinds,
    ``(B, out)``; ``make`` of it turns random numbers ``(B, latent)`` and kinds ``(B,)`` into images ``(B, in, *size)`` from 0
    to 1.
    """

    title = "Generative adversarial network"
    Args = GanArgs
    makes_images: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(GanArgs, args)
        factor = 2 ** len(checked.channels)
        size = checked.size or (4 * factor,) * ndim
        if len(size) != ndim or any(length % factor for length in size):
            raise ModelError(
                f"expected a size of {ndim} multiples of {factor}, found {' × '.join(map(str, size))}"
            )
        with quiet_monai():
            from ._contest import Contest, Maker, Rival

            sizes = (ndim, size, checked.channels, in_channels, out_channels)
            return Contest(Maker(*sizes, checked.latent), Rival(*sizes))

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two for every level; see `Network.divisor`."""
        return (2 ** len(parse(GanArgs, args).channels),) * ndim


NETWORK = GanNetwork()
