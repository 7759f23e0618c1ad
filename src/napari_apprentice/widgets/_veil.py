"""`Veil`: an array that is 1 where an annotation is not finished, made slice by slice when napari asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Extent

__all__ = ["Veil"]


class Veil:
    """Reads like an array of bytes, costs no memory, and always follows the extent.

    Parameters
    ----------
    shape
        Of the labels.
    extent
        Returns where the annotation counts now.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, shape: tuple[int, ...], extent: Callable[[], Extent]) -> None:
        self.shape = shape
        self.ndim = len(shape)
        self.size = int(np.prod(shape, dtype=np.int64))
        self._extent = extent

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """Return a part, indexed as usual with numbers, slices and an ellipsis."""
        keys = self._full(key)
        grids = [np.arange(n)[k] for n, k in zip(self.shape, keys, strict=True)]
        mesh = np.ix_(*(np.atleast_1d(grid) for grid in grids))
        finished = self._finished(mesh)
        single = tuple(axis for axis, grid in enumerate(grids) if grid.ndim == 0)
        return np.squeeze(~finished, axis=single).astype(np.uint8)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return all of it."""
        return self[...].astype(dtype or self.dtype)

    def _full(self, key: Any) -> tuple[Any, ...]:
        keys = list(key) if isinstance(key, tuple) else [key]
        at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
        missing = self.ndim - sum(k is not Ellipsis for k in keys)
        return (*keys[:at], *([slice(None)] * missing), *keys[at + 1 :])

    def _finished(self, mesh: tuple[NDArray[np.intp], ...]) -> NDArray[np.bool_]:
        extent = self._extent()
        shape = np.broadcast_shapes(*(m.shape for m in mesh))
        if extent.whole:
            return np.ones(shape, dtype=bool)
        finished = np.zeros(shape, dtype=bool)
        for axis, points in enumerate(mesh):
            indices = [index for a, index in extent.slices if a == axis]
            if indices:
                finished |= np.isin(points, indices)
        for start, stop in extent.boxes:
            inside = np.ones((), dtype=bool)
            for points, a, b in zip(mesh, start, stop, strict=True):
                inside = inside & (points >= a) & (points < b)
            finished |= inside
        return finished
