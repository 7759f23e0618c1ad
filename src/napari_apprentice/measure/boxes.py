"""Boxes around numbered objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import ClassCodes, blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["block_boxes", "join_boxes", "joined_box", "object_boxes"]

Box = tuple[slice, ...]

_MOST_CODES = 2**22
"""Above this, numbers are counted through first: scipy keeps a box for every number up to the largest."""


def object_boxes(labels: NDArray[Any]) -> dict[int, Box]:
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


def block_boxes(labels: NDArray[Any]) -> Iterator[tuple[float, dict[int, Box]]]:
    """Do as `object_boxes`, a piece at a time.

    Parameters
    ----------
    labels
        As there.

    Yields
    ------
    tuple
        Which share of the voxels was looked at, and the boxes so far: always the same dictionary.
    """
    parts = list(blocks(labels.shape))
    boxes: dict[int, Box] = {}
    for done, part in enumerate(parts, start=1):
        join_boxes(boxes, labels[part], [piece.start for piece in part])
        yield done / len(parts), boxes


def join_boxes(boxes: dict[int, Box], labels: NDArray[Any], start: Sequence[int]) -> None:
    """Add to boxes what lies in a part of the labels.

    Parameters
    ----------
    boxes
        Of the objects so far, by number; changed in place.
    labels
        Integer array of the part.
    start
        Its first voxel.
    """
    for number, box in object_boxes(labels).items():
        here = tuple(slice(b.start + a, b.stop + a) for a, b in zip(start, box, strict=True))
        boxes[number] = joined_box(boxes.get(number, here), here)


def joined_box(one: Box, other: Box) -> Box:
    """Return the smallest box around two."""
    pairs = zip(one, other, strict=True)
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs)


def _numbers_in(labels: NDArray[Any]) -> tuple[int, ...]:
    found: set[int] = set()
    for block in blocks(labels.shape):
        found.update(np.unique(labels[block]).tolist())
    return tuple(sorted(found - {0}))
