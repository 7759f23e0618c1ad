"""One object grown from a place, out of a network's own maps: thresholds sink until there is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ._objects import Found, find_objects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ._objects import Reading

__all__ = ["Grown", "as_found", "grow_object", "grow_through"]

_SHARES = (1.0, 0.75, 0.5, 0.35, 0.2, 0.1)
"""Of the usual thresholds, in turn."""
_LARGEST = 8.0
"""In usual sizes of an object: more is a puddle of background, not an object."""


@dataclass(frozen=True, eq=False)
class Grown:
    """One object.

    Parameters
    ----------
    mask
        Its voxels.
    score
        0 doubtful … 1 sure.
    votes
        Voxels for each class.
    """

    mask: NDArray[np.bool_]
    score: float
    votes: NDArray[np.int64]


def grow_object(
    maps: NDArray[np.uint8],
    spacing: Sequence[float],
    how: Reading,
    usual: float,
    place: Sequence[int],
    classes: int = 0,
) -> Grown | None:
    """Return the object at a place that the maps show best; None where they show none.

    Read as always, the maps may show an object there. If not, cores and bodies are asked for with less and less
    certainty; what is then found is the object that the network held for possible.

    Parameters
    ----------
    maps, spacing, how, classes
        As of `find_objects`.
    usual
        Voxels of an object of the usual size.
    place
        A voxel of the object.
    """
    at = tuple(int(v) for v in place)
    for share in _SHARES:
        found = find_objects(maps, spacing, _looser(how, share), classes)
        number = int(found.labels[at])
        if not number:
            continue
        mask = found.labels == number
        size = int(found.sizes[number - 1])
        if size > _LARGEST * usual:
            return None
        if size >= how.smallest:
            row = number - 1
            mask = np.asarray(ndimage.binary_fill_holes(mask))
            return Grown(mask, float(found.scores[row]), found.votes[row])
    return None


def _looser(how: Reading, share: float) -> Reading:
    """The same reading with lower thresholds; what is too small is told afterwards."""
    return replace(
        how,
        levels=tuple(max(1, round(share * level)) for level in how.levels),
        foreground=max(1, round(share * how.foreground)),
        smallest_core=1.0,
        smallest_body=1.0,
        smallest=1.0,
        least_score=0.0,
    )


def grow_through(
    maps: NDArray[np.uint8],
    spacing: Sequence[float],
    how: Reading,
    usual: float,
    place: Sequence[int],
    classes: int = 0,
    *,
    least_iou: float,
) -> Grown | None:
    """The same where a 2-D network saw the planes of a volume: from the plane of the place up and down.

    Parameters
    ----------
    maps
        ``(2 or 3, Z, Y, X)``.
    spacing
        Of Y and X.
    least_iou
        Smallest overlap of the object in two neighbouring planes.
    """
    first = int(place[0])
    start = grow_object(maps[:, first], spacing, how, usual, place[1:], classes)
    if start is None:
        return None
    planes = {first: start}
    for step in (-1, 1):
        z, last = first + step, start
        while 0 <= z < maps.shape[1]:
            found = grow_object(maps[:, z], spacing, how, usual, _middle(last.mask), classes)
            if found is None or _iou(found.mask, last.mask) < least_iou:
                break
            planes[z], last = found, found
            z += step
    mask = np.zeros(maps.shape[1:], dtype=bool)
    for z, one in planes.items():
        mask[z] = one.mask
    sizes = [np.count_nonzero(one.mask) for one in planes.values()]
    score = float(np.average([one.score for one in planes.values()], weights=sizes))
    return Grown(mask, score, np.sum([one.votes for one in planes.values()], axis=0))


def as_found(grown: Grown | None, shape: tuple[int, ...], classes: int) -> Found:
    """The objects of an image in which there is that one, or none."""
    labels = np.zeros(shape, np.int32)
    if grown is None:
        return Found(
            labels, np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros((0, classes), np.int64)
        )
    labels[grown.mask] = 1
    size = np.array([np.count_nonzero(grown.mask)], np.int64)
    return Found(labels, size, np.array([grown.score], np.float32), grown.votes[np.newaxis])


def _middle(mask: NDArray[np.bool_]) -> tuple[int, ...]:
    places = np.argwhere(mask)
    return tuple(places[np.abs(places - places.mean(axis=0)).sum(axis=1).argmin()].tolist())


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    either = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / max(1, either)
