"""RetinaNet: a pyramid of features with two heads, that say box by box what is there and how it differs from an anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from ._args import Channels, NetworkArgs, PerAxis, factors, parse, per_axis, quiet_monai

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import nn

__all__ = ["NETWORK", "RetinaNetArgs", "RetinaNetNetwork"]

_Length = Annotated[float, Field(gt=0, le=4096)]
_Anchor = _Length | Annotated[tuple[_Length, ...], Field(min_length=2, max_length=3)]

_SMALL, _LARGE = 10, 90
"""Percentiles of the objects' sizes between which the anchors lie."""
_VOXELS_PER_OBJECT = 1.5
"""Of the finest level across a small object, at least."""
_COARSEST = 4
_ANISOTROPIC = 2.0


class RetinaNetArgs(NetworkArgs):
    """Arguments of RetinaNet; anchors are planned from the objects that are learned from."""

    channels: Channels = Field(
        (16, 32, 64, 128),
        title="Channels",
        description="Feature channels of each level, top first",
    )
    strides: tuple[PerAxis, ...] = Field(
        (2, 2, 2, 2),
        title="Strides",
        description="Down-sampling into each level, the first from the image: one number, or one per axis",
    )
    finest: int = Field(
        1,
        ge=0,
        le=6,
        title="Finest level",
        description="First level, counted from 0, that has anchors; all below it have some, too",
    )
    features: int = Field(
        32,
        ge=8,
        le=512,
        multiple_of=8,
        title="Features",
        description="Channels of the pyramid and of both heads",
    )
    anchors: Annotated[tuple[_Anchor, ...], Field(min_length=1, max_length=8)] = Field(
        (12.0, 17.0),
        title="Anchors",
        description="Lengths in voxels of the anchors of the finest level: one number, or one per axis; twice as long on the next level, and so on",
    )

    @model_validator(mode="after")
    def _levels(self) -> RetinaNetArgs:
        if len(self.strides) != len(self.channels):
            raise ValueError(
                f"expected {len(self.channels)} strides for {len(self.channels)} levels, found {len(self.strides)}"
            )
        if self.finest >= len(self.channels):
            raise ValueError(
                f"expected a finest level below {len(self.channels)}, found {self.finest}"
            )
        return self


class RetinaNetNetwork:
    """Boxes from anchors of several sizes at every place (Lin et al., ICCV 2017), in 2-D and 3-D.

    MONAI's residual units, feature pyramid and detection heads; nothing of torchvision. The built module answers with a
    row per anchor (see `FindsBoxes`).
    """

    title = "RetinaNet"
    Args = RetinaNetArgs
    finds_boxes: Literal[True] = True

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build with fresh weights; see `Network.build`."""
        checked = parse(RetinaNetArgs, args)
        strides = [per_axis(stride, ndim, "strides") for stride in checked.strides]
        anchors = [_lengths(anchor, ndim) for anchor in checked.anchors]
        with quiet_monai():
            from ._anchors import AnchorNet

            return AnchorNet(
                in_channels,
                out_channels,
                channels=checked.channels,
                strides=strides,
                finest=checked.finest,
                features=checked.features,
                anchors=anchors,
            )

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Product of the strides; see `Network.divisor`."""
        return factors(parse(RetinaNetArgs, args).strides, ndim)

    def args_for(self, spacing: Sequence[float]) -> Mapping[str, Any]:
        """Strides that leave an axis alone while its voxels are much longer than the others; see `FitsSpacing`."""
        current = np.asarray(spacing, float)
        strides = []
        for _ in RetinaNetArgs().channels:
            stride = np.where(current < _ANISOTROPIC * current.min(), 2, 1)
            strides.append([int(n) for n in stride])
            current = current * stride
        return {"strides": strides}

    def args_for_objects(
        self, lengths: NDArray[np.float64], args: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Anchors of the usual shape, from small objects up, unless there are some; see `FitsObjects`."""
        if "anchors" in args:
            return args
        if "strides" not in args and lengths.shape[1] == 3:
            # How far slices lie apart is not known: objects are about as deep as they are wide.
            args = {**args, **self.args_for((1 / np.median(lengths, axis=0)).tolist())}
        checked = parse(RetinaNetArgs, args)
        sides = np.exp(np.log(lengths).mean(axis=1))
        small, large = np.percentile(sides, (_SMALL, _LARGE))
        shape = np.median(lengths / sides[:, None], axis=0)
        # Half an octave apart; where all are of one size, that lies between the two.
        first = small * 2**0.25 if large > 2 * small else np.sqrt(small * large) / 2**0.25
        anchors = [[round(float(n), 2) for n in first * k * shape] for k in (1.0, 2**0.5)]
        return {
            **args,
            "finest": _finest(checked, float(small), lengths.shape[1]),
            "anchors": anchors,
        }


def _finest(args: RetinaNetArgs, small: float, ndim: int) -> int:
    """The coarsest level on which a small object is still some voxels wide."""
    best = 0
    for level in range(len(args.channels) - 1):
        stride = max(factors(args.strides[: level + 1], ndim))
        if stride <= min(_COARSEST, small / _VOXELS_PER_OBJECT):
            best = level
    return best


def _lengths(anchor: float | tuple[float, ...], ndim: int) -> tuple[float, ...]:
    if isinstance(anchor, float):
        return (anchor,) * ndim
    return tuple(float(n) for n in per_axis(anchor, ndim, "anchors"))  # type: ignore[arg-type]


NETWORK = RetinaNetNetwork()
