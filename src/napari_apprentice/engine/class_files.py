"""Classes of whole images on disk: a folder of class folders, or a table of files and classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from napari_apprentice.core.annotation import MOST_CLASSES, Annotation, LabelClass
from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.io import column_named, list_images, open_volume, read_rows, save_table, stem

from ._frames import single_frame
from .groups import check_groups
from .images import left_out
from .split import TrainItem

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping, Sequence

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.volume import Volume

__all__ = [
    "ClassedFile",
    "class_folders",
    "list_classes",
    "list_kinds",
    "open_classes",
    "save_classes",
]

_FILE = ("file", "path", "name", "image", "filename")
_CLASS = ("class", "label", "category")
_TABLES = (".csv", ".tsv")


@dataclass(frozen=True)
class ClassedFile:
    """An image file and its class.

    Parameters
    ----------
    path
        The image.
    image_class
        Name of its class.
    name
        What it is called: folders and file name without suffix, as far as needed to be one of a kind.
    group
        Images of one group (one patient) are never divided between learning and checking.
    """

    path: Path
    image_class: str
    name: str
    group: str | None = None


def class_folders(folder: Path) -> list[Path]:
    """Folders within a folder, each of one class; hidden ones are none. Sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(f for f in folder.iterdir() if f.is_dir() and f.name[0] not in "._")


def list_classes(
    images: Path, table: Path | None = None, groups: Mapping[str, str] | None = None
) -> Generator[Event, None, list[ClassedFile]]:
    """List images with their classes, without opening them.

    Parameters
    ----------
    images
        A folder of class folders; with a table the folder that its file names start from, or a table.
    table
        CSV with the columns file, class and, if wanted, group.
    groups
        File name without suffix, with its class folder or without, → group.

    Yields
    ------
    Log
        A warning for a class folder without an image.

    Raises
    ------
    BadInputError
        Neither class folders nor a table, a table that cannot be read, files that are not there.
    """
    if table is None and images.suffix.lower() in _TABLES:
        table, images = images, images.parent
    if table is not None:
        files = _from_table(table, images)
    else:
        files = yield from _from_folders(images)
    if not groups:
        return files
    check_groups(groups, (name for f in files for name in (f.name, stem(f.path))), images)
    return [
        replace(f, group=f.group or groups.get(f.name) or groups.get(stem(f.path)) or None)
        for f in files
    ]


def list_kinds(
    images: Path,
    table: Path | None = None,
    groups: Mapping[str, str] | None = None,
    *,
    only: str,
) -> Generator[Event, None, list[ClassedFile]]:
    """List images with their classes as `list_classes` does, or those of a plain folder as all of one class.

    Parameters
    ----------
    images, table, groups
        See `list_classes`; without a table also a folder of images, or one image.
    only
        Name of the class where there are no class folders.

    Raises
    ------
    BadInputError
        No image, a table that cannot be read, files that are not there.
    """
    if table is None and images.suffix.lower() not in _TABLES:
        try:
            paths = list_images(images)
        except BadInputError:
            if not class_folders(images):
                raise
        else:
            names = groups or {}
            return [ClassedFile(p, only, stem(p), names.get(stem(p))) for p in paths]
    return (yield from list_classes(images, table, groups))


def _from_folders(images: Path) -> Generator[Event, None, list[ClassedFile]]:
    found = class_folders(images)
    if not images.exists():
        raise BadInputError("no such file or folder", path=images, remedy="Check the path.")
    if not found:
        raise BadInputError(
            "expected a folder with one folder of images per class, found none",
            path=images,
            remedy="Make a folder for each class, or give a table with the columns file and class.",
        )
    files: list[ClassedFile] = []
    for folder in found:
        try:
            paths = list_images(folder)
        except BadInputError:
            yield Log(f"the class folder {folder.name} has no image in it: left out", "warning")
            continue
        files += [ClassedFile(p, folder.name, f"{folder.name}/{stem(p)}") for p in paths]
    if not files:
        raise BadInputError(
            f"expected images in the {len(found)} class folders, found none", path=images
        )
    return files


def _from_table(table: Path, images: Path) -> list[ClassedFile]:
    rows = read_rows(table)
    file, kind = column_named(rows, _FILE, table), column_named(rows, _CLASS, table)
    folder = images if images.is_dir() else images.parent
    if not all(row[file].strip() and row[kind].strip() for row in rows):
        raise BadInputError(
            "expected a file name and a class in every row, found an empty one", path=table
        )
    files, missing = [], []
    for row in rows:
        path = folder / row[file]
        if not path.exists():
            missing.append(row[file])
            continue
        name = Path(row[file]).with_suffix("").as_posix()
        files.append(ClassedFile(path, row[kind].strip(), name, row.get("group") or None))
    if missing:
        shown = ", ".join(missing[:3]) + (f" … ({len(missing)})" if len(missing) > 3 else "")
        raise BadInputError(
            f"expected the files of the table in {folder}, found no {shown}",
            path=table,
            remedy="File names in the table start from the folder of images.",
        )
    return files


def save_classes(rows: Sequence[tuple[str, str]], path: Path) -> None:
    """Write a table of files and classes, as `list_classes` reads it; a complete file, or none.

    Parameters
    ----------
    rows
        Path of each image from the folder of images, and the name of its class.
    path
        Ends in ``.csv``.

    Raises
    ------
    BadInputError
        No row, another ending, or a folder that cannot be written to.
    """
    if not rows:
        raise BadInputError(
            "expected images with a class to write down, found none",
            remedy="Give some images a class first.",
        )
    save_table(pd.DataFrame(rows, columns=["file", "class"]), path)


def open_classes(
    files: Sequence[ClassedFile], *, known: Iterable[LabelClass] = ()
) -> Job[list[TrainItem]]:
    """Open images with their classes; voxels are read later where the format allows it.

    What cannot be opened, and what is of another kind than most (3-D among 2-D, other channels), is left out, named and
    counted; grey pictures among colour ones are taken.

    Parameters
    ----------
    files
        See `list_classes`.
    known
        Classes of a model to start from: their values and colours are kept.

    Raises
    ------
    BadInputError
        Nothing can be opened, or there are more classes than can be told apart.
    """
    classes = _numbered(dict.fromkeys(f.image_class for f in files), known)
    opened: list[tuple[ClassedFile, Volume]] = []
    faults: list[ApprenticeError] = []
    for number, file in enumerate(files):
        yield Progress("opening", number, len(files), "image")
        try:
            opened.append((file, single_frame(open_volume(file.path), file.path)))
        except ApprenticeError as error:
            error.path = error.path or str(file.path)
            faults.append(error)
    faults += _strangers(opened)
    strange = {fault.path for fault in faults}
    yield from left_out(faults, len(files))
    return [
        TrainItem(
            file.name,
            volume,
            Annotation.of_image(volume.grid.spatial, file.image_class, classes),
            file.group,
        )
        for file, volume in opened
        if str(file.path) not in strange
    ]


def _numbered(names: Iterable[str], known: Iterable[LabelClass]) -> tuple[LabelClass, ...]:
    """Classes in alphabetical order, values from 1; those that a model knows keep theirs."""
    by_name = {c.name.casefold(): c for c in known}
    classes: dict[str, LabelClass] = {}
    names = list(names)
    twice = [name for name, n in Counter(name.casefold() for name in names).items() if n > 1]
    if twice:
        alike = " and ".join(name for name in names if name.casefold() == twice[0])
        raise BadInputError(
            f"expected classes that differ in more than upper and lower case, found {alike}",
            remedy="Give them one name, or two that differ.",
        )
    free = max((c.value for c in by_name.values()), default=0) + 1
    for name in sorted(names):
        entry = by_name.get(name.casefold())
        classes[name] = LabelClass(
            entry.value if entry else free, name, entry.color if entry else ""
        )
        free += entry is None
    if len(classes) > MOST_CLASSES:
        raise BadInputError(f"expected at most {MOST_CLASSES} classes, found {len(classes)}")
    return tuple(sorted(classes.values(), key=lambda c: c.value))


def _strangers(opened: Sequence[tuple[ClassedFile, Volume]]) -> list[BadInputError]:
    """Images of another kind than most of them."""

    def kind(volume: Volume) -> tuple[int, int]:
        return volume.grid.ndim, volume.grid.length("C")

    counts = Counter(kind(volume) for _, volume in opened)
    if len(counts) < 2:
        return []
    usual = {counts.most_common(1)[0][0]}
    if usual & {(2, 1), (2, 3)} and all(v.rgb for _, v in opened if kind(v) == (2, 3)):
        usual = {(2, 1), (2, 3)}
    said = " or ".join(_kind_text(*k) for k in sorted(usual))
    return [
        BadInputError(
            f"expected {said} like most of the images, found {_kind_text(*kind(volume))}",
            path=file.path,
        )
        for file, volume in opened
        if kind(volume) not in usual
    ]


def _kind_text(ndim: int, channels: int) -> str:
    return f"{ndim}-D with {channels} channel{'s' if channels > 1 else ''}"
