"""What a DICOM file says before its pixels."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, BinaryIO

from napari_apprentice.core.errors import FormatError

from ._dicom_frames import Frame, frames_of
from ._dicom_sniff import is_dicom
from ._dicom_values import quiet, text, value_of, whole
from ._faults import check_claim, human_bytes, reading

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset
    from pydicom.tag import BaseTag

__all__ = ["DEFLATED", "IDENTIFIERS", "SEGMENTATIONS", "Picture", "read_picture"]

SEGMENTATIONS = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}
DEFLATED = "1.2.840.10008.1.2.1.99"
IDENTIFIERS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
)
"""What a file needs so that another one can refer to it."""
_MOST_INFLATED = 2**28
_MOST_FRAMES = 1_000_000
_LOOKED_AT = 2048  # bytes: the file meta information lies in them

_TOP = [
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "Modality",
    "SeriesDescription",
    "SeriesNumber",
    "InstanceNumber",
    "ImageType",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "NumberOfFrames",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "SpacingBetweenSlices",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "EchoTime",
    "TemporalPositionIdentifier",
    "TemporalResolution",
    "TriggerTime",
    "FrameTime",
    "AcquisitionNumber",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "ContentTime",
    "DiffusionBValue",
    "PixelPaddingValue",
    "SequenceOfUltrasoundRegions",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "SegmentSequence",
    "SegmentationType",
    "SegmentsOverlap",
    "MaximumFractionalValue",
    "FrameOfReferenceUID",
    "BurnedInAnnotation",
    "ConversionType",
    "ReferencedSeriesSequence",
]


@dataclass(frozen=True)
class Picture:
    """One file without its pixels.

    Parameters
    ----------
    data
        The elements read.
    syntax
        Transfer syntax UID.
    pixels
        Where the value of the pixel element starts in the file, in bytes; its keyword and VR.
    """

    path: Path
    data: Dataset
    syntax: str
    pixels: tuple[int, str, str]
    frames: tuple[Frame, ...] = field(default=())

    @property
    def uid(self) -> str:
        """SOP instance UID."""
        return text(self.data, "SOPInstanceUID")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, samples per pixel as displayed (a palette has three)."""
        samples = whole(self.data, "SamplesPerPixel", 1)
        if text(self.data, "PhotometricInterpretation") == "PALETTE COLOR":
            samples = 3
        return whole(self.data, "Rows"), whole(self.data, "Columns"), samples


def read_picture(path: Path) -> Picture:
    """Read a file up to its pixels.

    Raises
    ------
    FormatError
        No DICOM, no image, damaged, or a header that claims more than the file holds.
    """
    with reading(path, "DICOM"), quiet():
        picture = _read(path)
        return Picture(
            path, picture.data, picture.syntax, picture.pixels, tuple(frames_of(path, picture.data))
        )


def _read(path: Path) -> Picture:
    import pydicom

    if not is_dicom(path):
        raise FormatError(
            "expected the letters DICM at byte 128 of a DICOM file, found something else",
            path=path,
            remedy="Export it again as a DICOM file (part 10).",
        )
    with path.open("rb") as file:
        if DEFLATED.encode() in file.read(_LOOKED_AT):
            _check_inflated(path)
        file.seek(0)
        data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_tags())
        syntax = str(data.file_meta.get("TransferSyntaxUID", ""))
        start = file.tell()
        pixels = (0, "PixelData", "OW") if syntax == DEFLATED else _pixel_element(file, data)
    if value_of(data, "Rows") and not pixels[1]:
        raise FormatError(
            "expected pixels after the header, found the end of the file",
            path=path,
            remedy="The file is cut off; copy or export it again.",
        )
    if not value_of(data, "Rows"):
        raise FormatError(
            f"expected an image, found {_sort(data)} without one",
            path=path,
            remedy="Open the folder of the image series instead.",
        )
    picture = Picture(path, data, syntax, pixels)
    _check_size(picture, path.stat().st_size - start)
    return picture


@cache
def _tags() -> list[BaseTag]:
    """The elements read; looking their names up for every file would take longer than reading them."""
    from pydicom.tag import Tag

    return [Tag(keyword) for keyword in _TOP]


def _sort(data: Dataset) -> str:
    from pydicom.uid import UID

    name = UID(text(data, "SOPClassUID")).name
    return f"{text(data, 'Modality') or 'an object'} ({name})" if name else "a file"


def _check_inflated(path: Path) -> None:
    """Refuse a deflated file that would fill the memory, before pydicom inflates it whole."""
    size = 0
    with path.open("rb") as file:
        raw = file.read()
    # The group length of the file meta information says where the deflated part starts.
    start = 144 + int.from_bytes(raw[140:144], "little")
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    rest = raw[start:]
    while rest and size <= _MOST_INFLATED:
        size += len(machine.decompress(rest, 2**20))
        rest = machine.unconsumed_tail
    if size > _MOST_INFLATED:
        raise FormatError(
            f"expected at most {human_bytes(_MOST_INFLATED)} in a deflated file, found more",
            path=path,
            remedy="Export it without compression.",
        )


def _pixel_element(file: BinaryIO, data: Dataset) -> tuple[int, str, str]:
    """Where the pixels start; an empty keyword where there are none."""
    keywords = {0x0008: "FloatPixelData", 0x0009: "DoubleFloatPixelData", 0x0010: "PixelData"}
    implicit, little = data.original_encoding
    order = "little" if little in (True, None) else "big"
    start = file.tell()
    head = file.read(12)
    group, element = (int.from_bytes(head[i : i + 2], order) for i in (0, 2))  # type: ignore[arg-type]
    if group != 0x7FE0 or element not in keywords:
        return start, "", ""
    if implicit:
        return start + 8, keywords[element], "OW"
    return start + 12, keywords[element], head[4:6].decode("ascii", "replace")


def _check_size(picture: Picture, available: int) -> None:
    data, path = picture.data, picture.path
    rows, columns, samples = (
        whole(data, k, d) for k, d in (("Rows", 0), ("Columns", 0), ("SamplesPerPixel", 1))
    )
    bits, frames = whole(data, "BitsAllocated"), whole(data, "NumberOfFrames", 1)
    if min(rows, columns) < 1 or samples not in (1, 3, 4) or not 1 <= frames <= _MOST_FRAMES:
        raise FormatError(
            f"expected an image, found {rows} rows, {columns} columns, {samples} samples, {frames} frames",
            path=path,
            remedy="The header is damaged; copy or export it again.",
        )
    if bits not in (1, 8, 16, 32, 64):
        raise FormatError(
            f"expected 1, 8, 16, 32 or 64 bits allocated, found {bits}",
            path=path,
            remedy="The header is damaged; copy or export it again.",
        )
    claimed = rows * columns * samples * frames * bits // 8
    if _is_compressed(picture.syntax):
        if frames > available // 10:  # an encapsulated frame takes 8 bytes before its first own one
            check_claim(path, frames * 10, available)
        return
    if text(data, "PhotometricInterpretation") == "YBR_FULL_422":
        claimed = claimed * 2 // 3
    if picture.syntax != DEFLATED:
        check_claim(path, claimed, available)
    elif claimed > _MOST_INFLATED:
        check_claim(path, claimed, _MOST_INFLATED)


def _is_compressed(syntax: str) -> bool:
    return syntax.startswith("1.2.840.10008.1.2.4") or syntax == "1.2.840.10008.1.2.5"
