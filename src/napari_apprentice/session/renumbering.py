"""Numbering objects 1, 2, 3, … without gaps. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.edit import Edit
from napari_apprentice.core.errors import BadInputError

from ._index import Layout
from .bulk import Found, changes_job, numbers_table, parts_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Block
    from napari_apprentice.core.jobs import Job

    from .edits import AnnotationState

__all__ = ["renumber_job"]


def renumber_job(state: AnnotationState) -> Job[Found]:
    """Find the edit that numbers the objects 1, 2, 3, … in the order of their numbers now; nothing is written.

    Locks, classes and scores go along.

    Raises
    ------
    BadInputError
        At once, where they are so numbered already.
    """
    numbers = state.index.numbers()
    if not numbers.size or numbers[-1] == numbers.size:
        raise BadInputError("the objects are numbered without gaps already")
    boxes = [state.index.box(n) for n in numbers.tolist()]
    layout = Layout({new: box for new, box in enumerate(boxes, start=1) if box is not None})
    return _look_through(state, numbers, layout, state.revision)


def _look_through(
    state: AnnotationState, numbers: NDArray[np.int64], layout: Layout, revision: int
) -> Job[Found]:
    labels = state.labels
    rename = numbers_table(numbers, np.arange(1, numbers.size + 1, dtype=labels.dtype))
    blocks = yield from changes_job(
        labels, parts_of(labels), lambda box: rename(labels[box]), "renumbering"
    )
    number = {old: new for new, old in enumerate(numbers.tolist(), start=1)}
    return Found(_edit(state, number, blocks), revision, layout)


def _edit(state: AnnotationState, number: dict[int, int], blocks: tuple[Block, ...]) -> Edit:
    notes = dict(state.notes)
    renamed = {number[n]: note for n, note in notes.items() if n in number}
    touched = sorted({*notes, *renamed})
    return Edit(
        "Renumber objects",
        blocks,
        locks=frozenset(number[n] for n in state.locked if n in number),
        unlocks=state.locked,
        notes={n: (notes.get(n), renamed.get(n)) for n in touched},
    )
