"""How a volume is laid out in a TIFF file: ImageJ hyperstack or OME-TIFF."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._dtypes import storable
from ._tiff_place import CLASSES, COLORS, GRID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_apprentice.core.volume import Volume

__all__ = ["Layout", "layout_of"]

_IMAGEJ_DTYPES = ("u1", "u2", "f4")
_IMAGEJ_BYTES = 2**32 - 2**20
_BIG_BYTES = 2**32 - 2**25
_OME_UNITS = {"um": "µm"}
_IMAGEJ_UNITS = {"um": "micron"}


@dataclass(frozen=True, eq=False)
class Layout:
    """An array in the file's order and the options of ``tifffile.imwrite``."""

    array: NDArray[Any]
    options: dict[str, Any]


def layout_of(volume: Volume, *, ome: bool) -> Layout:
    """Choose between the two kinds.

    Parameters
    ----------
    volume
        What to write; read into memory.
    ome
        Whether it must be OME-TIFF.
    """
    array = storable(volume, volume.numpy())
    if ome or not _suits_imagej(volume, array):
        return _ome(volume, array)
    return _imagej(volume, array)


def _suits_imagej(volume: Volume, array: NDArray[Any]) -> bool:
    grid = volume.grid
    plain = np.diag([*grid.spacing, 1.0])
    named = (
        "C" in grid.axes and not volume.rgb and volume.channels != _numbered(len(volume.channels))
    )
    return (
        array.dtype.str[1:] in _IMAGEJ_DTYPES
        and grid.world == "stage"
        and bool(np.allclose(grid.matrix, plain, rtol=0, atol=1e-9 * min(grid.spacing)))
        and array.nbytes < _IMAGEJ_BYTES
        and not named
        and (array.dtype == np.uint8 or not volume.rgb)
    )


def _numbered(count: int) -> tuple[str, ...]:
    """Names that a volume makes up where the file has none."""
    return tuple(f"channel {i + 1}" for i in range(count))


def _ordered(volume: Volume, array: NDArray[Any], order: str) -> tuple[NDArray[Any], str]:
    """Transpose to `order`; colours go last as samples."""
    axes = volume.grid.axes
    if volume.rgb:
        axes, order = axes.replace("C", "S"), order.replace("C", "") + "S"
    wanted = "".join(a for a in order if a in axes)
    return np.ascontiguousarray(array.transpose([axes.index(a) for a in wanted])), wanted


def _texts(by_value: Mapping[int, str]) -> dict[str, str]:
    return {str(value): text for value, text in by_value.items()}


def _imagej(volume: Volume, array: NDArray[Any]) -> Layout:
    grid = volume.grid
    array, axes = _ordered(volume, array, "TZCYX")
    metadata: dict[str, Any] = {"axes": axes, "unit": _IMAGEJ_UNITS.get(grid.unit, grid.unit)}
    if grid.ndim == 3:
        metadata["spacing"] = grid.spacing[0]
    if grid.time_step is not None:
        metadata["finterval"] = grid.time_step
    if volume.classes:
        metadata["Info"] = json.dumps(
            {CLASSES: _texts(volume.classes), COLORS: _texts(volume.colors)}
        )
    return Layout(
        array,
        {
            "imagej": True,
            "metadata": metadata,
            "resolution": (1 / grid.spacing[-1], 1 / grid.spacing[-2]),
            "photometric": "rgb" if volume.rgb else "minisblack",
            "compression": "zlib" if volume.is_labels else None,
        },
    )


def _ome(volume: Volume, array: NDArray[Any]) -> Layout:
    array, axes = _ordered(volume, array, "TCZYX")
    return Layout(
        array,
        {
            "ome": True,
            "bigtiff": array.nbytes > _BIG_BYTES,
            "metadata": {"axes": axes, **_ome_metadata(volume)},
            "photometric": "rgb" if volume.rgb else "minisblack",
            "compression": "zlib" if volume.is_labels else None,
        },
    )


def _ome_metadata(volume: Volume) -> dict[str, Any]:
    grid = volume.grid
    metadata: dict[str, Any] = {"Name": volume.name}
    if grid.unit != "pixel" or any(s != 1 for s in grid.spacing):
        for axis, size in zip(grid.spatial_axes, grid.spacing, strict=True):
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = _OME_UNITS.get(grid.unit, grid.unit)
    if "C" in grid.axes and not volume.rgb:
        metadata["Channel"] = {"Name": list(volume.channels)}
    if grid.time_step is not None:
        metadata |= {"TimeIncrement": grid.time_step, "TimeIncrementUnit": "s"}
    notes: list[dict[str, str]] = []
    if volume.classes:
        notes.append({"Namespace": CLASSES, **_texts(volume.classes)})
    if volume.classes and volume.colors:
        notes.append({"Namespace": COLORS, **_texts(volume.colors)})
    if grid.world != "stage" or not np.array_equal(grid.matrix, np.diag([*grid.spacing, 1.0])):
        affine = json.dumps([list(row) for row in grid.affine])
        notes.append({"Namespace": GRID, "affine": affine, "world": grid.world, "unit": grid.unit})
    if notes:
        metadata["MapAnnotation"] = notes
    return metadata
