"""Synthetic DICOM series, written with pydicom alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
AXIAL = np.eye(3)


def image(array: np.ndarray, **tags: Any) -> Dataset:
    """A data set of one plane ``(rows, columns)`` or of ``(rows, columns, 3)`` colours; no place."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = CT, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.3.4", "1.2.3.4.5"
    data.FrameOfReferenceUID, data.Modality, data.SeriesNumber = "1.2.3.9", "CT", 3
    data.PatientName, data.PatientID = "Doe^Jane", "PID-0815"
    colour = array.ndim > 2 and array.shape[-1] == 3
    plane = array.shape[-3:-1] if colour else array.shape[-2:]
    data.Rows, data.Columns = plane
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    data.BitsAllocated = data.BitsStored = array.dtype.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(array.dtype.kind == "i")
    data.PixelData = array.tobytes() + b"\0" * (array.nbytes % 2)
    data["PixelData"].VR = "OB" if array.dtype.itemsize == 1 else "OW"
    for keyword, value in tags.items():
        setattr(data, keyword, value)
    return data


def write(data: Dataset, path: Path) -> Path:
    """Write a data set as a file of part 10."""
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def series(
    folder: Path,
    array: np.ndarray,
    *,
    turn: np.ndarray = AXIAL,
    spacing: tuple[float, float, float] = (2.0, 0.75, 0.5),
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    skip: tuple[int, ...] = (),
    name: str = "IM{:04d}",
    **tags: Any,
) -> list[Path]:
    """Write ``(slices, rows, columns)`` as one file per slice; numbers and names run against the slices.

    Parameters
    ----------
    turn
        Columns: directions in which columns, rows and slices grow, in x y z.
    spacing
        Between slices, rows, columns, in mm.
    shift
        Added to the position from slice to slice: a gantry tilt.
    skip
        Slices that are not written.
    """
    across, down, up = turn.T
    paths = []
    for z, plane in enumerate(array):
        if z in skip:
            continue
        place = np.array(origin) + z * (spacing[0] * up + np.array(shift))
        number = (7 * z) % len(array) + 1
        data = image(plane, InstanceNumber=number, SliceThickness=9.5)
        data.ImagePositionPatient = [_ds(v) for v in place]
        data.ImageOrientationPatient = [_ds(v) for v in (*across, *down)]
        data.PixelSpacing = [_ds(spacing[1]), _ds(spacing[2])]
        for keyword, value in tags.items():
            setattr(data, keyword, value[z] if isinstance(value, list) else value)
        paths.append(write(data, folder / name.format(len(array) - z)))
    return paths


def _ds(value: float) -> str:
    return format_number_as_ds(round(float(value), 12))


def ramp(shape: tuple[int, ...] = (5, 6, 7), dtype: Any = np.int16) -> np.ndarray:
    """Every voxel another value."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def change(path: Path, **tags: Any) -> None:
    """Rewrite a file with other values; None removes an element."""
    data = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(data, keyword)
        else:
            setattr(data, keyword, value)
    data.save_as(path)
