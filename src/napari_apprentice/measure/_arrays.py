"""What every score needs first: arrays that fit together, label codes, bounded blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError, GridMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["ClassCodes", "blocks", "check_shapes", "check_spacing"]

MAX_BLOCK = 2**22
"""Voxels per block: about 80 MB of temporary arrays."""


def check_shapes(
    prediction: NDArray[Any], truth: NDArray[Any], counts: NDArray[np.bool_] | None = None
) -> None:
    """Refuse a prediction, truth and mask that do not have one shape.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        `counts` is not boolean.
    """
    if tuple(prediction.shape) != tuple(truth.shape):
        raise GridMismatchError(
            f"expected a prediction of the truth's shape {tuple(truth.shape)}, "
            f"found {tuple(prediction.shape)}",
            remedy="Bring both onto one grid first.",
        )
    if counts is None:
        return
    if tuple(counts.shape) != tuple(truth.shape):
        raise GridMismatchError(
            f"expected a mask of where it counts of shape {tuple(truth.shape)}, "
            f"found {tuple(counts.shape)}"
        )
    if counts.dtype != np.bool_:
        raise BadInputError(f"expected a boolean mask of where it counts, found {counts.dtype}")


def check_spacing(spacing: Sequence[float] | None, ndim: int) -> tuple[float, ...]:
    """Return one positive spacing per axis; ones where it is not known.

    Raises
    ------
    BadInputError
        Another number of axes, or a spacing that is not positive and finite.
    """
    checked = (1.0,) * ndim if spacing is None else tuple(float(s) for s in spacing)
    if len(checked) != ndim or not all(np.isfinite(s) and s > 0 for s in checked):
        raise BadInputError(f"expected {ndim} positive spacings, one per axis, found {spacing}")
    return checked


def blocks(shape: Sequence[int], max_voxels: int = MAX_BLOCK) -> Iterator[tuple[slice, ...]]:
    """Cut an array of `shape` into blocks of at most `max_voxels`, whole rows where possible."""
    lengths: list[int] = []
    budget = max_voxels
    for length in reversed(shape):
        lengths.insert(0, max(1, min(length, budget)))
        budget //= lengths[0]
    starts = (range(0, length, step) for length, step in zip(shape, lengths, strict=True))
    for corner in product(*starts):
        yield tuple(slice(a, a + step) for a, step in zip(corner, lengths, strict=True))


@dataclass(frozen=True)
class ClassCodes:
    """Maps label values to codes: 1, 2, … in the order of `classes`, 0 for every other value.

    Parameters
    ----------
    classes
        The label values to tell apart, each once, in any order.

    Raises
    ------
    BadInputError
        No class, or one that is listed twice.
    """

    classes: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise BadInputError(f"expected distinct class values, found {self.classes}")

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest unsigned type that holds every code."""
        return np.min_scalar_type(len(self.classes))

    def encode(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Encode an array of any shape, of integers, booleans, or floats that are whole numbers.

        Raises
        ------
        BadInputError
            The labels are not whole numbers.
        """
        values = _whole_numbers(np.asarray(labels))
        if values.dtype.itemsize <= 2:
            bits = np.dtype(f"u{values.dtype.itemsize}")
            table = self._table(values.dtype, bits)
            return np.take(table, np.ascontiguousarray(values).view(bits))
        order = np.argsort(self.classes)
        known = np.asarray(self.classes)[order]
        at = np.minimum(np.searchsorted(known, values), len(known) - 1)
        codes = (order + 1).astype(self.dtype)[at]
        codes[known[at] != values] = 0
        return np.asarray(codes)

    def encode_all(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Encode a whole array block by block: beyond the codes it costs one block of memory."""
        codes = np.empty(labels.shape, dtype=self.dtype)
        for block in blocks(labels.shape):
            codes[block] = self.encode(labels[block])
        return codes

    def _table(self, dtype: np.dtype[Any], bits: np.dtype[Any]) -> NDArray[Any]:
        """Look-up table over all bit patterns of an 8- or 16-bit type, faster than a search."""
        table = np.zeros(2 ** (8 * dtype.itemsize), dtype=self.dtype)
        low, high = (0, 1) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        for code, value in enumerate(self.classes, start=1):
            if low <= value <= high:
                table[np.array([value], dtype=dtype).view(bits)] = code
        return table


def _whole_numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Give labels an integer type; NIfTI and NumPy files often carry them as floats."""
    if values.dtype.kind in "iub":
        return values
    if values.dtype.kind == "f" and np.isfinite(values).all():
        whole: NDArray[Any] = np.rint(values)
        if np.array_equal(values, whole):
            return whole.astype(np.int64)
    raise BadInputError(
        f"expected labels that are whole numbers, found {values.dtype}",
        remedy="Give label arrays; probabilities must be turned into labels first.",
    )
