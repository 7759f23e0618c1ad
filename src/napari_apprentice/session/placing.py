"""What a person does to points and boxes in a layer, as the places that there are then. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["changed_places", "clipped_boxes", "still_there"]

_SAME = 0.01
"""Voxels: layers keep corners in single precision."""


def changed_places(
    before: Detections,
    rows: NDArray[np.int64],
    centres: NDArray[np.float64],
    sizes: NDArray[np.float64] | None,
    kind: int,
    shape: Sequence[int],
    least: float | Sequence[float] = 1.0,
) -> Detections:
    """Return the places after a layer that shows some of them was changed; `before` itself where nothing was.

    A layer keeps the order of its rows: those that are gone were deleted, those at the end are new. A person is sure of
    what they place, move or draw.

    Parameters
    ----------
    before
        All places as they were.
    rows
        Which of them the layer showed, ascending.
    centres, sizes
        What the layer shows now, ``(M, n)`` in voxels; no sizes: points, which keep those that they have.
    kind
        Class value of new ones.
    shape
        Of the image; boxes are cut at its edge.
    least
        Voxels that a box must have to be one, along every axis or along each.

    Raises
    ------
    BadInputError
        A place beyond the image, or a box without an extent.
    """
    shown = before.select(rows)
    was, now = still_there(shown, centres, sizes)
    lengths = shown.sizes[was] if sizes is None else sizes[now]
    touched = _differs(shown.centres[was], centres[now])
    touched |= _differs(shown.sizes[was], lengths)
    fresh = np.setdiff1d(np.arange(len(centres)), now)
    if len(was) == len(rows) and not touched.any() and not len(fresh):
        return before
    moved = rows[was[touched]]
    scores = before.scores.copy()
    scores[moved] = 1.0
    places, extents = before.centres.copy(), before.sizes.copy()
    places[moved], extents[moved] = centres[now[touched]], lengths[touched]
    gone = np.setdiff1d(rows, rows[was])
    added = np.full((len(fresh), before.ndim), np.nan) if sizes is None else sizes[fresh]
    at, long = _checked(
        np.concatenate([places[moved], centres[fresh]]),
        np.concatenate([extents[moved], added]),
        shape,
        None if sizes is None else least,
    )
    places[moved], extents[moved] = at[: len(moved)], long[: len(moved)]
    kept = np.delete(np.arange(len(before)), gone)
    new = Detections.of(at[len(moved) :], long[len(moved) :], np.full(len(fresh), kind))
    return Detections(places, extents, before.kinds, scores).select(kept).joined(new)


def clipped_boxes(
    centres: NDArray[np.float64],
    sizes: NDArray[np.float64],
    shape: Sequence[int],
    least: float | Sequence[float] = 1.0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cut boxes at the edge of an image; return their middles and lengths, ``(N, n)`` each.

    Raises
    ------
    BadInputError
        A box that lies beyond the image, or is thinner than `least` voxels and the image.
    """
    edge = np.asarray(shape) - 0.5
    beyond = ((centres - sizes / 2 >= edge) | (centres + sizes / 2 <= -0.5)).any(axis=1)
    if beyond.any():
        raise BadInputError(
            f"expected boxes in the image, found {int(beyond.sum())} beyond it",
            remedy="Draw on the image.",
        )
    low, high = np.maximum(centres - sizes / 2, -0.5), np.minimum(centres + sizes / 2, edge)
    flat = ((high - low) < np.minimum(least, np.asarray(shape))).any(axis=1)
    if flat.any():
        raise BadInputError(
            f"expected boxes with an extent along every axis, found {int(flat.sum())} without",
            remedy="Drag from corner to corner.",
        )
    return (low + high) / 2, high - low


def _checked(
    centres: NDArray[np.float64],
    sizes: NDArray[np.float64],
    shape: Sequence[int],
    least: float | Sequence[float] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if least is not None and len(centres):
        return clipped_boxes(centres, sizes, shape, least)
    beyond = int((~Detections.of(centres).in_image(shape)).sum())
    if beyond:
        raise BadInputError(
            f"expected points in the image, found {beyond} beyond it",
            remedy="Click on the image.",
        )
    return centres, sizes


def still_there(
    shown: Detections, centres: NDArray[np.float64], sizes: NDArray[np.float64] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tell which rows of a layer are still there after some of them were changed, deleted or added.

    Parameters
    ----------
    shown
        What the layer showed.
    centres, sizes
        What it shows now, ``(M, n)``; no sizes: points.

    Returns
    -------
    tuple
        Their numbers before, and now.
    """
    if len(centres) >= len(shown):
        both = np.arange(len(shown))
        return both, both
    was: list[int] = []
    for row in range(len(shown)):
        at = len(was)
        if at == len(centres):
            break
        is_same = not _differs(shown.centres[row : row + 1], centres[at : at + 1]).any()
        if is_same and sizes is not None:
            is_same = not _differs(shown.sizes[row : row + 1], sizes[at : at + 1]).any()
        # As many are left as must be: something else than deleting was done to them as well.
        if is_same or len(shown) - row == len(centres) - at:
            was.append(row)
    return np.array(was, dtype=np.int64), np.arange(len(was))


def _differs(before: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.bool_]:
    same = np.isclose(before, now, rtol=0.0, atol=_SAME, equal_nan=True)
    return np.asarray(~same.all(axis=1))
