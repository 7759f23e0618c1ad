"""Planes of a DICOM file: where each lies, what its numbers mean, and what tells it apart from others at its place.

Enhanced files keep geometry, rescale and window in functional groups, one per frame or shared; classic ones at the top
level. Both become the same `Frame`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import FormatError

from ._dicom_values import clock, first_item, number, numbers, texts, value_of, whole

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom.dataset import Dataset

__all__ = ["RANKS", "Frame", "frames_of"]

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


def frames_of(path: Path, data: Dataset) -> list[Frame]:
    """Frames of a file.

    Raises
    ------
    FormatError
        Fewer or more places than frames.
    """
    count = whole(data, "NumberOfFrames", 1)
    shared = first_item(data, "SharedFunctionalGroupsSequence")
    groups = value_of(data, "PerFrameFunctionalGroupsSequence")
    own = list(groups) if groups is not None else []
    if own and len(own) != count:
        raise FormatError(
            f"expected the places of {count} frames, found {len(own)}",
            path=path,
            remedy="The header is damaged; export the series again.",
        )
    if not own and shared is None:
        one = _frame(path, data, 0, (data,))
        return [one] if count == 1 else [_unplaced(one, index) for index in range(count)]
    return [
        _frame(path, data, index, (group, shared, data))
        for index, group in enumerate(own or [None] * count)
    ]


def _unplaced(frame: Frame, index: int) -> Frame:
    """A frame of a file that gives one place for all: only the first frame has it."""
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


def _frame(path: Path, data: Dataset, index: int, levels: tuple[Dataset | None, ...]) -> Frame:
    groups = _Groups(levels)
    transform, measures = "PixelValueTransformationSequence", "PixelMeasuresSequence"
    slope = groups.number(transform, "RescaleSlope")
    segment = groups.number("SegmentIdentificationSequence", "ReferencedSegmentNumber")
    return Frame(
        path,
        index,
        groups.numbers("PlanePositionSequence", "ImagePositionPatient", 3),
        groups.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6),
        groups.numbers(measures, "PixelSpacing", 2),
        slope or 1.0,  # a slope of 0 would make every voxel the same
        groups.number(transform, "RescaleIntercept") or 0.0,
        _window(groups),
        _kind(data, groups),
        _rank(data, groups, index),
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
