"""DICOM-SEG: labels that refer to the DICOM series they were drawn on, written by highdicom, and read back.

A label value is the segment number where values run from 1 without gaps, as the standard wants segment numbers to;
else the value is kept in the segment's *Tracking ID*.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import ApprenticeError, FormatError

from ._atomic import writing
from ._dicom_header import IDENTIFIERS
from ._dicom_values import first_item, quiet, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

    from napari_apprentice.core.volume import Volume

__all__ = ["names_and_colors", "why_not", "write_segmentation"]

_TRACKING = "label "
_MOST_SEGMENTS = 1000
_LONGEST_NAME = 64  # of the value representation LO
_MAY_BE_EMPTY = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def why_not(volume: Volume) -> str | None:
    """Return why a volume cannot be written as DICOM-SEG, or None where it can."""
    if volume.dtype.kind not in "biu" or not (volume.classes or volume.is_labels):
        return "images are not written as DICOM, only labels (as DICOM-SEG)"
    if volume.grid.axes != "ZYX":
        return f"a DICOM-SEG holds labels with axes ZYX here, found {volume.grid.axes}"
    source = volume.metadata.get("dicom")
    if not source:
        return "a DICOM-SEG refers to the DICOM series it was drawn on; this image was not read from one"
    if not source["located"]:
        return "a DICOM-SEG needs a series whose images say where they lie in the patient"
    if source["lacks"]:
        return f"a DICOM-SEG refers to its series, and this one has no {source['lacks']}"
    same = np.allclose(source["affine"], volume.grid.affine, rtol=0, atol=1e-6)
    if tuple(source["shape"]) != volume.grid.shape or not same:
        return "a DICOM-SEG needs labels on the grid of its series; these were moved or cropped"
    gone = next((f[0] for f in source["frames"] if f and not Path(f[0]).is_file()), None)
    return f"the series it belongs to is no longer at {gone}" if gone else None


def write_segmentation(volume: Volume, path: Path) -> None:
    """Write labels as DICOM-SEG.

    Raises
    ------
    FormatError
        More classes than sensible, labels where a slice is missing, or a series that lacks what a DICOM-SEG repeats.
    """
    from pydicom.uid import ExplicitVRLittleEndian

    labels = volume.numpy()
    values = sorted({int(v) for v in np.unique(labels)} - {0} | set(volume.classes))
    if not 0 < len(values) <= _MOST_SEGMENTS or min(values) < 0:
        raise FormatError(
            f"expected 1 to {_MOST_SEGMENTS} classes, found {len(values)}",
            path=path,
            remedy="Save numbered objects as .nii.gz.",
        )
    numbers = np.searchsorted(values, labels) + 1
    numbered = np.where(labels == 0, 0, numbers).astype(np.uint16)
    try:
        with quiet():
            data = _segmentation(volume, numbered, values)
    except ApprenticeError:
        raise
    except Exception as error:
        detail = " ".join(str(error).split())[:200]
        raise FormatError(
            f"the source series cannot be referred to: {detail}",
            path=path,
            remedy="Save as .nii.gz instead.",
        ) from error
    with writing(path) as temporary, quiet():
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(temporary, enforce_file_format=True)


def _segmentation(volume: Volume, labels: NDArray[np.uint16], values: Sequence[int]) -> Dataset:
    """Build the data set; the two outermost slices are always in it, so that it keeps its extent."""
    import highdicom
    from highdicom.seg import Segmentation
    from pydicom.valuerep import format_number_as_ds

    sources, array, ends = _sources(volume, labels)
    marked = [z for z in ends if not array[z].any()]
    array = array.copy()
    for z in marked:
        array[z, 0, 0] = 1
    data: Dataset = Segmentation(
        source_images=sources,
        pixel_array=array if len(sources) > 1 else _placed(volume, array, sources[0]),
        segmentation_type="BINARY",
        segment_descriptions=_descriptions(volume, values),
        series_instance_uid=highdicom.UID(),
        series_number=int(sources[0].get("SeriesNumber") or 0) + 1000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer="napari-apprentice",
        manufacturer_model_name="napari-apprentice",
        software_versions=_version(),
        device_serial_number="0",
        content_label="SEGMENTATION",
        series_description="Segmentation",
    )
    data.SpecificCharacterSet = "ISO_IR 192"
    # Of labels on a few slices of a series with gaps nobody could tell the spacing otherwise.
    grid = volume.grid
    measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = format_number_as_ds(
        grid.voxel_size / (grid.spacing[1] * grid.spacing[2])
    )
    _unmark(data, [volume.grid.to_world((z, 0, 0))[::-1] for z in _planes(volume, marked)])
    return data


def _version() -> str:
    from importlib.metadata import version

    return version("napari-apprentice")


def _planes(volume: Volume, rows: Sequence[int]) -> list[int]:
    """Slices of the volume for rows of the array without missing slices."""
    stored = [z for z, frame in enumerate(volume.metadata["dicom"]["frames"]) if frame]
    return [stored[row] for row in rows]


def _sources(
    volume: Volume, labels: NDArray[np.uint16]
) -> tuple[list[Dataset], NDArray[np.uint16], tuple[int, int]]:
    """Headers of the source in the order of the slices, and the labels of the slices that are there."""
    import pydicom

    frames = volume.metadata["dicom"]["frames"]
    stored = [z for z, frame in enumerate(frames) if frame]
    missing = sorted(set(range(len(frames))) - set(stored))
    if missing and labels[missing].any():
        raise FormatError(
            f"labels on slice {next(z for z in missing if labels[z].any())}, "
            "which is missing in the DICOM series",
            path=volume.source,
            remedy="Erase them there, or save as .nii.gz.",
        )
    paths = list(dict.fromkeys(frames[z][0] for z in stored))
    headers = [_whole(pydicom.dcmread(path, stop_before_pixels=True), path) for path in paths]
    return headers, labels[stored], (0, len(stored) - 1)


def _whole(header: Dataset, path: str) -> Dataset:
    """A header with everything that a DICOM-SEG repeats; what may be empty is added empty.

    Raises
    ------
    FormatError
        An identifier is missing, without which nothing can refer to the image.
    """
    for keyword in IDENTIFIERS:
        if not text(header, keyword):
            raise FormatError(
                f"expected a {keyword} to refer to, found none",
                path=path,
                remedy="Export the series again, or save as .nii.gz.",
            )
    for keyword in _MAY_BE_EMPTY:
        if keyword not in header:
            setattr(header, keyword, None)
    shared = first_item(header, "SharedFunctionalGroupsSequence")
    own = first_item(header, "PerFrameFunctionalGroupsSequence")
    if shared is not None and own is not None:
        # highdicom looks for these among the shared ones; within one stack they are the same for all frames.
        for keyword in ("PixelMeasuresSequence", "PlaneOrientationSequence"):
            if keyword not in shared and keyword in own:
                shared[keyword] = own[keyword]
    return header


def _placed(volume: Volume, array: NDArray[np.uint16], source: Dataset) -> Any:
    """The labels of a multi-frame file with their own placement."""
    import highdicom

    affine = np.eye(4)
    affine[:3] = volume.grid.matrix[:3][::-1]
    return highdicom.Volume(
        array,
        affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=source.get("FrameOfReferenceUID"),
    )


def _descriptions(volume: Volume, values: Sequence[int]) -> list[Any]:
    import highdicom
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="napari-apprentice", family=codes.DCM.ArtificialIntelligence, version=_version()
    )
    gaps = list(values) != list(range(1, len(values) + 1))
    described = []
    for number, value in enumerate(values, start=1):
        name = volume.classes.get(value) or f"label {value}"
        color = volume.colors.get(value)
        rgb = None if color is None else [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        described.append(
            SegmentDescription(
                segment_number=number,
                segment_label=name[:_LONGEST_NAME],
                segmented_property_category=codes.SCT.Tissue,
                segmented_property_type=codes.SCT.Tissue,
                algorithm_type="SEMIAUTOMATIC",
                algorithm_identification=algorithm,
                tracking_id=f"{_TRACKING}{value}" if gaps else None,
                tracking_uid=highdicom.UID() if gaps else None,
                display_color=None if rgb is None else CIELabColor.from_rgb(*rgb),
            )
        )
    return described


def _unmark(data: Dataset, positions: Sequence[NDArray[np.float64]]) -> None:
    """Clear the voxel that kept an empty outermost slice from being left out."""
    if not positions:
        return
    pixels = bytearray(data.PixelData)
    size = int(data.Rows) * int(data.Columns)
    shared = data.SharedFunctionalGroupsSequence[0]
    for index, group in enumerate(data.PerFrameFunctionalGroupsSequence):
        place, identity = (
            (group if keyword in group else shared)[keyword][0]
            for keyword in ("PlanePositionSequence", "SegmentIdentificationSequence")
        )
        place = np.array(place.ImagePositionPatient, dtype=float)
        if identity.ReferencedSegmentNumber == 1 and any(
            np.abs(place - p).max() < 1e-3 for p in positions
        ):
            bit = index * size
            pixels[bit // 8] &= ~(1 << bit % 8) & 0xFF
    data.PixelData = bytes(pixels)


def names_and_colors(
    segments: Sequence[Dataset],
) -> tuple[dict[int, int], dict[int, str], dict[int, str]]:
    """Segment number → label value; value → name; value → colour.

    Values are those that `write_segmentation` kept where every segment has one, else the segment numbers.
    """
    kept = {int(s.SegmentNumber): _kept_value(s) for s in segments}
    values = {n: n if None in kept.values() else int(v or 0) for n, v in kept.items()}
    if len(set(values.values())) < len(values):
        values = {n: n for n in kept}
    names = {
        values[int(s.SegmentNumber)]: text(s, "SegmentLabel") or f"segment {s.SegmentNumber}"
        for s in segments
    }
    return values, names, _colors(segments, values)


def _kept_value(segment: Dataset) -> int | None:
    said = text(segment, "TrackingID")
    number = said.removeprefix(_TRACKING)
    return int(number) if said.startswith(_TRACKING) and number.isdecimal() else None


def _colors(segments: Sequence[Dataset], values: Mapping[int, int]) -> dict[int, str]:
    from highdicom.color import CIELabColor

    colors = {}
    for segment in segments:
        lab = segment.get("RecommendedDisplayCIELabValue")
        if lab is None or len(lab) != 3:
            continue
        rgb = CIELabColor.from_dicom_value(lab).to_rgb()
        colors[values[int(segment.SegmentNumber)]] = "#" + "".join(f"{int(v):02X}" for v in rgb)
    return colors
