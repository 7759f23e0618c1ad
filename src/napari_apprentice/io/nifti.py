"""NIfTI-1 and NIfTI-2, plain and gzipped, through nibabel, with a guard that reads the header first.

- The file's ``(x, y, z, t, c)`` becomes ``TCZYX`` by transposing; no voxel moves.
- The affine is nibabel's (sform, else qform, else spacing), turned from RAS (x, y, z) to LPS (z, y, x).
- The fourth axis is time, as the standard says, unless the intent says that the values are vectors or colours;
  the fifth is the channel axis. RGB and RGBA voxels become colour channels.
- A z of one plane is kept in a 3-D file, and dropped where more dimensions follow: there it only holds a place.
- A unit that the header does not state is taken as millimetres.
- Voxels are read when asked for: plain files in part, gzipped ones once, whole. They are written part by part.
- Class names and colours are kept in a ``LabelTable`` extension, as Connectome Workbench and TotalSegmentator write it.
"""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

from ._atomic import writing
from ._faults import reading
from ._names import bare_name
from ._nifti_header import Header, read_header, starts_like_nifti
from ._nifti_names import table_from, table_of
from ._nifti_voxels import lazy_array
from ._slabs import stored_dtype, stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["FORMAT", "NiftiFormat"]

_UNITS = {"meter": "m", "mm": "mm", "micron": "um"}
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}
_VECTORS = {1004, 1005, 1006, 1007, 1011, 2003, 2004}
_LABEL_INTENT = 1002
# RAS (x, y, z) to LPS (z, y, x): reverse the axes and mirror x and y.
_TURN = np.array([[0, 0, 1, 0], [0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
_REVERSE = np.array([[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=float)


class NiftiFormat:
    """The format of neuroimaging, and of most medical deep learning."""

    name = "nifti"
    title = "NIfTI"
    suffixes = (".nii.gz", ".nii")
    writes = suffixes

    def sniff(self, path: Path) -> bool:
        """Whether the (unzipped) first bytes are a NIfTI header."""
        return starts_like_nifti(path)

    def open(self, path: Path) -> Volume:
        """Open lazily; warnings about a repaired affine are in ``metadata["warnings"]``."""
        with reading(path, "NIfTI"):
            header = read_header(path)
            array, order = lazy_array(path, header, _axes(header))
            return _volume(path, header, array, order)

    def check(self, volume: Volume) -> str | None:
        """Return why this volume cannot be written as NIfTI."""
        if volume.dtype.kind not in "biuf":
            return f"NIfTI holds whole or real numbers here, found {volume.dtype}"
        return None

    def save(self, volume: Volume, path: Path) -> None:
        """Write with the grid of the source file where there is one, voxel by voxel the same place."""
        order, shape, dtype = _layout(volume)
        header = _header_for(volume, shape, dtype)
        plain = dtype if dtype.fields is None else np.dtype(np.uint8)
        with writing(path) as temporary, _opened(temporary) as file:
            header.write_to(file)
            file.write(bytes(int(header["vox_offset"]) - file.tell()))
            for part in stream(volume, order, plain):
                file.write(part.data)


FORMAT = NiftiFormat()


# -- reading ---------------------------------------------------------------------------


def _axes(header: Header) -> str:
    """Axes of the file's array, fastest first, one letter per dimension."""
    axes = "XYZTC"[: max(len(header.shape), 2)]
    if len(header.shape) == 4 and header.intent in _VECTORS:
        return "XYZC"
    return axes


def _volume(path: Path, header: Header, array: Any, axes: str) -> Volume:
    matrix, warnings = header.affine()
    unit = _UNITS.get(header.units[0], "mm")
    turned = _TURN @ matrix @ _REVERSE
    if "Z" not in axes:
        turned = _plane(turned, header.spacing)
    grid = Grid(
        axes,
        tuple(array.shape),
        Grid.freeze(turned),
        unit,
        "LPS",
        _time_step(header) if "T" in axes else None,
    )
    colours = ("red", "green", "blue", "alpha")[: grid.length("C")] if header.samples > 1 else ()
    classes, class_colors = table_from(header.extensions)
    return Volume(
        array,
        grid,
        channels=colours,
        name=bare_name(path.name, FORMAT.suffixes),
        source=str(path),
        format=FORMAT.name,
        rgb=header.samples > 1,
        is_labels=header.intent == _LABEL_INTENT and array.dtype.kind in "iu",
        classes=classes,
        colors=class_colors,
        metadata={
            "kind": f"NIfTI-{header.version}",
            "warnings": warnings,
            "nifti": {"header": header.block, "version": header.version, "affine": grid.affine},
        },
    )


def _plane(matrix: NDArray[np.float64], spacing: tuple[float, ...]) -> NDArray[np.float64]:
    """Y and X of an affine; spacing and origin where the plane does not lie across z."""
    plane = matrix[1:, 1:]
    if abs(np.linalg.det(plane[:2, :2])) < 1e-6 * spacing[0] * spacing[1]:
        plane = np.diag([spacing[1], spacing[0], 1.0])
        plane[:2, 2] = matrix[1:3, 3]
    return plane


def _time_step(header: Header) -> float | None:
    factor = _SECONDS.get(header.units[1])
    step = header.spacing[3] if len(header.spacing) > 3 else 0.0
    return step * factor if factor and step > 0 else None


# -- writing ---------------------------------------------------------------------------


def _layout(volume: Volume) -> tuple[str, tuple[int, ...], np.dtype[Any]]:
    """Axes of the volume, slowest first; lengths of the file, fastest first; and a dtype that NIfTI knows."""
    grid, dtype = volume.grid, stored_dtype(volume)
    axes, last = grid.axes, ""
    if volume.rgb and dtype == np.uint8 and grid.length("C") in (3, 4):
        dtype = np.dtype([(letter, "u1") for letter in "RGBA"[: grid.length("C")]])
        axes, last = axes.replace("C", ""), "C"
    full = "".join(letter for letter in "XYZTC" if letter in axes)
    filled = "XYZTC"[: "XYZTC".index(full[-1]) + 1] if len(full) > 2 else "XY"
    shape = tuple(grid.length(a) if a in full else 1 for a in filled)
    return full[::-1] + last, shape, dtype


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file, or a stream that gzips into it (without name and time, so that the same is the same)."""
    with path.open("wb") as file:
        if path.suffix.lower() != ".gz":
            yield file
            return
        with gzip.GzipFile(
            fileobj=file, filename="", mode="wb", compresslevel=1, mtime=0
        ) as packed:
            yield cast("IO[bytes]", packed)


def _header_for(volume: Volume, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """Build a header: the source's placement to the bit where nothing moved, else the grid's."""
    import nibabel

    source = _source_header(volume)
    large = max(shape) > 32767
    kind: Any = nibabel.Nifti2Header if large or _version(volume) == 2 else nibabel.Nifti1Header
    header = kind() if source is None else kind.from_header(source)
    header.set_data_dtype(dtype)
    header.set_data_shape(shape)
    header.set_slope_inter(1.0, 0.0)
    if source is None:
        _place(header, volume.grid)
        header.set_xyzt_units(
            _unit_name(volume.grid.unit), "sec" if "T" in volume.grid.axes else None
        )
        header["pixdim"][4] = volume.grid.time_step or 0.0
    if volume.is_labels:
        header["intent_code"] = _LABEL_INTENT
    elif "C" in volume.grid.axes and not volume.rgb:
        header["intent_code"] = 1007
    if volume.classes:
        make_extension: Any = nibabel.nifti1.Nifti1Extension
        table = table_of(volume.classes, volume.colors)
        header.extensions.append(make_extension(0, table))
    header["vox_offset"] = header.single_vox_offset + header.extensions.get_sizeondisk()
    return header


def _version(volume: Volume) -> int:
    return int(volume.metadata.get("nifti", {}).get("version", 1))


def _source_header(volume: Volume) -> Any | None:
    """Return the geometry of the header it was read with, if the grid is still the one it had then."""
    import nibabel

    kept = volume.metadata.get("nifti")
    if kept is None or tuple(map(tuple, kept["affine"])) != volume.grid.affine:
        return None
    kind: Any = nibabel.Nifti2Header if kept["version"] == 2 else nibabel.Nifti1Header
    old = kind(kept["header"], check=False)
    fresh = kind()
    geometry = ("pixdim", "qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d")
    offsets = ("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z", "xyzt_units")
    for field in (*geometry, *offsets):
        fresh[field] = old[field]
    return fresh


def _place(header: Any, grid: Grid) -> None:
    matrix = np.eye(4)
    n = grid.ndim
    affine = grid.matrix
    matrix[3 - n : 3, 3 - n : 3] = affine[:n, :n]
    matrix[3 - n : 3, 3] = affine[:n, n]
    ras = np.linalg.inv(_TURN) @ matrix @ np.linalg.inv(_REVERSE)
    header["pixdim"][1:4] = np.linalg.norm(ras[:3, :3], axis=0)
    header.set_sform(ras, code=1 if grid.world == "LPS" else 2)
    linear = ras[:3, :3] / np.linalg.norm(ras[:3, :3], axis=0)
    if np.abs(linear.T @ linear - np.eye(3)).max() < 1e-5:  # a qform cannot shear
        header.set_qform(ras, code=1 if grid.world == "LPS" else 2)


def _unit_name(unit: str) -> str | None:
    names = {"m": "meter", "mm": "mm", "um": "micron"}
    if unit in names or unit == "pixel":
        return names.get(unit)
    raise BadInputError(
        f"NIfTI knows m, mm and um, found {unit}", remedy="Save as .ome.tif, or convert the unit."
    )
