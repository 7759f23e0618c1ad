"""How a network learns that answers anchor by anchor: objects are read back from the maps, and anchors are given to them.

The maps are those of `heat_maps`, so that patches are cut, turned and magnified alike for every kind of network. ATSS (Zhang et
al., CVPR 2020) chooses the anchors of an object, the focal loss (Lin et al., ICCV 2017) teaches its class and the generalised
overlap (Rezatofighi et al., CVPR 2019) its box.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.annotation import IGNORE

from ._boxes import boxes_of_rows
from ._heat import MIDDLE, log_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

__all__ = ["SaidBoxes", "anchor_loss", "boxes_said"]

_NEAR = 100
"""A middle may fall between voxels where a patch is moved: what is left of it is still this high."""
_SAME = 0.2
_CANDIDATES = 6
_ALPHA, _GAMMA = 0.25, 2.0
_FAR = 1e6
"""Voxels: a box so far off is no answer of a network that still learns."""


@dataclass(frozen=True, eq=False)
class SaidBoxes:
    """Objects of one patch: middles and lengths ``(G, n)`` in voxels, whether these were said ``(G,)``, classes ``(G,)``."""

    middles: torch.Tensor
    lengths: torch.Tensor
    sized: torch.Tensor
    kinds: torch.Tensor

    def corners(self) -> torch.Tensor:
        """Lower and then upper corners, ``(G, 2 n)``, as MONAI wants them."""
        return _corners(self.middles, self.lengths)


def _corners(middles: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([middles - lengths / 2, middles + lengths / 2], dim=-1)


# -- what was said ------------------------------------------------------------------------


def boxes_said(target: torch.Tensor, boxes: int, usual: Sequence[float]) -> list[SaidBoxes]:
    """Objects of each patch of a batch of maps.

    Parameters
    ----------
    target
        ``(B, boxes + classes, *spatial)`` uint8, see `heat_maps`.
    boxes
        How many maps of lengths there are.
    usual
        Lengths in voxels where none was said.
    """
    import torch

    heat = torch.where(target[:, boxes:] == IGNORE, 0, target[:, boxes:]).float()
    places = torch.nonzero(_tops(heat) & (heat > _NEAR))
    height = heat[places.unbind(1)]
    lengths, sized = _lengths(target[:, :boxes], places, usual)
    middles = places[:, 2:] + _beside(heat, places, lengths)
    order = height.argsort(descending=True, stable=True)
    batch = places[order, 0]
    said = []
    for number in range(len(target)):
        own = order[batch == number]
        own = own[_apart(middles[own], lengths[own], places[own, 1])]
        said.append(SaidBoxes(middles[own], lengths[own], sized[own], places[own, 1]))
    return said


def _tops(heat: torch.Tensor) -> torch.Tensor:
    """Where each map is highest among its neighbours; of equal neighbours one.

    Middles are, among those next to them. Where one fell between voxels, what is left of it is, among those two voxels away:
    a magnified map has steps.
    """
    import torch

    ndim = heat.ndim - 2
    # No two voxels of a neighbourhood of five get the same fraction.
    fraction = torch.zeros(heat.shape[2:], device=heat.device)
    for axis, length in enumerate(heat.shape[2:]):
        digit = torch.arange(length, device=heat.device) % 5
        fraction += digit.view([-1 if n == axis else 1 for n in range(ndim)]) * 5.0**axis
    value = heat + fraction / 5**ndim * 0.5
    near = _highest_beside(value)
    far = _highest_beside(near)
    top: torch.Tensor = ((near == value) & (heat == MIDDLE)) | (far == value)
    return top


def _highest_beside(maps: torch.Tensor) -> torch.Tensor:
    """The largest of each voxel of ``(B, C, *spatial)`` and those next to it, diagonals included."""
    # Axis by axis: pooling over a cube took a quarter of a step in volumes.
    for axis in range(2, maps.ndim):
        count = maps.shape[axis] - 1
        highest = maps.clone()
        highest.narrow(axis, 0, count).clamp_(min=maps.narrow(axis, 1, count))
        highest.narrow(axis, 1, count).clamp_(min=maps.narrow(axis, 0, count))
        maps = highest
    return maps


def _lengths(
    codes: torch.Tensor, places: torch.Tensor, usual: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    spare = torch.tensor(usual, device=codes.device).expand(len(places), -1)
    if not codes.shape[1]:
        return spare, torch.zeros(len(places), dtype=torch.bool, device=codes.device)
    found = codes.movedim(1, -1)[(places[:, 0], *places[:, 2:].unbind(1))]
    sized = ((found > 0) & (found != IGNORE)).all(dim=1)
    return torch.where(sized[:, None], log_sizes(found).exp2(), spare), sized


def _beside(heat: torch.Tensor, places: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """How far beside its voxel each middle lies, at most half a voxel: the neighbours of a Gaussian tell."""
    import torch

    deviations = (lengths / 6).clamp_min(0.8)
    shifts = torch.zeros_like(lengths)
    for axis in range(lengths.shape[1]):
        sides = []
        for step in (-1, 1):
            beside = places.clone()
            beside[:, axis + 2] = (beside[:, axis + 2] + step).clamp(0, heat.shape[axis + 2] - 1)
            sides.append(heat[beside.unbind(1)])
        known = (torch.minimum(*sides) > 0) & (torch.maximum(*sides) < MIDDLE)
        slope = (sides[1].clamp_min(1) / sides[0].clamp_min(1)).log()
        shifts[:, axis] = torch.where(known, deviations[:, axis] ** 2 / 2 * slope, 0.0)
    return shifts.clamp(-0.5, 0.5)


def _apart(middles: torch.Tensor, lengths: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Which objects are no second top of an earlier one."""
    import torch

    near = ((middles[:, None] - middles[None]).abs() < _SAME * lengths[:, None]).all(dim=2)
    near &= kinds[:, None] == kinds[None]
    return ~torch.triu(near, diagonal=1).any(dim=0)


# -- what is learned of it ----------------------------------------------------------------


def anchor_loss(
    rows: torch.Tensor, target: torch.Tensor, ndim: int, *, boxes: int, usual: Sequence[float]
) -> torch.Tensor:
    """Focal loss of the classes plus the error of the boxes, per object.

    Parameters
    ----------
    rows
        ``(B, R, 4 n + classes)``.
    target, boxes, usual
        See `boxes_said`.
    """
    rows = rows.float()
    anchors = rows[0, :, : 2 * ndim].detach()
    shapes = _runs(anchors[:, ndim:])
    counted = _counted(anchors[:, :ndim], target[:, boxes])
    total = rows.new_zeros(())
    matched = 0
    for one, said, counts in zip(rows, boxes_said(target, boxes, usual), counted, strict=True):
        match = _match(said, anchors, ndim, shapes)
        chosen = (match >= 0).nonzero()[:, 0]
        own = match[chosen]
        logits = one[:, 4 * ndim :]
        truth = logits.new_zeros(logits.shape)
        truth[chosen, said.kinds[own]] = 1.0
        counts = counts | (match >= 0)
        total = total + (_focal(logits, truth) * counts[:, None]).sum()
        total = total + _box_error(one[chosen], said, own, ndim)
        matched += len(chosen)
    return total / max(1, matched)


def _runs(lengths: torch.Tensor) -> list[int]:
    """How many anchors of one shape follow one another, shape by shape."""
    ends = (lengths[1:] != lengths[:-1]).any(dim=1).nonzero()[:, 0].tolist()
    bounds = [-1, *ends, len(lengths) - 1]
    return [after - before for before, after in itertools.pairwise(bounds)]


def _counted(middles: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """``(B, R)``: whether something was said where the middle of an anchor lies."""
    voxels = middles.round().long()
    where = tuple(
        voxels[:, axis].clamp(0, first.shape[axis + 1] - 1) for axis in range(voxels.shape[1])
    )
    counted: torch.Tensor = first.movedim(0, -1)[where] != IGNORE
    return counted.T


@functools.cache
def _matcher() -> Any:
    from monai.apps.detection.utils.ATSS_matcher import ATSSMatcher

    return ATSSMatcher(num_candidates=_CANDIDATES, center_in_gt=False)


def _match(
    said: SaidBoxes, anchors: torch.Tensor, ndim: int, shapes: Sequence[int]
) -> torch.Tensor:
    """Number of the object that each anchor is to tell of, -1 for none, ``(R,)``."""
    import torch

    if not len(said.middles):
        return torch.full((len(anchors),), -1, dtype=torch.long, device=anchors.device)
    corners = _corners(anchors[:, :ndim], anchors[:, ndim:])
    shared, match = _matcher().compute_matches(said.corners(), corners, shapes, 1)
    left = torch.ones(len(shared), dtype=torch.bool, device=match.device)
    left[match[match >= 0]] = False
    # All candidates of a large object may lie within it: none of them is better than the others then.
    match[shared[left].argmax(dim=1)] = torch.nonzero(left)[:, 0]
    result: torch.Tensor = match
    return result


def _focal(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    import torch.nn.functional as functional

    entropy = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    share = logits.sigmoid()
    wrong = truth * (1 - share) + (1 - truth) * share
    weight = truth * _ALPHA + (1 - truth) * (1 - _ALPHA)
    return weight * wrong**_GAMMA * entropy


def _box_error(rows: torch.Tensor, said: SaidBoxes, own: torch.Tensor, ndim: int) -> torch.Tensor:
    """Sum over the anchors: of the overlap that is missing, or of the distance where no lengths were said."""
    from monai.data.box_utils import box_pair_giou

    middles, lengths = boxes_of_rows(rows, ndim)
    sized = said.sized[own]
    wanted, there = said.corners()[own][sized], _corners(middles, lengths)[sized]
    if len(wanted) and not bool((there.detach().abs() < _FAR).all()):
        return (
            there.sum() * math.nan
        )  # MONAI's overlap would raise; a training knows what to do with this
    missing = (1 - box_pair_giou(there, wanted)).sum() if len(wanted) else 0.0
    away = (middles - said.middles[own]).abs() / said.lengths[own]
    result: torch.Tensor = away[~sized].sum() + missing
    return result
