"""From what napari tells about a stroke to a box of labels as they were and of voxels that were touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["Dab", "Stroke", "dab_of", "stroke_of"]


@dataclass(frozen=True, eq=False)
class Dab:
    """One imprint of the brush: first voxel of its box, and which voxels of the box it covers."""

    start: tuple[int, ...]
    mask: NDArray[np.bool_]

    @property
    def stop(self) -> tuple[int, ...]:
        """One past the last voxel of the box."""
        return tuple(a + n for a, n in zip(self.start, self.mask.shape, strict=True))


@dataclass(frozen=True, eq=False)
class Stroke:
    """A stroke, as a box.

    Parameters
    ----------
    start
        First voxel of the box around it.
    before, after
        Labels of the box as they were, and as they are with the stroke.
    touched
        Which voxels of the box it went over, changed or not.
    """

    start: tuple[int, ...]
    before: NDArray[Any]
    after: NDArray[Any]
    touched: NDArray[np.bool_]


def dab_of(
    point: Sequence[float],
    diameter: float,
    scale: Sequence[float],
    axes: Sequence[int],
    shape: Sequence[int],
) -> Dab | None:
    """Return the imprint of a round brush, round in the world where voxels are not.

    Parameters
    ----------
    point
        Its centre, in voxels.
    diameter
        Of the brush, in voxels of the finest painted axis.
    scale
        Voxel size per axis.
    axes
        Along which the brush extends; along the others it is one voxel thick.
    shape
        Of the labels. The imprint is cut there; None where nothing is left.
    """
    centre = np.round(np.asarray(point, dtype=float)).astype(int)
    radius = np.zeros(len(shape), dtype=int)
    finest = min(abs(scale[a]) for a in axes)
    reach = np.floor(diameter / 2) + 0.5
    for axis in axes:
        radius[axis] = int(reach / (abs(scale[axis]) / finest))
    low = np.maximum(centre - radius, 0)
    high = np.minimum(centre + radius + 1, shape)
    if (low >= high).any():
        return None
    mesh = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    distance = sum(((mesh[a] - centre[a]) * (abs(scale[a]) / finest)) ** 2 for a in axes)
    mask = np.broadcast_to(distance <= reach**2, tuple(high - low))
    return Dab(tuple(int(v) for v in low), mask)


def stroke_of(atoms: Iterable[Any], dabs: Iterable[Dab], labels: NDArray[Any]) -> Stroke | None:
    """Join the pieces of one stroke; None where it went over nothing.

    Parameters
    ----------
    atoms
        What ``Labels.events.paint`` carries, oldest first: tuples whose first part says where (slices with a mask as
        second part, or arrays of indices), and whose last two are the old and the new values.
    dabs
        Imprints of the brush, also over voxels that kept their value.
    labels
        The labels. They need not hold the stroke yet: napari tells about single dabs before it writes them.
    """
    pieces = [_piece(atom) for atom in atoms]
    dabs = list(dabs)
    corners = [(p.start, p.stop) for p in pieces] + [(d.start, d.stop) for d in dabs]
    if not corners:
        return None
    start = tuple(int(v) for v in np.min([low for low, _ in corners], axis=0))
    stop = tuple(int(v) for v in np.max([high for _, high in corners], axis=0))
    before = labels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))].copy()
    after, touched = before.copy(), np.zeros(before.shape, dtype=bool)
    for piece in pieces:
        piece.write(after, start, piece.new)
        piece.write(touched, start, True)
    for piece in reversed(pieces):  # so that a voxel painted twice ends with its oldest value
        piece.write(before, start, piece.old)
    for dab in dabs:
        touched[_shifted(dab.start, dab.stop, start)] |= dab.mask
    return Stroke(start, before, after, touched)


@dataclass(frozen=True, eq=False)
class _Piece:
    """One atom: its box, the voxels in it (a mask of the box, or indices), and their values before and after."""

    start: tuple[int, ...]
    stop: tuple[int, ...]
    where: Any
    old: Any
    new: Any

    def write(self, box: NDArray[Any], start: tuple[int, ...], values: Any) -> None:
        """Write values to the voxels, in an array that begins at `start`."""
        if isinstance(self.where, tuple):
            box[tuple(i - a for i, a in zip(self.where, start, strict=True))] = values
        else:
            box[_shifted(self.start, self.stop, start)][self.where] = values


def _piece(atom: Any) -> _Piece:
    *where, old, new = atom
    if isinstance(where[0][0], slice):
        box, mask = where
        low = tuple(part.start for part in box)
        high = tuple(part.stop for part in box)
        return _Piece(low, high, Ellipsis if mask is None else mask, old, new)
    indices = tuple(np.asarray(index) for index in where[0])
    low = tuple(int(index.min()) for index in indices)
    high = tuple(int(index.max()) + 1 for index in indices)
    return _Piece(low, high, indices, old, new)


def _shifted(low: Sequence[int], high: Sequence[int], start: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
