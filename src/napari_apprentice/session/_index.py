"""`ObjectIndex`: where each numbered object lies, kept up to date by edits instead of looking through all voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.edit import trimmed
from napari_apprentice.measure.boxes import object_boxes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Block

__all__ = ["Box", "ObjectIndex"]

Box = tuple[slice, ...]
_LARGE = 2**22  # voxels of an edit beyond which looking through all labels again costs no more


class ObjectIndex:
    """Boxes around the objects of a label array.

    The first question costs one pass over the labels; from then on an edit costs its own boxes, and a question the box
    of the object asked for. A box is never too small; one that lost voxels is looked through again when it is next
    asked for.

    Parameters
    ----------
    labels
        Integer array, 0 is background; shared, and changed only together with `follow`.
    """

    def __init__(self, labels: NDArray[Any]) -> None:
        self._labels = labels
        self._boxes: dict[int, Box] | None = None
        self._loose: set[int] = set()

    def numbers(self) -> NDArray[np.int64]:
        """Numbers of all objects, ascending."""
        boxes = self._known()
        for number in list(self._loose):
            self.box(number)
        return np.array(sorted(boxes), dtype=np.int64)

    def box(self, number: int) -> Box | None:
        """Return the box around an object; None where there is no such object."""
        boxes = self._known()
        box = boxes.get(number)
        if box is None or number not in self._loose:
            return box
        self._loose.discard(number)
        tight = trimmed(box, self._labels[box] == number)
        if tight is None:
            del boxes[number]
        else:
            boxes[number] = tight
        return tight

    def mask(self, number: int) -> tuple[Box, NDArray[np.bool_]] | None:
        """Return the box around an object and which voxels of it belong to the object; None where there is none."""
        box = self.box(number)
        return None if box is None else (box, np.asarray(self._labels[box] == number))

    def sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers of all objects, ascending, and how many voxels each has."""
        numbers = self.numbers()
        boxes = self._known()
        counts = [np.count_nonzero(self._labels[boxes[int(n)]] == n) for n in numbers]
        return numbers, np.array(counts, dtype=np.int64)

    def know(self, boxes: Mapping[int, Box]) -> None:
        """Take over where every object lies, from who knows it."""
        self._boxes, self._loose = dict(boxes), set()

    def follow(self, blocks: Iterable[Block]) -> None:
        """Take note of changes that were written into the labels."""
        if self._boxes is None:
            return
        blocks = tuple(blocks)
        if sum(block.after.size for block in blocks) > _LARGE:
            self._boxes = None
            self._loose.clear()
            return
        for block in blocks:
            changed = block.before != block.after
            self._loose.update(int(v) for v in np.unique(block.before[changed]) if v)
            for number in (int(v) for v in np.unique(block.after[changed]) if v):
                gained = trimmed(block.box, changed & (block.after == number)) or block.box
                old = self._boxes.get(number, gained)
                self._boxes[number] = _joined(old, gained)

    def _known(self) -> dict[int, Box]:
        if self._boxes is None:
            self._boxes = object_boxes(self._labels)
        return self._boxes


def _joined(one: Box, other: Box) -> Box:
    pairs = zip(one, other, strict=True)
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in pairs)
