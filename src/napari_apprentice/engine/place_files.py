"""Between files and detection: points and boxes out of tables or numbered labels, predictions into tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, naming
from napari_apprentice.core.jobs import Progress
from napari_apprentice.io import (
    PLACE_SUFFIXES,
    is_place_file,
    make_folder,
    open_labels,
    open_volume,
    place_axes,
    read_places,
    save_places,
    stem,
)
from napari_apprentice.tasks import TASKS, FindsPlaces

from ._frames import single_frame
from .split import TrainItem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.io import PlaceTable

__all__ = ["SaidPlaces", "classes_of", "open_places", "save_prediction_places"]

_OBJECT = "object"


@dataclass(frozen=True, eq=False)
class SaidPlaces:
    """What a file says of places: a table, or labels of numbered objects."""

    path: Path
    table: PlaceTable | None = None
    labels: Volume | None = None

    @classmethod
    def read(cls, path: Path, ndim: int | None = None) -> SaidPlaces:
        """Read a file; `ndim` is that of its image, where it is at hand.

        Raises
        ------
        BadInputError
            A file that cannot be read, or of a film.
        """
        if not is_place_file(path):
            return cls(path, labels=open_labels(path))
        table = read_places(path, ndim or place_axes(path))
        if table.frames is not None:
            raise BadInputError(
                "expected places in one time point, found a film",
                path=path,
                remedy="Save the frames as files of their own.",
            )
        return cls(path, table)

    @property
    def names(self) -> tuple[str, ...]:
        """Classes that the file names."""
        if self.table is not None:
            return self.table.names
        named = {} if self.labels is None else self.labels.classes
        return tuple(dict.fromkeys(name for name in named.values() if name))

    def on(self, grid: Grid, classes: Sequence[LabelClass], task: FindsPlaces) -> Annotation:
        """What it says, on the grid of its image; boxes are cut at the image's edge, what lies beyond is an error."""
        if self.labels is not None:
            if self.labels.grid.spatial_shape != grid.shape:
                raise BadInputError(
                    f"expected labels of {grid.shape}, found {self.labels.grid.spatial_shape}",
                    path=self.path,
                    remedy="Labels must have been drawn on this very image.",
                )
            return task.places_in(self.labels, grid, classes)
        table = cast("PlaceTable", self.table)
        found = table.with_classes(classes, self.path)
        beyond = int((~found.in_image(grid.shape)).sum())
        if beyond:
            raise BadInputError(
                f"expected places within {' × '.join(map(str, grid.shape))} voxels, found {beyond} beyond",
                path=self.path,
                remedy="Coordinates are voxels of this image, Z before Y before X.",
            )
        return Annotation.of_places(grid, found, classes)

    def alone(self, classes: Sequence[LabelClass], task: FindsPlaces) -> Detections:
        """What it says, where the image is not at hand."""
        if self.table is not None:
            return self.table.with_classes(classes, self.path)
        labels = cast("Volume", self.labels)
        places = task.places_in(labels, labels.grid.spatial, classes).detections
        return cast("Detections", places)

    @property
    def scale(self) -> tuple[tuple[float, ...], str] | None:
        """Lengths of a voxel and their unit, where it knows them."""
        if self.labels is not None and self.labels.grid.unit != "pixel":
            return self.labels.grid.spacing, self.labels.grid.unit
        if self.table is not None and self.table.spacing is not None:
            return self.table.spacing, self.table.unit
        return None

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.labels.grid.ndim if self.labels is not None else _table_of(self).detections.ndim


def _table_of(said: SaidPlaces) -> PlaceTable:
    return cast("PlaceTable", said.table)


def classes_of(
    several: Sequence[SaidPlaces], wanted: Sequence[LabelClass], known: Sequence[LabelClass] = ()
) -> tuple[LabelClass, ...]:
    """The classes to tell apart: those wanted, else those that files name, else the one that is known."""
    if wanted:
        return tuple(wanted)
    names = sorted({name for said in several for name in said.names}, key=str.casefold)
    if not names:
        return tuple(known[:1]) or (LabelClass(1, _OBJECT),)
    values = {c.name.casefold(): c for c in known}
    free = iter(range(1 + max((c.value for c in known), default=0), 65535))
    return tuple(values.get(name.casefold()) or LabelClass(next(free), name) for name in names)


def open_places(
    pairs: Sequence[tuple[Path, Path]],
    *,
    task: str = "detection",
    classes: Sequence[LabelClass] = (),
    known: Sequence[LabelClass] = (),
    groups: Mapping[str, str] | None = None,
) -> Job[list[TrainItem]]:
    """Open images with their points and boxes; the whole of each image counts.

    Parameters
    ----------
    pairs
        Image, and a table of places (CSV, GeoJSON) or labels of numbered objects.
    task
        Registry name of a task that finds places.
    classes
        Of all places; by default those that the files name.
    known
        Of the model that is to learn.
    groups
        Name (without suffixes) → group.

    Raises
    ------
    BadInputError
        Files that cannot be read, places beyond the image, a time series, a class that is none of the classes.
    """
    chosen = cast("FindsPlaces", TASKS[task])
    opened: list[tuple[Volume, SaidPlaces]] = []
    for number, (image, table) in enumerate(pairs):
        yield Progress("opening", number, len(pairs), "image")
        volume = single_frame(open_volume(image), image)
        opened.append((volume, SaidPlaces.read(table, volume.grid.ndim)))
    named = classes_of([said for _, said in opened], classes, known)
    items = []
    for (image, _), (volume, said) in zip(pairs, opened, strict=True):
        name = stem(image)
        annotation = located(said, volume.grid.spatial, named, chosen)
        items.append(TrainItem(name, volume, annotation, (groups or {}).get(name)))
    return items


def located(
    said: SaidPlaces, grid: Grid, classes: Sequence[LabelClass], task: FindsPlaces
) -> Annotation:
    """What a file says, on the grid of its image; errors name the file."""
    with naming(said.path):
        return said.on(grid, classes, task)


# -- predictions ----------------------------------------------------------------------------


def save_prediction_places(prediction: Prediction, source: Path, out: Path) -> Path | None:
    """Write the points and boxes of a prediction; None where it has none.

    `out` itself where it ends in ``.csv`` or ``.geojson``, else a CSV in the folder `out` under the input's name.

    Raises
    ------
    BadInputError
        A folder that cannot be made or written to.
    """
    if prediction.detections is None:
        return None
    is_file = out.suffix.lower() in PLACE_SUFFIXES and not out.is_dir()
    target = out if is_file else out / f"{stem(source)}.csv"
    make_folder(target.parent)
    grid = prediction.grid.spatial
    save_places(prediction.detections, grid, prediction.classes, target, prediction.frames)
    return target
