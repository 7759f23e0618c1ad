"""A pyramid of features and two heads that answer for every anchor."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from monai.apps.detection.networks.retinanet_network import (
    RetinaNetClassificationHead,
    RetinaNetRegressionHead,
)
from monai.networks.blocks.convolutions import ResidualUnit
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["AnchorNet", "anchors_of_level"]


class AnchorNet(nn.Module):
    """RetinaNet that answers ``(B, in, *spatial)`` with rows ``(B, anchors, 4 n + out)`` (see `FindsBoxes`).

    Parameters
    ----------
    in_channels, out_channels
        Of the image, and classes.
    channels, strides
        Features of each level and the strides into it, ``n`` numbers each.
    finest
        First level with anchors.
    features
        Channels of the pyramid and the heads.
    anchors
        Lengths of the anchors of the finest level in voxels, ``n`` numbers each.
    """

    finds_boxes = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        channels: Sequence[int],
        strides: Sequence[tuple[int, ...]],
        finest: int,
        features: int,
        anchors: Sequence[tuple[float, ...]],
    ) -> None:
        super().__init__()
        ndim = len(strides[0])
        widths = (in_channels, *channels)
        self.levels = nn.ModuleList(
            ResidualUnit(ndim, a, b, strides=stride, subunits=2, norm="INSTANCE")
            for (a, b), stride in zip(itertools.pairwise(widths), strides, strict=True)
        )
        self.pyramid = FeaturePyramidNetwork(ndim, list(channels[finest:]), features)
        self.classes = RetinaNetClassificationHead(features, len(anchors), out_channels, ndim)
        self.boxes = RetinaNetRegressionHead(features, len(anchors), ndim)
        self.ndim, self.finest, self.strides = ndim, finest, tuple(strides)
        self.anchors = tuple(anchors)

    def forward(self, image: Tensor) -> Tensor:
        """Rows of all anchors, those of one shape together, finest level first."""
        return self.rows(self.features(image))

    def features(self, image: Tensor) -> list[Tensor]:
        """The pyramid, finest level first; see `FindsBoxes`."""
        maps = []
        for level in self.levels:
            image = level(image)
            maps.append(image)
        return list(
            self.pyramid({str(n): one for n, one in enumerate(maps[self.finest :])}).values()
        )

    def rows(self, features: Sequence[Tensor]) -> Tensor:
        """What both heads tell of the levels of the pyramid; see `FindsBoxes`."""
        return torch.cat([self._rows(n, one) for n, one in enumerate(features)], dim=1)

    def _rows(self, number: int, features: Tensor) -> Tensor:
        # Not the heads' own `forward`: it looks for NaN at every call, and raises what nobody expects.
        codes = self.boxes.bbox_reg(self.boxes.conv(features))
        scores = self.classes.cls_logits(self.classes.conv(features))
        known = anchors_of_level(
            tuple(features.shape[2:]), self._stride(number), self._lengths(number)
        )
        told = known.to(features.device).expand(len(features), *known.shape)
        return torch.cat([told, self._by_anchor(codes), self._by_anchor(scores)], dim=2)

    def _by_anchor(self, values: Tensor) -> Tensor:
        """``(B, k × anchors, *places)`` as ``(B, anchors × places, k)``: further classes come last."""
        split: Tensor = values.flatten(2).unflatten(1, (-1, len(self.anchors)))
        return split.permute(0, 2, 3, 1).flatten(1, 2)

    def _stride(self, number: int) -> tuple[int, ...]:
        used = self.strides[: self.finest + number + 1]
        return tuple(math.prod(stride[axis] for stride in used) for axis in range(self.ndim))

    def _lengths(self, number: int) -> list[tuple[float, ...]]:
        factor = max(self._stride(number)) / max(self._stride(0))
        return [tuple(factor * n for n in anchor) for anchor in self.anchors]


def anchors_of_level(
    shape: Sequence[int], stride: Sequence[int], lengths: Sequence[Sequence[float]]
) -> Tensor:
    """Middles and lengths of the anchors of a level, ``(len(lengths) × places, 2 n)`` float32, in voxels of the image.

    Parameters
    ----------
    shape
        Of the level.
    stride
        Voxels of the image per voxel of the level; anchors lie in the middle of those.
    lengths
        Of each anchor.
    """
    axes = [torch.arange(n) * s + (s - 1) / 2 for n, s in zip(shape, stride, strict=True)]
    middles = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(axes))
    parts = [
        torch.cat([middles, torch.tensor(list(length)).expand(len(middles), -1)], dim=1)
        for length in lengths
    ]
    return torch.cat(parts).float()
