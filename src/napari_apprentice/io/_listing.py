"""Which images lie in a folder, what they are called, and which belong together."""

from __future__ import annotations

import os
from pathlib import Path

from napari_apprentice.core.errors import BadInputError

from ._faults import reading
from ._format import GatheringFormat
from ._names import bare_name
from ._open import by_suffix, format_of, formats
from ._places import is_place_file
from ._series import place_of, series_path, several

__all__ = ["list_images", "pair", "stem"]

_Path = str | os.PathLike[str]
_ROLES = ("_image", "_img", "_labels", "_label", "_mask", "_seg", "_gt", "_0000")


def stem(path: _Path) -> str:
    """File name without the suffixes of its format: ``"case.nii.gz"`` → ``"case"``, ``"ct#3"`` → ``"ct-3"``."""
    file, series = place_of(path)
    bare = bare_name(file.name, (suffix for entry in formats() for suffix in entry.suffixes))
    return bare if series is None else f"{bare}-{series}"


def list_images(path: _Path, *, series: str | None = None) -> list[Path]:
    """List the images a path stands for: a file itself, a folder the images directly in it, sorted by name.

    A folder that a format knows as one image stands for itself, and one that holds several for each of them
    (``folder#series``). Hidden files and files of other kinds are left out.

    Parameters
    ----------
    path
        File, folder, or ``folder#series``.
    series
        The one series that is wanted: key, UID or title.

    Raises
    ------
    BadInputError
        Nothing there, or no image in the folder.
    """
    folder, chosen = place_of(path)
    if series is not None:
        entry = format_of(folder)
        with reading(folder, entry.title):
            return [series_path(entry, folder, series)]
    if chosen is not None:
        return [Path(path)]
    if not folder.exists():
        raise BadInputError("no such file or folder", path=folder, remedy="Check the path.")
    if folder.is_file():
        return [folder]
    if _is_image_folder(folder) and not _is_collection(folder):
        return several(format_of(folder), folder)
    found: list[Path] = []
    for image in sorted(child for child in folder.iterdir() if _is_image(child)):
        found += several(format_of(image), image) if image.is_dir() else [image]
    if not found and _is_image_folder(folder):
        return several(format_of(folder), folder)
    if not found:
        suffixes = dict.fromkeys(suffix for entry in formats() for suffix in entry.suffixes)
        known = ", ".join(suffixes)
        raise BadInputError("no image in this folder", path=folder, remedy=f"Known: {known}.")
    return found


def _is_image(path: Path) -> bool:
    if path.name.startswith("."):
        return False
    if path.is_dir():
        return _is_image_folder(path)
    return any(True for _ in by_suffix(path))


def _is_collection(path: Path) -> bool:
    """Whether a folder has only folders in it, of which a format would gather all that lies below."""
    if not isinstance(format_of(path), GatheringFormat):
        return False
    return not any(e.is_file() for e in path.iterdir() if not e.name.startswith("."))


def _is_image_folder(path: Path) -> bool:
    return path.is_dir() and any(entry.sniff(path) for entry in formats())


def pair(images: _Path, labels: _Path) -> list[tuple[Path, Path]]:
    """Pair images with labels by file name.

    Names must agree without suffixes; where no name agrees, endings such as ``_image``, ``_label``, ``_mask``
    or ``_seg`` are left out of the comparison. Two images (files, or folders that are
    one image) pair whatever their names. Tables of points and boxes (CSV, GeoJSON) stand for labels where a folder has no
    image.

    Raises
    ------
    BadInputError
        Names that have no partner, or that more than one file has.
    """
    first, second = Path(images), Path(labels)
    if _listed(first) == [first] and _listed(second) == [second]:
        return [(first, second)]
    left, right = _by_name(first, strip=False), _by_name(second, strip=False)
    if not set(left) & set(right):
        left, right = _by_name(first, strip=True), _by_name(second, strip=True)
    for names, folder, other in (
        (set(left) - set(right), first, second),
        (set(right) - set(left), second, first),
    ):
        if names:
            shown = ", ".join(sorted(names)[:5]) + (f" … ({len(names)})" if len(names) > 5 else "")
            raise BadInputError(
                f"no partner in {other} for {shown}",
                path=folder,
                remedy="Give an image and its labels the same file name.",
            )
    return [(left[name], right[name]) for name in sorted(left)]


def _listed(path: Path) -> list[Path]:
    """The images that a path stands for, or its tables of points and boxes."""
    if path.is_file() and is_place_file(path):
        return [path]
    if path.is_dir():
        children = sorted(child for child in path.iterdir() if child.is_file())
        tables = [child for child in children if is_place_file(child)]
        if tables and not any(_is_image(child) for child in children):
            return tables
    return list_images(path)


def _by_name(path: Path, *, strip: bool) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for file in _listed(path):
        name = stem(file)
        if strip:
            name = next((name[: -len(r)] for r in _ROLES if name.lower().endswith(r)), name)
        if name in named:
            raise BadInputError(
                f"two files are named {name}: {named[name].name} and {file.name}",
                path=path,
                remedy="Keep one of them in the folder.",
            )
        named[name] = file
    return named
