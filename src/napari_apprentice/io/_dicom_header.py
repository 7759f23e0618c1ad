"""What a DICOM file says before its pixels: one `Picture` per file, one `Frame` per plane in it.

Enhanced files keep geometry, rescale and window in functional groups, one per frame or shared; classic ones at the top
level. Both become the same `Frame`.
"""

from __future__ import annotations

import warnings
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from napari_apprentice.core.errors import FormatError

from ._dicom_sniff import is_dicom
from ._dicom_values import clock, first_item, number, numbers, text, texts, value_of, whole
from ._faults import check_claim, human_bytes, reading

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

__all__ = ["DEFLATED", "IDENTIFIERS", "RANKS", "SEGMENTATIONS", "Frame", "Picture", "read_picture"]

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

# What tells apart images at one place, in the order in which it is believed.
RANKS = (
    "temporal position",
    "b-value",
    "trigger time",
    "acquisition number",
    "acquisition time",
    "content time",
    "instance number",
    "frame number",
)
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
class Frame:
    """One plane: where it lies and what its numbers mean.

    Parameters
    ----------
    path, index
        The file, and the number of the frame in it from 0.
    position
        Centre of the first pixel in the patient, x y z in mm.
    orientation
        Directions in which columns and rows grow: six cosines.
    spacing
        Between rows, between columns, in mm.
    slope, intercept
        Stored number → value.
    window
        Lowest and highest value to show.
    kind
        What separates images of one series that are not of one sort: image type, echo time.
    rank
        One number per entry of `RANKS`.
    segment
        Of segmentations.
    """

    path: Path
    index: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, ...] | None
    slope: float
    intercept: float
    window: tuple[float, float] | None
    kind: tuple[str, float]
    rank: tuple[float, ...]
    segment: int = 0


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
    with reading(path, "DICOM"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's remarks on values; what matters is checked here
        picture = _read(path)
        return Picture(path, picture.data, picture.syntax, picture.pixels, tuple(_frames(picture)))


def _read(path: Path) -> Picture:
    import pydicom

    if not is_dicom(path):
        raise FormatError(
            "expected the letters DICM at byte 128 of a DICOM file, found something else",
            path=path,
            remedy="Export it again as a DICOM file (part 10).",
        )
    with path.open("rb") as file:
        syntax = str(pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID", ""))
        if syntax == DEFLATED:
            _check_inflated(path)
        data = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[*_TOP])
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


# -- frames --------------------------------------------------------------------------------


def _frames(picture: Picture) -> list[Frame]:
    data = picture.data
    count = whole(data, "NumberOfFrames", 1)
    shared = first_item(data, "SharedFunctionalGroupsSequence")
    groups = value_of(data, "PerFrameFunctionalGroupsSequence")
    own = list(groups) if groups is not None else []
    if own and len(own) != count:
        raise FormatError(
            f"expected the places of {count} frames, found {len(own)}",
            path=picture.path,
            remedy="The header is damaged; export the series again.",
        )
    if not own and shared is None:
        one = _frame(picture, 0, (data,))
        return [one] if count == 1 else [_unplaced(one, index) for index in range(count)]
    return [
        _frame(picture, index, (group, shared, data))
        for index, group in enumerate(own or [None] * count)
    ]


def _unplaced(frame: Frame, index: int) -> Frame:
    """A frame of a file that gives one place for all: only the first frame has it."""
    from dataclasses import replace

    return replace(frame, index=index, position=None, rank=(*frame.rank[:-1], float(index)))


class _Groups:
    """Looks an element up in the frame's functional groups, then in the shared ones, then at the top level."""

    def __init__(self, levels: tuple[Dataset | None, ...]) -> None:
        self._levels = [level for level in levels if level is not None]

    def numbers(
        self, sequence: str, keyword: str, count: int | None = None
    ) -> tuple[float, ...] | None:
        for level in self._levels:
            for place in (first_item(level, sequence), level):
                found = None if place is None else numbers(place, keyword, count)
                if found is not None:
                    return found
        return None

    def number(self, sequence: str, keyword: str) -> float | None:
        found = self.numbers(sequence, keyword)
        return None if found is None else found[0]

    def item(self, sequence: str) -> Any:
        return next((i for level in self._levels if (i := first_item(level, sequence))), None)


def _frame(picture: Picture, index: int, levels: tuple[Dataset | None, ...]) -> Frame:
    groups = _Groups(levels)
    transform, measures = "PixelValueTransformationSequence", "PixelMeasuresSequence"
    slope = groups.number(transform, "RescaleSlope")
    segment = groups.number("SegmentIdentificationSequence", "ReferencedSegmentNumber")
    return Frame(
        picture.path,
        index,
        groups.numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        groups.numbers(measures, "PixelSpacing", 2),
        slope or 1.0,  # a slope of 0 would make every voxel the same
        groups.number(transform, "RescaleIntercept") or 0.0,
        _window(groups),
        _kind(picture.data, groups),
        _rank(picture.data, groups, index),
        int(segment or 0),
    )


def _window(groups: _Groups) -> tuple[float, float] | None:
    center = groups.number("FrameVOILUTSequence", "WindowCenter")
    width = groups.number("FrameVOILUTSequence", "WindowWidth")
    if center is None or width is None or width <= 0:
        return None
    return center - width / 2, center + width / 2


def _kind(data: Dataset, groups: _Groups) -> tuple[str, float]:
    types = texts(data, "ImageType")
    for name in ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence"):
        item = groups.item(name)
        types = types if item is None else texts(item, "FrameType")
    echo = groups.number("MREchoSequence", "EffectiveEchoTime")
    top = number(data, "EchoTime")
    return "\\".join(types), echo if echo is not None else top or 0.0


def _rank(data: Dataset, groups: _Groups, index: int) -> tuple[float, ...]:
    content = groups.item("FrameContentSequence")
    temporal = groups.number("FrameContentSequence", "TemporalPositionIndex")
    acquired = None if content is None else clock(content, "FrameAcquisitionDateTime")
    found = (
        temporal if temporal is not None else number(data, "TemporalPositionIdentifier"),
        groups.number("MRDiffusionSequence", "DiffusionBValue"),
        groups.number("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime")
        or number(data, "TriggerTime"),
        number(data, "AcquisitionNumber"),
        acquired or clock(data, "AcquisitionDateTime") or clock(data, "AcquisitionTime"),
        clock(data, "ContentTime"),
        number(data, "InstanceNumber"),
        float(index),
    )
    return tuple(value or 0.0 for value in found)
