"""Which series lie in a folder of DICOM files; a file that cannot be read does not stop the others."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import FormatError

from ._dicom_header import SEGMENTATIONS, read_picture
from ._dicom_sniff import is_dicom
from ._dicom_values import text, whole
from ._format import Series
from ._series import pick

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ._dicom_frames import Frame
    from ._dicom_header import Picture

__all__ = ["Group", "Scan", "choose", "scan"]

_MOST_FILES = 200_000
_SAME_DIRECTION = 1e-3
_SAME_SIZE = 1e-3
_NAMES = (".dcm", ".dicom")


@dataclass(frozen=True)
class Group:
    """Images of one series that fit on one grid, in no order yet."""

    series: Series
    pictures: dict[Path, Picture]
    frames: tuple[Frame, ...]

    @property
    def is_segmentation(self) -> bool:
        """Whether it is a DICOM-SEG rather than an image."""
        return text(self.first.data, "SOPClassUID") in SEGMENTATIONS

    @property
    def first(self) -> Picture:
        """Any of its files: what all have in common."""
        return self.pictures[self.frames[0].path]


@dataclass(frozen=True)
class Scan:
    """What was found in a folder or a list of files."""

    groups: tuple[Group, ...]
    problems: tuple[str, ...] = field(default=())


# -- series -----------------------------------------------------------------------------------


def scan(paths: Iterable[Path]) -> Scan:
    """Read the headers of files and gather them into series.

    Parameters
    ----------
    paths
        Files; those that are no DICOM are left out silently, unless their name says that they should be.

    Returns
    -------
    Scan
        Series in the order of their numbers, and a line for every file that could not be used.
    """
    pictures: dict[Path, Picture] = {}
    problems: list[str] = []
    others: Counter[str] = Counter()
    known: dict[str, Path] = {}
    for path in islice(paths, _MOST_FILES):
        if not is_dicom(path):
            if path.suffix.lower() in _NAMES:
                problems.append(f"{path.name} is not a DICOM file: left out")
            continue
        try:
            picture = read_picture(path)
        except FormatError as error:
            if "without one" in error.message:
                others[error.message.split("found ")[1].split(" without")[0]] += 1
            else:
                problems.append(f"{path.name} is left out: {error.message}")
            continue
        if picture.uid and known.setdefault(picture.uid, path) != path:
            problems.append(f"{path.name} is a copy of {known[picture.uid].name}: left out")
            continue
        pictures[path] = picture
    problems += [f"{count} × {what}: no image, left out" for what, count in others.items()]
    return Scan(tuple(_named(_grouped(pictures))), tuple(problems))


def _grouped(pictures: dict[Path, Picture]) -> list[Group]:
    """Split by series, shape, and whether a place is known; then by orientation, then by kind of image."""
    sorts: dict[tuple[str, tuple[int, int, int], bool, str], list[Frame]] = {}
    for picture in pictures.values():
        data = picture.data
        segmentation = picture.uid if text(data, "SOPClassUID") in SEGMENTATIONS else ""
        for frame in picture.frames:
            located = frame.position is not None and frame.orientation is not None
            sort = text(data, "SeriesInstanceUID"), picture.shape, located, segmentation
            sorts.setdefault(sort, []).append(frame)
    groups = []
    for sort, frames in sorts.items():
        parts = [frames] if sort[3] else [k for o in _by_direction(frames) for k in _by_kind(o)]
        groups += [_group(part, pictures, len(parts) > 1) for part in parts]
    return groups


def _by_direction(frames: Sequence[Frame]) -> list[list[Frame]]:
    parts: list[list[Frame]] = []
    for frame in frames:
        for part in parts:
            if _parallel(part[0], frame):
                part.append(frame)
                break
        else:
            parts.append([frame])
    return parts


def _parallel(one: Frame, other: Frame) -> bool:
    """Whether two frames could lie in one stack; plain numbers, as it is asked for every frame."""
    if one.orientation is None or other.orientation is None:
        return one.orientation is other.orientation
    if one.spacing is not None and other.spacing is not None:
        pairs = zip(one.spacing, other.spacing, strict=True)
        if any(abs(a - b) > _SAME_SIZE * abs(a) for a, b in pairs):
            return False
    pairs = zip(one.orientation, other.orientation, strict=True)
    return all(abs(a - b) < _SAME_DIRECTION for a, b in pairs)


def _by_kind(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Images at one place that are of different kinds (magnitude and phase, echoes) are series of their own."""
    places = {tuple(round(v, 3) for v in f.position or ()) for f in frames}
    kinds: dict[tuple[str, float], list[Frame]] = {}
    for frame in frames:
        kinds.setdefault(frame.kind, []).append(frame)
    if len(kinds) == 1 or len(places) == len(frames) or frames[0].position is None:
        return [list(frames)]
    return list(kinds.values())


def _group(frames: Sequence[Frame], pictures: dict[Path, Picture], part: bool) -> Group:
    own = {frame.path: pictures[frame.path] for frame in frames}
    first = pictures[frames[0].path]
    data, (rows, columns, _) = first.data, first.shape
    title = text(data, "SeriesDescription") or text(data, "Modality") or "series"
    if part:
        types, echo = frames[0].kind
        title = " · ".join(
            [title, types.replace("\\", " ")] + ([f"TE {echo:g} ms"] if echo else [])
        )
    number, uid = whole(data, "SeriesNumber"), text(data, "SeriesInstanceUID")
    series = Series(
        str(number), title, text(data, "Modality"), (len(frames), rows, columns), len(own), uid
    )
    return Group(series, own, tuple(frames))


def _named(groups: list[Group]) -> list[Group]:
    """Give each series a short key: its number where no other has it, else number and a check sum."""
    used = Counter(group.series.key for group in groups)
    named = [
        replace(group, series=replace(group.series, key=_key(group)))
        if used[group.series.key] > 1 or group.series.key == "0"
        else group
        for group in groups
    ]
    return sorted(named, key=lambda g: (int(g.series.key.split("-")[0]), g.series.key))


def _key(group: Group) -> str:
    frame = group.frames[0]
    said = (group.series.uid, group.first.shape, frame.orientation, frame.kind)
    if group.is_segmentation:
        said = (*said[:3], (group.first.uid, 0.0))
    digest = hashlib.sha256(repr(said).encode()).hexdigest()[:4]
    return f"{group.series.key}-{digest}"


def choose(found: Scan, path: Path, wanted: str | None) -> Group:
    """Return the one series, or the one that was asked for.

    Parameters
    ----------
    wanted
        Its key, UID, the end of its UID, or its description.

    Raises
    ------
    FormatError
        There is no image.
    SeriesChoiceError
        Several series and none chosen, or none or several that fit.
    """
    if not found.groups:
        detail = "; ".join(found.problems[:3]) or "no DICOM file"
        raise FormatError(
            f"expected DICOM images, found none ({detail})",
            path=path,
            remedy="Choose the folder that the scanner or the PACS wrote.",
        )
    images = [g for g in found.groups if not g.is_segmentation] or list(found.groups)
    candidates = images if wanted is None else list(found.groups)
    if wanted is None and len(images) == 1:
        return images[0]
    chosen = pick([group.series for group in candidates], wanted, path)
    return next(group for group in candidates if group.series is chosen)
