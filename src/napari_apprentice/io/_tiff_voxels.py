"""Voxels of a TIFF series, read when they are asked for."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_apprentice.core.errors import FormatError

from ._faults import MAX_DEFLATE_RATIO, check_claim, reading

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_chain", "check_series", "lazy_array"]

_CHUNK_BYTES = 16 * 2**20
# What a codec can shrink a constant picture to, at most; the rest have no useful bound.
_RATIOS = {
    "NONE": 1.0,
    "PACKBITS": 64.0,
    "LZW": 1365.0,
    "DEFLATE": MAX_DEFLATE_RATIO,
    "ADOBE_DEFLATE": MAX_DEFLATE_RATIO,
}
_ANY_RATIO = 100_000.0


class _Contiguous:
    """Voxels that lie uncompressed one after the other: each read opens the file and seeks."""

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, ...], stored: np.dtype[Any]
    ) -> None:
        self._path = path
        self._offset = offset
        self._stored = stored
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = stored.newbyteorder("=")
        self._strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]

    def __getitem__(self, key: tuple[slice, ...]) -> Any:
        """Read a box that is contiguous in the file, as chunks of `_chunks` are."""
        bounds = [s.indices(n) for s, n in zip(key, self.shape, strict=True)]
        start = sum(b[0] * stride for b, stride in zip(bounds, self._strides, strict=True))
        lengths = tuple(b[1] - b[0] for b in bounds)
        count = math.prod(lengths)
        with reading(self._path, "TIFF"):
            at = self._offset + start * self._stored.itemsize
            flat = np.fromfile(self._path, self._stored, count, offset=at)
            if flat.size < count:
                raise EOFError(f"expected {count} voxels at byte {at}, found {flat.size}")
        return flat.reshape(lengths).astype(self.dtype, copy=False)


class _Pages:
    """Compressed or tiled voxels through tifffile's Zarr store; the file stays open until nobody needs it."""

    def __init__(self, path: Path, index: int, level: int) -> None:
        import tifffile
        import zarr

        self._path = path
        self._file = tifffile.TiffFile(path)
        weakref.finalize(self, self._file.close)
        store = self._file.series[index].aszarr(level=level)
        self._array: Any = zarr.open_array(store, mode="r")
        self.shape: tuple[int, ...] = tuple(self._array.shape)
        self.ndim = len(self.shape)
        self.chunks: tuple[int, ...] = tuple(self._array.chunks)
        self.dtype = np.dtype(self._array.dtype).newbyteorder("=")

    def __getitem__(self, key: Any) -> Any:
        with reading(self._path, "TIFF"):
            return np.asarray(self._array[key]).astype(self.dtype, copy=False)


def lazy_array(path: Path, file: Any, index: int, level: int = 0) -> Any:
    """Return a Dask array of a level of a series in the series' own axes."""
    import dask.array as da

    source: _Contiguous | _Pages
    series = file.series[index].levels[level]
    shape = tuple(int(n) for n in series.shape)
    if series.dataoffset is not None and np.dtype(series.dtype).kind in "biuf":
        stored = np.dtype(series.dtype).newbyteorder(file.byteorder)
        source = _Contiguous(path, int(series.dataoffset), shape, stored)
        chunks = _chunks(shape, stored.itemsize)
    else:
        source = _Pages(path, index, level)
        chunks = _grown(source.shape, source.chunks, source.dtype.itemsize)
    return da.from_array(
        source, chunks=chunks, name=False, asarray=False, meta=np.empty(0, source.dtype)
    )


def _chunks(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Runs of about 16 MB that are contiguous in C order: ones, one cut axis, whole axes."""
    chunks = list(shape)
    room = max(1, _CHUNK_BYTES // itemsize)
    for axis in range(len(shape)):
        inner = math.prod(shape[axis + 1 :])
        chunks[axis] = max(1, min(shape[axis], room // inner)) if inner <= room else 1
        if chunks[axis] > 1:
            break
    return tuple(chunks)


def _grown(shape: tuple[int, ...], chunks: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Take several of the file's chunks at once, last axes first, up to about 16 MB."""
    grown = list(chunks)
    room = max(1, _CHUNK_BYTES // (math.prod(chunks) * itemsize))
    for axis in reversed(range(len(shape))):
        times = max(1, min(room, -(-shape[axis] // chunks[axis])))
        grown[axis] = min(shape[axis], chunks[axis] * times)
        room //= times
    return tuple(grown)


def check_chain(path: Path, file: Any) -> str | None:
    """Refuse a file whose list of pages leads out of it; return a warning where the list runs in a circle.

    Raises
    ------
    FormatError
        No page, or pages are missing because the file is cut off.
    """
    count = len(file.pages)
    if count == 0 or not file.series:
        raise FormatError(
            "expected at least one image, found none", path=path, remedy="Copy or export it again."
        )
    size = path.stat().st_size
    following = _following(path, file, int(file.pages[-1].offset))
    if following == 0:
        return None
    if following >= size:
        raise FormatError(
            f"expected page {count + 1} at byte {following}, found the end of the file at {size}",
            path=path,
            remedy="The file is cut off; copy or export it again.",
        )
    return f"the list of pages is damaged after page {count}; what follows is not shown"


def _following(path: Path, file: Any, offset: int) -> int:
    """Where the page after the one at `offset` is said to be; 0 for none (TIFF 6.0, section 2)."""
    order: Literal["little", "big"] = "little" if file.byteorder == "<" else "big"
    layout = file.tiff
    with path.open("rb") as stream:
        stream.seek(offset)
        tags = int.from_bytes(stream.read(layout.tagnosize), order)
        stream.seek(offset + layout.tagnosize + tags * layout.tagsize)
        return int.from_bytes(stream.read(layout.offsetsize), order)


def check_series(path: Path, series: Any) -> None:
    """Refuse a series whose voxels the file cannot hold, or that no decoder here can read.

    Raises
    ------
    FormatError
        Cut-off file, lying dimensions, unknown codec, complex numbers.
    """
    page = series.keyframe
    if series.dtype is None or np.dtype(series.dtype).kind not in "biuf":
        raise FormatError(
            f"expected whole or real numbers, found {series.dtype or 'an unknown voxel type'}",
            path=path,
            remedy="Export it as 8- or 16-bit integers or 32-bit floats.",
        )
    size = path.stat().st_size
    if series.dataoffset is not None:
        check_claim(path, int(series.nbytes), max(0, size - int(series.dataoffset)))
        return
    _check_codec(path, page)
    ratio = _RATIOS.get(getattr(page.compression, "name", ""), _ANY_RATIO)
    # Fewer than 8 bits per sample are unpacked to bytes.
    ratio *= max(1, 8 * page.dtype.itemsize / max(1, page.bitspersample))
    chunk = math.prod(page.chunks) * page.dtype.itemsize
    for frame in {id(p): p for p in (series.pages[0], series.pages[-1]) if p is not None}.values():
        if frame.parent is not page.parent:  # a set of several OME-TIFF files
            continue
        counts = list(frame.databytecounts)
        wanted = math.prod(page.chunked)
        if len(counts) < wanted:
            raise FormatError(
                f"expected {wanted} strips or tiles for {tuple(page.shape)}, found {len(counts)}",
                path=path,
                remedy="The header is damaged; export the image again.",
            )
        check_claim(path, chunk if any(counts) else 0, max(counts, default=0), ratio)
        end = max((o + c for o, c in zip(frame.dataoffsets, counts, strict=True)), default=0)
        check_claim(path, end, size)


def _check_codec(path: Path, page: Any) -> None:
    import tifffile

    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except Exception as error:
        name = getattr(page.compression, "name", page.compression)
        raise FormatError(
            f"expected a known compression, found {name}",
            path=path,
            remedy="Install more codecs with: pip install imagecodecs. If that does not help, "
            "export the file without compression.",
        ) from error
