"""Which true object overlaps which predicted one, and by how much: a sparse table, in one pass over the voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError, naming

from ._arrays import blocks, check_shapes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.volume import Volume

__all__ = ["Overlaps", "check_instances", "no_mask", "object_sizes"]


def check_instances(labels: Any, whose: str) -> None:
    """Refuse what cannot be object numbers.

    Raises
    ------
    BadInputError
        A mask, floats, or (found later, when the voxels are read) negative numbers.
    """
    kind = np.dtype(labels.dtype).kind
    if kind == "b":
        raise _is_mask(whose)
    if kind not in "iu":
        raise BadInputError(
            f"expected whole numbers as object numbers in the {whose}, found {labels.dtype}",
            remedy="Convert the labels to an integer type.",
        )


def no_mask(labels: Volume) -> None:
    """Refuse labels that were true and false in their file, which tells no object from another.

    Raises
    ------
    BadInputError
        With the file.
    """
    if labels.metadata.get("mask"):
        with naming(labels.source):
            raise _is_mask("labels")


def _is_mask(whose: str) -> BadInputError:
    return BadInputError(
        f"expected objects with a number each in the {whose}, found a mask of true and false",
        remedy="Number the connected areas first, with scipy.ndimage.label.",
    )


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Objects of two label arrays and the voxels they share, where it counts.

    Parameters
    ----------
    truth_ids, prediction_ids
        Numbers of the objects that are judged, ascending; shapes ``(T,)`` and ``(P,)``.
    truth_sizes, prediction_sizes
        Voxels of each where it counts.
    rows, columns
        Positions in `truth_ids` and `prediction_ids` of each pair that shares a voxel; shape ``(K,)``.
    shared
        Voxels that each pair shares where it counts.
    """

    truth_ids: NDArray[np.uint64]
    prediction_ids: NDArray[np.uint64]
    truth_sizes: NDArray[np.int64]
    prediction_sizes: NDArray[np.int64]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    shared: NDArray[np.int64]

    @classmethod
    def of(
        cls, prediction: NDArray[Any], truth: NDArray[Any], counts: NDArray[np.bool_] | None = None
    ) -> Overlaps:
        """Count shared voxels block by block, so that arrays may be memory-mapped, Zarr or Dask.

        Raises
        ------
        GridMismatchError
            The shapes differ.
        BadInputError
            Labels that cannot be object numbers, or a mask that is not boolean.
        """
        check_shapes(prediction, truth, counts)
        check_instances(truth, "truth")
        check_instances(prediction, "prediction")
        return _judged(*_count(prediction, truth, counts))

    @property
    def iou(self) -> NDArray[np.float64]:
        """Intersection over union of each pair, in (0, 1]."""
        union = self.truth_sizes[self.rows] + self.prediction_sizes[self.columns] - self.shared
        return np.asarray(self.shared / union)


def object_sizes(labels: NDArray[Any]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Numbers of all objects, ascending, and how many voxels each has.

    Parameters
    ----------
    labels
        Integer array of any shape, 0 = background.

    Raises
    ------
    BadInputError
        Labels that cannot be object numbers.
    """
    check_instances(labels, "labels")
    keys, sizes = [np.empty((1, 0), np.uint64)], [np.empty(0, np.int64)]
    for block in blocks(labels.shape):
        found = _runs({"labels": np.asarray(labels[block])})
        keys.append(found[0])
        sizes.append(found[1])
    ids, totals = _grouped(np.concatenate(keys, axis=1), np.concatenate(sizes))
    return ids[0][ids[0] > 0], totals[ids[0] > 0]


_Table = tuple["NDArray[np.uint64]", "NDArray[np.int64]"]


def _count(
    prediction: NDArray[Any], truth: NDArray[Any], counts: NDArray[np.bool_] | None
) -> _Table:
    """Distinct (truth, prediction, does it count), shape ``(3, K)``, and how many voxels have each."""
    keys, sizes = [np.empty((3, 0), np.uint64)], [np.empty(0, np.int64)]
    for block in blocks(truth.shape):
        true, said = np.asarray(truth[block]), np.asarray(prediction[block])
        inside = np.ones(true.shape, bool) if counts is None else np.asarray(counts[block])
        found = _runs({"truth": true, "prediction": said, "mask": inside})
        keys.append(found[0])
        sizes.append(found[1])
    return _grouped(np.concatenate(keys, axis=1), np.concatenate(sizes))


def _runs(arrays: dict[str, NDArray[Any]]) -> _Table:
    """Count in one block. Neighbours mostly agree, so that only the starts of runs need sorting."""
    flat = [array.ravel() for array in arrays.values()]
    if not flat[0].size:
        return np.empty((len(flat), 0), np.uint64), np.empty(0, np.int64)
    for whose, array in zip(arrays, flat, strict=True):
        if array.dtype.kind == "i" and int(array.min()) < 0:
            raise BadInputError(
                f"expected object numbers from 0 (background) up in the {whose}, "
                f"found {int(array.min())}",
                remedy="Give every object a positive number, and the background 0.",
            )
    starts = np.flatnonzero(np.logical_or.reduce([_changes(array) for array in flat]))
    lengths = np.diff(starts, append=flat[0].size)
    return _grouped(np.stack([array[starts].astype(np.uint64) for array in flat]), lengths)


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a value differs from the one before; the first one does."""
    changed = np.ones(values.shape, dtype=bool)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed


def _grouped(keys: NDArray[np.uint64], sizes: NDArray[np.int64]) -> _Table:
    """Add up the sizes of equal columns of `keys`."""
    if not sizes.size:
        return keys, sizes
    order = np.lexsort(keys[::-1])
    keys, sizes = keys[:, order], sizes[order]
    first = np.flatnonzero(np.logical_or.reduce([_changes(row) for row in keys]))
    return keys[:, first], np.add.reduceat(sizes, first)


def _judged(keys: NDArray[np.uint64], sizes: NDArray[np.int64]) -> Overlaps:
    """Leave out what lies mostly where nothing was said, on both sides.

    The voxels of a true object that is left out do not count against a prediction either. A prediction is kept
    all the same where it covers more than half of a true object that is judged: it may go on where nobody looked.
    """
    true, said, inside = keys[0], keys[1], keys[2].astype(bool)
    known = _mostly(true, inside, sizes)
    inside &= (true == 0) | np.isin(true, known)
    truth_ids, truth_sizes = _sizes(true, inside, sizes, known)
    shares = inside & (true > 0) & (said > 0)
    covers = 2 * sizes[shares] > truth_sizes[np.searchsorted(truth_ids, true[shares])]
    kept = np.union1d(_mostly(said, inside, sizes), said[shares][covers])
    prediction_ids, prediction_sizes = _sizes(said, inside, sizes, kept)
    shares &= np.isin(said, prediction_ids)
    rows = np.searchsorted(truth_ids, true[shares])
    columns = np.searchsorted(prediction_ids, said[shares])
    return Overlaps(
        truth_ids, prediction_ids, truth_sizes, prediction_sizes, rows, columns, sizes[shares]
    )


def _mostly(
    ids: NDArray[np.uint64], inside: NDArray[np.bool_], sizes: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """Numbers of the objects of which at least half counts."""
    found, where = np.unique(ids, return_inverse=True)
    whole = np.bincount(where, weights=sizes, minlength=found.size)
    part = np.bincount(where, weights=sizes * inside, minlength=found.size)
    return found[(found > 0) & (2 * part >= whole)]


def _sizes(
    ids: NDArray[np.uint64],
    inside: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    chosen: NDArray[np.uint64],
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Chosen objects and how many of their voxels count."""
    mine = inside & np.isin(ids, chosen)
    where = np.searchsorted(chosen, ids[mine])
    total = np.bincount(where, weights=sizes[mine], minlength=chosen.size)
    return chosen, total.astype(np.int64)
