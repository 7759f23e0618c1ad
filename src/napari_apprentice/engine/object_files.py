"""Between files and the classes of objects: label files whose objects have names, and tables beside them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, naming
from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.io import (
    column_named,
    list_images,
    open_labels,
    open_volume,
    read_rows,
    save_table,
    stem,
)

from .channels import pick_channels
from .classify_objects import classify_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model

    from .config import PredictConfig
    from .split import TrainItem

__all__ = [
    "classify_file",
    "labels_for",
    "object_names",
    "open_objects",
    "save_objects",
]

_TABLE = ".csv"


def object_names(path: Path, labels: Volume | None = None) -> dict[int, str]:
    """Name of the class of each object that has one: from a table, the table beside labels, or the labels themselves.

    Parameters
    ----------
    path
        A CSV with the columns label and class, or a label file; beside that may lie a CSV of its name.
    labels
        What is in the label file, where that is open already.

    Raises
    ------
    BadInputError
        A table that does not say so, or a file that cannot be read.
    """
    beside = path if path.suffix.lower() == _TABLE else path.with_name(stem(path) + _TABLE)
    if beside.is_file():
        return _names_in(beside)
    opened = open_labels(path) if labels is None else labels
    return {number: name for number, name in opened.classes.items() if name}


def _names_in(path: Path) -> dict[int, str]:
    rows = read_rows(path)
    number = column_named(rows, ("label", "index", "object"), path)
    kind = column_named(rows, ("class",), path)
    try:
        return {int(float(row[number])): row[kind] for row in rows if row[kind]}
    except ValueError as error:
        raise BadInputError(f"expected numbers of objects ({error})", path=path) from error


def open_objects(
    pairs: Sequence[tuple[Path, Path]],
    *,
    classes: Sequence[LabelClass] = (),
    groups: Mapping[str, str] | None = None,
) -> Job[list[TrainItem]]:
    """Open images with the labels of their objects, some of which have a class; see `object_names`.

    Parameters
    ----------
    pairs
        Image and label files.
    classes
        Those that are wanted, by name; default: all that occur, in the order of the alphabet.
    groups
        Name (without suffixes) → group.

    Raises
    ------
    BadInputError
        Files that cannot be read, or no object with a class.
    GridMismatchError
        Labels that do not lie on the grid of their image.
    """
    from .files import item_of

    opened = []
    for number, (image, label) in enumerate(pairs):
        yield Progress("opening", number, len(pairs), "image")
        labels = open_labels(label)
        opened.append((open_volume(image), labels, object_names(label, labels)))
    found = sorted({n for *_, names in opened for n in names.values()}, key=str.casefold)
    said = tuple(classes) or tuple(LabelClass(n, name) for n, name in enumerate(found, start=1))
    if not said:
        raise BadInputError(
            "expected objects with a class, found none",
            path=pairs[0][1] if pairs else None,
            remedy="Put a CSV of the same name beside the labels, with the columns label and class.",
        )
    values = {entry.name.casefold(): entry.value for entry in said}
    items = []
    for volume, labels, names in opened:
        kinds = {
            n: values[name.casefold()] for n, name in names.items() if name.casefold() in values
        }
        items.append(item_of(volume, labels, said, groups or {}, partial(_annotation, kinds)))
    return items


def _annotation(
    kinds: Mapping[int, int], labels: Volume, grid: Grid, classes: tuple[LabelClass, ...]
) -> Annotation:
    return Annotation(grid, labels.numpy(), classes, object_classes=kinds)


def labels_for(image: Path, labels: Path) -> Path:
    """The label file that belongs to an image: `labels` itself, or the one of its name in that folder.

    Raises
    ------
    BadInputError
        There is none.
    """
    if labels.is_file():
        return labels
    found = [path for path in list_images(labels) if stem(path) == stem(image)]
    if not found:
        raise BadInputError(
            f"no labels for {image.name}",
            path=labels,
            remedy="Give an image and its labels the same file name.",
        )
    return found[0]


def classify_file(
    image: Path,
    labels: Path,
    model: Model,
    config: PredictConfig,
    *,
    channels: str | None = None,
    listen: Callable[[Event], None] | None = None,
) -> Prediction:
    """Class the objects of a label file by what the image shows; see `classify_objects`.

    Parameters
    ----------
    labels
        A file, or a folder in which one has the image's name.
    channels
        Which channels the model sees, by name or number from 1.
    """
    from .files import item_of

    volume = pick_channels(open_volume(image), channels)
    path = labels_for(image, labels)
    item = item_of(volume, open_labels(path), (), {}, partial(_annotation, {}))
    with naming(path):
        job = classify_objects(item.volume, item.annotation.labels, model, config)
        return run_to_end(job, listen)


def save_objects(prediction: Prediction, path: Path) -> None:
    """Write class, probability and uncertainty of every object as CSV; a complete file, or none."""
    names = {entry.value: entry.name for entry in prediction.classes}
    columns = prediction.objects
    table = pd.DataFrame(
        {
            "label": columns["label"],
            "class": [names[value] for value in columns["class"].tolist()],
            "class score": np.round(columns["score"], 4),
            "uncertainty": np.round(columns["uncertainty"], 4),
        }
    )
    save_table(table, path)
