"""Who is to be named for each object after a person changed voxels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.notes import Note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_apprentice.core.edit import Block
    from napari_apprentice.core.notes import NoteChanges, Notes

    from ._index import ObjectIndex

__all__ = ["credit"]


def credit(blocks: Iterable[Block], notes: Notes, index: ObjectIndex) -> NoteChanges:
    """Return what changes about the objects that a person's edit touched: they are that person's from then on.

    An object keeps its score and its class. A new one has no score, and the class of the object that it took most of
    its voxels from. What is known of one that is gone is forgotten.

    Parameters
    ----------
    blocks
        Boxes before and after the edit.
    notes
        What is known of the objects before it.
    index
        Of the labels after it.
    """
    touched: set[int] = set()
    taken: dict[int, dict[int, int]] = {}
    for block in blocks:
        for old, new, count in _swaps(block):
            sources = taken.setdefault(new, {})
            sources[old] = sources.get(old, 0) + count
            touched |= {old, new}
        if block.painted_after is not None and block.painted_before is not None:
            confirmed = block.after[block.painted_after & ~block.painted_before]
            touched.update(np.unique(confirmed).tolist())
    touched.discard(0)
    return {n: pair for n in sorted(touched) if (pair := _pair(n, taken, notes, index)) is not None}


def _swaps(block: Block) -> list[tuple[int, int, int]]:
    """Which number gave how many voxels to which: ``(old, new, count)``."""
    changed = block.before != block.after
    old, from_ = np.unique(block.before[changed], return_inverse=True)
    new, to = np.unique(block.after[changed], return_inverse=True)
    counts = np.bincount(from_ * len(new) + to, minlength=len(old) * len(new))
    return [
        (int(old[k // len(new)]), int(new[k % len(new)]), int(counts[k]))
        for k in np.flatnonzero(counts)
    ]


def _pair(
    number: int, taken: dict[int, dict[int, int]], notes: Notes, index: ObjectIndex
) -> tuple[Note | None, Note | None] | None:
    before = notes.get(number)
    after = None
    if index.box(number) is not None:
        sources = taken.get(number, {})
        most = max((s for s in sources if s), key=lambda s: sources[s], default=0)
        parent = notes.get(most, Note())
        after = replace(before or replace(parent, score=None), by="person")
    return None if before == after else (before, after)
