"""Objects of planes that belong together through Z."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.measure.instances import match
from napari_apprentice.measure.pairs import Overlaps

from ._objects import Found, merge_found

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["join_planes"]


def join_planes(planes: Iterable[Found], shape: tuple[int, ...], least_iou: float) -> Found:
    """Join objects of neighbouring planes that overlap, one to one, into objects of the volume.

    Parameters
    ----------
    planes
        The objects of each plane, first plane first.
    shape
        Of the volume.
    least_iou
        Smallest overlap (intersection over union) of one object in two neighbouring planes.
    """
    labels = np.zeros(shape, np.int32)
    parts: list[Found] = []
    owners: list[NDArray[np.int64]] = []
    count = 0
    for z, found in enumerate(planes):
        owner = np.full(len(found.sizes), -1, np.int64)
        if z:
            before, now = _same(labels[z - 1], found.labels, least_iou)
            owner[now - 1] = before - 1
        fresh = owner < 0
        owner[fresh] = count + np.arange(int(fresh.sum()))
        count += int(fresh.sum())
        labels[z] = np.concatenate([[0], owner + 1]).astype(np.int32)[found.labels]
        parts.append(replace(found, labels=found.labels[:0]))
        owners.append(owner)
    whole = merge_found(parts, owners, count)
    return Found(labels, whole.sizes, whole.scores, whole.votes)


def _same(
    before: NDArray[np.int32], now: NDArray[np.int32], least_iou: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the objects that are one, in the plane before and in this one."""
    overlaps = Overlaps.of(now, before)
    pairs = match(overlaps, least_iou)
    return (
        overlaps.truth_ids[overlaps.rows[pairs]].astype(np.int64),
        overlaps.prediction_ids[overlaps.columns[pairs]].astype(np.int64),
    )
