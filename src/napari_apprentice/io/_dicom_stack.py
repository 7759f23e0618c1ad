"""Frames of one series put in order by where they lie, never by their numbers, and the affine of the result."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import FormatError

from ._dicom_frames import RANKS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ._dicom_frames import Frame

__all__ = ["Stack", "mean_step", "normal_of", "place_affine", "stack_frames"]

_SAME_PLACE = 1e-2  # of the slice spacing: closer than this is one place
_EVEN = 2e-2  # of the slice spacing: how far a slice may lie from where an even stack has it
_TILT = 1e-3  # sine of the angle between the stack and the normal of its slices (0.06°)
_RESCUE = "Resample the series evenly in the program that wrote it, or remove the slices that do not belong."


@dataclass(frozen=True)
class Stack:
    """Frames in array order.

    Parameters
    ----------
    frames
        One row per time point, one entry per slice; None where a slice is missing.
    affine
        ``(z, y, x)`` indices → LPS ``(z, y, x)`` in mm, ``4 × 4``; None where the files do not say.
    varies
        What tells the time points apart: an entry of `RANKS`.
    notes
        What was repaired, for people.
    """

    frames: tuple[tuple[Frame | None, ...], ...]
    affine: NDArray[np.float64] | None
    varies: str = ""
    notes: tuple[str, ...] = ()


def stack_frames(frames: Sequence[Frame], thickness: float | None, path: Path) -> Stack:
    """Order frames of one shape and orientation into a stack.

    Parameters
    ----------
    frames
        At least one.
    thickness
        Extent of a slice in mm, used for a single slice, which has no neighbour to measure the spacing from.
    path
        For messages.

    Raises
    ------
    FormatError
        Slices that are unevenly spaced, or two at one place that nothing tells apart.
    """
    if any(f.position is None or f.orientation is None or f.spacing is None for f in frames):
        return _as_time(frames)
    normal = normal_of(frames[0], path)
    heights = np.array([np.dot(normal, np.array(f.position)) for f in frames])
    places = _places(frames, heights)
    rows, varies, notes = _times(places, path)
    positions = np.array([one.position for one in rows[0]])
    order = np.argsort(positions @ normal)
    rows = [[row[i] for i in order] for row in rows]
    step, filled, more = _steps(positions[order], normal, thickness, path)
    laid = tuple(tuple(_spread(row, filled)) for row in rows)
    affine = place_affine(frames[0], positions[order][0], step)
    return Stack(laid, affine, varies, (*notes, *more))


def _as_time(frames: Sequence[Frame]) -> Stack:
    """Frames without a place are shown one after the other."""
    ordered = sorted(frames, key=lambda f: (f.rank, f.path.name))
    if len(ordered) == 1:
        return Stack(((ordered[0],),), None)
    varies, _ = _varying(ordered)
    note = (
        f"{len(ordered)} images without a place in the patient: shown as time points"
        f"{f', in the order of their {varies}' if varies else ''}"
    )
    return Stack(tuple((one,) for one in ordered), None, varies, (note,))


def normal_of(frame: Frame, path: Path) -> NDArray[np.float64]:
    """Direction across the slices, of length 1.

    Raises
    ------
    FormatError
        Directions or spacing that make no grid.
    """
    across, down = np.array(frame.orientation).reshape(2, 3)
    lengths = np.linalg.norm(across), np.linalg.norm(down)
    if abs(lengths[0] - 1) > 0.01 or abs(lengths[1] - 1) > 0.01 or abs(across @ down) > 0.01:
        raise FormatError(
            f"expected two perpendicular directions of length 1, found {frame.orientation}",
            path=path,
            remedy="ImageOrientationPatient is damaged; export the series again.",
        )
    if min(frame.spacing or (0.0,)) <= 0:
        raise FormatError(
            f"expected a pixel spacing above 0, found {frame.spacing} mm",
            path=path,
            remedy="PixelSpacing is damaged; export the series again.",
        )
    normal: NDArray[np.float64] = np.cross(across, down)
    return normal / np.linalg.norm(normal)


# -- several images at one place --------------------------------------------------------------


def _places(frames: Sequence[Frame], heights: NDArray[np.float64]) -> list[list[Frame]]:
    """Frames gathered by height along the normal."""
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    wide = gaps[gaps > 1e-3]
    same = max(1e-3, _SAME_PLACE * float(np.median(wide))) if wide.size else 1e-3
    places = [[frames[order[0]]]]
    for at, gap in zip(order[1:], gaps, strict=True):
        if gap > same:
            places.append([])
        places[-1].append(frames[at])
    return places


def _times(places: list[list[Frame]], path: Path) -> tuple[list[list[Frame]], str, list[str]]:
    """One row of slices per time point."""
    places = [sorted(place, key=lambda f: f.rank) for place in places]
    counts = [len(place) for place in places]
    least, most = min(counts), max(counts)
    notes = []
    varies, values = _varying(places[int(np.argmax(counts))])
    if least != most:
        if least < 2 or not varies:
            raise _twice(places, path)
        left_out = sum(counts) - least * len(places)
        notes.append(f"not every slice has {most} images: {left_out} of the last are left out")
    if most > 1 and varies in ("", "instance number") and _equal_images(places[0]):
        raise _twice(places, path)
    if most > 1:
        shown = ", ".join(f"{value:g}" for value in values[:6]) + (" …" if len(values) > 6 else "")
        told = f" ({shown})" if varies in RANKS[:3] else ""
        notes.append(
            f"{least} images at each place, told apart by their {varies}{told}: shown as time points"
        )
    return [[place[t] for place in places] for t in range(least)], varies, notes


def _varying(frames: Sequence[Frame]) -> tuple[str, list[float]]:
    """Name and values of the first entry of the rank that differs."""
    for at, name in enumerate(RANKS):
        values = sorted({f.rank[at] for f in frames})
        if len(values) > 1:
            return name, values
    return "", []


def _equal_images(frames: Sequence[Frame]) -> bool:
    """Whether frames look like one image stored twice: same file size, from different files, same time."""
    first, second = frames[:2]
    return first.path != second.path and first.rank[:6] == second.rank[:6]


def _twice(places: list[list[Frame]], path: Path) -> FormatError:
    doubled = next(place for place in places if len(place) > 1)
    names = ", ".join(sorted({f.path.name for f in doubled})[:3])
    return FormatError(
        f"expected one image at each place, found {len(doubled)} at "
        f"({', '.join(f'{v:g}' for v in doubled[0].position or ())}) mm: {names}",
        path=path,
        remedy="Move the doubled files to another folder.",
    )


# -- spacing ----------------------------------------------------------------------------------


def _steps(
    positions: NDArray[np.float64],
    normal: NDArray[np.float64],
    thickness: float | None,
    path: Path,
) -> tuple[NDArray[np.float64], list[int], list[str]]:
    """Step from slice to slice, how many slice places each slice takes, and what to say about it."""
    if len(positions) == 1:
        note = [] if thickness else ["one slice without a thickness: 1 mm is assumed"]
        return normal * (thickness or 1.0), [1], note
    gaps = np.diff(positions @ normal)
    filled = _filled(gaps, path)
    at = np.concatenate([[0], np.cumsum(filled)])
    step = (positions[-1] - positions[0]) / at[-1]
    off = np.linalg.norm(positions - (positions[0] + at[:, None] * step), axis=1)
    if off.max() > _EVEN * np.linalg.norm(step):
        raise _uneven(gaps, path)
    notes = _missing_note(filled) + _tilt_note(step, normal)
    return step, [*filled, 1], notes


def _filled(gaps: NDArray[np.float64], path: Path) -> list[int]:
    """How many slice spacings lie between each slice and the next."""
    spacing = float(gaps.min())
    ratio = gaps / spacing
    if ratio.max() > 1 + _EVEN:
        spacing = float(np.median(gaps[ratio < 1.5]))
        ratio = gaps / spacing
    whole = np.maximum(1, np.round(ratio)).astype(int)
    missing = int(whole.sum() - len(gaps))
    if np.abs(ratio - whole).max() > _EVEN or missing > max(1, (len(gaps) + 1) // 3):
        raise _uneven(gaps, path)
    return [int(count) for count in whole]


def _uneven(gaps: NDArray[np.float64], path: Path) -> FormatError:
    return FormatError(
        f"expected evenly spaced slices, found gaps from {gaps.min():.4g} to {gaps.max():.4g} mm "
        f"between {len(gaps) + 1} slices",
        path=path,
        remedy=_RESCUE,
    )


def _missing_note(filled: list[int]) -> list[str]:
    missing = [
        index
        for before, count in zip(np.cumsum([0, *filled]), filled, strict=False)
        for index in range(int(before) + 1, int(before) + count)
    ]
    if not missing:
        return []
    total = sum(filled) + 1
    shown = ", ".join(map(str, missing[:8])) + (" …" if len(missing) > 8 else "")
    return [f"{len(missing)} of {total} slices are missing ({shown}): shown empty at their place"]


def _tilt_note(step: NDArray[np.float64], normal: NDArray[np.float64]) -> list[str]:
    unit = step / np.linalg.norm(step)
    slant = float(np.linalg.norm(np.cross(unit, normal)))
    if slant <= _TILT:
        return []
    angle = np.degrees(np.arcsin(min(1.0, slant)))
    return [
        f"the slices are shifted against each other (gantry tilt of {angle:.1f}°): "
        "kept as stored, at their places, on a sheared grid"
    ]


def _spread(row: Sequence[Frame], filled: Sequence[int]) -> list[Frame | None]:
    laid: list[Frame | None] = []
    for frame, count in zip(row, filled, strict=True):
        laid += [frame, *([None] * (count - 1))]
    return laid


def place_affine(
    frame: Frame, origin: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Affine of a stack: columns for slice, row and column, rows for z, y and x of the patient."""
    across, down = np.array(frame.orientation).reshape(2, 3)
    between_rows, between_columns = frame.spacing or (1.0, 1.0)
    affine = np.eye(4)
    columns = (step, down * between_rows, across * between_columns, origin)
    for at, vector in enumerate(columns):
        affine[:3, at] = vector[::-1]
    return affine


def mean_step(values: Sequence[float]) -> float | None:
    """Mean difference of rising values, or None where they do not rise evenly."""
    steps = [b - a for a, b in pairwise(values)]
    if not steps or min(steps) <= 0 or max(steps) - min(steps) > 0.05 * max(steps):
        return None
    return sum(steps) / len(steps)
