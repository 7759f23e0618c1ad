"""Removing all objects that are too small to be any. No Qt."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.edit import Edit
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress

from ._index import Layout
from .bulk import Found, changes_job, layout_job, numbers_table, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Block
    from napari_apprentice.core.jobs import Job

    from ._index import Box
    from .edits import AnnotationState

__all__ = ["remove_small_job", "small_size"]

_LOOKED_AT = 2**22
_AT_ONCE = 2**22
_TILE = 16


def small_size(state: AnnotationState) -> float:
    """Propose what is too small for an object: a tenth of the median size, to two digits; 0 where there is none.

    In the unit of `remove_small_job`. Of many large objects some tell enough.
    """
    numbers = state.index.numbers().tolist()
    boxes = {n: box for n in numbers if (box := state.index.box(n)) is not None}
    every = 1 + sum(map(_voxels, boxes.values())) // _LOOKED_AT
    some = {n: boxes[n] for n in [*boxes][::every]}
    if not some:
        return 0.0
    voxels = [_count(state.labels, n, box) for n, box in some.items()]
    return float(f"{float(np.median(voxels)) * prod(state.grid.spacing) / 10:.2g}")


def remove_small_job(state: AnnotationState, smallest: float) -> Job[Found]:
    """Find the edit that turns every object into background that is smaller than a size; locked ones stay.

    Parameters
    ----------
    smallest
        Area or volume in the grid's unit squared or cubed (µm², mm³, …); pixels or voxels where the spacing is not
        known.

    Raises
    ------
    BadInputError
        Where none is that small.
    """
    # All that a person may change meanwhile is taken now, on the thread of the docks.
    layout, painted, revision = state.index.layout(), state.painted, state.revision
    notes, locked = dict(state.notes), state.locked
    size = smallest / prod(state.grid.spacing)

    def job() -> Job[Found]:
        known = yield from layout_job(state.labels, layout)
        sizes = yield from _sizes_job(state.labels, known.boxes)
        small = {n for n, count in sizes.items() if 0 < count < size} - locked
        if not small:
            raise BadInputError("no object that is not locked is that small")
        blocks = yield from _remove_job(state.labels, painted, known, small)
        name = f"Remove {len(small)} small object{'s' if len(small) > 1 else ''}"
        gone = {n: (notes[n], None) for n in sorted(small) if n in notes}
        left = {n: box for n, box in known.boxes.items() if sizes[n] and n not in small}
        edit = Edit(name, blocks, notes=gone)
        return Found(edit, revision, Layout(left, known.loose & left.keys()))

    return job()


def _remove_job(
    labels: NDArray[Any], painted: NDArray[np.bool_], known: Layout, small: set[int]
) -> Job[tuple[Block, ...]]:
    numbers = np.array(sorted(small))
    remove = numbers_table(numbers, np.zeros(numbers.size, labels.dtype), None)
    parts = _touched(parts_of(labels), [known.boxes[n] for n in small])
    return (
        yield from changes_job(
            labels, parts, lambda box: remove(labels[box]), "removing", painted, _TILE
        )
    )


def _sizes_job(labels: NDArray[Any], boxes: Mapping[int, Box]) -> Job[dict[int, int]]:
    """Count the voxels of every object."""
    sizes: dict[int, int] = {}
    seen = 0
    for done, (number, box) in enumerate(boxes.items()):
        if not done or seen > _AT_ONCE:
            seen = 0
            yield Progress("measuring objects", done, len(boxes), "object")
        sizes[number] = _count(labels, number, box)
        seen += _voxels(box)
    return sizes


def _touched(parts: Iterable[Box], boxes: Iterable[Box]) -> list[Box]:
    """The parts that one of these boxes reaches into."""
    corners = np.array([[(p.start, p.stop) for p in box] for box in boxes])
    low, high = corners[..., 0], corners[..., 1]
    found = []
    for part in parts:
        start, stop = ([getattr(p, end) for p in part] for end in ("start", "stop"))
        if ((low < stop) & (high > start)).all(axis=1).any():
            found.append(part)
    return found


def _count(labels: NDArray[Any], number: int, box: Box) -> int:
    return int(np.count_nonzero(labels[box] == number))


def _voxels(box: Box) -> int:
    return prod(part.stop - part.start for part in box)
