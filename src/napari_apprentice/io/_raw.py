"""Voxels that lie in a file one after the other: read where they are, or unpacked once."""

from __future__ import annotations

import bz2
import math
import threading
import zlib
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_apprentice.core.errors import FormatError

from ._faults import MAX_DEFLATE_RATIO, available_memory, check_claim, human_bytes, reading
from ._slabs import contiguous

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Packing", "beside", "packed_array", "raw_array"]

Packing = Literal["deflate", "bzip2"]
_CHUNK_BYTES = 16 * 2**20
_RATIOS = {"deflate": float(MAX_DEFLATE_RATIO), "bzip2": 50_000.0}
_BLOCK = 2**20


class _Raw:
    """Each read opens the file and seeks, so that nothing stays open."""

    def __init__(
        self, path: Path, offset: int, shape: tuple[int, ...], stored: np.dtype[Any], what: str
    ) -> None:
        self._path, self._offset, self._stored, self._what = path, offset, stored, what
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = stored.newbyteorder("=")

    def __getitem__(self, key: tuple[slice | int, ...]) -> Any:
        with reading(self._path, self._what):
            voxels = np.memmap(
                self._path, self._stored, mode="r", offset=self._offset, shape=self.shape
            )
            return np.array(voxels[key]).astype(self.dtype, copy=False)


class _Packed:
    """A stream cannot be read in parts: what the first reader unpacked is kept."""

    def __init__(
        self,
        path: Path,
        offset: int,
        shape: tuple[int, ...],
        stored: np.dtype[Any],
        what: str,
        packing: Packing,
    ) -> None:
        self._path, self._offset, self._stored = path, offset, stored
        self._what, self._packing = what, packing
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = stored.newbyteorder("=")
        self._all: Any = None
        self._lock = threading.Lock()

    def __getitem__(self, key: Any) -> Any:
        with self._lock, reading(self._path, self._what):
            if self._all is None:
                flat = np.frombuffer(self._unpacked(), self._stored)
                self._all = flat.reshape(self.shape).astype(self.dtype, copy=False)
        return self._all[key]

    def _unpacked(self) -> bytearray:
        """Exactly as many bytes as the voxels take, however many the stream would give."""
        wanted = math.prod(self.shape) * self._stored.itemsize
        # 32: zlib's and gzip's headers are both told by their first bytes.
        machine: Any = (
            zlib.decompressobj(zlib.MAX_WBITS | 32)
            if self._packing == "deflate"
            else bz2.BZ2Decompressor()
        )
        found = bytearray()
        with self._path.open("rb") as file:
            file.seek(self._offset)
            block = file.read(_BLOCK)
            while len(found) < wanted and not machine.eof:
                left = wanted - len(found)
                more = machine.decompress(block, left)
                found += more
                held = getattr(machine, "unconsumed_tail", b"")
                wants = not held and getattr(machine, "needs_input", True)
                block = file.read(_BLOCK) if wants else held
                if not more and not block and not machine.eof:
                    break
        if len(found) < wanted:
            raise EOFError(
                f"expected {human_bytes(wanted)} of voxels, found {human_bytes(len(found))}; it is cut off"
            )
        return found


def beside(header: Path, name: str, suffix: str) -> Path:
    """Return the one file with the voxels that a header names, in its own folder.

    Parameters
    ----------
    header
        The file that was opened.
    name
        As it stands there.
    suffix
        Of a format that keeps both in one file: ``".nrrd"``.

    Raises
    ------
    FormatError
        Several files, one of another folder, or one that is missing.
    """
    place = (header.parent / name).resolve()
    is_elsewhere = place.parent != header.parent.resolve()
    if is_elsewhere or name.upper().startswith("LIST") or "%" in name:
        raise FormatError(
            f"expected one file with the voxels in the header's folder, found {name!r}",
            path=header,
            remedy=f"Save it again as one {suffix} file.",
        )
    if not place.is_file():
        raise FormatError(
            f"the file with the voxels, {name}, is missing", path=header, remedy="Copy it as well."
        )
    return place


def raw_array(
    path: Path, offset: int, shape: tuple[int, ...], stored: np.dtype[Any], what: str
) -> Any:
    """Return a Dask array, in C order, of voxels that lie uncompressed in a file.

    Parameters
    ----------
    path
        The file.
    offset
        Byte at which the first voxel starts.
    shape
        Lengths, slowest first.
    stored
        The file's dtype, with its byte order.
    what
        What the file is read as: ``"NRRD"``.

    Raises
    ------
    FormatError
        The file is shorter than that.
    """
    import dask.array as da

    size = math.prod(shape) * stored.itemsize
    check_claim(path, size, max(0, path.stat().st_size - offset))
    source = _Raw(path, offset, shape, stored, what)
    chunks = contiguous(shape, _CHUNK_BYTES // stored.itemsize)
    return da.from_array(
        source, chunks=chunks, name=False, asarray=False, meta=np.empty(0, source.dtype)
    )


def packed_array(
    path: Path,
    offset: int,
    shape: tuple[int, ...],
    stored: np.dtype[Any],
    what: str,
    packing: Packing,
) -> Any:
    """Return a Dask array of voxels in a compressed stream, unpacked when the first of them is asked for.

    Raises
    ------
    FormatError
        The header claims more than the stream, or the memory, can hold.
    """
    import dask.array as da

    size = math.prod(shape) * stored.itemsize
    check_claim(path, size, max(0, path.stat().st_size - offset), _RATIOS[packing])
    room = available_memory()
    if room is not None and size > room:
        raise FormatError(
            f"needs {human_bytes(size)} of memory, found {human_bytes(room)}",
            path=path,
            remedy="Close other programs, or save it without compression.",
        )
    source = _Packed(path, offset, shape, stored, what, packing)
    return da.from_array(
        source, chunks=shape, name=False, asarray=False, meta=np.empty(0, source.dtype)
    )
