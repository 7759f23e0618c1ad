"""Losses that several tasks share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["dice_cross_entropy"]

_SMOOTH = 1e-5


def dice_cross_entropy(
    output: torch.Tensor, numbers: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Weighted mean cross-entropy plus one minus the batch Dice of the foreground classes.

    Parameters
    ----------
    output
        Scores ``(B, K, *spatial)``, channel 0 is background.
    numbers
        Class numbers ``(B, *spatial)``, int64, 0…K-1.
    weight
        What each voxel weighs, ``(B, *spatial)`` float32; 0 leaves it out. Some must be positive.
    """
    import torch
    import torch.nn.functional as functional

    log_probability = functional.log_softmax(output.float(), dim=1)
    picked = log_probability.gather(1, numbers.unsqueeze(1)).squeeze(1)
    cross_entropy = -(picked * weight).sum() / weight.sum()

    probability = log_probability.exp()[:, 1:]
    classes = torch.arange(1, output.shape[1], device=output.device)
    classes = classes.view(1, -1, *(1,) * (numbers.ndim - 1))
    truth = (numbers.unsqueeze(1) == classes) * weight.unsqueeze(1)
    dims = (0, *range(2, output.ndim))
    overlap = (probability * truth).sum(dims)
    size = (probability * weight.unsqueeze(1)).sum(dims) + truth.sum(dims)
    dice = (2 * overlap + _SMOOTH) / (size + _SMOOTH)
    return cross_entropy + 1.0 - dice.mean()
