"""A series of DICOM files becomes a volume."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Display, Volume

from ._dicom_burned import burned_in
from ._dicom_header import IDENTIFIERS
from ._dicom_pixels import lazy_pixels, text_of, value_dtype
from ._dicom_series import choose, scan
from ._dicom_sniff import dicom_files
from ._dicom_stack import mean_step, stack_frames
from ._dicom_values import number, numbers, quiet, text, value_of, whole
from ._faults import reading
from ._names import bare_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ._dicom_frames import Frame
    from ._dicom_header import Picture
    from ._dicom_series import Group, Scan
    from ._dicom_stack import Stack

__all__ = ["open_chosen", "open_together", "scan_path"]

_SUFFIXES = (".dcm", ".dicom")
_CENTIMETRES = 3  # unit code of ultrasound regions


def scan_path(path: Path) -> Scan:
    """Find the series of a folder, or of one file.

    Raises
    ------
    FormatError
        One file that cannot be read.
    """
    if path.is_dir():
        with quiet():
            return scan(dicom_files(path))
    from ._dicom_header import read_picture

    read_picture(path)  # its error is the answer; a scan would only note it
    return scan([path])


def open_chosen(path: Path, series: str | None) -> Volume:
    """Open a file or folder, or one series of it."""
    with reading(path, "DICOM"), quiet():
        found = scan_path(path)
        group = choose(found, path, series)
        several = len([g for g in found.groups if not g.is_segmentation]) > 1
        key = group.series.key if series is not None and several else None
        volume = open_group(group, path, key, found.problems)
        names = [str(one.series) for one in found.groups if one is not group] if several else []
        return replace(volume, metadata={**volume.metadata, "series": names})


def open_together(paths: Sequence[Path]) -> list[Volume]:
    """Open files (and folders) that were given together: one volume per series."""
    files = [file for path in paths for file in (dicom_files(path) if path.is_dir() else [path])]
    with reading(paths[0], "DICOM"), quiet():
        found = scan(files)
        if not found.groups:
            choose(found, paths[0], None)
        several = len(found.groups) > 1
        volumes = []
        for group in found.groups:
            place = group.frames[0].path if len(group.pictures) == 1 else paths[0].parent
            key = group.series.key if several and place.is_dir() else None
            volumes.append(open_group(group, place, key, found.problems))
        return volumes


def open_group(group: Group, path: Path, key: str | None, problems: Sequence[str]) -> Volume:
    """Make a volume of one series; pixels are read when asked for."""
    if group.is_segmentation:
        from ._dicom_seg_read import read_segmentation

        return read_segmentation(group, path, key)
    first = group.first
    stack = stack_frames(group.frames, _thickness(first), path)
    dtype = value_dtype(list(group.pictures.values()), group.frames)
    data = lazy_pixels(group.pictures, stack.frames, dtype)
    data, axes = _axes(data, located=stack.affine is not None)
    grid, notes = _grid(first, stack, axes, tuple(data.shape))
    colour = "C" in axes
    window = _window(stack)
    return Volume(
        data,
        grid,
        channels=("red", "green", "blue") if colour else (),
        name=group.series.title if key is not None else bare_name(path.name, _SUFFIXES),
        source=str(path) if key is None else f"{path}#{key}",
        format="dicom",
        rgb=colour,
        display=() if colour or window is None else (Display(window=window),),
        metadata={
            "kind": _kind(first),
            "modality": group.series.modality,
            "inverted": text_of(first) == "MONOCHROME1",
            "burned_in": burned_in(first.data),
            "warnings": [*problems, *stack.notes, *notes, *_doubts(first)],
            "dicom": _provenance(stack, group, grid),
        },
    )


def _kind(picture: Picture) -> str:
    from pydicom.uid import UID

    return UID(text(picture.data, "SOPClassUID")).name.removesuffix(" Storage") or "DICOM"


def _doubts(picture: Picture) -> list[str]:
    doubts = []
    if value_of(picture.data, "ModalityLUTSequence"):
        doubts.append("the file's table of values (Modality LUT) is not applied: stored numbers")
    if "MOSAIC" in text(picture.data, "ImageType"):
        doubts.append("a mosaic of slices: shown as the one plane that is stored")
    return doubts


def _provenance(stack: Stack, group: Group, grid: Grid) -> dict[str, Any]:
    """What a DICOM-SEG needs to refer to its source, as plain values."""
    return {
        "frames": [None if f is None else (str(f.path), f.index) for f in stack.frames[0]],
        "series": group.series.uid,
        "affine": grid.affine,
        "shape": grid.spatial_shape,
        "located": stack.affine is not None,
        "lacks": next((k for k in IDENTIFIERS if not text(group.first.data, k)), ""),
    }


# -- axes and placement ---------------------------------------------------------------------


def _axes(data: Any, *, located: bool) -> tuple[Any, str]:
    """Bring ``(time, slice, row, column[, colour])`` to ``TCZYX`` without axes that are not there."""
    axes = "TZYX" if data.ndim == 4 else "TZYXC"
    drop = tuple(
        i for i, a in enumerate(axes[:2]) if data.shape[i] == 1 and not (a == "Z" and located)
    )
    kept = "".join(a for i, a in enumerate(axes) if i not in drop)
    data = data.squeeze(axis=drop) if drop else data
    order = "".join(a for a in "TCZYX" if a in kept)
    return data.transpose([kept.index(a) for a in order]), order


def _grid(
    picture: Picture, stack: Stack, axes: str, shape: tuple[int, ...]
) -> tuple[Grid, list[str]]:
    time_step = _time_step(picture, stack) if "T" in axes else None
    if stack.affine is not None:
        return Grid(axes, shape, Grid.freeze(stack.affine), "mm", "LPS", time_step), []
    spacing, notes = _pixel_size(picture)
    unit = "mm" if spacing else "pixel"
    return Grid.regular(axes, shape, spacing, unit=unit, time_step=time_step), notes


def _pixel_size(picture: Picture) -> tuple[tuple[float, ...] | None, list[str]]:
    """Pixel size of an image without a place, in mm, and what to say about it."""
    data = picture.data
    own = numbers(data, "PixelSpacing", 2) or picture.frames[0].spacing
    if own and min(own) > 0:
        return own, []
    for keyword in ("NominalScannedPixelSpacing", "ImagerPixelSpacing"):
        found = numbers(data, keyword, 2)
        if found and min(found) > 0:
            return found, ["the pixel size is that at the detector, not in the patient"]
    sizes = {_region_size(region) for region in value_of(data, "SequenceOfUltrasoundRegions") or ()}
    known = sizes - {None}
    return (known.pop() if len(known) == 1 and len(sizes) == 1 else None), []


def _region_size(region: Any) -> tuple[float, float] | None:
    units = {whole(region, f"PhysicalUnits{axis}Direction") for axis in "XY"}
    down, across = (number(region, f"PhysicalDelta{axis}") for axis in "YX")
    if units != {_CENTIMETRES} or not down or not across:
        return None
    return abs(down) * 10, abs(across) * 10


def _time_step(picture: Picture, stack: Stack) -> float | None:
    """Seconds between time points, where that is what the time axis is."""
    data = picture.data
    if stack.varies == "frame number":
        milliseconds = number(data, "FrameTime")
        return milliseconds / 1000 if milliseconds and milliseconds > 0 else None
    if stack.varies == "temporal position":
        milliseconds = number(data, "TemporalResolution")
        if milliseconds and milliseconds > 0:
            return milliseconds / 1000
    if stack.varies not in ("temporal position", "acquisition time", "trigger time"):
        return None
    at, factor = (2, 1e-3) if stack.varies == "trigger time" else (4, 1.0)
    times = [row[0].rank[at] for row in stack.frames if row[0] is not None]
    step = mean_step(times)
    return None if step is None else round(step * factor, 6)


def _thickness(picture: Picture) -> float | None:
    """Extent of a lone slice, in mm."""
    shared = value_of(picture.data, "SharedFunctionalGroupsSequence")
    measures = value_of(shared[0], "PixelMeasuresSequence") if shared else None
    for place in (picture.data, measures[0] if measures else None):
        for keyword in ("SpacingBetweenSlices", "SliceThickness"):
            found = None if place is None else number(place, keyword)
            if found is not None and found > 0:
                return found
    return None


def _window(stack: Stack) -> tuple[float, float] | None:
    """Window of the middle slice."""
    known = [frame for row in stack.frames for frame in row if frame is not None]
    middle: Frame = known[len(known) // 2]
    return middle.window
