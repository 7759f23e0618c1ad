"""NumPy's ``.npy`` and ``.npz``: voxels without a voxel size; read only, and never unpickled.

Axes are guessed as those of TIFF, and a warning says so; a last axis of 3 or 4 in 8 bits is colours. An ``.npy`` is read
in part; of an ``.npz`` the largest array is opened, the others are listed and opened by name.
"""

from __future__ import annotations

import ast
import math
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError

from ._faults import MAX_DEFLATE_RATIO, available_memory, check_claim, human_bytes, reading
from ._format import Series
from ._names import bare_name
from ._raw import raw_array
from ._series import pick
from ._unnamed import volume_of

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.volume import Volume

__all__ = ["FORMAT", "NumpyFormat"]

_MAGIC = b"\x93NUMPY"
_ZIP = b"PK\x03\x04"
_HEADER_BYTES = 2**16


class NumpyFormat:
    """Bare arrays of NumPy."""

    name = "numpy_array"
    title = "NumPy array"
    suffixes = (".npy", ".npz")

    def sniff(self, path: Path) -> bool:
        """Whether the file starts as one of the two; a zip must hold arrays only."""
        try:
            with path.open("rb") as file:
                start = file.read(len(_MAGIC))
            if start == _MAGIC:
                return True
            return start.startswith(_ZIP) and bool(_members(path))
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
            return False

    def open(self, path: Path) -> Volume:
        """Open lazily; the largest array of several."""
        return self._open(path, None, labels=False)

    def open_labels(self, path: Path) -> Volume:
        """Open as labels: an unnamed axis is never channels."""
        return self._open(path, None, labels=True)

    def open_series(self, path: Path, series: str) -> Volume:
        """Open one array of an ``.npz``, by its name."""
        return self._open(path, series, labels=False)

    def list_series(self, path: Path) -> list[Series]:
        """List the arrays of an ``.npz``; none for an ``.npy``."""
        with reading(path, self.title):
            return [] if _is_npy(path) else _series(path)

    def _open(self, path: Path, wanted: str | None, *, labels: bool) -> Volume:
        with reading(path, self.title):
            kind = "npy"
            others: tuple[str, ...] = ()
            if _is_npy(path):
                array = _npy(path)
            else:
                array, others = _npz(path, wanted)
                kind = "npz"
            volume = volume_of(
                path,
                array,
                None,
                name=bare_name(path.name, self.suffixes),
                format_=self.name,
                kind=kind,
                labels=labels,
            )
            return _with_series(volume, others)


FORMAT = NumpyFormat()


def _with_series(volume: Volume, others: tuple[str, ...]) -> Volume:
    from dataclasses import replace

    return replace(volume, metadata={**volume.metadata, "series": others})


def _is_npy(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def _header(file: IO[bytes], path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether the first axis is the fastest, and dtype (NEP 1); reads a literal, no code.

    Raises
    ------
    FormatError
        Objects, records, text, complex numbers, or no positive lengths.
    """
    start = file.read(8)
    wide = start[6:7] not in (b"\x01", b"")
    size = int.from_bytes(file.read(4 if wide else 2), "little")
    if not start.startswith(_MAGIC) or size > _HEADER_BYTES:
        raise FormatError(f"expected a header of an array, found {size} bytes of it", path=path)
    found = ast.literal_eval(file.read(size).decode("latin1"))
    dtype = np.dtype(found["descr"])
    shape = tuple(int(n) for n in found["shape"])
    if dtype.kind not in "biuf":
        raise FormatError(
            f"expected whole or real numbers, found {dtype}",
            path=path,
            remedy="Objects are never unpickled here; save the array as numbers.",
        )
    if not shape or min(shape) < 1:
        raise FormatError(f"expected positive lengths, found {shape}", path=path)
    return shape, bool(found["fortran_order"]), dtype


def _npy(path: Path) -> Any:
    with path.open("rb") as file:
        shape, fortran, dtype = _header(file, path)
        offset = file.tell()
    array = raw_array(path, offset, shape[::-1] if fortran else shape, dtype, "NumPy array")
    return array.T if fortran else array


# -- npz -----------------------------------------------------------------------------------


def _members(path: Path) -> list[zipfile.ZipInfo]:
    with zipfile.ZipFile(path) as archive:
        found = archive.infolist()
    return found if all(one.filename.endswith(".npy") for one in found) else []


def _series(path: Path) -> list[Series]:
    found = []
    with zipfile.ZipFile(path) as archive:
        for one in archive.infolist():
            with archive.open(one) as file:
                shape, _, _ = _header(file, path)
            name = one.filename.removesuffix(".npy")
            found.append(Series(name, name, shape=shape))
    return found


def _npz(path: Path, wanted: str | None) -> tuple[Any, tuple[str, ...]]:
    """One array, unpacked when it is asked for, and the names of the others."""
    import dask.array as da

    known = _series(path)
    largest = max(known, key=lambda one: math.prod(one.shape))
    chosen = largest if wanted is None else pick(known, wanted, path)
    source = _Member(path, f"{chosen.key}.npy")
    array = da.from_array(
        source, chunks=source.shape, name=False, asarray=False, meta=np.empty(0, source.dtype)
    )
    return array, tuple(str(one) for one in known if one is not chosen)


class _Member:
    """An array in a zip; what the first reader unpacked is kept."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._all: Any = None
        with zipfile.ZipFile(path) as archive, archive.open(name) as file:
            self.shape, self._fortran, self._stored = _header(file, path)
            packed = archive.getinfo(name).compress_size
        self.ndim = len(self.shape)
        self.dtype = self._stored.newbyteorder("=")
        size, room = math.prod(self.shape) * self.dtype.itemsize, available_memory()
        check_claim(path, size, packed, MAX_DEFLATE_RATIO)
        if room is not None and size > room:
            raise FormatError(
                f"needs {human_bytes(size)} of memory, found {human_bytes(room)}",
                path=path,
                remedy="Close other programs, or save it as .npy.",
            )

    def __getitem__(self, key: Any) -> Any:
        if self._all is None:
            with reading(self._path, "NumPy array"), zipfile.ZipFile(self._path) as archive:
                self._all = self._unpacked(archive)
        return self._all[key]

    def _unpacked(self, archive: zipfile.ZipFile) -> Any:
        with archive.open(self._name) as file:
            _header(file, self._path)
            wanted = math.prod(self.shape) * self._stored.itemsize
            found = file.read(wanted)
        flat = np.frombuffer(found, self._stored)
        array = flat.reshape(self.shape[::-1]).T if self._fortran else flat.reshape(self.shape)
        return array.astype(self.dtype, copy=False)
