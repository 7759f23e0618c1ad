"""Feature table: one row per labelled object, in physical units."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from scipy.spatial import cKDTree

from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.units import unit_text

from ._columns import COLUMNS, Column
from ._intensity import GrayRange, color_of, intensity_of, texture_of
from ._regions import class_names, components, find_regions
from ._shape import centre_of, place_of, shape_of, size_of
from .diameter import equivalent_diameter
from .feature_config import FeatureConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    import pandas as pd
    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume

    from ._regions import Region, Regions

__all__ = ["COLUMNS", "Column", "ObjectTable", "measure_objects"]

_SECONDS = 0.1
_DIAMETERS = 3.0
_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class ObjectTable:
    """The objects of an image and what was measured of them.

    Parameters
    ----------
    table
        One row per object, in the order of ``label``; names of columns carry their unit.
    labels
        Array in which an object has its number: the one that was given, or a new one of connected components.
    grid
        Where `labels` lies.
    """

    table: pd.DataFrame
    labels: NDArray[Any]
    grid: Grid


def measure_objects(
    labels: Volume,
    image: Volume | None = None,
    config: FeatureConfig | None = None,
    *,
    numbers: Collection[int] | None = None,
) -> Job[ObjectTable]:
    """Measure every labelled object.

    Works object by object within bounding boxes; both arrays are in memory.

    Parameters
    ----------
    labels
        Whole numbers, axes ``YX`` or ``ZYX``; 0 is background, numbers may be missing.
    image
        On the same spatial grid, with any number of channels. Without it, what needs intensities is left out.
    config
        What to compute.
    numbers
        Objects that get a row; all others only are their neighbours, and count for the range of gray levels. None: all.

    Yields
    ------
    Progress, Log
        Progress at least every 0.1 s (but for a single huge object); a log where something was assumed.

    Raises
    ------
    BadInputError
        No objects, or values that are not numbers of objects; a film.
    GridMismatchError
        Image and labels do not lie on one grid.
    """
    import pandas as pd

    config = config or FeatureConfig()
    yield Progress("reading")
    grid, note = _common_grid(labels, image)
    if note:
        yield Log(note, "warning")
    array, values = np.asarray(labels.data), None
    if config.components:
        yield Progress("finding connected components")
        array, values = components(array, labels.name)
    yield Progress("finding objects")
    regions = find_regions(array, grid.spacing, labels.name)
    chosen = regions if numbers is None else regions.only(numbers)
    if not len(chosen):
        raise BadInputError(
            "expected numbers of some of the objects, found none of theirs", path=labels.name
        )
    measures = _Measures(grid, config, None if image is None else _Channels(image, array, config))
    rows = yield from _one_by_one(chosen, measures.of, "measuring")
    named = class_names(labels, values, [row["label"] for row in rows])
    table = pd.DataFrame(rows)
    if named:
        table.insert(1, "class", named)
    if config.neighbours:
        yield from _add_neighbours(table, regions, grid, config.neighbour_radius)
    unit = unit_text(grid.unit)
    return ObjectTable(table.rename(columns=lambda name: name.replace("{u}", unit)), array, grid)


def _one_by_one(
    regions: Regions, of: Callable[[Region], _Found], stage: str
) -> Generator[Progress, None, list[_Found]]:
    """What is found of each object, with a word now and then."""
    rows: list[_Found] = []
    told = 0.0
    for region in regions:
        if time.monotonic() - told > _SECONDS:
            told = time.monotonic()
            yield Progress(stage, len(rows), len(regions), "object")
        rows.append(of(region))
    yield Progress(stage, len(rows), len(regions), "object")
    return rows


class _Channels:
    """The intensities of an image, channel by channel."""

    def __init__(self, image: Volume, labels: NDArray[Any], config: FeatureConfig) -> None:
        array = image.channel_first()
        self.white = float(np.iinfo(array.dtype).max) if array.dtype.kind in "iu" else 1.0
        names = image.channels
        if image.rgb:
            array, names = array[:3], names[:3]
        self.is_color = image.rgb and len(array) == 3
        self.arrays = array
        self.suffixes = _suffixes(names)
        inside = labels > 0 if config.texture else None
        self.grays = [
            None if inside is None else GrayRange.around(channel[inside], config.gray_levels)
            for channel in array
        ]


def _suffixes(names: tuple[str, ...]) -> list[str]:
    """What tells the columns of channels apart; nothing where there is one channel."""
    if len(names) == 1:
        return [""]
    return [
        f" [{name}]" if names.count(name) == 1 else f" [{name} {number}]"
        for number, name in enumerate(names, start=1)
    ]


class _Measures:
    """What is computed of each object."""

    def __init__(self, grid: Grid, config: FeatureConfig, channels: _Channels | None) -> None:
        self._grid, self._config, self._channels = grid, config, channels

    def of(self, region: Region) -> dict[str, Any]:
        """One row; names still hold ``{u}`` for the unit."""
        row: dict[str, Any] = {"label": region.label} | place_of(region, self._grid)
        if self._config.size:
            row |= size_of(region, self._grid)
        if self._config.shape:
            row |= shape_of(region)
        if self._channels is not None:
            row |= self._brightness(region, self._channels)
        return row

    def _brightness(self, region: Region, channels: _Channels) -> dict[str, Any]:
        config = self._config
        row: dict[str, Any] = {}
        for array, suffix, gray in zip(
            channels.arrays, channels.suffixes, channels.grays, strict=True
        ):
            crop = array[region.box]
            found = intensity_of(crop[region.mask]) if config.intensity else {}
            if gray is not None:
                found |= texture_of(crop, region.mask, gray)
            row |= {f"{name}{suffix}": value for name, value in found.items()}
        if config.color and channels.is_color:
            pixels = channels.arrays[(slice(None), *region.box)][:, region.mask]
            row |= color_of(pixels, channels.white)
        return row


def _add_neighbours(
    table: pd.DataFrame, regions: Regions, grid: Grid, radius: float | None
) -> Generator[Progress, None, None]:
    """Count near centroids, of all objects, and measure how far the nearest is."""
    names = [f"centroid {axis.lower()} ({{u}})" for axis in grid.axes]
    points = others = table[names].to_numpy(float)
    if len(regions) > len(table):
        found = yield from _one_by_one(regions, centre_of, "finding neighbours")
        others = grid.to_world(np.array(found))
    if radius is None:
        radius = _usual_radius(regions, grid)
    tree = cKDTree(others)
    nearest = np.full(len(points), np.nan)
    if len(others) > 1:
        nearest = tree.query(points, k=2)[0][:, 1]
    table["nearest neighbour ({u})"] = nearest
    near = tree.query_ball_point(points, radius, return_length=True)
    table[f"neighbours within {radius:g} {{u}}"] = np.asarray(near) - 1


def _usual_radius(regions: Regions, grid: Grid) -> float:
    """Three median diameters, rounded to two digits: it becomes the name of a column."""
    sizes = [float(region.mask.sum()) * grid.voxel_size for region in regions]
    return float(f"{_DIAMETERS * float(equivalent_diameter(np.median(sizes), grid.ndim)):.2g}")


def _common_grid(labels: Volume, image: Volume | None) -> tuple[Grid, str]:
    """The grid to measure on; where only one of both knows its voxel size, that one's, with a note."""
    for volume in (labels, image):
        if volume is not None and "T" in volume.grid.axes:
            raise BadInputError(
                "expected one point in time, found a film",
                path=volume.name,
                remedy="Measure it frame by frame: save or split the frames first.",
            )
    grid = labels.grid
    if "C" in grid.axes:
        raise BadInputError(
            f"expected labels with one value per voxel, found {grid.axes} {grid.shape}",
            path=labels.name,
        )
    if image is None or image.grid.spatial == grid:
        return grid, ""
    other = image.grid.spatial
    if other.shape != grid.shape or (other.unit != "pixel" and grid.unit != "pixel"):
        raise GridMismatchError(
            f"expected labels on the grid of {image.name} ({_place(other)}), found {_place(grid)}",
            path=labels.name,
            remedy="Choose the image that was labelled; both must have one shape, voxel size and place.",
        )
    known, silent = (other, labels) if grid.unit == "pixel" else (grid, image)
    return known, f"{silent.name} does not know its voxel size; that of its partner was used"


def _place(grid: Grid) -> str:
    shape = " × ".join(map(str, grid.shape))
    spacing = " × ".join(f"{value:.4g}" for value in grid.spacing)
    corner = ", ".join(f"{value:.4g}" for value in grid.to_world([0] * grid.ndim))
    return f"{shape} voxels of {spacing} {unit_text(grid.unit)} at {corner}"
