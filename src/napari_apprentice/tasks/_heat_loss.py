"""How a network learns that draws heat maps and lengths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.annotation import IGNORE

from ._heat import MIDDLE, log_sizes

if TYPE_CHECKING:
    import torch

__all__ = ["MIDDLE_SIZE", "heat_loss"]

MIDDLE_SIZE = 4.0
"""Sizes are learned as octaves above 16 voxels."""


def heat_loss(output: torch.Tensor, target: torch.Tensor, boxes: int, prior: float) -> torch.Tensor:
    """Penalty-reduced focal loss of the heat maps per object, plus the mean error of lengths in octaves.

    Parameters
    ----------
    output
        ``(B, boxes + classes, *spatial)``: octaves of lengths above 16 voxels, then logits.
    target
        Maps of the same shape, uint8 (see `heat_maps`).
    boxes
        How many maps of lengths there are.
    prior
        Subtracted from the logits.
    """
    heat = target[:, boxes:]
    loss = _focal(output[:, boxes:].float() - prior, heat)
    if boxes:
        loss = loss + _size_error(output[:, :boxes].float(), target[:, :boxes], heat)
    return loss


def _focal(logits: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as functional

    counted = (heat != IGNORE).float()
    middle = (heat == MIDDLE).float()
    nearness = heat.float().clamp_max(MIDDLE) / MIDDLE
    sure, unsure = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    hit = middle * unsure.exp() ** 2 * sure
    empty = counted * (1 - middle) * (1 - nearness) ** 4 * sure.exp() ** 2 * unsure
    return -(hit + empty).sum() / middle.sum().clamp_min(1.0)


def _size_error(output: torch.Tensor, codes: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    known = ((codes > 0) & (codes != IGNORE)).float()
    near = heat.float().amax(dim=1, keepdim=True) / MIDDLE
    weight = known * near.clamp_max(1.0)
    error = (output - (log_sizes(codes) - MIDDLE_SIZE)).abs()
    return (error * weight).sum() / weight.sum().clamp_min(1.0)
