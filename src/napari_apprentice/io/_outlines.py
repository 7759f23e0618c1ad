"""Outlines of labels along the edges of pixels, as polygons with holes that touch neither themselves nor each other.

A border is made of straight runs, each with its object to the right (y grows downwards). Where two pixels of an object
touch at a corner, a border turns left: since the object is connected through edges elsewhere, that closes what the two
pixels enclose as a hole, and every ring passes the corner once, which makes the polygon valid (OGC 06-103r4, 6.1.11).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["Polygon", "outlines"]

Ring = list[list[int]]
Polygon = list[Ring]
"""The outer ring, then holes; ``[x, y]``, the last point is the first again."""

_Point = tuple[int, int]
_Run = tuple[_Point, _Point, int]


def outlines(labels: NDArray[Any]) -> Iterator[tuple[int, Polygon]]:
    """Outline every object of a plane.

    Parameters
    ----------
    labels
        ``(Y, X)``, 0 is background.

    Yields
    ------
    int
        Label value.
    list
        Polygon of one object connected through edges, in pixels; pixel ``(0, 0)`` reaches from 0 to 1.
    """
    from scipy import ndimage
    from skimage.measure import label

    parts = label(labels, background=0, connectivity=1).astype(np.int64)
    for number, place in enumerate(ndimage.find_objects(parts), 1):
        if place is None:
            continue
        mask = parts[place] == number
        first = np.flatnonzero(mask)[0]
        y, x = (int(s.start) for s in place)
        yield int(labels[place].flat[first]), _polygon(mask, x, y)


def _polygon(mask: NDArray[np.bool_], x: int, y: int) -> Polygon:
    """Polygon of one connected object whose box starts at `x`, `y`."""
    leaving: dict[_Point, list[_Run]] = defaultdict(list)
    for run in _runs(np.pad(mask, 1)):
        leaving[run[0]].append(run)
    rings: list[tuple[int, Ring]] = []
    while leaving:
        corners = _ring(leaving)
        closed = [*corners, corners[0]]
        area = sum(a[0] * b[1] - b[0] * a[1] for a, b in itertools.pairwise(closed))
        rings.append((area, [[cx + x, cy + y] for cx, cy in closed]))
    # The outer ring runs the other way round than holes.
    return [ring for _, ring in sorted(rings, key=lambda one: -one[0])]


def _runs(mask: NDArray[np.bool_]) -> Iterator[_Run]:
    """Straight runs of border with the object to the right: start, end, direction (east, south, west, north)."""
    for direction, pixels in (
        (0, mask & ~np.roll(mask, 1, axis=0)),
        (2, mask & ~np.roll(mask, -1, axis=0)),
    ):
        for row, start, stop in _stretches(pixels):
            ends = [(start - 1, row - 1), (stop - 1, row - 1)]
            if direction == 2:
                ends = [(px, py + 1) for px, py in reversed(ends)]
            yield ends[0], ends[1], direction
    for direction, pixels in (
        (3, mask & ~np.roll(mask, 1, axis=1)),
        (1, mask & ~np.roll(mask, -1, axis=1)),
    ):
        for column, start, stop in _stretches(pixels.T):
            ends = [(column - 1, stop - 1), (column - 1, start - 1)]
            if direction == 1:
                ends = [(px + 1, py) for px, py in reversed(ends)]
            yield ends[0], ends[1], direction


def _stretches(pixels: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    """Row, start and stop of each stretch of true pixels; no row starts or ends with one."""
    change = np.diff(pixels.astype(np.int8), axis=1)
    rows, starts = np.nonzero(change == 1)
    _, stops = np.nonzero(change == -1)
    yield from zip(rows.tolist(), (starts + 1).tolist(), (stops + 1).tolist(), strict=True)


def _ring(leaving: dict[_Point, list[_Run]]) -> list[_Point]:
    """Take one closed ring out of the runs: its corners."""
    run = next(iter(leaving.values()))[0]
    start, corners = run, []
    while True:
        _take(leaving, run)
        corners.append(run[0])
        following = leaving.get(run[1])
        if following is None or (run[1] == start[0] and _left(run, following) is None):
            return corners
        run = _left(run, following) or following[0]


def _left(run: _Run, following: list[_Run]) -> _Run | None:
    return next((one for one in following if one[2] == (run[2] - 1) % 4), None)


def _take(leaving: dict[_Point, list[_Run]], run: _Run) -> None:
    rest = [one for one in leaving[run[0]] if one is not run]
    if rest:
        leaving[run[0]] = rest
    else:
        del leaving[run[0]]
