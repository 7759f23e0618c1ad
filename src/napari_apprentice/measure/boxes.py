"""Boxes around numbered objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import ClassCodes, blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["object_boxes"]

_MOST_CODES = 2**22
"""Above this, numbers are counted through first: scipy keeps a box for every number up to the largest."""


def object_boxes(labels: NDArray[Any]) -> dict[int, tuple[slice, ...]]:
    """Return the box around each object, by its number, ascending.

    Parameters
    ----------
    labels
        Integer array, 0 is background; numbers may be missing.
    """
    from scipy import ndimage

    largest = int(labels.max(initial=0))
    if largest <= 0:
        return {}
    numbers: tuple[int, ...] | range = range(1, largest + 1)
    if largest > _MOST_CODES:
        numbers = _numbers_in(labels)
        labels = ClassCodes(numbers).encode_all(labels)
    found = ndimage.find_objects(labels)
    return {n: box for n, box in zip(numbers, found, strict=True) if box is not None}


def _numbers_in(labels: NDArray[Any]) -> tuple[int, ...]:
    found: set[int] = set()
    for block in blocks(labels.shape):
        found.update(np.unique(labels[block]).tolist())
    return tuple(sorted(found - {0}))
