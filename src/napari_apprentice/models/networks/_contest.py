"""Modules of a contest: one makes images up, its rival tells them from real ones."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import torch
from monai.networks.layers.factories import Conv, Norm, Pool
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

__all__ = ["Contest", "Maker", "Rival"]

_SLOPE = 0.2
_KIND_NUMBERS = 32


class _KindNorm(nn.Module):
    """Batch normalisation with a gain and an offset for each kind of image."""

    def __init__(self, ndim: int, channels: int, kinds: int) -> None:
        super().__init__()
        self.norm = Norm[Norm.BATCH, ndim](channels, affine=False)
        self.gain, self.offset = nn.Embedding(kinds, channels), nn.Embedding(kinds, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, data: Tensor, kinds: Tensor) -> Tensor:
        shape = (*data.shape[:2], *(1,) * (data.ndim - 2))
        scaled: Tensor = self.norm(data) * self.gain(kinds).reshape(shape)
        return functional.leaky_relu(scaled + self.offset(kinds).reshape(shape), _SLOPE)


class Maker(nn.Module):
    """Makes images of random numbers and a kind: a small first image, doubled by transposed convolutions.

    After Radford et al., "DCGAN" (ICLR 2016), with the kind in every normalisation (Miyato & Koyama, ICLR 2018).

    Parameters
    ----------
    ndim
        Spatial axes.
    size
        Of the images, in voxels.
    channels
        Of each level, top (largest) first.
    colours, kinds, latent
        Channels of an image, kinds there are, and how many random numbers make one.
    """

    def __init__(
        self,
        ndim: int,
        size: Sequence[int],
        channels: Sequence[int],
        colours: int,
        kinds: int,
        latent: int,
    ) -> None:
        super().__init__()
        factor = 2 ** len(channels)
        widths = channels[::-1]
        self.latent = latent
        self.start = (widths[0], *(length // factor for length in size))
        self.kind = nn.Embedding(kinds, _KIND_NUMBERS)
        self.first = nn.Linear(latent + _KIND_NUMBERS, math.prod(self.start))
        double = Conv[Conv.CONVTRANS, ndim]
        pairs = itertools.pairwise(widths)
        self.doubled = nn.ModuleList([double(a, b, 4, 2, 1, bias=False) for a, b in pairs])
        self.norms = nn.ModuleList([_KindNorm(ndim, width, kinds) for width in widths])
        self.last = double(widths[-1], colours, 4, 2, 1)

    def forward(self, latent: Tensor, kinds: Tensor) -> Tensor:
        """Images ``(B, C, *size)`` from 0 to 1, of numbers ``(B, latent)`` and positions of kinds ``(B,)``."""
        data = self.first(torch.cat([latent, self.kind(kinds)], dim=1)).reshape(-1, *self.start)
        data = self.norms[0](data, kinds)
        for double, norm in zip(self.doubled, self.norms[1:], strict=True):
            data = norm(double(data), kinds)
        return torch.sigmoid(self.last(data))


class Rival(nn.Module):
    """Says how real images look, as each of the kinds: strided convolutions under spectral normalisation.

    Miyato et al., "Spectral normalization for generative adversarial networks", and Miyato & Koyama, "cGANs with projection
    discriminator", both ICLR 2018. Nothing in it looks at other images of a batch.
    """

    def __init__(
        self, ndim: int, size: Sequence[int], channels: Sequence[int], colours: int, kinds: int
    ) -> None:
        super().__init__()
        convolution = Conv[Conv.CONV, ndim]
        widths = (colours, *channels)
        self.halved = nn.ModuleList(
            [spectral_norm(convolution(a, b, 4, 2, 1)) for a, b in itertools.pairwise(widths)]
        )
        end = [length // 2 ** len(channels) for length in size]
        # Does nothing to an image of the size that is made; others can be judged, too.
        self.end = Pool[Pool.ADAPTIVEAVG, ndim](end)
        self.real = spectral_norm(nn.Linear(channels[-1] * math.prod(end), 1))
        self.kinds = spectral_norm(nn.Linear(channels[-1], kinds, bias=False))

    def forward(self, images: Tensor) -> Tensor:
        """Verdicts ``(B, kinds)`` on images ``(B, C, *spatial)`` from 0 to 1; higher is more real."""
        data = 2.0 * images - 1.0
        for halve in self.halved:
            data = functional.leaky_relu(halve(data), _SLOPE)
        data = self.end(data)
        verdict: Tensor = self.real(data.flatten(1)) + self.kinds(data.flatten(2).sum(dim=2))
        return verdict


class Contest(nn.Module):
    """Both sides, as one network with one set of weights; called, it judges."""

    def __init__(self, maker: Maker, rival: Rival) -> None:
        super().__init__()
        self.maker, self.rival = maker, rival

    @property
    def latent(self) -> int:
        """How many random numbers make an image."""
        return self.maker.latent

    def make(self, latent: Tensor, kinds: Tensor) -> Tensor:
        """See `Maker`."""
        made: Tensor = self.maker(latent, kinds)
        return made

    def forward(self, images: Tensor) -> Tensor:
        """See `Rival`."""
        verdict: Tensor = self.rival(images)
        return verdict
