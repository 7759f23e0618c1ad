"""Edits that look at every voxel: what they change is found beside the window and written at once, as one edit. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.edit import TILE, changed_blocks, tiles
from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.measure.boxes import block_boxes

from ._index import Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Block, Edit
    from napari_apprentice.core.jobs import Job

    from ._index import Box
    from .beside import Beside
    from .edits import AnnotationState

__all__ = ["Bulk", "Found", "changes_job", "layout_job", "numbers_table", "parts_of", "write"]

_TILE = 512
_LARGEST_TABLE = 2**24
_CHANGED = "The objects were edited meanwhile: nothing was changed. Do it once more."


@dataclass(frozen=True, eq=False)
class Found:
    """An edit that is not written yet.

    Parameters
    ----------
    edit
        What is to change.
    revision
        Of the annotation that was looked through; later it is not about these voxels any more.
    layout
        Where every object lies afterwards; None where that is not known.
    """

    edit: Edit
    revision: int
    layout: Layout | None = None


class Bulk:
    """Finds edits in a worker thread; strokes may go on meanwhile, and then nothing is written.

    Parameters
    ----------
    beside
        Runs the jobs, and tells why nothing was changed.
    """

    def __init__(self, beside: Beside) -> None:
        self._beside = beside

    def start(
        self,
        name: str,
        state: AnnotationState,
        make: Callable[[AnnotationState], Job[Found]],
        is_painting: Callable[[], bool] = lambda: False,
        done: Callable[[], None] = lambda: None,
    ) -> bool:
        """Find an edit of an annotation, and write it.

        Parameters
        ----------
        name
            What it does, as people read it.
        state
            What is edited.
        make
            Returns the job that finds the edit.
        is_painting
            Whether a stroke is in hand, whose voxels no edit knows yet.
        done
            Called once it is written.

        Returns
        -------
        bool
            Whether it was started; `Beside.failed` says why not.
        """
        tell = self._beside.failed.emit

        def end(found: Found) -> None:
            try:
                if is_painting():
                    raise BadInputError(_CHANGED)
                write(state, found)
            except ApprenticeError as error:
                tell(str(error))
            else:
                done()

        try:
            if is_painting():
                raise BadInputError("a stroke is in hand: end it first")
            job = make(state)
        except ApprenticeError as error:
            tell(str(error))
            return False
        return self._beside.start(name, job, end, state.labels.size)


def write(state: AnnotationState, found: Found) -> None:
    """Write what was found, as one edit.

    Raises
    ------
    BadInputError
        Where the annotation was edited since it was looked through; or a value that its dtype cannot hold.
    """
    if state.revision != found.revision:
        raise BadInputError(_CHANGED)
    state.apply(found.edit, found.layout)


def parts_of(labels: NDArray[Any]) -> list[Box]:
    """Boxes that cover an array, each a quick piece of work."""
    return list(tiles(labels.shape, _tile(labels)))


def changes_job(
    labels: NDArray[Any],
    parts: Sequence[Box],
    change: Callable[[Box], NDArray[Any]],
    stage: str,
    painted: NDArray[np.bool_] | None = None,
    tile: int | None = None,
) -> Job[tuple[Block, ...]]:
    """Find what changes, one part after the other; nothing is written.

    Parameters
    ----------
    labels
        As they are.
    parts
        Boxes to look at, which do not overlap.
    change
        Returns the labels of a box as they shall be.
    stage
        What is being done, as people read it.
    painted
        Where a person's strokes went, if this counts as one.
    tile
        Length of a block that is written; short where little changes here and there. Default: that of the parts.
    """
    blocks: list[Block] = []
    for done, box in enumerate(parts):
        yield Progress(stage, done, len(parts), "block")
        before, after = labels[box], _fitted(change(box), labels.dtype)
        was = None if painted is None else painted[box]
        now = None if was is None else was | (before != after)
        start = tuple(part.start for part in box)
        blocks += changed_blocks(start, before, after, was, now, tile=tile or _tile(labels))
    return tuple(blocks)


def _fitted(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Give values the dtype of the labels; those that it cannot hold stay, and are refused when they are written."""
    info = np.iinfo(dtype)
    fit = values.min(initial=0) >= info.min and values.max(initial=0) <= info.max
    return values.astype(dtype, copy=False) if fit else values


def _tile(labels: NDArray[Any]) -> int:
    return _TILE if labels.ndim == 2 else TILE


def layout_job(labels: NDArray[Any], known: Layout | None = None) -> Job[Layout]:
    """Find where every object lies; quick where that is known.

    Parameters
    ----------
    labels
        Integer array, 0 is background.
    known
        Where they lie, if anyone knows.
    """
    if known is not None:
        return known
    boxes: dict[int, Box] = {}
    for share, boxes in block_boxes(labels):  # noqa: B007
        yield Progress("looking for objects", round(100 * share), 100, "%")
    return Layout(boxes)


def numbers_table(
    numbers: NDArray[np.integer[Any]], values: NDArray[Any], others: int | None = 0
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a function that puts other values in the place of some numbers.

    A table of all numbers up to the largest is several times faster than a search for every voxel.

    Parameters
    ----------
    numbers
        Not negative, ascending.
    values
        One per number; their dtype is that of the answer.
    others
        What every other number becomes; None: it stays as it is.
    """
    if not numbers.size or int(numbers[-1]) >= _LARGEST_TABLE:
        return lambda labels: _searched(labels, numbers, values, others)
    size = int(numbers[-1]) + 2  # the last entry is for all numbers beyond
    table = np.arange(size).astype(values.dtype) if others is None else np.full(size, others)
    table = table.astype(values.dtype)
    table[numbers] = values

    def looked_up(labels: NDArray[Any]) -> NDArray[Any]:
        found: NDArray[Any] = np.take(table, labels, mode="clip")
        return found if others is not None else np.where(labels < size - 1, found, labels)

    return looked_up


def _searched(
    labels: NDArray[Any], numbers: NDArray[Any], values: NDArray[Any], others: int | None
) -> NDArray[Any]:
    rest = (
        labels.astype(values.dtype)
        if others is None
        else np.full_like(labels, others, values.dtype)
    )
    if not numbers.size:
        return rest
    at = np.minimum(np.searchsorted(numbers, labels), numbers.size - 1)
    return np.where(numbers[at] == labels, values[at], rest)
