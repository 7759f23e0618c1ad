"""From a network's maps to numbered objects: cores are numbered, then grow to the edge of the foreground.

Cores are looked for where the interior is surest first, then at lower levels: two cores that only meet at a low level
stay two, as in a watershed, but one that is too small to be an object makes none. Foreground that is left without a
core, because an object is so small that it is all border, is an object of its own where the network is sure. Numbering goes over the whole image
at once; all else is local and done in slabs, so that little more than the labels themselves is ever as large as the
image, and no object feels where a slab ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Found", "Reading", "find_objects", "merge_found", "renumber"]

_SLAB_VOXELS = 2**21
_CUT = 3.0
_WITHOUT_CORE = 0.8
"""Score of an object without a core, beside that of its body; chosen on training images."""


@dataclass(frozen=True)
class Reading:
    """How maps become objects.

    Parameters
    ----------
    levels
        Smallest values (of 255) of the interior in an object's core, highest first.
    foreground
        Smallest value of the foreground in an object's body.
    blur
        Deviation of a Gaussian over the interior, in voxels of the last axis.
    spread
        How far cores grow from level to level, and at last within the interior.
    reach
        How far an object grows beyond its core.
    smallest_core, smallest_body, smallest
        Fewer voxels than this are no core, no object without a core, and no object.
    least_score
        Objects below it are left out.
    """

    levels: tuple[int, ...] = (240, 200, 160, 128)
    foreground: int = 128
    blur: float = 0.0
    spread: tuple[float, float] = (2.0, 10.0)
    reach: float = 3.0
    smallest_core: float = 1.0
    smallest_body: float = 1.0
    smallest: float = 1.0
    least_score: float = 0.0


@dataclass(frozen=True, eq=False)
class Found:
    """Objects 1…n of one image.

    Parameters
    ----------
    labels
        int32, 0 = background.
    sizes
        Voxels of each object.
    scores
        0…1 of each object.
    votes
        Voxels of each object for each class, ``(n, classes)``; no columns without classes.
    """

    labels: NDArray[np.int32]
    sizes: NDArray[np.int64]
    scores: NDArray[np.float32]
    votes: NDArray[np.int64]


def find_objects(
    maps: NDArray[np.uint8], spacing: Sequence[float], how: Reading, classes: int = 0
) -> Found:
    """Number the objects of one image.

    Parameters
    ----------
    maps
        Interior and foreground as probabilities 0…255, and the number of the likeliest class (from 0) where there
        are classes: ``(2 or 3, *spatial)``.
    spacing
        Of the voxels, any unit.
    how
        Thresholds.
    classes
        How many classes there are.
    """
    labels, with_core = _cores(maps[0], spacing, how)
    _grow_everywhere(labels, maps[1], how.foreground, _steps(spacing, how.reach))
    rest = maps[1] >= how.foreground
    count = with_core + _add_pieces(labels, rest, with_core, how.smallest_body)
    del rest
    sizes, scores = _weigh(labels, maps, count, with_core)
    kept = (sizes >= max(1.0, how.smallest)) & (scores >= how.least_score)
    renumber(labels, kept)
    votes = _vote(labels, maps[2], int(kept.sum()), classes) if classes else None
    if votes is None:
        votes = np.zeros((int(kept.sum()), 0), np.int64)
    return Found(labels, sizes[kept], scores[kept], votes)


def renumber(labels: NDArray[np.int32], kept: NDArray[np.bool_]) -> None:
    """Keep objects 1…n that are marked, under consecutive numbers and in their order; in place."""
    numbers = np.zeros(len(kept) + 1, np.int32)
    numbers[1:][kept] = np.arange(1, int(kept.sum()) + 1, dtype=np.int32)
    for part in _slabs(labels.shape):
        labels[part] = numbers[labels[part]]


def merge_found(parts: Sequence[Found], owner: Sequence[NDArray[np.int64]], count: int) -> Found:
    """Add up objects of several planes that are one: `owner` says for each object of a part which one (from 0)."""
    sizes = np.zeros(count, np.int64)
    weighted = np.zeros(count, np.float64)
    votes = np.zeros((count, parts[0].votes.shape[1] if parts else 0), np.int64)
    for part, number in zip(parts, owner, strict=True):
        np.add.at(sizes, number, part.sizes)
        np.add.at(weighted, number, part.scores * part.sizes)
        np.add.at(votes, number, part.votes)
    scores = (weighted / np.maximum(sizes, 1)).astype(np.float32)
    return Found(np.zeros(0, np.int32), sizes, scores, votes)


def _slabs(shape: Sequence[int], least: int = 1) -> Iterator[slice]:
    rows = max(least, _SLAB_VOXELS // max(1, math.prod(shape[1:])))
    for start in range(0, shape[0], rows):
        yield slice(start, min(start + rows, shape[0]))


# -- cores --------------------------------------------------------------------------------


def _cores(
    interior: NDArray[np.uint8], spacing: Sequence[float], how: Reading
) -> tuple[NDArray[np.int32], int]:
    """Number the cores, from the surest level down; return how many there are."""
    smooth = _blurred(interior, [how.blur * spacing[-1] / s for s in spacing])
    labels = np.zeros(interior.shape, np.int32)
    count = 0
    for level in how.levels:
        if count:
            _grow_everywhere(labels, smooth, level, _steps(spacing, how.spread[0]))
        count += _add_pieces(labels, smooth >= level, count, how.smallest_core)
    _grow_everywhere(labels, smooth, how.levels[-1], _steps(spacing, how.spread[1]))
    return labels, count


def _add_pieces(
    labels: NDArray[np.int32], mask: NDArray[np.bool_], count: int, smallest: float
) -> int:
    """Number what hangs together in the mask, is large enough and holds no core yet; in place."""
    pieces = np.zeros(labels.shape, np.int32)
    found = int(ndimage.label(mask, output=pieces))
    sizes = np.zeros(found + 1, np.int64)
    free = np.ones(found + 1, bool)
    for part in _slabs(labels.shape):
        sizes += np.bincount(pieces[part].ravel(), minlength=found + 1)
        free[pieces[part][labels[part] > 0]] = False
    free &= sizes >= smallest
    free[0] = False
    numbers = np.zeros(found + 1, np.int32)
    numbers[free] = count + np.arange(1, int(free.sum()) + 1, dtype=np.int32)
    for part in _slabs(labels.shape):
        np.maximum(labels[part], numbers[pieces[part]], out=labels[part])
    return int(free.sum())


def _blurred(values: NDArray[np.uint8], sigma: Sequence[float]) -> NDArray[np.uint8]:
    if max(sigma) <= 0:
        return values
    result = np.empty_like(values)
    margin = int(_CUT * sigma[0] + 0.5)
    for part in _slabs(values.shape, max(1, margin)):
        start = max(0, part.start - margin)
        block = values[start : part.stop + margin]
        smooth = ndimage.gaussian_filter(block, sigma, output=np.float32, truncate=_CUT)
        result[part] = np.rint(smooth[part.start - start :][: part.stop - part.start])
    return result


# -- growing ------------------------------------------------------------------------------


def _grow_everywhere(
    labels: NDArray[np.int32],
    values: NDArray[np.uint8],
    level: int,
    steps: Sequence[Sequence[int]],
) -> None:
    """Grow all numbers within ``values >= level``, slab by slab; in place.

    A slab is grown together with as many rows on both sides as growth can cross, of the labels as they were.
    """
    margin = sum(0 in axes for axes in steps)
    before = labels[:0].copy()
    for part in _slabs(labels.shape, max(1, margin)):
        stop = min(part.stop + margin, labels.shape[0])
        block = np.concatenate([before, labels[part.start : stop]])
        start = part.start - len(before)
        before = labels[max(0, part.stop - margin) : part.stop].copy()
        grown = _grow(block, values[start:stop] >= level, steps)
        labels[part] = grown[part.start - start :][: part.stop - part.start]


def _steps(spacing: Sequence[float], reach: float) -> list[list[int]]:
    """Axes along which objects grow in each step: coarse axes take part in every n-th, and once at least."""
    count = max(1, math.ceil(reach))
    every = [max(1, round(s / spacing[-1])) for s in spacing]
    return [
        [a for a, n in enumerate(every) if (step + 1) % n == 0 or (n > count and step == count - 1)]
        for step in range(count)
    ]


def _grow(
    labels: NDArray[np.int32], mask: NDArray[np.bool_], steps: Sequence[Sequence[int]]
) -> NDArray[np.int32]:
    """Give voxels of the mask the number of a neighbour, a layer in each step.

    Only voxels still without a number are looked at: a thin rim, where a watershed would queue all of them.
    """
    padded = np.pad(labels, 1)
    strides = [s // padded.itemsize for s in padded.strides]
    flat = padded.ravel()
    left = np.flatnonzero(np.pad(mask, 1) & (padded == 0))
    for axes in steps:
        new = np.zeros(len(left), np.int32)
        for axis in axes:
            for offset in (-strides[axis], strides[axis]):
                np.copyto(new, flat[left + offset], where=new == 0)
        reached = new > 0
        flat[left[reached]] = new[reached]
        left = left[~reached]
    inner = (slice(1, -1),) * labels.ndim
    return flat.reshape(padded.shape)[inner]


# -- judging ------------------------------------------------------------------------------


def _weigh(
    labels: NDArray[np.int32], maps: NDArray[np.uint8], count: int, with_core: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Size and score of objects 1…count: how sure the network is of their bodies, and of their being one.

    Those after the first `with_core` have no core that could say so.
    """
    sizes = np.zeros(count + 1, np.int64)
    body = np.zeros(count + 1, np.float64)
    core = np.zeros((2, count + 1), np.float64)
    for part in _slabs(labels.shape):
        inside = np.flatnonzero(labels[part])
        numbers = labels[part].ravel()[inside]
        interior, foreground = (maps[i, part].ravel()[inside] for i in (0, 1))
        sizes += np.bincount(numbers, minlength=count + 1)
        body += np.bincount(numbers, foreground, count + 1)
        deep = interior >= 128
        core[0] += np.bincount(numbers[deep], interior[deep], count + 1)
        core[1] += np.bincount(numbers[deep], minlength=count + 1)
    depth = core[0] / np.maximum(core[1], 1) / 255
    depth[with_core + 1 :] = _WITHOUT_CORE
    scores = body / np.maximum(sizes, 1) / 255 * depth
    return sizes[1:], scores[1:].astype(np.float32)


def _vote(
    labels: NDArray[np.int32], winners: NDArray[np.uint8], count: int, classes: int
) -> NDArray[np.int64]:
    """Voxels of each object for each class."""
    votes = np.zeros((count + 1) * classes, np.int64)
    for part in _slabs(labels.shape):
        inside = np.flatnonzero(labels[part])
        numbers = labels[part].ravel()[inside].astype(np.int64)
        pick = np.minimum(winners[part].ravel()[inside], classes - 1)
        votes += np.bincount(numbers * classes + pick, minlength=len(votes))
    result: NDArray[Any] = votes.reshape(count + 1, classes)[1:]
    return result
