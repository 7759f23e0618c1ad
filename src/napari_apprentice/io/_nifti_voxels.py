"""Voxels of a NIfTI file, read when they are asked for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ._faults import reading

if TYPE_CHECKING:
    from pathlib import Path

    from ._nifti_header import Header

__all__ = ["lazy_array"]

_CHUNK_BYTES = 16 * 2**20


class _Voxels:
    """The file's array in the file's order ``(x, y, z, …)``; scaled to real values."""

    def __init__(self, path: Path, header: Header) -> None:
        from nibabel.arrayproxy import ArrayProxy

        raw = header.raw
        slope, inter = _scaling(raw)
        stored = raw.get_data_dtype()
        spec = (header.shape, stored, int(raw["vox_offset"]), slope, inter)
        self._path = path
        self._proxy = ArrayProxy(str(path), spec, mmap=False)
        self._once = header.zipped
        self._all: Any = None
        self._lock = threading.Lock()
        self.shape = header.shape
        self.ndim = len(self.shape)
        self.dtype = _dtype(stored, scaled=(slope, inter) != (1.0, 0.0))

    def __getitem__(self, key: Any) -> Any:
        with reading(self._path, "NIfTI"):
            if not self._once:
                return np.asarray(self._proxy[key]).astype(self.dtype, copy=False)
            with self._lock:  # gzip cannot be read in parts: keep what the first reader unzipped
                if self._all is None:
                    self._all = np.asarray(self._proxy).astype(self.dtype, copy=False)
            return self._all[key]


def _scaling(raw: Any) -> tuple[float, float]:
    slope, inter = float(raw["scl_slope"]), float(raw["scl_inter"])
    if not np.isfinite(slope) or slope == 0:  # the standard: then the voxels are not scaled
        return 1.0, 0.0
    return slope, inter if np.isfinite(inter) else 0.0


def _dtype(stored: np.dtype[Any], *, scaled: bool) -> np.dtype[Any]:
    if stored.fields:
        return stored
    if not scaled:
        return stored.newbyteorder("=")
    small = stored.kind in "iu" and stored.itemsize <= 2
    return np.dtype(np.float32 if small or stored == np.float32 else np.float64)


def lazy_array(path: Path, header: Header, axes: str) -> tuple[Any, str]:
    """Return a Dask array in canonical order and its axes.

    Parameters
    ----------
    path
        The file.
    header
        Its checked header.
    axes
        Letters of the file's dimensions, fastest first.
    """
    import dask.array as da

    voxels = _Voxels(path, header)
    chunks = header.shape if header.zipped else _chunks(header.shape, voxels.dtype.itemsize)
    array = da.from_array(
        voxels, chunks=chunks, name=False, asarray=False, meta=np.empty(0, voxels.dtype)
    )
    if header.samples > 1:
        names = voxels.dtype.names or ()
        array = da.stack([array[name] for name in names], axis=-1)
        axes = axes.replace("C", "") + "C"
    # Beyond three dimensions, a z of one only holds the place of an axis that is not there.
    idle = "TCZ" if len(header.shape) > 3 else "TC"
    drop = tuple(i for i, a in enumerate(axes) if a in idle and array.shape[i] == 1)
    kept = "".join(a for i, a in enumerate(axes) if i not in drop)
    array = array.squeeze(axis=drop) if drop else array
    order = "".join(a for a in "TCZYX" if a in kept)
    return array.transpose([kept.index(a) for a in order]), order


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Whole planes, as many as make about 16 MB: what a plain file reads in one go."""
    plane = shape[0] * shape[1] * itemsize
    depth = max(1, min(shape[2] if len(shape) > 2 else 1, _CHUNK_BYTES // max(1, plane)))
    return (*shape[:2], depth, *(1 for _ in shape[3:]))[: len(shape)]
