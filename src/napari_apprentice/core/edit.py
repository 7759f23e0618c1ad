"""`Edit`: one invertible change to an annotation; the journal and the undo history are lists of these."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BadInputError, GridMismatchError
from .notes import Author

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .annotation import Extent, LabelClass
    from .detections import Detections
    from .notes import NoteChanges

__all__ = ["Author", "Block", "Edit", "changed_blocks", "tiles", "trimmed"]

TILE = 64
_OVERHEAD = 512  # bytes that the Python objects of one edit or block take, measured roughly
_NOTE = 256


@dataclass(frozen=True, eq=False)
class Block:
    """The labels of one box before and after a change.

    Parameters
    ----------
    start
        First voxel of the box, one index per axis.
    before, after
        Integer arrays of the box's shape.
    painted_before, painted_after
        Which voxels a person's stroke had touched, then and now; None where nothing changed about it.
    """

    start: tuple[int, ...]
    before: NDArray[Any]
    after: NDArray[Any]
    painted_before: NDArray[np.bool_] | None = None
    painted_after: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        shapes = {a.shape for a in self._arrays()}
        if len(shapes) != 1 or len(self.start) != self.before.ndim:
            raise BadInputError(
                f"expected arrays of one shape and a start per axis, found {sorted(shapes)} at {self.start}"
            )
        if (self.painted_before is None) != (self.painted_after is None):
            raise BadInputError("expected both painted arrays or none, found one")

    def _arrays(self) -> Iterator[NDArray[Any]]:
        pairs = (self.before, self.after, self.painted_before, self.painted_after)
        return (a for a in pairs if a is not None)

    @property
    def box(self) -> tuple[slice, ...]:
        """The box as an index."""
        return tuple(slice(a, a + n) for a, n in zip(self.start, self.before.shape, strict=True))

    @property
    def nbytes(self) -> int:
        """Memory the arrays take."""
        return sum(a.nbytes for a in self._arrays()) + _OVERHEAD

    def inverse(self) -> Block:
        """Return the block that puts back what this one changed."""
        return replace(
            self,
            before=self.after,
            after=self.before,
            painted_before=self.painted_after,
            painted_after=self.painted_before,
        )


@dataclass(frozen=True, eq=False)
class Edit:
    """One invertible change: of voxels, of where the annotation counts, or of its classes.

    Parameters
    ----------
    name
        What was done, as the user reads it beside *Undo*: ``"Brush"``.
    blocks
        Changed boxes; they do not overlap.
    extent
        Where the annotation counted before and counts after.
    classes
        The classes before and after.
    author
        Whether a person or a model made it; only a person's edits are corrections.
    locks, unlocks
        Numbers of objects that no tool may change from then on, and of those that may be changed again.
    notes
        What is known of numbered objects, before and after.
    places
        Points and boxes before and after, where those are annotated.
    """

    name: str
    blocks: tuple[Block, ...] = ()
    extent: tuple[Extent, Extent] | None = None
    classes: tuple[tuple[LabelClass, ...], tuple[LabelClass, ...]] | None = None
    author: Author = "person"
    locks: frozenset[int] = frozenset()
    unlocks: frozenset[int] = frozenset()
    notes: NoteChanges = field(default_factory=dict)
    places: tuple[Detections, Detections] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        said = self.extent or self.classes or self.locks or self.unlocks or self.notes
        return not (self.blocks or said or self.places is not None)

    @property
    def is_correction(self) -> bool:
        """Whether a person said something about voxels or objects with it."""
        said = self.blocks or self.notes or self.places is not None
        return bool(said) and self.author == "person"

    @property
    def nbytes(self) -> int:
        """Memory it takes, about."""
        blocks = sum(block.nbytes for block in self.blocks)
        places = 0 if self.places is None else sum(map(len, self.places))
        return blocks + _OVERHEAD + _NOTE * (len(self.notes) + places)

    def check(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Make sure that it fits labels of a shape and dtype.

        Raises
        ------
        GridMismatchError
            A block that does not lie within the labels.
        BadInputError
            A value that the dtype cannot hold.
        """
        info = np.iinfo(dtype)
        for block in self.blocks:
            pairs = zip(block.box, shape, strict=False)
            inside = all(part.start >= 0 and part.stop <= length for part, length in pairs)
            if len(block.start) != len(shape) or not inside:
                raise GridMismatchError(
                    f"expected an edit within {shape}, found one of {block.after.shape} at {block.start}"
                )
            if block.after.dtype == dtype:
                continue
            low, high = int(block.after.min()), int(block.after.max())
            if low < info.min or high > info.max:
                raise BadInputError(
                    f"expected label values from {info.min} to {info.max} ({dtype}), "
                    f"found {low} to {high}"
                )

    def inverse(self) -> Edit:
        """Return the edit that undoes this one."""
        return replace(
            self,
            blocks=tuple(block.inverse() for block in self.blocks),
            extent=None if self.extent is None else (self.extent[1], self.extent[0]),
            classes=None if self.classes is None else (self.classes[1], self.classes[0]),
            locks=self.unlocks,
            unlocks=self.locks,
            notes={number: (after, before) for number, (before, after) in self.notes.items()},
            places=None if self.places is None else (self.places[1], self.places[0]),
        )


def changed_blocks(
    start: tuple[int, ...],
    before: NDArray[Any],
    after: NDArray[Any],
    painted_before: NDArray[np.bool_] | None = None,
    painted_after: NDArray[np.bool_] | None = None,
    *,
    tile: int = TILE,
) -> tuple[Block, ...]:
    """Cut a changed box into compact blocks: tiles without a change are left out, the others trimmed.

    A stroke from corner to corner of a large volume thus costs what it touched, not the box around it.

    Parameters
    ----------
    start
        First voxel of the box.
    before, after
        Integer arrays of the box's shape; copied where they changed.
    painted_before, painted_after
        Boolean arrays of the same shape, or None where no stroke is involved.
    tile
        Length of a block; where nearly everything changed, few large ones are quicker.
    """
    blocks = []
    for part in tiles(before.shape, tile):
        changed = before[part] != after[part]
        if painted_before is not None and painted_after is not None:
            changed |= painted_before[part] != painted_after[part]
        box = trimmed(part, changed)
        if box is not None:
            at = tuple(a + part.start for a, part in zip(start, box, strict=True))
            painted = _painted_pair(box, painted_before, painted_after)
            blocks.append(Block(at, before[box].copy(), after[box].copy(), *painted))
    return tuple(blocks)


def _painted_pair(
    box: tuple[slice, ...],
    before: NDArray[np.bool_] | None,
    after: NDArray[np.bool_] | None,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | tuple[None, None]:
    if before is None or after is None or np.array_equal(before[box], after[box]):
        return None, None
    return before[box].copy(), after[box].copy()


def tiles(shape: tuple[int, ...], tile: int) -> Iterator[tuple[slice, ...]]:
    """Boxes of at most `tile` voxels along each axis that cover an array, each voxel once."""
    steps = [range(0, length, tile) for length in shape]
    for corner in product(*steps):
        yield tuple(slice(a, min(a + tile, n)) for a, n in zip(corner, shape, strict=True))


def trimmed(box: tuple[slice, ...], mask: NDArray[np.bool_]) -> tuple[slice, ...] | None:
    """Shrink a box to what is true in the mask that lies in it; None where nothing is."""
    if not mask.any():
        return None
    found = []
    for axis, part in enumerate(box):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        where = np.flatnonzero(mask.any(axis=others))
        found.append(slice(part.start + int(where[0]), part.start + int(where[-1]) + 1))
    return tuple(found)
