"""NRRD and NHDR, the formats of 3D Slicer; the header through pynrrd.

- Axes with a ``space direction`` are spatial; the others are time or channels, by their kind. ``left-posterior-superior``,
  ``right-anterior-superior`` and ``left-anterior-superior`` are patients and are turned to LPS; other spaces are a stage.
  The measurement frame of diffusion images is left out.
- A unit that the header does not state is millimetres for patients, pixels for the rest.
- Raw voxels are read when asked for, in part; those in gzip or bzip2 once, whole.
- The voxels of an NHDR must lie in the header's folder.
- 3D Slicer's segmentations (``.seg.nrrd``) are labels with names and colours, where each voxel belongs to one segment;
  segments that overlap lie in several layers, which are channels here and no labels.

Labels are written as such segmentations and compressed, images raw. Channel names and the time step are kept in keys of
our own.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.volume import Volume

from ._atomic import writing
from ._faults import reading
from ._names import bare_name
from ._nrrd_header import TYPES, Header, grid_of, read_header
from ._nrrd_segments import segment_fields, segments_of
from ._raw import beside, packed_array, raw_array
from ._slabs import stored_dtype, stream

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

__all__ = ["FORMAT", "NrrdFormat"]

_CHANNELS = "napari-apprentice_channels"
_TIME_STEP = "napari-apprentice_time_step"
_KINDS = {"T": "time", "C": "list"}
_MAGIC = b"NRRD000"


class NrrdFormat:
    """The format of 3D Slicer."""

    name = "nrrd"
    title = "NRRD"
    suffixes = (".seg.nrrd", ".nrrd", ".nhdr")
    writes = (".seg.nrrd", ".nrrd")

    def sniff(self, path: Path) -> bool:
        """Whether the file starts with the magic of NRRD."""
        try:
            with path.open("rb") as file:
                return file.read(len(_MAGIC)) == _MAGIC
        except OSError:
            return False

    def open(self, path: Path) -> Volume:
        """Open lazily."""
        with reading(path, self.title):
            header = read_header(path)
            return _volume(path, header)

    def open_labels(self, path: Path) -> Volume:
        """Open as labels; segments in several layers overlap and are refused."""
        volume = self.open(path)
        if "C" in volume.grid.axes and volume.metadata["segments"]:
            raise FormatError(
                f"expected one layer of segments, found {volume.grid.length('C')}: segments overlap",
                path=path,
                remedy="In 3D Slicer's Segmentations module, export them as a labelmap and save that.",
            )
        return volume

    def check(self, volume: Volume) -> str | None:
        """Return why this volume cannot be written as NRRD."""
        if volume.dtype.kind not in "biuf":
            return f"NRRD holds whole or real numbers here, found {volume.dtype}"
        return None

    def save(self, volume: Volume, path: Path) -> None:
        """Write one file; labels as a segmentation of 3D Slicer."""
        order = volume.grid.axes.replace("C", "") + "C" if volume.rgb else volume.grid.axes
        dtype = stored_dtype(volume).newbyteorder("<")
        text = _header(volume, order, dtype)
        with writing(path) as temporary, temporary.open("wb") as file:
            file.write(text.encode())
            if not volume.is_labels:
                for part in stream(volume, order, dtype):
                    file.write(part.data)
                return
            with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                for part in stream(volume, order, dtype):
                    packed.write(part.data)


FORMAT = NrrdFormat()


# -- reading -------------------------------------------------------------------------------


def _volume(path: Path, header: Header) -> Volume:
    drop = tuple(i for i, a in enumerate(header.axes) if a in "TC" and header.shape[i] == 1)
    array = _array(path, header).squeeze(axis=drop)
    kept = "".join(a for i, a in enumerate(header.axes) if i not in drop)
    axes = "".join(a for a in "TCZYX" if a in kept)
    array = array.transpose([kept.index(a) for a in axes])
    grid, warnings = grid_of(header, axes, tuple(array.shape))
    names, colors = segments_of(header.fields)
    segments = bool(names) or str(header.fields.get("Segmentation_MasterRepresentation", "")) != ""
    rgb = header.colours and array.dtype == "u1" and grid.length("C") in (3, 4)
    single = segments and "C" not in axes
    return Volume(
        array,
        grid,
        channels=("red", "green", "blue", "alpha")[: grid.length("C")]
        if rgb
        else _channels(header, grid.length("C")),
        name=bare_name(path.name, FORMAT.suffixes),
        source=str(path),
        format=FORMAT.name,
        rgb=rgb,
        is_labels=single,
        classes=names if single else {},
        colors=colors if single else {},
        metadata={"kind": "NRRD", "warnings": warnings, "segments": segments},
    )


def _array(path: Path, header: Header) -> Any:
    fields = header.fields
    place, start = _data_file(path, fields), int(fields.get("byte skip", fields.get("byteskip", 0)))
    offset = header.end if place == path else 0
    if int(fields.get("line skip", fields.get("lineskip", 0))):
        raise FormatError("expected voxels right after the header, found lines to skip", path=path)
    encoding = str(fields["encoding"]).lower()
    if encoding == "raw":
        size = place.stat().st_size
        claimed = header.stored.itemsize
        for n in header.shape:
            claimed *= n
        # A negative skip means: the last bytes of the file.
        offset = max(0, size - claimed) if start < 0 else offset + start
        return raw_array(place, offset, header.shape, header.stored, "NRRD")
    if encoding in ("gzip", "gz", "bzip2", "bz2") and start <= 0:
        packing: Any = "deflate" if encoding in ("gzip", "gz") else "bzip2"
        return packed_array(place, offset, header.shape, header.stored, "NRRD", packing)
    raise FormatError(
        f"expected voxels as raw, gzip or bzip2, found {encoding!r}",
        path=path,
        remedy="Save it again in 3D Slicer.",
    )


def _data_file(path: Path, fields: Any) -> Path:
    """Where the voxels are: in the file itself, or in one beside it."""
    name = fields.get("data file", fields.get("datafile"))
    return path if name is None else beside(path, str(name), ".nrrd")


def _channels(header: Header, count: int) -> tuple[str, ...]:
    try:
        found = json.loads(str(header.fields.get(_CHANNELS, "[]")))
    except ValueError:
        return ()
    names = tuple(map(str, found)) if isinstance(found, list) else ()
    return names if len(names) == count else ()


# -- writing -------------------------------------------------------------------------------


def _header(volume: Volume, order: str, dtype: np.dtype[Any]) -> str:
    """The header's text; its axes are fastest first."""
    grid = volume.grid
    axes = order[::-1]
    sizes = [grid.length(a) for a in axes]
    kinds = [
        "RGB-color" if a == "C" and volume.rgb and sizes[0] == 3 else _KINDS.get(a, "domain")
        for a in axes
    ]
    columns = grid.matrix[: grid.ndim, : grid.ndim]
    directions = [
        "none" if a in "TC" else _vector(columns[:, grid.spatial_axes.index(a)]) for a in axes
    ]
    lines = [
        "NRRD0005",
        f"type: {TYPES[dtype.str[1:]]}",
        f"dimension: {len(axes)}",
        "space: left-posterior-superior"
        if grid.world == "LPS" and grid.ndim == 3
        else f"space dimension: {grid.ndim}",
        f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {' '.join(directions)}",
        f"kinds: {' '.join(kinds)}",
        "endian: little",
        f"encoding: {'gzip' if volume.is_labels else 'raw'}",
        f"space origin: {_vector(grid.matrix[: grid.ndim, grid.ndim])}",
    ]
    if grid.unit != "pixel" or grid.world == "LPS":
        lines.append("space units: " + " ".join([f'"{grid.unit}"'] * grid.ndim))
    own = segment_fields(volume) if volume.is_labels else {}
    if "C" in grid.axes and not volume.rgb:
        own[_CHANNELS] = json.dumps(list(volume.channels), ensure_ascii=False)
    if grid.time_step is not None:
        own[_TIME_STEP] = repr(grid.time_step)
    lines += [f"{key}:={value}" for key, value in own.items()]
    return "\n".join(lines) + "\n\n"


def _vector(values: Any) -> str:
    """World coordinates, x first, to the bit."""
    return "(" + ",".join(repr(float(v)) for v in values[::-1]) + ")"
