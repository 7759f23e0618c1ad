"""Points and boxes as CSV: the columns by which napari knows points (``index``, ``axis-0`` … in voxels) and rectangles.

What is written has the lengths of boxes, class, score, and where voxels have a size the place in the world besides.
"""

from __future__ import annotations

import csv
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.cells import inert
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError, FormatError

from ._atomic import writing
from ._tables import delimiter_of, heads_and_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.grid import Grid

__all__ = ["axes_of_table", "read_table", "write_table"]

_CLASSES = ("class", "class name", "label", "name")
_SCORES = ("score", "confidence", "probability")
_DECIMAL = re.compile(r"^(\s*[+-]?\d*),(\d+(?:[eE][+-]?\d+)?\s*)$")
_Row = dict[str, str]
_Table = tuple[
    Detections, tuple[str, ...], "NDArray[np.int32] | None", "tuple[float, ...] | None", str
]


def write_table(
    detections: Detections,
    grid: Grid,
    names: Mapping[int, LabelClass],
    path: Path,
    frames: NDArray[Any] | None = None,
) -> None:
    """Write places; a complete file, or none."""
    columns = _columns(detections, grid, names, frames)
    with writing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        rows = zip(*columns.values(), strict=True)
        writer.writerows([inert(cell) for cell in row] for row in rows)


def _columns(
    found: Detections,
    grid: Grid,
    names: Mapping[int, LabelClass],
    frames: NDArray[Any] | None,
) -> dict[str, list[Any]]:
    count, n = found.centres.shape
    lead = [] if frames is None else [np.asarray(frames)]
    axes = [*lead, *found.centres.T]
    columns: dict[str, list[Any]] = {"index": list(range(count))}
    columns |= {f"axis-{k}": [_text(v) for v in axis] for k, axis in enumerate(axes)}
    if found.are_boxes.any():
        columns |= {
            f"size-{k + len(lead)}": [_text(v) for v in found.sizes[:, k]] for k in range(n)
        }
    if frames is not None:
        columns["frame"] = np.asarray(frames).tolist()
    columns["class"] = [names[k].name if k in names else str(k) for k in found.kinds.tolist()]
    columns["score"] = [f"{score:.4g}" for score in found.scores]
    if grid.unit != "pixel":
        world = grid.to_world(found.centres).reshape(-1, n)
        for k, axis in enumerate(grid.spatial_axes.lower()):
            columns[f"{axis} [{grid.unit}]"] = [f"{v:.6g}" for v in world[:, k]]
        for k, length in enumerate(grid.spacing):
            columns[f"spacing-{k + len(lead)} [{grid.unit}]"] = [f"{length:.9g}"] * count
    return columns


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{float(value):.8g}"


# -- reading --------------------------------------------------------------------------------


def axes_of_table(path: Path) -> int:
    """How many spatial axes the places have: 2 or 3.

    Raises
    ------
    FormatError
        A file that cannot be read.
    """
    heads = {head.casefold() for head in _heads_and_rows(path)[0]}
    axes = sum(f"axis-{k}" in heads for k in range(5)) or len(heads & {"z", "y", "x"})
    return 3 if axes - ("frame" in heads) > 2 else 2


def read_table(path: Path, ndim: int) -> _Table:
    """Read places: the detections, names of their classes, frames, and lengths of a voxel with their unit.

    Raises
    ------
    FormatError
        A file that cannot be read, or has no such columns.
    BadInputError
        Places that are no numbers, boxes without an extent, or rows without a class among others.
    """
    heads, rows = _heads_and_rows(path)
    known = {head.casefold(): head for head in heads}
    if "vertex-index" in known:
        rows = _rectangles(rows, known)
    places, frames = _places(rows, known, ndim)
    lead = int(frames is not None)
    sizes = [f"size-{k + lead}" for k in range(ndim)]
    lengths = (
        _numbers(rows, [known[s] for s in sizes], blank=True) if set(sizes) <= set(known) else None
    )
    names, kinds = _names(rows, known)
    score = next((known[s] for s in _SCORES if s in known), None)
    scores = None if score is None else _numbers(rows, [score], blank=True)[:, 0]
    if scores is not None:
        scores = np.where(np.isnan(scores), 1.0, scores)
    spacing, unit = _spacing(rows, heads, lead, ndim)
    found = Detections.of(places, lengths, kinds, scores)
    return found, names, frames, spacing, unit


def _heads_and_rows(path: Path) -> tuple[list[str], list[_Row]]:
    heads, rows = heads_and_rows(path)
    if not heads:
        raise FormatError("expected a table of points, found an empty file", path=path)
    if delimiter_of(path) == ";":
        rows = [{head: _DECIMAL.sub(r"\1.\2", text) for head, text in row.items()} for row in rows]
    return heads, rows


def _places(
    rows: Sequence[_Row], known: Mapping[str, str], ndim: int
) -> tuple[NDArray[np.float64], NDArray[np.int32] | None]:
    """Coordinates in voxels, and the frame where there is one axis more."""
    axes = [known[name] for name in (f"axis-{k}" for k in range(ndim + 2)) if name in known]
    plain = [known[a] for a in "zyx"[3 - ndim :] if a in known]
    if len(axes) not in (ndim, ndim + 1):
        if axes or len(plain) != ndim:
            wanted = ", ".join(f"axis-{k}" for k in range(ndim))
            raise FormatError(
                f"expected the columns {wanted} of an image with {ndim} axes, found {', '.join(known.values())}",
                remedy="Save the points layer of napari as CSV, or name the columns so.",
            )
        axes = plain
    values = _numbers(rows, axes)
    if len(axes) == ndim:
        return values, None
    if not np.isfinite(values[:, 0]).all():
        raise BadInputError("expected whole numbers as frames, found others")
    return values[:, 1:], np.round(values[:, 0]).astype(np.int32)


def _numbers(
    rows: Sequence[_Row], names: Sequence[str], *, blank: bool = False
) -> NDArray[np.float64]:
    """Columns as numbers ``(rows, names)``; NaN for empty cells where they may be."""
    values = np.empty((len(rows), len(names)))
    for number, row in enumerate(rows):
        for k, name in enumerate(names):
            text = row.get(name, "").strip()
            try:
                values[number, k] = float(text) if text or not blank else np.nan
            except ValueError:
                raise FormatError(
                    f"expected a number in column {name} of row {number + 1}, found {text!r}"
                ) from None
    return values


def _names(
    rows: Sequence[_Row], known: Mapping[str, str]
) -> tuple[tuple[str, ...], NDArray[np.int32] | None]:
    column = next((known[c] for c in _CLASSES if c in known), None)
    said = [] if column is None else [row.get(column, "").strip() for row in rows]
    if not any(said):
        return (), None
    if not all(said):
        missing = said.index("")
        raise BadInputError(f"expected a class in every row, found none in row {missing + 1}")
    names = tuple(dict.fromkeys(said))
    numbers = {name: k for k, name in enumerate(names, start=1)}
    return names, np.array([numbers[name] for name in said], np.int32)


def _spacing(
    rows: Sequence[_Row], heads: Sequence[str], lead: int, ndim: int
) -> tuple[tuple[float, ...] | None, str]:
    for head in heads:
        if rows and head.startswith(f"spacing-{lead} [") and head.endswith("]"):
            unit = head[head.index("[") + 1 : -1]
            columns = [f"spacing-{k + lead} [{unit}]" for k in range(ndim)]
            if set(columns) <= set(heads):
                values = _numbers(rows[:1], columns)[0]
                if (np.isfinite(values) & (values > 0)).all():
                    return tuple(map(float, values)), unit
    return None, "pixel"


def _rectangles(rows: Sequence[_Row], known: dict[str, str]) -> list[_Row]:
    """The rows of napari's shapes, a vertex each, as one row per shape: the box around its vertices."""
    axes = [name for name in (f"axis-{k}" for k in range(4)) if name in known]
    index = known.get("index")
    if index is None or not axes:
        raise FormatError("expected the columns index and axis-0 … of shapes, found others")
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(row[index], []).append(row)
    boxes = []
    for group in groups.values():
        corners = _numbers(group, [known[a] for a in axes])
        low, high = corners.min(axis=0), corners.max(axis=0)
        box = dict(group[0])
        for k, axis in enumerate(axes):
            box[known[axis]] = repr(float((low[k] + high[k]) / 2))
            box[f"size-{k}"] = repr(float(high[k] - low[k]))
        boxes.append(box)
    known |= {f"size-{k}": f"size-{k}" for k in range(len(axes))}
    return boxes
