"""Zarr arrays of strangers: opened in place, checked before a chunk is read, and read when asked for."""

from __future__ import annotations

import itertools
import json
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError

from ._faults import available_memory, human_bytes, reading
from ._slabs import grown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["attributes_of", "inside", "lazy_array", "missing_chunks", "node_kind", "open_array"]

_METADATA_BYTES = 64 * 2**20
_BLOCK_VOXELS = 4 * 2**20
_MOST_BLOCKS = 20_000
_MOST_COUNTED = 5_000
_CHUNK_BYTES = 2**31
# Codecs that turn bytes into numbers; others build Python objects, and one of them (pickle) runs code.
_CODECS = {
    "adler32", "astype", "bitround", "blosc", "bytes", "bz2", "cast_value", "crc32", "crc32c", "delta",
    "fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "n5_wrapper", "packbits",
    "pcodec", "quantize", "scale_offset", "sharding_indexed", "shuffle", "transpose", "zfpy", "zlib", "zstd",
}  # fmt: skip


# -- metadata ------------------------------------------------------------------------------


def node_kind(folder: Path) -> str | None:
    """``"array"`` or ``"group"`` for a Zarr node of format 2 or 3; None for anything else; never raises."""
    try:
        if (folder / "zarr.json").is_file():
            kind = _json(folder / "zarr.json").get("node_type")
            return kind if kind in ("array", "group") else None
        if (folder / ".zarray").is_file():
            return "array"
        return "group" if (folder / ".zgroup").is_file() else None
    except (OSError, ValueError, RecursionError):
        return None


def attributes_of(folder: Path) -> dict[str, Any]:
    """User attributes of a node.

    Raises
    ------
    ValueError
        No JSON object, or one of an absurd size.
    """
    for name in ("zarr.json", ".zattrs"):
        if (folder / name).is_file():
            content = _json(folder / name)
            found = content.get("attributes", {}) if name == "zarr.json" else content
            return found if isinstance(found, dict) else {}
    return {}


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _METADATA_BYTES:
        raise ValueError(f"{path.name} has {human_bytes(path.stat().st_size)}")
    content = json.loads(path.read_bytes())
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no JSON object")
    return content


def inside(root: Path, part: str) -> Path:
    """Path of a node below `root`.

    Raises
    ------
    FormatError
        The path leads out of the folder.
    """
    found = (root / part).resolve()
    if not found.is_relative_to(root.resolve()):
        raise FormatError(
            f"expected a path inside the folder, found {part!r}",
            path=root,
            remedy="The metadata is damaged or not to be trusted; export the image again.",
        )
    return found


# -- voxels --------------------------------------------------------------------------------


def open_array(folder: Path) -> Any:
    """Open a Zarr array for reading.

    Raises
    ------
    FormatError
        Missing, of objects or complex numbers, in a codec that is not trusted, or in chunks larger than the memory.
    """
    import zarr

    if node_kind(folder) != "array":
        raise FormatError(
            "expected a Zarr array, found none", path=folder, remedy="Copy or export it again."
        )
    with reading(folder, "Zarr"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a codec is not in the specification yet
        name = "zarr.json" if (folder / "zarr.json").is_file() else ".zarray"
        _check_codecs(folder, _json(folder / name))
        array = zarr.open_array(str(folder), mode="r")
        _check_chunks(folder, array)
    return array


def _check_codecs(folder: Path, metadata: dict[str, Any]) -> None:
    for name in _codec_names(metadata):
        bare = name.removeprefix("numcodecs.").removeprefix("https://codec.zarrs.dev/")
        if bare not in _CODECS and not bare.startswith("imagecodecs_"):
            raise FormatError(
                f"expected a compression for numbers, found {name!r}",
                path=folder,
                remedy="Write it again with Blosc, Zstd or Gzip.",
            )


def _codec_names(entry: Any) -> Iterator[str]:
    """Names in ``compressor``, ``filters`` and ``codecs``, also of the codecs within shards."""
    if not isinstance(entry, dict):
        return
    for key in ("compressor", "filters", "codecs", "index_codecs"):
        found = entry.get(key) or ()
        for codec in found if isinstance(found, (list, tuple)) else (found,):
            plain = codec if isinstance(codec, dict) else {"name": codec}
            yield str(plain.get("id") or plain.get("name")).lower()
            yield from _codec_names(plain.get("configuration"))


def _check_chunks(folder: Path, array: Any) -> None:
    dtype = np.dtype(array.dtype)
    if dtype.kind not in "biuf":
        raise FormatError(
            f"expected whole or real numbers, found {dtype}",
            path=folder,
            remedy="Export it as 8- or 16-bit integers or 32-bit floats.",
        )
    if not array.shape or min(array.shape) < 1:
        raise FormatError(
            f"expected positive lengths, found {array.shape}",
            path=folder,
            remedy="The header is damaged; export the image again.",
        )
    size = math.prod(array.chunks) * dtype.itemsize
    room = available_memory()
    if size > (_CHUNK_BYTES if room is None else min(_CHUNK_BYTES, room // 2)):
        raise FormatError(
            f"expected chunks that fit in memory, found {array.chunks} {dtype} ({human_bytes(size)})",
            path=folder,
            remedy="Write it again in smaller chunks.",
        )


class _Voxels:
    """A Zarr array whose failures name the chunk."""

    def __init__(self, folder: Path, array: Any) -> None:
        self._folder = folder
        self._array = array
        self.shape: tuple[int, ...] = tuple(int(n) for n in array.shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(array.dtype).newbyteorder("=")

    def __getitem__(self, key: tuple[slice | int, ...]) -> Any:
        lengths = [stop - start for start, stop in self._bounds(key)]
        wanted, room = math.prod(lengths) * self.dtype.itemsize, available_memory()
        if room is not None and wanted > room:
            raise FormatError(
                f"expected a part that fits in memory, found {human_bytes(wanted)}",
                path=self._folder,
                remedy="Write it again in larger chunks, or crop it.",
            )
        try:
            return np.asarray(self._array[key]).astype(self.dtype, copy=False)
        except Exception:
            with reading(self._folder, "Zarr"):
                self._name_the_chunk(key)
                raise

    def _bounds(self, key: tuple[slice | int, ...]) -> list[tuple[int, int]]:
        return [
            part.indices(length)[:2] if isinstance(part, slice) else (int(part), int(part) + 1)
            for part, length in zip(key, self.shape, strict=True)
        ]

    def _name_the_chunk(self, key: tuple[slice | int, ...]) -> None:
        ranges = [
            range(start // chunk, max(start // chunk + 1, -(-stop // chunk)))
            for (start, stop), chunk in zip(self._bounds(key), self._array.chunks, strict=True)
        ]
        for corner in itertools.islice(itertools.product(*ranges), _MOST_COUNTED):
            box = zip(corner, self._array.chunks, strict=True)
            try:
                self._array[tuple(slice(c * n, (c + 1) * n) for c, n in box)]
            except Exception as error:
                where = self._array.metadata.encode_chunk_key(corner)
                raise FormatError(
                    f"chunk {where} cannot be read: {' '.join(str(error).split())[:200]}",
                    path=self._folder,
                    remedy="It is damaged or was not copied completely; copy the folder again.",
                ) from error


def lazy_array(folder: Path, array: Any) -> Any:
    """Return a Dask array in blocks of whole chunks."""
    import dask.array as da

    source = _Voxels(folder, array)
    room = max(_BLOCK_VOXELS, math.prod(source.shape) // _MOST_BLOCKS)
    blocks = grown(source.shape, array.chunks, room)
    return da.from_array(
        source, chunks=blocks, name=False, asarray=False, meta=np.empty(0, source.dtype)
    )


def missing_chunks(array: Any) -> str | None:
    """Warn of chunks that are not there and are shown as the fill value; not counted where there are very many."""
    if array.shards is not None or array.nchunks > _MOST_COUNTED:
        return None
    missing = array.nchunks - array.nchunks_initialized
    if not missing:
        return None
    value = array.metadata.fill_value
    return f"{missing} of {array.nchunks} chunks are not there; shown as {0 if value is None else value:g}"
