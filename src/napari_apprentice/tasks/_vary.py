"""Variation of images that gradients pass through, so that a network that judges sees only varied ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["vary"]

_BRIGHTNESS = 0.1
_CONTRAST = 0.25
_SHIFT = 8
_HOLE = 4


def vary(images: torch.Tensor, how: str, generator: torch.Generator) -> torch.Tensor:
    """Change brightness and contrast and shift images; ``"strong"`` also covers a part of each, ``"none"`` nothing.

    Real and made-up images are varied alike before they are judged: what judges cannot learn a few real images by heart, and
    the images that are made do not become varied themselves (Zhao et al., "Differentiable augmentation for data-efficient GAN
    training", NeurIPS 2020).

    Parameters
    ----------
    images
        ``(B, C, *spatial)``, 0 to 1.
    how
        ``"none"``, ``"light"`` or ``"strong"``.
    generator
        Where chance comes from, on the CPU.
    """
    import torch

    if how == "none":
        return images
    count, axes = len(images), images.ndim - 2

    def drawn(low: float, high: float) -> torch.Tensor:
        values = torch.rand(count, generator=generator) * (high - low) + low
        return values.to(images.device).reshape(-1, *(1,) * (axes + 1))

    mean = images.mean(dim=tuple(range(1, images.ndim)), keepdim=True)
    images = (images - mean) * drawn(1 - _CONTRAST, 1 + _CONTRAST) + mean
    images = images + drawn(-_BRIGHTNESS, _BRIGHTNESS)
    for axis in range(2, images.ndim):
        images = _shifted(images, axis, generator)
    return images * _holes(images, generator) if how == "strong" else images


def _shifted(images: torch.Tensor, axis: int, generator: torch.Generator) -> torch.Tensor:
    """Each image moved along an axis by up to an eighth of its length; what comes in is the darkest value, 0."""
    import torch

    length = images.shape[axis]
    most = length // _SHIFT
    steps = torch.randint(-most, most + 1, (len(images), 1), generator=generator)
    places = torch.arange(length) - steps
    inside = (places >= 0) & (places < length)
    shape = [1] * images.ndim
    shape[0], shape[axis] = len(images), length
    index = places.clamp(0, length - 1).reshape(shape).expand(images.shape).to(images.device)
    return images.gather(axis, index) * inside.reshape(shape).to(images)


def _holes(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """1, and 0 in a box of half the length of each axis somewhere in each image."""
    import torch

    hole = torch.ones(len(images), *(1,) * (images.ndim - 1))
    for axis in range(2, images.ndim):
        length = images.shape[axis]
        middle = torch.randint(0, length, (len(images), 1), generator=generator)
        shape = [1] * images.ndim
        shape[0], shape[axis] = len(images), length
        hole = hole * ((torch.arange(length) - middle).abs() < length // _HOLE).reshape(shape)
    return 1.0 - hole.to(images)
