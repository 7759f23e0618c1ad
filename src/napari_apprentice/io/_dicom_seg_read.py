"""DICOM-SEG files become label volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

from ._dicom_pixels import read_bits, read_frame
from ._dicom_seg import names_and_colors
from ._dicom_stack import normal_of, place_affine
from ._dicom_values import first_item, number, text, value_of, whole
from ._dtypes import smallest_integer
from ._faults import human_bytes
from ._names import bare_name

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ._dicom_frames import Frame
    from ._dicom_header import Picture
    from ._dicom_series import Group

__all__ = ["read_segmentation"]

_MOST_BYTES = 2**32
_SUFFIXES = (".dcm", ".dicom")


def read_segmentation(group: Group, path: Path, key: str | None) -> Volume:
    """Read the segments of a DICOM-SEG as labels on the grid of its slices.

    Where segments overlap the one with the higher number is kept, and a warning says so. Fractions count from a half.

    Raises
    ------
    FormatError
        No place, slices that fit on no grid, or more slices than can be held.
    """
    picture = group.first
    frames = group.frames
    if any(f.position is None or f.orientation is None or f.spacing is None for f in frames):
        raise FormatError(
            "expected the place of every segment's slices, found none",
            path=path,
            remedy="Export the segmentation again; without a place it cannot be laid on an image.",
        )
    rows, count, affine = _slices(picture, frames, path)
    # Label maps describe their background as segment 0.
    segments = [s for s in value_of(picture.data, "SegmentSequence") or () if s.SegmentNumber]
    values, names, colors = names_and_colors(segments)
    labels, doubled = _labels(picture, frames, rows, count, values)
    grid = Grid("ZYX", labels.shape, Grid.freeze(affine), "mm", "LPS")
    notes = [f"{doubled} voxels belong to several segments: the highest number is kept"]
    return Volume(
        labels,
        grid,
        name=group.series.title if key is not None else bare_name(path.name, _SUFFIXES),
        source=str(path) if key is None else f"{path}#{key}",
        format="dicom",
        classes=names,
        colors=colors,
        is_labels=True,
        metadata={
            "kind": "DICOM-SEG",
            "modality": "SEG",
            "warnings": notes if doubled else [],
            "refers_to": _referred(picture),
            "left_out_is_background": True,
        },
    )


def _referred(picture: Picture) -> str:
    """UID of the series that the labels were drawn on."""
    item = first_item(picture.data, "ReferencedSeriesSequence")
    return "" if item is None else text(item, "SeriesInstanceUID")


def _slices(
    picture: Picture, frames: tuple[Frame, ...], path: Path
) -> tuple[list[int], int, NDArray[np.float64]]:
    """Slice of each frame, number of slices, affine."""
    normal = normal_of(frames[0], path)
    positions = np.array([f.position for f in frames])
    heights = positions @ normal
    low, high = int(heights.argmin()), int(heights.argmax())
    extent = heights[high] - heights[low]
    gaps = np.diff(np.sort(heights))
    spacing = _spacing(picture) or float(gaps[gaps > 1e-3].min(initial=np.inf))
    if extent < 1e-3 or not np.isfinite(spacing):
        thickness = spacing if np.isfinite(spacing) else 1.0
        return (
            [0] * len(frames),
            1,
            place_affine(frames[0], positions[0], normal * thickness),
        )
    last = max(1, round(extent / spacing))
    step = (positions[high] - positions[low]) / last
    at = np.round((heights - heights[low]) / (extent / last)).astype(int)
    off = np.linalg.norm(positions - (positions[low] + at[:, None] * step), axis=1)
    if off.max() > 0.02 * np.linalg.norm(step) + 1e-3:
        raise FormatError(
            f"expected slices {spacing:.4g} mm apart, found one {off.max():.4g} mm off its place",
            path=path,
            remedy="Resample the segmentation evenly in the program that wrote it.",
        )
    return [int(i) for i in at], last + 1, place_affine(frames[0], positions[low], step)


def _spacing(picture: Picture) -> float | None:
    shared = first_item(picture.data, "SharedFunctionalGroupsSequence")
    measures = first_item(shared, "PixelMeasuresSequence")
    found = None if measures is None else number(measures, "SpacingBetweenSlices")
    return found if found is not None and found > 0 else None


def _labels(
    picture: Picture,
    frames: tuple[Frame, ...],
    at: list[int],
    count: int,
    values: dict[int, int],
) -> tuple[NDArray[Any], int]:
    rows, columns, _ = picture.shape
    highest = np.array([max([1, *values.values()])])
    dtype = smallest_integer(highest)
    size = count * rows * columns * dtype.itemsize
    if size > _MOST_BYTES:
        raise FormatError(
            f"expected labels of at most {human_bytes(_MOST_BYTES)}, found {human_bytes(size)} "
            f"({count} slices for {len(frames)} frames)",
            path=picture.path,
            remedy="The places of its slices are damaged; export it again.",
        )
    labels = np.zeros((count, rows, columns), dtype)
    doubled = 0
    for frame, z in sorted(zip(frames, at, strict=True), key=lambda pair: pair[0].segment):
        mask, value = _mask(picture, frame, values)
        doubled += int(np.count_nonzero(labels[z][mask]))
        labels[z][mask] = value if np.isscalar(value) else value[mask]
    return labels, doubled


def _mask(picture: Picture, frame: Frame, values: dict[int, int]) -> tuple[NDArray[np.bool_], Any]:
    """Where a frame says something, and which label."""
    kind = text(picture.data, "SegmentationType")
    value = values.get(frame.segment, frame.segment)
    if kind == "BINARY" and whole(picture.data, "BitsAllocated") == 1 and _plain(picture):
        return read_bits(picture, frame.index) > 0, value
    stored = read_frame(picture, frame.index)
    if kind == "LABELMAP":
        table = np.array([values.get(n, n) for n in range(int(stored.max()) + 1)])
        return stored > 0, table[stored]
    half = (whole(picture.data, "MaximumFractionalValue", 1) or 1) / 2
    return stored >= half if kind == "FRACTIONAL" else stored > 0, value


def _plain(picture: Picture) -> bool:
    """Whether bits lie in the file as they are."""
    return picture.syntax in ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
