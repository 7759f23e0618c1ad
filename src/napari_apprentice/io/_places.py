"""Points and boxes in files: CSV as napari keeps points and rectangles, or GeoJSON for QuPath, by the file's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError, naming

from ._places_csv import axes_of_table, read_table, write_table
from ._places_geojson import read_features, write_features

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.grid import Grid

__all__ = [
    "PLACE_SUFFIXES",
    "PlaceTable",
    "is_place_file",
    "place_axes",
    "read_places",
    "save_places",
]

PLACE_SUFFIXES = (".csv", ".geojson")


@dataclass(frozen=True, eq=False)
class PlaceTable:
    """What a file of points and boxes says.

    Parameters
    ----------
    detections
        In voxels; ``kinds`` count the `names` from 1, and are 1 where there are none.
    names
        Classes in the order in which they occur; empty where the file names none.
    frames
        Of which frame each is, where there is one more coordinate than the image has axes.
    spacing, unit
        Lengths of a voxel, where the file says so; else None and ``"pixel"``.
    """

    detections: Detections
    names: tuple[str, ...] = ()
    frames: NDArray[np.int32] | None = None
    spacing: tuple[float, ...] | None = None
    unit: str = "pixel"

    def with_classes(self, classes: Sequence[LabelClass], path: Path | str) -> Detections:
        """The detections with the values of these classes, by name.

        Raises
        ------
        BadInputError
            A class that is none of them.
        """
        found = self.detections
        if not self.names:
            value = classes[0].value if classes else 1
            kinds = np.full(len(found), value, np.int32)
            return Detections(found.centres, found.sizes, kinds, found.scores)
        values = {c.name.casefold(): c.value for c in classes}
        unknown = [name for name in self.names if name.casefold() not in values]
        if unknown:
            raise BadInputError(
                f"expected the classes {', '.join(c.name for c in classes)}, found {unknown[0]!r}",
                path=path,
            )
        table = np.array([0, *(values[name.casefold()] for name in self.names)], np.int32)
        return Detections(found.centres, found.sizes, table[found.kinds], found.scores)


def is_place_file(path: Path) -> bool:
    """Whether a name is one of a file of points and boxes."""
    return path.suffix.lower() in PLACE_SUFFIXES and not path.name.startswith(".")


# -- writing --------------------------------------------------------------------------------


def save_places(
    detections: Detections,
    grid: Grid,
    classes: Sequence[LabelClass],
    path: Path,
    frames: NDArray[Any] | None = None,
) -> None:
    """Write points and boxes; a complete file, or none. What a CSV holds says `_places_csv`.

    Parameters
    ----------
    detections
        In voxels of `grid`.
    grid
        Spatial grid of the image.
    classes
        What their kinds mean.
    path
        Ends in ``.csv`` or ``.geojson``.
    frames
        ``(N,)``: of which frame each is, of films.

    Raises
    ------
    BadInputError
        Another ending, a film as GeoJSON, or a folder that cannot be written to.
    """
    names = {c.value: c for c in classes}
    if path.suffix.lower() == ".geojson":
        if frames is not None:
            raise BadInputError(
                "GeoJSON holds one time point, found several",
                path=path,
                remedy="Choose a name ending in .csv.",
            )
        write_features(detections, names, path)
        return
    if path.suffix.lower() != ".csv":
        raise BadInputError(
            f"expected a file name ending in {' or '.join(PLACE_SUFFIXES)}, found {path.suffix!r}",
            path=path,
        )
    write_table(detections, grid, names, path, frames)


# -- reading --------------------------------------------------------------------------------


def place_axes(path: Path) -> int:
    """How many spatial axes the places of a file have: 2 or 3; of GeoJSON always 2.

    Raises
    ------
    FormatError
        A file that cannot be read.
    """
    if path.suffix.lower() == ".geojson":
        return 2
    return axes_of_table(path)


def read_places(path: Path, ndim: int) -> PlaceTable:
    """Read points and boxes of an image with `ndim` spatial axes.

    CSV of ours, of napari's points (``axis-0`` … in voxels) or rectangles (``shape-type``, ``vertex-index``), and any with
    the columns ``y``, ``x`` and for volumes ``z`` in voxels; GeoJSON of points and polygons, of which the box around counts.

    Raises
    ------
    FormatError
        A file that cannot be read, or has no such columns.
    BadInputError
        Places that are no numbers, or boxes without an extent.
    """
    with naming(path):
        if path.suffix.lower() == ".geojson":
            detections, names = read_features(path, ndim)
            return PlaceTable(detections, names)
        return PlaceTable(*read_table(path, ndim))
