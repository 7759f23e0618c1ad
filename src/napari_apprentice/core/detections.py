"""`Detections`: points and boxes in an image, by a person or a network, in voxels of its grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from .grid import Grid

__all__ = ["Detections"]


@dataclass(frozen=True, eq=False)
class Detections:
    """N places on a grid of n spatial axes, each with a class, a score and perhaps a size.

    Parameters
    ----------
    centres
        ``(N, n)`` float64 in voxels; the middle of the first voxel is 0.
    sizes
        ``(N, n)`` float64, lengths of the box around each object in voxels; NaN where only its place is known.
    kinds
        ``(N,)`` int32, values of classes.
    scores
        ``(N,)`` float32, 0 doubtful … 1 sure; 1 for what a person said.

    Raises
    ------
    BadInputError
        Columns of different length, places that are no numbers, or a box without an extent.
    """

    centres: NDArray[np.float64]
    sizes: NDArray[np.float64]
    kinds: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.centres)
        if (
            self.centres.ndim != 2
            or self.sizes.shape != self.centres.shape
            or self.kinds.shape != (count,)
            or self.scores.shape != (count,)
        ):
            raise BadInputError(
                f"expected a place, a size, a class and a score for each, found {self.centres.shape}, "
                f"{self.sizes.shape}, {self.kinds.shape} and {self.scores.shape}"
            )
        bad = int((~np.isfinite(self.centres).all(axis=1)).sum())
        if bad:
            raise BadInputError(
                f"expected numbers as places, found {bad} NaN or infinite",
                remedy="Delete those points.",
            )
        flat = int((np.isinf(self.sizes) | (self.sizes <= 0)).any(axis=1).sum())
        if flat:
            raise BadInputError(
                f"expected boxes with an extent along every axis, found {flat} without",
                remedy="Delete those boxes, or give points instead.",
            )

    # -- making -------------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        centres: ArrayLike,
        sizes: ArrayLike | None = None,
        kinds: ArrayLike | None = None,
        scores: ArrayLike | None = None,
    ) -> Detections:
        """Make detections of places ``(N, n)``; by default points of class 1 that somebody is sure of."""
        places = np.asarray(centres, dtype=np.float64)
        count = len(places)
        return cls(
            places,
            np.full(places.shape, np.nan) if sizes is None else np.asarray(sizes, np.float64),
            np.ones(count, np.int32) if kinds is None else np.asarray(kinds, np.int32),
            np.ones(count, np.float32) if scores is None else np.asarray(scores, np.float32),
        )

    @classmethod
    def none(cls, ndim: int) -> Detections:
        """No detection at all, of `ndim` axes."""
        return cls.of(np.zeros((0, ndim)))

    # -- what they say ------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return int(self.centres.shape[1])

    @property
    def are_boxes(self) -> NDArray[np.bool_]:
        """``(N,)``: which of them have a size along every axis."""
        return np.asarray(np.isfinite(self.sizes).all(axis=1))

    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper corners of the boxes, ``(N, n)`` each; a box around voxel 3 alone is 2.5 … 3.5."""
        return self.centres - self.sizes / 2, self.centres + self.sizes / 2

    def slices(self, axis: int, length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and last slice that each box passes through, ``(N,)`` each; the nearest twice where it passes through none.

        Parameters
        ----------
        axis
            Along which slices are counted.
        length
            How many there are.
        """
        low, high = (edge[:, axis] for edge in self.corners())
        first, last = np.ceil(low).astype(np.int64), np.ceil(high).astype(np.int64) - 1
        middle = np.round(self.centres[:, axis]).astype(np.int64)
        is_between = last < first
        first, last = np.where(is_between, middle, first), np.where(is_between, middle, last)
        return np.clip(first, 0, length - 1), np.clip(last, 0, length - 1)

    def voxels(self, shape: Sequence[int]) -> NDArray[np.int64]:
        """Voxel in which each lies, ``(N, n)``, held inside an image of `shape`."""
        rounded = np.floor(self.centres + 0.5).astype(np.int64)
        inside: NDArray[np.int64] = np.clip(rounded, 0, np.asarray(shape) - 1)
        return inside

    def in_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """``(N,)``: which of them lie in a voxel that is true; none beyond the image does."""
        inside = self.in_image(mask.shape)
        inside &= mask[tuple(self.voxels(mask.shape).T)]
        return inside

    def in_image(self, shape: Sequence[int]) -> NDArray[np.bool_]:
        """``(N,)``: whose middle lies in an image of `shape`."""
        after = np.asarray(shape) - 0.5
        return np.asarray(((self.centres >= -0.5) & (self.centres <= after)).all(axis=1))

    # -- others made of them --------------------------------------------------------------

    def select(self, which: NDArray[Any]) -> Detections:
        """Return those of a mask or of a list of positions."""
        return Detections(
            self.centres[which], self.sizes[which], self.kinds[which], self.scores[which]
        )

    def joined(self, other: Detections) -> Detections:
        """Return these and then the others."""
        pairs = zip(self._columns(), other._columns(), strict=True)
        return Detections(*(np.concatenate(pair) for pair in pairs))

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self.centres, self.sizes, self.kinds, self.scores

    def shifted(self, by: Sequence[float]) -> Detections:
        """Return them with their places moved by so many voxels."""
        return replace(self, centres=self.centres + np.asarray(by, dtype=float))

    def resized(self, old: Sequence[int], new: Sequence[int]) -> Detections:
        """Return them on a grid of shape `new` that covers the same extent as `old` (see `Grid.with_shape`)."""
        factor = np.asarray(new, dtype=float) / np.asarray(old, dtype=float)
        centres = (self.centres + 0.5) * factor - 0.5
        return replace(self, centres=centres, sizes=self.sizes * factor)

    def reoriented(
        self, shape: Sequence[int], order: Sequence[int], flips: Sequence[bool]
    ) -> Detections:
        """Return them on ``Grid.reoriented``; `shape` is that of the grid they lie on."""
        centres, sizes = self.centres[:, list(order)].copy(), self.sizes[:, list(order)]
        for axis, (old, flip) in enumerate(zip(order, flips, strict=True)):
            if flip:
                centres[:, axis] = shape[old] - 1 - centres[:, axis]
        return replace(self, centres=centres, sizes=sizes)

    def restored(
        self, shape: Sequence[int], order: Sequence[int], flips: Sequence[bool]
    ) -> Detections:
        """Undo `reoriented`; `shape` is that of the grid to return to."""
        back = self.centres.copy()
        for axis, (old, flip) in enumerate(zip(order, flips, strict=True)):
            if flip:
                back[:, axis] = shape[old] - 1 - back[:, axis]
        places = [list(order).index(axis) for axis in range(self.ndim)]
        return replace(self, centres=back[:, places], sizes=self.sizes[:, places])

    def table(self, grid: Grid) -> dict[str, NDArray[Any]]:
        """Columns in world units, for people: ``z``, ``y``, ``x``, and ``size z`` … where boxes are known."""
        world = grid.to_world(self.centres).reshape(-1, self.ndim)
        columns: dict[str, NDArray[Any]] = {
            axis.lower(): world[:, n] for n, axis in enumerate(grid.spatial_axes)
        }
        if self.are_boxes.any():
            lengths = self.sizes * np.asarray(grid.spacing)
            columns |= {
                f"size {axis.lower()}": lengths[:, n] for n, axis in enumerate(grid.spatial_axes)
            }
        return columns
