"""What can be measured of an object in a crop around it, and what convolutions see in it and around it, as torch modules."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from ._logistic import Logistic, share_of_first

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ObjectNet", "measure_count", "measures"]

_RING = 7
"""Width of the window whose reach beyond the object is its surroundings, in voxels."""
_BANDS = (3, 5, 9)
_SMALL = 1e-3
_LIMIT = 5.0
_SOME = 512
"""Crops that are measured at a time, while all of them are learned from."""
_FEWEST = 300
"""Examples below which convolutions learn more of these than of what they stand for (``benchmarks/object_class.py``)."""
_PER_CHANNEL = 8 + 2 * len(_BANDS)


def measure_count(channels: int, ndim: int) -> int:
    """How many numbers `measures` gives for an image of so many channels."""
    return (ndim + 4) + channels * _PER_CHANNEL + (channels if channels > 1 else 0)


def _precise(values: Tensor) -> Tensor:
    """Half precision as single: sums over a crop would lose themselves."""
    return values if values.dtype == torch.float64 else values.float()


def _means(values: Tensor, mask: Tensor) -> Tensor:
    """Mean ``(B, C)`` of ``(B, C, *spatial)`` within a mask ``(B, 1, *spatial)``; 0 where that is empty."""
    weight = mask.flatten(2).sum(-1).clamp_min(_SMALL)
    return (values * mask).flatten(2).sum(-1) / weight


def _spread(values: Tensor, mask: Tensor, mean: Tensor) -> Tensor:
    """Deviation ``(B, C)`` within a mask."""
    centred = values - mean.reshape(*mean.shape, *(1,) * (values.ndim - 2))
    return (_means(centred.square(), mask) + 1e-8).sqrt()


def _grown(mask: Tensor, width: int) -> Tensor:
    """A mask and what is within half a width of it."""
    pool = functional.max_pool2d if mask.ndim == 4 else functional.max_pool3d
    return pool(mask, width, 1, width // 2)


def _blurred(image: Tensor, width: int) -> Tensor:
    """Means over windows, along short axes over as much as there is."""
    pool = functional.avg_pool2d if image.ndim == 4 else functional.avg_pool3d
    size = [min(width, (length - 1) // 2 * 2 + 1) for length in image.shape[2:]]
    return pool(image, size, 1, [n // 2 for n in size], count_include_pad=False)


def _shape(mask: Tensor) -> Tensor:
    """Size, lengths of the main axes, elongation, length of the outline, compactness: ``(B, ndim + 4)``."""
    size = mask.flatten(1).sum(-1).clamp_min(1.0)
    spatial = mask.shape[2:]
    axes = [torch.arange(n, dtype=mask.dtype, device=mask.device) for n in spatial]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij")).flatten(1)
    inside = mask.flatten(1)
    middle = inside @ points.T / size[:, None]
    second = torch.einsum("bn,in,jn->bij", inside, points, points) / size[:, None, None]
    spread = second - middle[:, :, None] * middle[:, None, :]
    # A single voxel has a length, too.
    spread = spread + torch.eye(len(spatial), dtype=mask.dtype, device=mask.device) / 12
    lengths = torch.linalg.eigvalsh(spread).clamp_min(1e-4)
    rim = (mask - (1 - _grown(1 - mask, 3))).clamp_min(0).flatten(1).sum(-1).clamp_min(1.0)
    fill = size / lengths.prod(-1).sqrt()
    power = len(spatial) / (len(spatial) - 1)
    numbers = [size.log(), rim.log(), rim.log() * power - size.log(), fill.log()]
    return torch.cat([lengths.log(), torch.stack(numbers, 1)], 1)


def _brightness(image: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
    """Mean, spread, skewness and extremes inside and around, and how coarse the texture is; per channel."""
    mean, around = _means(image, mask), _means(image, ring)
    spread = _spread(image, mask, mean)
    shaped = (*mean.shape, *(1,) * (image.ndim - 2))
    relative = (image - mean.reshape(shaped)) / (spread.reshape(shaped) + _SMALL)
    skewness = _means(relative.clamp(-_LIMIT, _LIMIT) ** 3, mask)
    far = torch.finfo(image.dtype).max
    top = torch.where(mask > 0, image, -far).flatten(2).amax(-1)
    bottom = torch.where(mask > 0, image, far).flatten(2).amin(-1)
    known = mask.flatten(2).sum(-1) > 0
    extremes = [torch.where(known, value, mean) for value in (top, bottom)]
    found = [mean, spread, skewness, around, mean - around, _spread(image, ring, around), *extremes]
    coarse = image
    for width in _BANDS:
        blurred = _blurred(image, width)
        band, coarse = coarse - blurred, blurred
        deviation = _spread(band, mask, _means(band, mask))
        found += [(deviation + _SMALL).log(), deviation / (spread + _SMALL)]
    if image.shape[1] > 1:
        found.append(mean - mean.roll(1, 1))  # hue, one might say
    return torch.cat(found, 1)


@torch.no_grad()
def measures(image: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
    """Size, shape, brightness and texture of objects, in voxels and in the units of the crops.

    Parameters
    ----------
    image
        Crops ``(B, C, *spatial)``.
    mask
        Which voxels belong to the object, ``(B, 1, *spatial)``, 0 and 1.
    ring
        Which belong to its surroundings, likewise.

    Returns
    -------
    Tensor
        ``(B, measure_count(C, ndim))``, at least float32.
    """
    image, mask, ring = _precise(image), _precise(mask), _precise(ring)
    return torch.cat([_shape(mask), _brightness(image, mask, ring)], 1)


class _Scaled(nn.BatchNorm1d):
    """Numbers brought to mean 0 and deviation 1; a batch of one is scaled as those before it."""

    def forward(self, values: Tensor) -> Tensor:
        """Scale ``(B, N)``, without outliers."""
        if self.training and len(values) == 1:
            values = functional.batch_norm(values, self.running_mean, self.running_var)
        else:
            values = super().forward(values)
        return values.clamp(-_LIMIT, _LIMIT)


class ObjectNet(nn.Module):
    """Three witnesses whose scores add up: the table of measures, measures of the crop, and what convolutions learn to see.

    The first two are logistic regressions that `learn_measures` finds at once; which of them counts more is found by leaving
    examples out. The convolutions begin by saying nothing and
    learn, step by step, what the two do not know. Features of each level are averaged within the object (mean and spread)
    and around it, so that where the object lies in the crop, and how much of it the crop is, do not matter.

    Parameters
    ----------
    ndim
        Spatial axes.
    in_channels
        Channels of the image and, last, the object's mask; with one channel only, that is both.
    out_channels
        Classes.
    channels
        Features of each level.
    norm
        Layer that normalises features.
    dropout
        Share of what the convolutions say that is left out while learning.
    measures
        Numbers that are told of each object beside its crop.
    """

    def __init__(
        self,
        ndim: int,
        in_channels: int,
        out_channels: int,
        channels: Sequence[int],
        norm: str,
        dropout: float,
        measures: int,
    ) -> None:
        from monai.networks.blocks.convolutions import Convolution
        from monai.networks.layers.factories import Pool

        super().__init__()
        self.fewest = _FEWEST
        widths = (in_channels, *channels)
        self.blocks = nn.ModuleList(
            Convolution(
                spatial_dims=ndim,
                in_channels=a,
                out_channels=b,
                act="RELU",
                norm=norm,
                adn_ordering="NA",
            )
            for a, b in pairwise(widths)
        )
        self.pool = Pool[Pool.MAX, ndim](2)
        self.shrink = Pool[Pool.AVG, ndim](2)
        self.table = Logistic(measures, out_channels)
        self.crop = Logistic(measure_count(max(1, in_channels - 1), ndim), out_channels)
        self.scale_seen = _Scaled(3 * sum(channels), affine=False)
        self.dropout = nn.Dropout(dropout)
        self.seen = nn.Linear(3 * sum(channels), out_channels)
        nn.init.zeros_(self.seen.weight)
        nn.init.zeros_(self.seen.bias)

    def forward(self, crops: Tensor, measured: Tensor | None = None) -> Tensor:
        """Scores ``(B, K)`` of crops ``(B, in_channels, *spatial)`` and of what was measured, ``(B, measures)``."""
        image, mask, ring = _parts(crops)
        scores: Tensor = self.crop(measures(image, mask, ring))
        if measured is not None:
            scores = scores + self.table(measured)
        if not self.training and not bool(self.seen.weight.any()):
            return scores + self.seen.bias  # convolutions that say nothing need not look
        looked = self.scale_seen(self._look(crops, mask, ring))
        scores = scores + self.seen(self.dropout(looked))
        return scores

    @torch.no_grad()
    def learn_measures(self, crops: Tensor, measured: Tensor, targets: Tensor) -> None:
        """Learn from all that can be measured of some examples; see `Logistic.learn`.

        Parameters
        ----------
        crops, measured
            As of `forward`.
        targets
            Position of the class of each, ``(B,)``.
        """
        seen = torch.cat([measures(*_parts(some)) for some in crops.split(_SOME)])
        share = share_of_first((self.table, self.crop), (measured, seen), targets)
        for witness, values, counts in (
            (self.table, measured, share),
            (self.crop, seen, 1 - share),
        ):
            witness.learn(values, targets)
            witness.share.fill_(counts)

    def _look(self, features: Tensor, mask: Tensor, ring: Tensor) -> Tensor:
        found = []
        for level, block in enumerate(self.blocks):
            if level:
                features = self.pool(features)
                mask, ring = self.shrink(mask), self.shrink(ring)
            features = block(features)
            mean = _means(features, mask)
            found += [mean, _spread(features, mask, mean), _means(features, ring)]
        return _precise(torch.cat(found, 1))


def _parts(crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Image, the object's mask and its surroundings."""
    mask = (crops[:, -1:] > 0.5).to(crops.dtype)
    image = crops[:, :-1] if crops.shape[1] > 1 else crops
    return image, mask, (_grown(mask, _RING) - mask).clamp_min(0)
