"""Frames of a journal file: checked, compressed, and never trusted further than their checksum.

A file is an 8-byte signature and frames. A frame is a header (mark, number of the frame, length, checksum) and a
zlib-compressed payload: the length of a JSON description, the description, and the raw arrays one after the other.
The checksum (CRC-32) covers number and payload, so that neither a torn, a flipped nor a misplaced frame is read.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

SIGNATURE = b"NAPJRNL1"
_MARK = b"FRAM"
_HEADER = struct.Struct("<4sIQI")
_LENGTH = struct.Struct("<I")
_LEVEL = 1  # labels compress well at any level; level 1 keeps a stroke at a few milliseconds
_MAX_BYTES = 2**31  # one frame holds at most 2 GiB once unpacked; larger claims are not believed


def encode(number: int, description: dict[str, Any], arrays: Sequence[NDArray[Any]]) -> bytes:
    """Make one frame of a JSON description and the arrays that belong to it."""
    text = json.dumps(description, separators=(",", ":")).encode()
    packer = zlib.compressobj(_LEVEL)
    parts = [packer.compress(_LENGTH.pack(len(text)) + text)]
    # Memory without any bytes cannot be cast.
    filled = [np.ascontiguousarray(array) for array in arrays if array.size]
    parts += [packer.compress(array.data.cast("B")) for array in filled]
    payload = b"".join((*parts, packer.flush()))
    return _HEADER.pack(_MARK, number, len(payload), _checksum(number, payload)) + payload


def decode(data: bytes) -> Iterator[tuple[int, dict[str, Any], bytes]]:
    """Yield position after the frame, description and raw arrays of every whole frame, up to the first broken one."""
    for end, payload in _payloads(data):
        yield end, *_unpack(payload)


def count(data: bytes) -> int:
    """How many whole frames there are, without unpacking them."""
    return sum(1 for _ in _payloads(data))


def _payloads(data: bytes) -> Iterator[tuple[int, bytes]]:
    at, number = len(SIGNATURE), 0
    while at + _HEADER.size <= len(data):
        mark, found, length, checksum = _HEADER.unpack_from(data, at)
        payload = data[at + _HEADER.size : at + _HEADER.size + length]
        whole = mark == _MARK and found == number and len(payload) == length
        if not whole or _checksum(number, payload) != checksum:
            return
        at += _HEADER.size + length
        number += 1
        yield at, payload


def _checksum(number: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(struct.pack("<I", number)))


def _unpack(payload: bytes) -> tuple[dict[str, Any], bytes]:
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(payload, _MAX_BYTES)
        (length,) = _LENGTH.unpack_from(raw)
        description = json.loads(raw[_LENGTH.size : _LENGTH.size + length])
    except (zlib.error, struct.error, ValueError) as error:
        raise FormatError(f"expected a journal frame, found {error}") from error
    if unpacker.unconsumed_tail or not isinstance(description, dict):
        raise FormatError("expected a journal frame of at most 2 GiB")
    return description, raw[_LENGTH.size + length :]


class Arrays:
    """Cuts the raw bytes of a frame into arrays, in the order they were written."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def take(self, shape: Sequence[int], dtype: str) -> NDArray[Any]:
        """Return the next array.

        Raises
        ------
        FormatError
            A shape or dtype that cannot be, or more than there is.
        """
        if any(n < 0 for n in shape) or dtype[1:2] not in "iub":
            raise FormatError(f"expected integer arrays in a journal, found {dtype} {shape}")
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=object)) if shape else 1
        if self._at + count * kind.itemsize > len(self._raw):
            raise FormatError(f"expected {count} values in a journal frame, found fewer")
        array = np.frombuffer(self._raw, kind, count, self._at).reshape(tuple(shape))
        self._at += count * kind.itemsize
        return array
