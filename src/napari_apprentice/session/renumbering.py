"""Numbering objects 1, 2, 3, … without gaps: all voxels are looked through beside the window, and the edit is one. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_apprentice.core.edit import TILE, Edit, changed_blocks, tiles
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Block
    from napari_apprentice.core.jobs import Job

    from .edits import AnnotationState
    from .session import Session

__all__ = ["Renumbered", "Renumbering", "renumber_job", "take_numbers"]

_LARGEST_TABLE = 2**24
_TILE = 512
_NAME = "Renumbering objects"
_CHANGED = "The objects were edited meanwhile: renumber them again."


@dataclass(frozen=True, eq=False)
class Renumbered:
    """New numbers for the objects of an annotation, not written yet.

    Parameters
    ----------
    numbers
        The numbers as they were, ascending; the place of each, from 1, is its new one.
    blocks
        The changed voxels.
    revision
        Of the annotation that was looked through; later it is not about these objects any more.
    """

    numbers: NDArray[np.int64]
    blocks: tuple[Block, ...]
    revision: int


class Renumbering:
    """Renumbers objects in a worker thread; strokes may go on meanwhile, and then nothing is written.

    Parameters
    ----------
    session
        Whose job it is.
    """

    failed = Signal(str)
    """The numbers stay as they are; the sentence says why."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def close(self, *_: object) -> None:
        """Tell nobody any more."""
        self.failed.disconnect()

    def start(self, state: AnnotationState, is_painting: Callable[[], bool]) -> bool:
        """Number the objects of an annotation in the order of their numbers now; locks, classes and scores go along.

        Parameters
        ----------
        is_painting
            Whether a stroke is in hand, whose voxels no edit knows yet.

        Returns
        -------
        bool
            Whether it was started; `failed` says why not.
        """
        try:
            if self._session.busy or is_painting():
                raise BadInputError(self._session.busy or "a stroke is in hand: end it first")
            job = renumber_job(state)
        except BadInputError as error:
            self.failed.emit(str(error))
            return False
        return self._session.launch(_NAME, job, lambda found: self._end(state, found, is_painting))

    def _end(
        self, state: AnnotationState, found: Renumbered, is_painting: Callable[[], bool]
    ) -> None:
        try:
            if is_painting():
                raise BadInputError(_CHANGED)
            take_numbers(state, found)
        except BadInputError as error:
            self.failed.emit(str(error))


def renumber_job(state: AnnotationState) -> Job[Renumbered]:
    """Find the changes that number the objects 1, 2, 3, … in the order of their numbers now; nothing is written.

    Raises
    ------
    BadInputError
        At once, where they are so numbered already.
    """
    numbers = state.index.numbers()
    if not numbers.size or numbers[-1] == numbers.size:
        raise BadInputError("the objects are numbered without gaps already")
    return _look_through(state.labels, numbers, state.revision)


def _look_through(
    labels: NDArray[Any], numbers: NDArray[np.int64], revision: int
) -> Job[Renumbered]:
    tile = _TILE if labels.ndim == 2 else TILE
    boxes, rename = list(tiles(labels.shape, tile)), _renaming(numbers, labels.dtype)
    blocks: list[Block] = []
    for done, box in enumerate(boxes):
        yield Progress("renumbering", done, len(boxes), "block")
        before = labels[box]
        start = tuple(part.start for part in box)
        blocks += changed_blocks(start, before, rename(before), tile=tile)
    return Renumbered(numbers, tuple(blocks), revision)


def _renaming(
    numbers: NDArray[np.int64], dtype: np.dtype[Any]
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Labels with the place of each number among `numbers` (from 1) in its stead.

    A table of all numbers up to the largest is several times faster than a search for every voxel.
    """
    if numbers[-1] >= _LARGEST_TABLE:
        known = np.concatenate([[0], numbers])
        return lambda labels: np.searchsorted(known, labels).astype(dtype)
    table = np.zeros(int(numbers[-1]) + 1, dtype)
    table[numbers] = np.arange(1, numbers.size + 1)
    # "clip": a number that came meanwhile is in no table, and what is found then is thrown away.
    return lambda labels: np.take(table, labels, mode="clip")


def take_numbers(state: AnnotationState, found: Renumbered) -> int:
    """Write new numbers as one edit; return how many objects there are.

    Raises
    ------
    BadInputError
        Where the annotation was edited since it was looked through.
    """
    if state.revision != found.revision:
        raise BadInputError(_CHANGED)
    boxes = {n: state.index.box(n) for n in found.numbers.tolist()}
    number = {old: new for new, old in enumerate(boxes, start=1)}
    renamed = {number[n]: note for n, note in state.notes.items() if n in number}
    touched = sorted({*state.notes, *renamed})
    edit = Edit(
        "Renumber objects",
        found.blocks,
        locks=frozenset(number[n] for n in state.locked if n in number),
        unlocks=state.locked,
        notes={n: (state.notes.get(n), renamed.get(n)) for n in touched},
    )
    state.apply(edit, {number[n]: box for n, box in boxes.items() if box is not None})
    return len(number)
