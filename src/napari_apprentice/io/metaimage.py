"""MetaImage (MHA and MHD), the plain format of ITK, by a small parser of our own.

- The world is LPS in millimetres, as ITK has it; ``DistanceUnits`` of micrometres are kept.
- A fourth axis is time; elements of several numbers are channels.
- Raw voxels are read when asked for, in part; compressed ones once, whole. Those of an MHD must lie in the header's
  folder.

Written as one MHA: labels compressed, images raw. What the format has no key for (class names and colours, channel
names, the time step, that three axes are a film, that the world is a microscope's stage) is kept in a key of our own, which ITK leaves alone.
"""

from __future__ import annotations

import json
import math
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

from ._atomic import writing
from ._colors import by_value
from ._faults import reading
from ._names import bare_name
from ._raw import beside, packed_array, raw_array
from ._slabs import stored_dtype, stream

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["FORMAT", "MetaImageFormat"]

_HEADER_BYTES = 2**20
_KEYS = ("objecttype", "ndims", "comment", "objectsubtype", "transformtype", "name", "id")
_OWN = "NapariApprentice"
_TYPES = {
    "i1": "MET_CHAR", "u1": "MET_UCHAR", "i2": "MET_SHORT", "u2": "MET_USHORT", "i4": "MET_INT", "u4": "MET_UINT",
    "i8": "MET_LONG_LONG", "u8": "MET_ULONG_LONG", "f4": "MET_FLOAT", "f8": "MET_DOUBLE",
}  # fmt: skip
_DTYPES = {name: dtype for dtype, name in _TYPES.items()}
_UNITS = {"mm": ("mm", 1.0), "um": ("um", 1.0), "cm": ("mm", 10.0)}


class MetaImageFormat:
    """The plain format of ITK, and of many challenges."""

    name = "metaimage"
    title = "MetaImage"
    suffixes = (".mha", ".mhd")
    writes = (".mha",)

    def sniff(self, path: Path) -> bool:
        """Whether the first line is a key of the format."""
        try:
            with path.open("rb") as file:
                key, sign, _ = file.read(64).partition(b"=")
        except OSError:
            return False
        return bool(sign) and key.strip().lower().decode("ascii", "replace") in _KEYS

    def open(self, path: Path) -> Volume:
        """Open lazily."""
        with reading(path, self.title):
            fields, end = _header(path)
            return _volume(path, fields, end)

    def check(self, volume: Volume) -> str | None:
        """Return why this volume cannot be written as MetaImage."""
        if volume.dtype.kind not in "biuf":
            return f"MetaImage holds whole or real numbers here, found {volume.dtype}"
        if volume.grid.unit not in ("mm", "um", "pixel"):
            return f"MetaImage knows mm and um, found {volume.grid.unit}"
        return None

    def save(self, volume: Volume, path: Path) -> None:
        """Write one file."""
        order = volume.grid.axes.replace("C", "") + ("C" if "C" in volume.grid.axes else "")
        dtype = stored_dtype(volume).newbyteorder("<")
        head = _text(volume, dtype)
        with writing(path) as temporary, temporary.open("wb") as file:
            if not volume.is_labels:
                file.write((head + "ElementDataFile = LOCAL\n").encode())
                for part in stream(volume, order, dtype):
                    file.write(part.data)
                return
            _write_packed(file, head, stream(volume, order, dtype))


FORMAT = MetaImageFormat()


# -- reading -------------------------------------------------------------------------------


def _header(path: Path) -> tuple[dict[str, str], int]:
    """Keys in lower case, and the byte after the header, whose last key is ``ElementDataFile``."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        raw = file.read(_HEADER_BYTES)
    at = 0
    while at < len(raw):
        end = raw.find(b"\n", at)
        end = len(raw) if end < 0 else end
        key, sign, value = raw[at:end].decode("utf-8", "replace").partition("=")
        at = end + 1
        if sign:
            fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == "elementdatafile":
            return fields, at
    raise FormatError(
        "expected ElementDataFile at the end of the header, found none",
        path=path,
        remedy="The file is cut off or damaged; copy or export it again.",
    )


def _volume(path: Path, fields: Mapping[str, str], end: int) -> Volume:
    sizes = [int(v) for v in fields["dimsize"].split()]
    count = int(fields.get("elementnumberofchannels", "1"))
    if len(sizes) not in (2, 3, 4) or min(*sizes, count) < 1:
        raise FormatError(f"expected two to four positive lengths, found {sizes}", path=path)
    own = _own(fields)
    film = len(sizes) == 3 and own.get("axes") == "TYX"
    letters = ("TYX" if film else "TZYX"[-len(sizes) :]) + "C"
    array = _array(path, fields, (*reversed(sizes), count), end)
    drop = tuple(i for i, a in enumerate(letters) if a in "TC" and array.shape[i] == 1)
    kept = "".join(a for i, a in enumerate(letters) if i not in drop)
    axes = "".join(a for a in "TCZYX" if a in kept)
    array = array.squeeze(axis=drop).transpose([kept.index(a) for a in axes])
    grid, warnings = _grid(fields, own, axes, tuple(array.shape))
    names, rgb = own.get("channels"), bool(own.get("rgb")) and array.dtype == "u1"
    named = isinstance(names, list) and len(names) == grid.length("C")
    classes = own.get("classes")
    return Volume(
        array,
        grid,
        channels=tuple(map(str, names)) if named and names else (),
        name=bare_name(path.name, FORMAT.suffixes),
        source=str(path),
        format=FORMAT.name,
        rgb=rgb and grid.length("C") in (3, 4),
        is_labels=bool(own.get("labels")) and array.dtype.kind in "iu",
        classes=_class_names(classes) if isinstance(classes, dict) else {},
        colors=by_value(own["colors"]) if isinstance(own.get("colors"), dict) else {},
        metadata={"kind": "MetaImage", "warnings": warnings},
    )


def _class_names(found: Mapping[str, Any]) -> dict[int, str]:
    return {int(v): str(n) for v, n in found.items() if str(v).isdecimal()}


def _own(fields: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = json.loads(fields.get(_OWN.lower(), "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _array(path: Path, fields: Mapping[str, str], shape: tuple[int, ...], end: int) -> Any:
    name = _DTYPES.get(fields.get("elementtype", "").removesuffix("_ARRAY"))
    if name is None:
        raise FormatError(
            f"expected whole or real numbers, found {fields.get('elementtype')!r}", path=path
        )
    if fields.get("binarydata", "true").lower() != "true":
        raise FormatError(
            "expected binary voxels, found text", path=path, remedy="Save it again as .mha."
        )
    big = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "false"))
    stored = np.dtype((">" if big.lower() == "true" else "<") + name)
    place = _data_file(path, fields["elementdatafile"])
    offset = end if place == path else 0
    if fields.get("compresseddata", "false").lower() == "true":
        return packed_array(place, offset, shape, stored, "MetaImage", "deflate")
    skip = int(fields.get("headersize", "0")) if place != path else 0
    if skip < 0:  # the last bytes of the file
        skip = max(0, place.stat().st_size - math.prod(shape) * stored.itemsize)
    return raw_array(place, offset + skip, shape, stored, "MetaImage")


def _data_file(path: Path, name: str) -> Path:
    """Where the voxels are: in the file itself, or in one beside it."""
    return path if name.upper() == "LOCAL" else beside(path, name, ".mha")


def _grid(
    fields: Mapping[str, str], own: Mapping[str, Any], axes: str, shape: tuple[int, ...]
) -> tuple[Grid, tuple[str, ...]]:
    """Grid of the array in canonical order, and warnings."""
    n = len(fields["dimsize"].split())
    ndim = sum(a in "ZYX" for a in axes)
    unit, factor = _UNITS.get(fields.get("distanceunits", "").lower(), ("mm", 1.0))
    spacing = _numbers(fields, ("elementspacing", "elementsize"), np.ones(n))
    rows = _numbers(fields, ("transformmatrix", "rotation", "orientation"), np.eye(n))
    origin = _numbers(fields, ("offset", "position", "origin"), np.zeros(n))
    if own.get("unit") == "pixel":
        unit = "pixel"
    step = None
    if "T" in axes:
        step = float(spacing[-1]) if own.get("time_step") and spacing[-1] > 0 else None
    world: Any = "stage" if own.get("world") == "stage" else "LPS"
    # Row by row the direction of an axis, x first.
    linear = (rows.reshape(n, n) * spacing[:, None])[:ndim, :ndim].T * factor
    matrix = np.eye(ndim + 1)
    matrix[:ndim, :ndim] = linear[::-1, ::-1]
    matrix[:ndim, ndim] = origin[:ndim][::-1] * factor
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) == 0:
        warning = "the directions are no numbers or span no volume; a spacing of 1 is taken instead"
        return Grid.regular(axes, shape, unit=unit, world=world, time_step=step), (warning,)
    return Grid(axes, shape, Grid.freeze(matrix), unit, world, step), ()


def _numbers(fields: Mapping[str, str], keys: tuple[str, ...], default: Any) -> Any:
    text = next((fields[k] for k in keys if k in fields), None)
    if text is None:
        return default
    values = np.array([float(v) for v in text.split()])
    if values.size != default.size:
        raise FormatError(f"expected {default.size} numbers in {keys[0]}, found {values.size}")
    return values


# -- writing -------------------------------------------------------------------------------


def _text(volume: Volume, dtype: np.dtype[Any]) -> str:
    """All keys but the last; axes are fastest first."""
    grid = volume.grid
    axes = [a for a in reversed(grid.axes) if a != "C"]
    n, ndim = len(axes), grid.ndim
    matrix, spacing, origin = np.eye(n), np.ones(n), np.zeros(n)
    columns = grid.matrix[:ndim, :ndim] / np.array(grid.spacing)
    matrix[:ndim, :ndim] = columns[::-1, ::-1].T
    spacing[:ndim] = grid.spacing[::-1]
    spacing[ndim:] = grid.time_step or 1.0
    origin[:ndim] = grid.matrix[:ndim, ndim][::-1]
    fields = {
        "ObjectType": "Image",
        "NDims": n,
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(volume.is_labels),
        "TransformMatrix": _row(matrix.ravel()),
        "Offset": _row(origin),
        "CenterOfRotation": _row(np.zeros(n)),
        **({"DistanceUnits": grid.unit} if grid.unit in _UNITS else {}),
        "ElementSpacing": _row(spacing),
        "DimSize": " ".join(str(grid.length(a)) for a in axes),
        **({"ElementNumberOfChannels": grid.length("C")} if "C" in grid.axes else {}),
        "ElementType": _TYPES[dtype.str[1:]],
        _OWN: json.dumps(_notes(volume)),
    }
    return "".join(f"{key} = {value}\n" for key, value in fields.items())


def _row(values: Any) -> str:
    return " ".join(repr(float(v)) for v in values)


def _notes(volume: Volume) -> dict[str, Any]:
    grid = volume.grid
    axes = grid.axes.replace("C", "")
    notes: dict[str, Any] = {"axes": axes, "world": grid.world, "unit": grid.unit}
    if grid.time_step is not None:
        notes["time_step"] = grid.time_step
    if "C" in grid.axes:
        notes |= {"channels": list(volume.channels), "rgb": volume.rgb}
    if volume.is_labels:
        notes |= {
            "labels": True,
            "classes": {str(v): n for v, n in volume.classes.items()},
            "colors": {str(v): c for v, c in volume.colors.items()},
        }
    return notes


def _write_packed(file: Any, head: str, parts: Any) -> None:
    """Write compressed voxels; their size, which stands before them, is filled in at the end."""
    file.write(head.encode())
    at = file.tell()
    line = "CompressedDataSize = {:<20}\nElementDataFile = LOCAL\n"
    file.write(line.format(0).encode())
    start = file.tell()
    machine = zlib.compressobj(6)
    for part in parts:
        file.write(machine.compress(part.data))
    file.write(machine.flush())
    size = file.tell() - start
    file.seek(at)
    file.write(line.format(size).encode())
