"""`Grid`: where an array lies in space. Arrays never travel without one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from .errors import BadInputError, GridMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["AXES_ORDER", "Grid", "World"]

AXES_ORDER = "TCZYX"
SPATIAL = "ZYX"
_TOLERANCE = 1e-4
_Affine = tuple[tuple[float, ...], ...]
World = Literal["LPS", "stage"]


@dataclass(frozen=True, eq=False)
class Grid:
    """Axes, shape and placement of an array.

    Axes are always a sub-sequence of ``TCZYX`` that ends in ``YX``. The affine maps *spatial* indices, in the
    order of `spatial_axes`, to world coordinates in that same order: a 3-D grid maps ``(z, y, x)`` indices to
    ``(z, y, x)`` in `unit`.

    Parameters
    ----------
    axes
        For example ``"YX"``, ``"ZYX"``, ``"TCZYX"``.
    shape
        One length per axis.
    affine
        ``(n + 1) x (n + 1)`` homogeneous matrix, n = number of spatial axes; kept as nested tuples.
    unit
        Unit of the world: ``"mm"``, ``"um"``, ``"nm"``, ``"m"`` or ``"pixel"`` where it is not known.
    world
        ``"LPS"`` for patients (x grows to the left, y to posterior, z to superior), ``"stage"`` for microscopes.
    time_step
        Seconds between frames, where there is a time axis and the file says so.
    """

    axes: str
    shape: tuple[int, ...]
    affine: _Affine
    unit: str = "pixel"
    world: World = "stage"
    time_step: float | None = None

    def __post_init__(self) -> None:
        if [a for a in AXES_ORDER if a in self.axes] != list(self.axes) or self.axes[-2:] != "YX":
            raise BadInputError(
                f"axes must be a sub-sequence of {AXES_ORDER} ending in YX, found {self.axes!r}"
            )
        if len(self.shape) != len(self.axes) or any(length < 1 for length in self.shape):
            raise BadInputError(
                f"expected {len(self.axes)} positive lengths for axes {self.axes}, found {self.shape}"
            )
        n = len(self.spatial_axes)
        matrix = np.asarray(self.affine, dtype=float)
        if matrix.shape != (n + 1, n + 1):
            raise BadInputError(f"expected an affine of {n + 1}x{n + 1}, found {matrix.shape}")
        if not np.isfinite(matrix).all() or not _invertible(matrix[:n, :n]):
            raise BadInputError("expected a finite, invertible affine, found a singular or NaN one")
        object.__setattr__(self, "shape", tuple(int(length) for length in self.shape))
        object.__setattr__(self, "affine", tuple(tuple(map(float, row)) for row in matrix))

    # -- construction -----------------------------------------------------------------

    @classmethod
    def regular(
        cls,
        axes: str,
        shape: Sequence[int],
        spacing: Sequence[float] | None = None,
        *,
        origin: Sequence[float] | None = None,
        unit: str = "pixel",
        world: World = "stage",
        time_step: float | None = None,
    ) -> Grid:
        """Make a grid along the world's axes from spacing and origin (of the first voxel's centre)."""
        n = sum(a in SPATIAL for a in axes)
        matrix = np.diag([*(spacing or [1.0] * n), 1.0])
        if matrix.shape != (n + 1, n + 1):
            raise BadInputError(f"expected {n} spacings for axes {axes}, found {spacing}")
        matrix[:n, n] = origin if origin is not None else 0.0
        return cls(axes, tuple(shape), cls.freeze(matrix), unit, world, time_step)

    @staticmethod
    def freeze(matrix: ArrayLike) -> _Affine:
        """Turn an array into the nested tuples that a frozen `Grid` keeps."""
        return tuple(tuple(float(v) for v in row) for row in np.asarray(matrix, dtype=float))

    # -- what it says -----------------------------------------------------------------

    @property
    def spatial_axes(self) -> str:
        """The spatial axes: ``"YX"`` or ``"ZYX"``."""
        return "".join(a for a in self.axes if a in SPATIAL)

    @property
    def ndim(self) -> int:
        """Number of spatial axes: 2 or 3."""
        return len(self.spatial_axes)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """Lengths of the spatial axes."""
        return self.shape[-self.ndim :]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine as an array."""
        return np.array(self.affine)

    @cached_property
    def spacing(self) -> tuple[float, ...]:
        """Distance between voxel centres along each spatial axis, in `unit`."""
        linear = self.matrix[: self.ndim, : self.ndim]
        return tuple(float(v) for v in np.linalg.norm(linear, axis=0))

    @cached_property
    def voxel_size(self) -> float:
        """Volume (3-D) or area (2-D) of one voxel, in `unit` cubed or squared."""
        return float(abs(np.linalg.det(self.matrix[: self.ndim, : self.ndim])))

    @property
    def spatial(self) -> Grid:
        """The same placement without time and channels: the grid of labels."""
        return replace(self, axes=self.spatial_axes, shape=self.spatial_shape, time_step=None)

    def length(self, axis: str) -> int:
        """Length along one axis; 1 where the grid does not have it."""
        return self.shape[self.axes.index(axis)] if axis in self.axes else 1

    def to_world(self, index: ArrayLike) -> NDArray[np.float64]:
        """Map spatial indices, shape ``(..., n)``, to world coordinates."""
        matrix = self.matrix
        n = self.ndim
        mapped: NDArray[np.float64] = (
            np.asarray(index, dtype=float) @ matrix[:n, :n].T + matrix[:n, n]
        )
        return mapped

    def __eq__(self, other: object) -> bool:
        """Same axes, shape, unit, and the same place within 1e-4 of a voxel at every corner."""
        if not isinstance(other, Grid):
            return NotImplemented
        if (self.axes, self.shape, self.unit) != (other.axes, other.shape, other.unit):
            return False
        corners = np.array(list(np.ndindex(*(2,) * self.ndim))) * np.array(self.spatial_shape)
        distance = np.abs(self.to_world(corners) - other.to_world(corners))
        return bool((distance <= _TOLERANCE * min(self.spacing) + 1e-9).all())

    def __hash__(self) -> int:
        return hash((self.axes, self.shape, self.unit))

    # -- other grids made from it -------------------------------------------------------

    def with_channels(self, count: int) -> Grid:
        """Insert a channel axis of the given length (replacing one that is there)."""
        bare = self.without("C")
        at = 1 if "T" in bare.axes else 0
        return replace(
            bare,
            axes=bare.axes[:at] + "C" + bare.axes[at:],
            shape=(*bare.shape[:at], count, *bare.shape[at:]),
        )

    def without(self, axis: str) -> Grid:
        """Drop the time or channel axis (no change where it is absent)."""
        if axis not in "TC":
            raise BadInputError(f"only T and C can be dropped, found {axis!r}")
        if axis not in self.axes:
            return self
        at = self.axes.index(axis)
        return replace(
            self,
            axes=self.axes.replace(axis, ""),
            shape=self.shape[:at] + self.shape[at + 1 :],
            time_step=None if axis == "T" else self.time_step,
        )

    def plane(self) -> Grid:
        """The grid of one Z plane: 2-D, with the Y and X part of the affine."""
        if self.ndim == 2:
            return self
        keep = [1, 2, 3]
        at = self.axes.index("Z")
        return replace(
            self,
            axes=self.axes.replace("Z", ""),
            shape=self.shape[:at] + self.shape[at + 1 :],
            affine=self.freeze(_nonsingular(self.matrix[np.ix_(keep, keep)], self.spacing[1:])),
        )

    def crop(self, start: Sequence[int], stop: Sequence[int]) -> Grid:
        """Cut the spatial box ``[start, stop)``; negative starts and stops beyond the end pad instead."""
        n = self.ndim
        if (
            len(start) != n
            or len(stop) != n
            or any(b <= a for a, b in zip(start, stop, strict=True))
        ):
            raise GridMismatchError(f"expected a box of {n} axes, found {start}..{stop}")
        matrix = self.matrix
        matrix[:n, n] = self.to_world(start)
        lengths = tuple(b - a for a, b in zip(start, stop, strict=True))
        return replace(self, shape=self.shape[:-n] + lengths, affine=self.freeze(matrix))

    def resampled(self, spacing: Sequence[float]) -> Grid:
        """Cover the same extent with about the given spacing.

        Lengths are rounded to whole voxels and the spacing adjusted to fit, so that the outer faces of both grids coincide.
        """
        n = self.ndim
        extent = np.array(self.spatial_shape) * np.array(self.spacing)
        lengths = np.maximum(1, np.round(extent / np.asarray(spacing, dtype=float))).astype(int)
        return self.with_shape(tuple(int(v) for v in lengths[:n]))

    def with_shape(self, shape: Sequence[int]) -> Grid:
        """Cover the same extent with the given spatial shape (outer faces coincide)."""
        n = self.ndim
        if tuple(shape) == self.spatial_shape:
            return self
        factor = np.array(self.spatial_shape) / np.array(shape, dtype=float)
        matrix = self.matrix
        linear = matrix[:n, :n] * factor
        # Index -0.5 is the outer face on both grids.
        matrix[:n, n] = matrix[:n, n] + matrix[:n, :n] @ ((factor - 1) / 2)
        matrix[:n, :n] = linear
        return replace(
            self, shape=self.shape[:-n] + tuple(int(v) for v in shape), affine=self.freeze(matrix)
        )

    def reoriented(self, order: Sequence[int], flips: Sequence[bool]) -> Grid:
        """Permute spatial axes by `order`, then flip those marked: the grid of ``flip(transpose(array))``.

        The world stays where it is; only the way indices walk through it changes.
        """
        n = self.ndim
        shape = tuple(self.spatial_shape[o] for o in order)
        index = np.zeros((n + 1, n + 1))
        index[n, n] = 1.0
        for new, (old, flip) in enumerate(zip(order, flips, strict=True)):
            index[old, new] = -1.0 if flip else 1.0
            index[old, n] = shape[new] - 1 if flip else 0.0
        return replace(self, shape=self.shape[:-n] + shape, affine=self.freeze(self.matrix @ index))

    def closest_orientation(self) -> tuple[tuple[int, ...], tuple[bool, ...]]:
        """Order and flips that bring the spatial axes closest to the world's own axes.

        Same idea as ``nibabel.io_orientation``: the strongest remaining direction is assigned first.
        """
        n = self.ndim
        cosines = self.matrix[:n, :n] / np.array(self.spacing)
        strength = np.abs(cosines)
        order = [-1] * n
        for _ in range(n):
            world_axis, index_axis = np.unravel_index(int(np.argmax(strength)), (n, n))
            order[int(world_axis)] = int(index_axis)
            strength[world_axis, :] = -1.0
            strength[:, index_axis] = -1.0
        flips = tuple(bool(cosines[world, index] < 0) for world, index in enumerate(order))
        return tuple(order), flips


def _invertible(linear: NDArray[np.float64]) -> bool:
    """Whether the axes span the space, however small the voxels are in their unit."""
    lengths = np.linalg.norm(linear, axis=0)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        return False
    return bool(abs(np.linalg.det(linear / lengths)) > 1e-9)


def _nonsingular(matrix: NDArray[np.float64], spacing: Sequence[float]) -> NDArray[np.float64]:
    """Fall back to spacing and origin where a plane of an oblique volume has no 2-D affine of its own."""
    if abs(np.linalg.det(matrix[:2, :2])) > 1e-6 * spacing[0] * spacing[1]:
        return matrix
    plain = np.diag([*spacing, 1.0])
    plain[:2, 2] = matrix[:2, 2]
    return plain
