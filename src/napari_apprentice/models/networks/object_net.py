"""Network for crops around objects: logistic regression on what is measured, and convolutions that add to it."""

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
    measures: int = Field(
        0,
        ge=0,
        le=10_000,
        title="Measures",
        description="Numbers of the table of measures that are told of each object; set when a model is planned",
    )


class ObjectNetwork:
    """Decides by what is measured of an object, in the image and in a crop of it, and by what convolutions see in it and around it.

    The last input channel is the object's mask. Wide and deep (Cheng et al., "Wide & deep learning", 2016): the measures
    decide as two logistic regressions do, which a few examples are enough for; the convolutions start from nothing and learn
    what these leave open.
    """

    title = "Object network"
    Args = ObjectNetArgs
    per_image: Literal[True] = True
    sees_mask: Literal[True] = True
    sees_measures: Literal[True] = True

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
                checked.measures,
            )

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Two between two levels; see `Network.divisor`."""
        return (2 ** (len(parse(ObjectNetArgs, args).channels) - 1),) * ndim


NETWORK = ObjectNetwork()
