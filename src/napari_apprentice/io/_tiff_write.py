"""How a volume is laid out in a TIFF file: ImageJ hyperstack or OME-TIFF."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._slabs import BYTES, boxes, contiguous, part, stored_dtype
from ._tiff_display import ome_color
from ._tiff_place import CLASSES, COLORS, GRID, MADE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from napari_apprentice.core.volume import Volume

__all__ = ["Layout", "layout_of"]

_IMAGEJ_DTYPES = ("u1", "u2", "f4")
_IMAGEJ_BYTES = 2**32 - 2**20
_BIG_BYTES = 2**32 - 2**25
_PAGE_BYTES = 2**26
_TILE = 512
_OME_UNITS = {"um": "µm"}
_IMAGEJ_UNITS = {"um": "micron"}


@dataclass(frozen=True, eq=False)
class Layout:
    """Pages (or tiles of pages) in the file's order, and the options of ``tifffile.imwrite``."""

    parts: Iterator[NDArray[Any]]
    options: dict[str, Any]


def layout_of(volume: Volume, *, ome: bool) -> Layout:
    """Choose between the two kinds.

    Parameters
    ----------
    volume
        What to write; read while it is written, page by page, and large pages tile by tile.
    ome
        Whether it must be OME-TIFF.
    """
    dtype = stored_dtype(volume)
    size = math.prod(volume.grid.shape) * dtype.itemsize
    if ome or not _suits_imagej(volume, dtype, size):
        axes = _axes(volume, "TCZYX")
        options: dict[str, Any] = {"ome": True, "bigtiff": size > _BIG_BYTES}
        metadata = {"axes": axes, **_ome_metadata(volume)}
    else:
        axes = _axes(volume, "TZCYX")
        options = {"imagej": True, "resolution": tuple(1 / s for s in volume.grid.spacing[:-3:-1])}
        metadata = {"axes": axes, **_imagej_metadata(volume)}
    shape = tuple(volume.grid.length("C" if a == "S" else a) for a in axes)
    page = math.prod(shape[-3:] if volume.rgb else shape[-2:]) * dtype.itemsize
    tiled = {"tile": (_TILE, _TILE)} if page > _PAGE_BYTES else {}
    options |= {
        "shape": shape,
        "dtype": dtype,
        "metadata": metadata,
        "photometric": "rgb" if volume.rgb else "minisblack",
        "compression": "zlib" if volume.is_labels else None,
        **tiled,
    }
    pages = _tiles if tiled else _pages
    return Layout(pages(volume, axes.replace("S", "C"), dtype), options)


def _suits_imagej(volume: Volume, dtype: np.dtype[Any], size: int) -> bool:
    grid = volume.grid
    plain = np.diag([*grid.spacing, 1.0])
    named = (
        "C" in grid.axes and not volume.rgb and volume.channels != _numbered(len(volume.channels))
    )
    return (
        dtype.str[1:] in _IMAGEJ_DTYPES
        and grid.world == "stage"
        and bool(np.allclose(grid.matrix, plain, rtol=0, atol=1e-9 * min(grid.spacing)))
        and size < _IMAGEJ_BYTES
        and not named
        and not any(shown.color for shown in volume.display)
        and (dtype == np.uint8 or not volume.rgb)
    )


def _axes(volume: Volume, order: str) -> str:
    """The volume's axes in the file's order; colours go last, as samples."""
    if volume.rgb:
        order = order.replace("C", "") + "C"
    axes = "".join(a for a in order if a in volume.grid.axes)
    return axes[:-1] + "S" if volume.rgb else axes


def _pages(volume: Volume, order: str, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """One page after the other; as many are read at once as are small."""
    flat = 3 if volume.rgb else 2
    shape = tuple(volume.grid.length(a) for a in order)
    whole = contiguous(shape, max(BYTES // dtype.itemsize, math.prod(shape[-flat:])))
    for box in boxes(shape, whole):
        found = part(volume, order, box, dtype)
        yield from found.reshape(-1, *found.shape[-flat:])


def _tiles(volume: Volume, order: str, dtype: np.dtype[Any]) -> Iterator[NDArray[Any]]:
    """One tile after the other, row by row of each page; those at the ends are filled up with zeros."""
    flat = 3 if volume.rgb else 2
    shape = tuple(volume.grid.length(a) for a in order)
    band = (1,) * (len(shape) - flat) + (_TILE, *shape[len(shape) - flat + 1 :])
    for box in boxes(shape, band):
        rows = part(volume, order, box, dtype).reshape(-1, *shape[len(shape) - flat + 1 :])
        for x in range(0, rows.shape[1], _TILE):
            tile = rows[:, x : x + _TILE]
            missing = [(0, _TILE - n) for n in tile.shape[:2]] + [(0, 0)] * (flat - 2)
            yield np.ascontiguousarray(np.pad(tile, missing))


def _numbered(count: int) -> tuple[str, ...]:
    """Names that a volume makes up where the file has none."""
    return tuple(f"channel {i + 1}" for i in range(count))


def _texts(by_value: Mapping[int, str]) -> dict[str, str]:
    return {str(value): text for value, text in by_value.items()}


def _imagej_metadata(volume: Volume) -> dict[str, Any]:
    grid = volume.grid
    metadata: dict[str, Any] = {"unit": _IMAGEJ_UNITS.get(grid.unit, grid.unit)}
    if grid.ndim == 3:
        metadata["spacing"] = grid.spacing[0]
    if grid.time_step is not None:
        metadata["finterval"] = grid.time_step
    info: dict[str, Any] = {}
    if volume.is_labels:
        info |= {CLASSES: _texts(volume.classes), COLORS: _texts(volume.colors)}
    if volume.synthetic is not None:
        info[MADE] = volume.synthetic
    if info:
        metadata["Info"] = json.dumps(info)
    return metadata


def _ome_metadata(volume: Volume) -> dict[str, Any]:
    grid = volume.grid
    metadata: dict[str, Any] = {"Name": volume.name}
    if grid.unit != "pixel" or any(s != 1 for s in grid.spacing):
        for axis, size in zip(grid.spatial_axes, grid.spacing, strict=True):
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = _OME_UNITS.get(grid.unit, grid.unit)
    if "C" in grid.axes and not volume.rgb:
        metadata["Channel"] = {"Name": list(volume.channels)}
        if any(shown.color for shown in volume.display):
            colors = [shown.color or "#FFFFFF" for shown in volume.display]
            metadata["Channel"]["Color"] = [ome_color(color) for color in colors]
    if grid.time_step is not None:
        metadata |= {"TimeIncrement": grid.time_step, "TimeIncrementUnit": "s"}
    notes = _notes(volume)
    if notes:
        metadata["MapAnnotation"] = notes
    return metadata


def _notes(volume: Volume) -> list[dict[str, str]]:
    """Our own OME map annotations: what OME has no place for."""
    grid = volume.grid
    notes: list[dict[str, str]] = []
    if volume.is_labels:
        notes.append({"Namespace": CLASSES, **_texts(volume.classes)})
    if volume.classes and volume.colors:
        notes.append({"Namespace": COLORS, **_texts(volume.colors)})
    if grid.world != "stage" or not np.array_equal(grid.matrix, np.diag([*grid.spacing, 1.0])):
        affine = json.dumps([list(row) for row in grid.affine])
        notes.append({"Namespace": GRID, "affine": affine, "world": grid.world, "unit": grid.unit})
    if volume.synthetic is not None:
        notes.append({"Namespace": MADE, "by": volume.synthetic})
    return notes
