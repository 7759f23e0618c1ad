"""`ObjectIndex`: where each numbered object lies, kept up to date by edits instead of looking through all voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np

from napari_apprentice.core.edit import trimmed
from napari_apprentice.measure.boxes import joined_box, object_boxes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Block, Edit

__all__ = ["Box", "Layout", "Layouts", "ObjectIndex"]

Box = tuple[slice, ...]
_LARGE = 2**22
_MANY = 256  # blocks: more than a stroke in a slice can have, and each costs a call of its own
_SHARE = (
    4  # of more than a quarter of all voxels it costs no more to look through all of them again
)
_LARGEST_COUNT = 2**20


@dataclass(frozen=True, eq=False)
class Layout:
    """Where all objects lie at one moment.

    Parameters
    ----------
    boxes
        Around each object, never too small.
    loose
        Objects whose box may be too large, or that may be gone.
    """

    boxes: dict[int, Box]
    loose: frozenset[int] = frozenset()


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
        self._dropped: Layout | None = None

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

    def layout(self) -> Layout | None:
        """What is known without looking, as a copy that later edits do not change; None where nothing is."""
        return None if self._boxes is None else Layout(dict(self._boxes), frozenset(self._loose))

    def know(self, layout: Layout) -> None:
        """Take over where every object lies, from who knows it."""
        self._boxes, self._loose = dict(layout.boxes), set(layout.loose)

    def take_dropped(self) -> Layout | None:
        """Return what was known before the last large change, once."""
        dropped, self._dropped = self._dropped, None
        return dropped

    def follow(self, blocks: Iterable[Block]) -> None:
        """Take note of changes that were written into the labels."""
        if self._boxes is None:
            return
        blocks = tuple(blocks)
        most = max(_LARGE, self._labels.size // _SHARE)
        if len(blocks) > _MANY or sum(b.after.size for b in blocks) > most:
            self._dropped = Layout(self._boxes, frozenset(self._loose))
            self._boxes, self._loose = None, set()
            return
        for block in blocks:
            changed = block.before != block.after
            self._loose.update(_numbers_in(block.before[changed]))
            for number in _numbers_in(block.after[changed]):
                gained = trimmed(block.box, changed & (block.after == number)) or block.box
                old = self._boxes.get(number, gained)
                self._boxes[number] = joined_box(old, gained)

    def _known(self) -> dict[int, Box]:
        if self._boxes is None:
            self._boxes = object_boxes(self._labels)
        return self._boxes


class Layouts:
    """Where objects lay before and after large edits, so that undo and redo need not look through all voxels.

    Parameters
    ----------
    index
        What forgets at a large edit.
    """

    def __init__(self, index: ObjectIndex) -> None:
        self._index = index
        self._before: WeakKeyDictionary[Edit, Layout] = WeakKeyDictionary()
        self._after: WeakKeyDictionary[Edit, Layout] = WeakKeyDictionary()

    def done(self, edit: Edit) -> None:
        """An edit was written."""
        self._keep(self._before, edit)

    def undone(self, edit: Edit) -> None:
        """Its inverse was written."""
        self._keep(self._after, edit)
        self._recall(self._before, edit)

    def redone(self, edit: Edit) -> None:
        """It was written again."""
        self._keep(self._before, edit)
        self._recall(self._after, edit)

    def _keep(self, layouts: WeakKeyDictionary[Edit, Layout], edit: Edit) -> None:
        dropped = self._index.take_dropped()
        if dropped is not None:
            layouts[edit] = dropped

    def _recall(self, layouts: WeakKeyDictionary[Edit, Layout], edit: Edit) -> None:
        # What is not large was followed, and that is newer than what may have been kept.
        known = layouts.get(edit)
        if known is not None and self._index.layout() is None:
            self._index.know(known)


def _numbers_in(values: NDArray[Any]) -> list[int]:
    """Numbers of the objects among voxels, ascending; counting is many times faster than sorting."""
    if values.min(initial=0) < 0 or values.max(initial=0) >= _LARGEST_COUNT:
        return [int(v) for v in np.unique(values) if v]
    return [int(v) for v in np.flatnonzero(np.bincount(values)) if v]
