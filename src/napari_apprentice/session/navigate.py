"""Where to look next in an annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from .edits import AnnotationState

__all__ = ["next_doubtful_slice", "next_open_frame", "next_unfinished"]

_ALIKE = 16
"""Slices nearer than this part of all of them show much the same."""


def next_unfinished(
    state: AnnotationState, axis: int, index: int, other: NDArray[Any] | None = None
) -> int | None:
    """Return the next slice that is not finished, after `index` and round the end.

    Parameters
    ----------
    state
        The annotation, of three axes.
    axis
        Axis the slices are perpendicular to.
    index
        Where to begin; this slice itself comes last.
    other
        Labels of the same shape, such as a newer prediction: slices in which it says something else come first.
        Costs one comparison of a slice per unfinished slice.

    Returns
    -------
    int or None
        None where every slice is finished.
    """
    length = state.grid.shape[axis]
    after = [(index + step) % length for step in range(1, length + 1)]
    open_slices = [i for i in after if not state.is_finished(axis, i)]
    if other is not None and other.shape == state.labels.shape:
        for i in open_slices:
            if not np.array_equal(np.take(state.labels, i, axis), np.take(other, i, axis)):
                return i
    return open_slices[0] if open_slices else None


def next_doubtful_slice(doubts: NDArray[Any], known: Iterable[int]) -> int | None:
    """Return the slice from which there is most to learn: the least sure one that is not beside a known one.

    Parameters
    ----------
    doubts
        ``(n,)``: how many voxels of each slice are likely to be wrong.
    known
        Slices that are finished or were looked at; those beside them show much the same and are passed over, too.

    Returns
    -------
    int or None
        None where no doubt is left.
    """
    left = np.array(doubts, dtype=float)
    reach = max(1, len(left) // _ALIKE)
    for index in known:
        left[max(0, index - reach) : index + reach + 1] = 0
    return int(left.argmax()) if left.max(initial=0) > 0 else None


def next_open_frame(states: Sequence[AnnotationState | None], frame: int) -> int | None:
    """Return the next frame of a film that is not finished, after `frame` and round the end.

    Parameters
    ----------
    states
        The annotation of each frame; None where nobody began one.
    frame
        Where to begin; this frame itself does not count.

    Returns
    -------
    int or None
        None where every other frame is finished.
    """
    after = ((frame + step) % len(states) for step in range(1, len(states)))
    for index in after:
        state = states[index]
        if state is None or not state.extent.whole:
            return index
    return None
