"""Label files side by side: a truth and its prediction on one grid, and the classes that they name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.io import open_labels

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

__all__ = ["LabelPair", "classes_in_files", "common_grid", "find_classes"]

_MOST_CLASSES = 254


def find_classes(
    volumes: Iterable[Volume], known: Sequence[LabelClass] = ()
) -> tuple[LabelClass, ...]:
    """Classes that occur in label volumes, under the names of the files, else those of `known`, else ``class 1``.

    Raises
    ------
    BadInputError
        Negative values, or more than classes can be told apart: most likely object numbers.
    """
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    for volume in volumes:
        found = {int(value) for value in np.unique(volume.numpy()) if value != 0}
        if found and min(found) < 0:
            raise BadInputError(
                f"expected class values from 0 (background) up, found {min(found)}",
                path=volume.source,
                remedy="Give every class a positive value, and the background 0.",
            )
        for value in sorted(found | set(volume.classes)):
            name = volume.classes.get(value, "")
            names[value] = names.get(value) or name
        colors = {**volume.colors, **colors}
        if len(names) > _MOST_CLASSES:
            raise BadInputError(
                f"expected at most {_MOST_CLASSES} classes, found {len(names)} label values",
                path=volume.source,
                remedy="If these are object numbers, choose a task for objects; else give each class one value.",
            )
    others = {entry.value: entry for entry in known}
    return tuple(
        LabelClass(value, names[value], colors.get(value, ""))
        if names[value]
        else others.get(value, LabelClass(value, _unnamed(value)))
        for value in sorted(names)
    )


def _unnamed(value: int) -> str:
    return f"class {value}"


def classes_in_files(
    pairs: Sequence[tuple[Path, Path]],
) -> Generator[Progress, None, tuple[LabelClass, ...]]:
    """Classes in all files; the volumes are read again for scoring, so that one pair at a time is in memory.

    Raises
    ------
    BadInputError
        Files that cannot be read, only background, or more values than classes can be told apart.
    """
    known: dict[int, LabelClass] = {}
    for number, pair in enumerate(pairs):
        yield Progress("finding classes", number, len(pairs), "case")
        for label_class in find_classes(open_labels(path) for path in pair):
            before = known.get(label_class.value)
            if before is None or before.name == _unnamed(before.value):
                known[label_class.value] = label_class
    if not known:
        raise BadInputError(
            "expected labelled voxels in the truth or the predictions, found only background",
            path=pairs[0][0].parent,
            remedy="Check that these are label images.",
        )
    return tuple(known[value] for value in sorted(known))


@dataclass(frozen=True, eq=False)
class LabelPair:
    """A truth and its prediction on one grid."""

    truth: Volume
    prediction: Volume
    grid: Grid
    note: str = ""

    @classmethod
    def open(cls, truth_path: Path, prediction_path: Path) -> LabelPair:
        """Open both; where only one file knows its voxel size, that one's counts, and ``note`` says so.

        Raises
        ------
        BadInputError
            A file that cannot be read.
        GridMismatchError
            The prediction lies elsewhere.
        """
        truth, prediction = open_labels(truth_path), open_labels(prediction_path)
        grid, note = common_grid(truth.grid, prediction.grid, truth_path, prediction_path)
        return cls(truth, prediction, grid, note)


def common_grid(
    truth: Grid, prediction: Grid, truth_path: Path, prediction_path: Path
) -> tuple[Grid, str]:
    """The grid to score on; where only one file knows its spacing, that one's, with a note."""
    if prediction == truth:
        return truth, ""
    if (prediction.axes, prediction.shape) != (truth.axes, truth.shape):
        raise GridMismatchError(
            f"expected a prediction of {_size(truth)} like its truth {truth_path.name}, "
            f"found {_size(prediction)}",
            path=prediction_path,
            remedy="Predict on the image that the truth was drawn on.",
        )
    if prediction.unit == "pixel":
        return truth, f"{prediction_path}: no voxel size in the file; that of the truth was used"
    if truth.unit == "pixel":
        return (
            prediction,
            f"{truth_path}: no voxel size in the file; that of the prediction was used",
        )
    raise GridMismatchError(
        f"expected the place of its truth {truth_path.name} ({_place(truth)}), "
        f"found {_place(prediction)}",
        path=prediction_path,
        remedy="Both must lie on one grid; save the prediction with the geometry of its image.",
    )


def _size(grid: Grid) -> str:
    return " × ".join(
        f"{axis} {length}" for axis, length in zip(grid.axes, grid.shape, strict=True)
    )


def _place(grid: Grid) -> str:
    spacing = " × ".join(f"{value:.6g}" for value in grid.spacing)
    corner = ", ".join(f"{value:.6g}" for value in grid.to_world([0] * grid.ndim))
    return f"spacing {spacing} {grid.unit}, first voxel at {corner}"
