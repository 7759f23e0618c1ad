"""Read and check a NIfTI header before anything trusts it."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError

from ._faults import MAX_DEFLATE_RATIO, available_memory, check_claim, human_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["Header", "read_header", "starts_like_nifti"]

_GZIP = b"\x1f\x8b"
_SIZES = {348: 1, 540: 2}
_MAX_EXTENSIONS = 64 * 2**20
_MAX_VERIFY = 64 * 2**20
_DEFAULT = "the affine stored in the header is NaN or singular; spacing is used instead"


@dataclass(frozen=True)
class Header:
    """A checked header.

    Parameters
    ----------
    version
        1 or 2.
    block
        The header's bytes, little-endian.
    zipped
        Whether the file is gzipped.
    extensions
        Contents of the header's extensions.
    raw
        nibabel's header object.
    """

    version: int
    block: bytes
    zipped: bool
    extensions: tuple[bytes, ...]
    raw: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths in the file's order, at least ``(x, y)``; trailing ones beyond the third dropped."""
        count = int(self.raw["dim"][0])
        lengths = [int(v) for v in self.raw["dim"][1 : count + 1]]
        while len(lengths) > 3 and lengths[-1] == 1:
            lengths.pop()
        return tuple([*lengths, 1][:2]) if len(lengths) < 2 else tuple(lengths)

    @property
    def samples(self) -> int:
        """Colour samples per voxel."""
        dtype = self.raw.get_data_dtype()
        return len(dtype.fields) if dtype.fields else 1

    @property
    def intent(self) -> int:
        """Intent code."""
        return int(self.raw["intent_code"])

    @cached_property
    def units(self) -> tuple[str, str]:
        """Names of the units of space and time, as nibabel spells them."""
        try:
            space, time = self.raw.get_xyzt_units()
        except KeyError:
            return "unknown", "unknown"
        return str(space), str(time)

    @property
    def spacing(self) -> tuple[float, ...]:
        """Distances along the axes of `shape`; 1 where the header's value makes no sense."""
        values = np.abs(np.asarray(self.raw["pixdim"][1:8], dtype=float))
        values = np.where(np.isfinite(values) & (values > 0), values, 1.0)
        return tuple(float(v) for v in values)

    def affine(self) -> tuple[NDArray[np.float64], tuple[str, ...]]:
        """Affine to RAS millimetres as nibabel chooses it, and warnings where it had to be repaired."""
        for name in self._placements():
            matrix = self._placement(name)
            if matrix is not None:
                return matrix, (() if name == self._placements()[0] else (_DEFAULT,))
        plain = np.diag([*self.spacing[:3], 1.0])
        return plain, (_DEFAULT,)

    def _placements(self) -> list[str]:
        coded = [n for n in ("sform", "qform") if int(self.raw[f"{n}_code"]) > 0]
        return [*coded, "base"]

    def _placement(self, name: str) -> NDArray[np.float64] | None:
        try:
            matrix = np.asarray(
                getattr(self.raw, f"get_{name}" if name != "base" else "get_base_affine")()
            )
        except (ValueError, ArithmeticError):
            return None
        linear = matrix[:3, :3]
        if not np.isfinite(matrix).all():
            return None
        lengths = np.linalg.norm(linear, axis=0)
        if (lengths <= 0).any() or abs(np.linalg.det(linear / lengths)) < 1e-6:
            return None
        return matrix.astype(float)


def starts_like_nifti(path: Path) -> bool:
    """Whether the file, unzipped where it is gzipped, starts with a NIfTI header."""
    try:
        return _version_of(_start(path, 540)) is not None
    except (OSError, EOFError, zlib.error):
        return False


def _start(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        first = file.read(2)
        file.seek(0)
        if first != _GZIP:
            return file.read(count)
        with gzip.GzipFile(fileobj=file) as unzipped:
            return unzipped.read(count)


def _version_of(start: bytes) -> int | None:
    """1, 2, or None; both byte orders."""
    for order in ("little", "big"):
        version = _SIZES.get(int.from_bytes(start[:4], order))
        magic = start[344:347] if version == 1 else start[4:7]
        if version and magic in (b"n+1", b"n+2", b"ni1", b"ni2"):
            return version
    return None


def read_header(path: Path) -> Header:
    """Read and check the header; reads no voxel.

    Raises
    ------
    FormatError
        Lengths that are negative or that the file cannot hold, an unknown dtype, a cut-off file.
    """
    import nibabel

    start = _start(path, 540)
    version = _version_of(start)
    if version is None:
        raise FormatError(
            "expected a NIfTI header at byte 0, found something else",
            path=path,
            remedy="Check that it is a NIfTI file; .hdr/.img pairs must be converted to .nii first.",
        )
    zipped = _start_is_zipped(path)
    _check_name(path, zipped)
    kind: Any = nibabel.Nifti1Header if version == 1 else nibabel.Nifti2Header
    size = 348 if version == 1 else 540
    if len(start) < size:
        raise FormatError(
            f"expected {size} header bytes, found {len(start)}", path=path, remedy="Copy it again."
        )
    raw = kind(start[:size], check=False)
    _mend(raw)
    _check_dims(path, raw)
    _check_size(path, raw, zipped)
    extensions = tuple(_extensions(path, raw, size))
    block = raw.as_byteswapped("<").binaryblock
    return Header(version, block, zipped, extensions, raw)


def _mend(raw: Any) -> None:
    """Make sense of voxel sizes as other programs do: nothing is mirrored by them but where -1 stands before them."""
    raw["pixdim"][1:4] = np.abs(raw["pixdim"][1:4])
    if raw["pixdim"][0] != -1:
        raw["pixdim"][0] = 1


def _start_is_zipped(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == _GZIP


def _check_name(path: Path, zipped: bool) -> None:
    """Nibabel trusts the name, so a wrong one must be found here."""
    if zipped == (path.suffix.lower() == ".gz"):
        return
    wanted = ".nii.gz" if zipped else ".nii"
    raise FormatError(
        f"is {'' if zipped else 'not '}gzipped, which its name does not say",
        path=path,
        remedy=f"Rename it to end in {wanted}.",
    )


def _check_dims(path: Path, raw: Any) -> None:
    dims = [int(v) for v in raw["dim"]]
    count = dims[0]
    if not 1 <= count <= 7 or any(v < 1 for v in dims[1 : count + 1]):
        raise FormatError(
            f"expected 1 to 7 positive lengths, found dim = {dims}",
            path=path,
            remedy="The header is damaged; export the image again.",
        )
    if any(v != 1 for v in dims[6 : count + 1]):
        raise FormatError(
            f"expected at most 5 axes, found dim = {dims}",
            path=path,
            remedy="Split the file along its last axes.",
        )
    try:
        dtype = raw.get_data_dtype()
    except KeyError:
        dtype = np.dtype(np.void)
    if dtype.itemsize == 0:  # nothing, single bits, or wider than this machine knows
        raise FormatError(
            f"expected a known voxel type, found code {int(raw['datatype'])}",
            path=path,
            remedy="Export the image again with a common type, such as int16 or float32.",
        )
    if dtype.kind == "c" or dtype.itemsize > 8:
        raise FormatError(
            f"expected whole or real numbers, found {dtype}",
            path=path,
            remedy="Export the magnitude, or as float32.",
        )


def _check_size(path: Path, raw: Any, zipped: bool) -> None:
    offset = float(raw["vox_offset"])
    if not 0 <= offset <= _MAX_EXTENSIONS:
        raise FormatError(
            f"expected voxels after the header, found an offset of {offset:g} bytes",
            path=path,
            remedy="The header is damaged; export the image again.",
        )
    lengths = [int(v) for v in raw["dim"][1 : int(raw["dim"][0]) + 1]]
    claimed = raw.get_data_dtype().itemsize
    for length in lengths:
        claimed *= length
    size = path.stat().st_size
    if not zipped:
        check_claim(path, claimed, max(0, size - int(offset)))
        return
    check_claim(path, claimed, size, MAX_DEFLATE_RATIO)
    memory = available_memory()
    if memory is not None and claimed > memory:
        raise FormatError(
            f"needs {human_bytes(claimed)} of memory, found {human_bytes(memory)} free",
            path=path,
            remedy="Unzip it: a plain .nii is read in parts.",
        )
    _check_unzipped(path, int(offset) + claimed)


def _check_unzipped(path: Path, expected: int) -> None:
    """Find a cut-off gzip at once: its last four bytes are the unzipped length (RFC 1952).

    A file of several gzip members says the length of the last one only; such a file is unzipped to know.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(-min(4, size), 2)
        said = int.from_bytes(file.read(4), "little")
    if said == expected % 2**32 or size > _MAX_VERIFY:
        return
    found = 0
    try:
        with gzip.open(path) as file:
            while found < expected and (part := file.read(1 << 16)):
                found += len(part)
    except (EOFError, OSError, zlib.error) as error:
        raise _cut(path, expected, found) from error
    if found < expected:
        raise _cut(path, expected, found)


def _cut(path: Path, expected: int, found: int) -> FormatError:
    return FormatError(
        f"expected {human_bytes(expected)} unzipped, found about {human_bytes(found)}: it is cut off",
        path=path,
        remedy="Copy or download it again.",
    )


def _extensions(path: Path, raw: Any, size: int) -> Iterator[bytes]:
    """Contents of the extensions between header and voxels; a broken one ends the list."""
    end = int(raw["vox_offset"])
    if end <= size + 4:
        return
    block = _start(path, end)[size:]
    if len(block) < 4 or block[0] == 0:
        return
    order = "little" if raw.endianness == "<" else "big"
    at = 4
    while at + 8 <= len(block):
        length = int.from_bytes(block[at : at + 4], order)  # type: ignore[arg-type]
        if length < 8 or at + length > len(block):
            return
        yield block[at + 8 : at + length]
        at += length
