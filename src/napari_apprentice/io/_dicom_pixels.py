"""Pixels of DICOM frames, decoded when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._dicom_header import DEFLATED
from ._dicom_values import whole
from ._faults import reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ._dicom_frames import Frame
    from ._dicom_header import Picture

__all__ = ["lazy_pixels", "read_bits", "read_frame", "value_dtype"]


def read_frame(picture: Picture, index: int) -> NDArray[Any]:
    """Decode one frame: stored numbers ``(rows, columns)``, or colours ``(rows, columns, 3)`` as RGB.

    Raises
    ------
    FormatError
        Damaged, or compressed in a way that cannot be decoded here.
    """
    from ._dicom_codecs import decoder_for

    with reading(picture.path, "DICOM"):
        decoder = decoder_for(picture.syntax)
        options = _options(picture)
        if picture.syntax == DEFLATED:
            array, _ = decoder.as_array(_inflated(picture), index=index)
        else:
            with picture.path.open("rb") as file:
                file.seek(picture.pixels[0])
                array, _ = decoder.as_array(file, index=index, validate=False, **options)
        return _coloured(array, picture)


def _options(picture: Picture) -> dict[str, Any]:
    data, (_, keyword, kind) = picture.data, picture.pixels
    stored = whole(data, "BitsAllocated", 16)
    options: dict[str, Any] = {
        "rows": whole(data, "Rows"),
        "columns": whole(data, "Columns"),
        "samples_per_pixel": whole(data, "SamplesPerPixel", 1),
        "photometric_interpretation": str(data.get("PhotometricInterpretation", "MONOCHROME2")),
        "bits_allocated": stored,
        "bits_stored": min(stored, whole(data, "BitsStored", stored)) or stored,
        "number_of_frames": whole(data, "NumberOfFrames", 1),
        "pixel_representation": whole(data, "PixelRepresentation"),
        "planar_configuration": whole(data, "PlanarConfiguration"),
        "pixel_keyword": keyword,
        "pixel_vr": kind,
    }
    table = data.get("ExtendedOffsetTable"), data.get("ExtendedOffsetTableLengths")
    if all(table):
        options["extended_offsets"] = table
    return options


def _inflated(picture: Picture) -> Any:
    import pydicom

    return pydicom.dcmread(picture.path)


def _coloured(array: NDArray[Any], picture: Picture) -> NDArray[Any]:
    if picture.data.get("PhotometricInterpretation") != "PALETTE COLOR":
        return array
    from pydicom.pixels.processing import apply_color_lut

    looked_up = np.asarray(apply_color_lut(array, picture.data))
    return looked_up[..., :3]


def read_bits(picture: Picture, index: int) -> NDArray[np.uint8]:
    """Read one frame of bit-packed numbers; frames need not start at a byte."""
    rows, columns, _ = picture.shape
    first, count = index * rows * columns, rows * columns
    with reading(picture.path, "DICOM"), picture.path.open("rb") as file:
        file.seek(picture.pixels[0] + first // 8)
        raw = file.read((first % 8 + count + 7) // 8)
        bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")[first % 8 :]
        return bits[:count].reshape(rows, columns)


# -- values -----------------------------------------------------------------------------------


def value_dtype(pictures: Sequence[Picture], frames: Sequence[Frame]) -> np.dtype[Any]:
    """Smallest dtype that holds the rescaled values of all frames; whole numbers stay whole where they can."""
    first = pictures[0]
    if first.shape[2] > 1:
        colours = text_of(first) == "PALETTE COLOR" or whole(first.data, "BitsAllocated") > 8
        return np.dtype(np.uint16 if colours and _wide(first) else np.uint8)
    if first.pixels[1] != "PixelData":
        return np.dtype(np.float64 if first.pixels[1].startswith("Double") else np.float32)
    if any(f.slope % 1 or f.intercept % 1 for f in frames):
        return np.dtype(np.float32)
    ends = np.array([_stored_range(p) for p in pictures], dtype=float)
    low, high = ends[:, 0].min(), ends[:, 1].max()
    pairs = {(f.slope, f.intercept) for f in frames}
    values = [slope * end + intercept for slope, intercept in pairs for end in (low, high)]
    for name in ("u1", "u2", "i2", "i4", "u4"):
        bounds = np.iinfo(name)
        if bounds.min <= min(values) and max(values) <= bounds.max:
            return np.dtype(name)
    return np.dtype(np.float64)


def text_of(picture: Picture) -> str:
    """Photometric interpretation of a picture."""
    return str(picture.data.get("PhotometricInterpretation", ""))


def _wide(picture: Picture) -> bool:
    """Whether colours have 16 bits."""
    descriptor = picture.data.get("RedPaletteColorLookupTableDescriptor")
    if text_of(picture) == "PALETTE COLOR" and descriptor is not None:
        return int(descriptor[2]) > 8
    return whole(picture.data, "BitsAllocated") > 8


def _stored_range(picture: Picture) -> tuple[float, float]:
    allocated = whole(picture.data, "BitsAllocated", 16)
    bits = min(allocated, whole(picture.data, "BitsStored", allocated)) or allocated
    if whole(picture.data, "PixelRepresentation"):
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1
    return 0.0, 2.0**bits - 1


class _Pixels:
    """Frames as an array ``(time, slice, row, column[, colour])``; one frame is read at a time."""

    def __init__(
        self,
        pictures: dict[Path, Picture],
        rows: Sequence[Sequence[Frame | None]],
        dtype: np.dtype[Any],
    ) -> None:
        self._pictures = pictures
        self._rows = rows
        self.dtype = dtype
        lines, columns, samples = next(iter(pictures.values())).shape
        plane = (lines, columns) if samples == 1 else (lines, columns, samples)
        self._plane = plane
        self.shape = (len(rows), len(rows[0]), *plane)
        self.ndim = len(self.shape)

    def __getitem__(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        times, slices = (
            range(length)[k if isinstance(k, slice) else slice(k, k + 1)]
            for length, k in zip(self.shape[:2], key[:2], strict=True)
        )
        planes = [[self._values(self._rows[t][z]) for z in slices] for t in times]
        lead = tuple(slice(None) if isinstance(k, slice) else 0 for k in key[:2])
        return np.asarray(planes, dtype=self.dtype)[(*lead, *key[2:])]

    def _values(self, frame: Frame | None) -> NDArray[Any]:
        if frame is None:
            known = next(f for row in self._rows for f in row if f is not None)
            empty = min(0.0, known.intercept)
            return np.full(self._plane, empty, self.dtype)
        stored = read_frame(self._pictures[frame.path], frame.index)
        if stored.shape != self._plane:
            stored = stored.reshape(self._plane)
        if (frame.slope, frame.intercept) == (1.0, 0.0) or stored.ndim == 3:
            return stored.astype(self.dtype, copy=False)
        values = stored.astype(np.float64) * frame.slope + frame.intercept
        return values.astype(self.dtype)


def lazy_pixels(
    pictures: dict[Path, Picture],
    rows: Sequence[Sequence[Frame | None]],
    dtype: np.dtype[Any],
) -> Any:
    """Return a Dask array ``(time, slice, row, column[, colour])`` with one chunk per frame."""
    import dask.array as da

    pixels = _Pixels(pictures, rows, dtype)
    return da.from_array(
        pixels,
        chunks=(1, 1, *pixels.shape[2:]),
        name=False,
        asarray=False,
        meta=np.empty(0, dtype),
    )
