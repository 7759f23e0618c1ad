"""Files and folders that hold several images: ``path#key`` names one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError

from ._format import SeriesFormat

if TYPE_CHECKING:
    import os

    from napari_apprentice.core.volume import Volume

    from ._format import Format

__all__ = ["open_with", "place_of", "several"]

_MARK = "#"


def place_of(path: str | os.PathLike[str], series: str | None = None) -> tuple[Path, str | None]:
    """Take ``path#key`` apart; a file whose own name has a ``#`` stays whole.

    Parameters
    ----------
    path
        As a person or a layer names it.
    series
        Which series, where it is said apart from the path; it counts more than what the path says.
    """
    file = Path(path)
    head, mark, key = file.name.rpartition(_MARK)
    if not mark or not head or not key or file.exists():
        return file, series
    place = file.with_name(head)
    return (place, series or key) if place.exists() else (file, series)


def open_with(entry: Format, path: Path, series: str | None) -> Volume:
    """Open a file, or one series of it.

    Raises
    ------
    BadInputError
        A series of a format that holds one image.
    """
    if series is None:
        return entry.open(path)
    if not isinstance(entry, SeriesFormat):
        raise BadInputError(
            f"expected a folder of several series, found {entry.title}, which holds one image",
            path=path,
            remedy="Leave --series out.",
        )
    return entry.open_series(path, series)


def several(entry: Format, path: Path) -> list[Path]:
    """Names of the images in a file or folder: itself where it holds one.

    Segmentations beside images are left out: they are labels of those images.
    """
    if not isinstance(entry, SeriesFormat):
        return [path]
    found = entry.list_series(path)
    images = [one for one in found if one.modality != "SEG"] or found
    if len(images) < 2:
        return [path]
    return [path.with_name(f"{path.name}{_MARK}{one.key}") for one in images]
