"""The text before the voxels of an NRRD file: checked, and turned into axes and placement."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_apprentice.core.grid import World

__all__ = ["TYPES", "Header", "grid_of", "read_header"]

_HEADER_BYTES = 4 * 2**20
_MAGIC = b"NRRD000"
# dtype → the name that is written; NRRD has several for each.
TYPES = {
    "i1": "signed char", "u1": "unsigned char", "i2": "short", "u2": "unsigned short", "i4": "int",
    "u4": "unsigned int", "i8": "long long int", "u8": "unsigned long long int", "f4": "float", "f8": "double",
}  # fmt: skip
_MORE_TYPES = {
    "int8": "i1", "int8_t": "i1", "uchar": "u1", "uint8": "u1", "uint8_t": "u1", "short int": "i2",
    "signed short": "i2", "signed short int": "i2", "int16": "i2", "int16_t": "i2", "ushort": "u2",
    "unsigned short int": "u2", "uint16": "u2", "uint16_t": "u2", "signed int": "i4", "int32": "i4",
    "int32_t": "i4", "uint": "u4", "uint32": "u4", "uint32_t": "u4", "longlong": "i8", "long long": "i8",
    "signed long long": "i8", "signed long long int": "i8", "int64": "i8", "int64_t": "i8", "ulonglong": "u8",
    "unsigned long long": "u8", "uint64": "u8", "uint64_t": "u8",
}  # fmt: skip
_DTYPES = {**{name: dtype for dtype, name in TYPES.items()}, **_MORE_TYPES}
# Signs that turn a space's x and y into left and posterior.
_SPACES = {
    "left-posterior-superior": (1, 1), "lps": (1, 1), "right-anterior-superior": (-1, -1), "ras": (-1, -1),
    "left-anterior-superior": (1, -1), "las": (1, -1),
}  # fmt: skip
_UNITS = {
    "mm": ("mm", 1.0), "millimeter": ("mm", 1.0), "millimeters": ("mm", 1.0), "um": ("um", 1.0), "µm": ("um", 1.0),
    "micron": ("um", 1.0), "microns": ("um", 1.0), "nm": ("nm", 1.0), "m": ("m", 1.0), "cm": ("mm", 10.0),
    "pixel": ("pixel", 1.0),
}  # fmt: skip
_SPATIAL_KINDS = {"domain", "space", "???", "none", ""}


@dataclass(frozen=True)
class Header:
    """What the header says, checked.

    Parameters
    ----------
    fields
        The standard's fields and the file's own keys, as pynrrd reads them.
    shape
        Lengths, slowest first.
    axes
        A letter of ``TCZYX`` per length, slowest first.
    stored
        Dtype with byte order.
    end
        Byte after the header.
    """

    fields: Mapping[str, Any]
    shape: tuple[int, ...]
    axes: str
    stored: np.dtype[Any]
    end: int

    @property
    def colours(self) -> bool:
        """Whether the channels are those of a colour picture."""
        return any("rgb" in kind for kind in _kinds(self.fields, len(self.shape)))


def read_header(path: Path) -> Header:
    """Read and check the header.

    Raises
    ------
    FormatError
        It contradicts itself, or is of a kind that is not read here.
    """
    import nrrd

    with path.open("rb") as file:
        raw = file.read(_HEADER_BYTES)
    if not raw.startswith(_MAGIC):
        raise FormatError("expected NRRD as its name says, found something else", path=path)
    ends = [raw.find(blank) + len(blank) for blank in (b"\n\n", b"\r\n\r\n") if blank in raw]
    end = min(ends, default=len(raw))
    lines = raw[:end].decode("utf-8", "replace").splitlines()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fields = nrrd.read_header(iter(lines))
    shape = tuple(int(n) for n in fields["sizes"])[::-1]
    if len(shape) != int(fields["dimension"]) or min(shape, default=0) < 1:
        raise FormatError(f"expected positive lengths, found {shape[::-1]}", path=path)
    name = _DTYPES.get(str(fields["type"]).lower())
    if name is None:
        raise FormatError(f"expected whole or real numbers, found {fields['type']!r}", path=path)
    order = ">" if str(fields.get("endian", "little")).lower() == "big" else "<"
    return Header(fields, shape, _axes(fields, len(shape)), np.dtype(order + name), end)


def _kinds(fields: Mapping[str, Any], n: int) -> list[str]:
    """Kinds of the axes, fastest first."""
    found = [str(kind).lower() for kind in fields.get("kinds", ())]
    return found if len(found) == n else [""] * n


def _axes(fields: Mapping[str, Any], n: int) -> str:
    """Letters, slowest first: axes with a direction (or, without any, of a spatial kind) are spatial."""
    kinds = _kinds(fields, n)
    directions = _directions(fields, n)
    spatial = (
        [not np.isnan(row).all() for row in directions]
        if directions is not None
        else [kind in _SPATIAL_KINDS for kind in kinds]
    )
    if directions is None and sum(spatial) > 3:
        spatial = [i < 3 for i in range(n)]
        kinds = ["time" if i == 3 and k in _SPATIAL_KINDS else k for i, k in enumerate(kinds)]
    if sum(spatial) not in (2, 3):
        raise FormatError(f"expected two or three spatial axes, found {sum(spatial)}")
    names = iter("XYZ")
    letters = [
        next(names) if here else ("T" if kind == "time" else "C")
        for here, kind in zip(spatial, kinds, strict=True)
    ]
    if len(set(letters)) < n:
        raise FormatError(f"expected at most one axis of time and one of channels, found {kinds}")
    return "".join(reversed(letters))


def _directions(fields: Mapping[str, Any], n: int) -> Any:
    """Direction of each axis, fastest first, as ``(n, space)``; NaN for axes that are not spatial."""
    found = fields.get("space directions")
    if found is None:
        return None
    width = next((len(row) for row in found if row is not None), 0)
    rows = [np.full(width, math.nan) if row is None else np.asarray(row, float) for row in found]
    if len(rows) != n:
        raise FormatError(f"expected {n} space directions, found {len(rows)}")
    return np.stack(rows)


def grid_of(header: Header, axes: str, shape: tuple[int, ...]) -> tuple[Grid, tuple[str, ...]]:
    """Grid of the array in canonical order, and warnings."""
    fields, n = header.fields, len(header.shape)
    directions = _directions(fields, n)
    step = _number(fields.get("napari-apprentice_time_step")) if "T" in axes else None
    ndim = sum(a in "ZYX" for a in axes)
    if directions is None:
        spacing, unit = _plain(header)
        return Grid.regular(axes, shape, spacing, unit=unit, time_step=step), ()
    rows = directions[~np.isnan(directions).all(axis=1)]
    origin = np.asarray(fields.get("space origin", np.zeros(rows.shape[1])), dtype=float)
    said = _unit(fields.get("space units"))
    signs, world = _world(fields)
    unit, factor = said or ("mm" if world == "LPS" else "pixel", 1.0)
    if rows.shape[1] != ndim:  # a plane in space
        spacing = [factor * float(v) for v in np.linalg.norm(rows, axis=1)[::-1]]
        warning = f"directions of {rows.shape[1]} values; only the voxel size is taken"
        return Grid.regular(axes, shape, spacing, unit=unit, time_step=step), (warning,)
    turn = np.diag([*signs, 1.0, 1.0][:ndim]) * factor
    matrix = np.eye(ndim + 1)
    matrix[:ndim, :ndim] = (turn @ rows.T)[::-1, ::-1]
    matrix[:ndim, ndim] = (turn @ origin)[::-1]
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) == 0:
        warning = "the directions are no numbers or span no volume; a spacing of 1 is taken instead"
        return Grid.regular(axes, shape, unit=unit, time_step=step), (warning,)
    return Grid(axes, shape, Grid.freeze(matrix), unit, world, step), ()


def _world(fields: Mapping[str, Any]) -> tuple[tuple[int, int], World]:
    space = str(fields.get("space", "")).lower().removesuffix("-time")
    return (_SPACES[space], "LPS") if space in _SPACES else ((1, 1), "stage")


def _plain(header: Header) -> tuple[list[float], str]:
    """Spacing and unit of the spatial axes, slowest first, of a header without directions."""
    n = len(header.shape)
    found = header.fields.get("spacings")
    values = [float(v) for v in found][::-1] if found is not None else [1.0] * n
    units = list(header.fields.get("units", ()))[::-1]
    spatial = [i for i, a in enumerate(header.axes) if a in "ZYX"]
    unit, factor = _unit([units[i] for i in spatial] if len(units) == n else ()) or ("pixel", 1.0)
    good = [abs(v) if math.isfinite(v) and v != 0 else 1.0 for v in (values[i] for i in spatial)]
    return [factor * v for v in good], unit


def _unit(names: Any) -> tuple[str, float] | None:
    known = {_UNITS.get(str(name).strip().strip('"').lower()) for name in names or ()}
    return known.pop() if len(known) == 1 else None


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) and value > 0 else None
