"""Files and folders that hold several images: ``path#key`` names one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError, SeriesChoiceError

from ._format import SeriesFormat

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from napari_apprentice.core.volume import Volume

    from ._format import Format, Series

__all__ = ["open_with", "pick", "place_of", "series_path", "several"]

_MARK = "#"
_SHORTEST_END = 4  # of a UID


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
        raise _holds_one(entry, path)
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


def series_path(entry: Format, path: Path, series: str) -> Path:
    """Name of one series of a file or folder, ``path#key``.

    Raises
    ------
    BadInputError
        The format holds one image, or none or several series fit.
    """
    if not isinstance(entry, SeriesFormat):
        raise _holds_one(entry, path)
    chosen = pick(entry.list_series(path), series, path)
    return path.with_name(f"{path.name}{_MARK}{chosen.key}")


def pick(series: Sequence[Series], wanted: str | None, path: Path) -> Series:
    """Return the series that a person means.

    Parameters
    ----------
    series
        What there is to choose from.
    wanted
        Its key, its UID or the last four or more characters of it, or its title; None where nobody said.

    Raises
    ------
    SeriesChoiceError
        None or several fit; lists them.
    """
    fitting = [one for one in series if wanted is None or _fits(one, wanted)]
    if len(fitting) == 1:
        return fitting[0]
    shown = tuple(fitting or series)
    if wanted is None:
        message = f"expected one image, found {len(shown)} series"
    else:
        message = f"{len(fitting) or 'no'} series fit{'s' if not fitting else ''} {wanted!r}"
    raise SeriesChoiceError(
        f"{message}: {'; '.join(map(str, shown))}",
        path=path,
        remedy=f"Choose one with --series, or name it {path.name}{_MARK}{shown[0].key}.",
        series=shown,
    )


def _fits(one: Series, wanted: str) -> bool:
    return (
        wanted in (one.key, one.uid)
        or wanted.casefold() == one.title.casefold()
        or (len(wanted) >= _SHORTEST_END and one.uid.endswith(wanted))
    )


def _holds_one(entry: Format, path: Path) -> BadInputError:
    return BadInputError(
        f"expected a folder of several series, found {entry.title}, which holds one image",
        path=path,
        remedy="Leave --series out.",
    )
