"""Network for crops around objects: measures of the object, and convolutions averaged within it and around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ._args import NetworkArgs, Width, parse, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["NETWORK", "ObjectNetArgs", "ObjectNetwork"]


class ObjectNetArgs(NetworkArgs):
    """Arguments of the network for objects."""

    channels: Annotated[tuple[Width, ...], Field(min_length=1, max_length=5)] = Field(
        (16, 32, 48),
        title="Channels",
        description="Feature channels of each level; lengths are halved between them",
    )
    norm: Literal["batch", "instance"] = Field(
        "batch", title="Normalisation", description="Layer that normalises features"
    )
    dropout: float = Field(
        0.5,
        ge=0.0,
        lt=1.0,
        title="Dropout",
        description="Share of what the convolutions say that is left out while learning",
    )


class ObjectNetwork:
    """Decides by what is measured of an object and by what convolutions see in it and around it.

    The last input channel is the object's mask. A few examples are enough for the measures to decide; with more of them
    the convolutions do.
    """

    title = "Object network"
    Args = ObjectNetArgs
    per_image: Literal[True] = True
    sees_mask: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(ObjectNetArgs, args)
        with quiet_monai():
            from ._object_measures import ObjectNet

            return ObjectNet(
                ndim,
                in_channels,
                out_channels,
                checked.channels,
                checked.norm,
                checked.dropout,
            )

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two between two levels; see `Network.divisor`."""
        return (2 ** (len(parse(ObjectNetArgs, args).channels) - 1),) * ndim


NETWORK = ObjectNetwork()
