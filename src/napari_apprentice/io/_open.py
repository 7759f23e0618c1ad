"""Open, save and list images whatever their format."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import ApprenticeError, BadInputError, FormatError
from napari_apprentice.core.volume import SYNTHETIC_NAME, Volume, named_synthetic

from ._dtypes import smallest_integer
from ._faults import reading
from ._format import (
    Format,
    GatheringFormat,
    MarksSynthetic,
    Series,
    SeriesFormat,
    WritableFormat,
)
from ._registry import FORMATS
from ._series import open_with, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = [
    "by_suffix",
    "describe",
    "format_of",
    "formats",
    "labels_in",
    "labels_like",
    "list_series",
    "open_labels",
    "open_volume",
    "open_volumes",
    "save",
    "synthetic_mark",
]

_Path = str | os.PathLike[str]


# -- which format ------------------------------------------------------------------------


@cache
def formats() -> tuple[Format, ...]:
    """All formats; asking the registry anew for each of a thousand files would take a minute."""
    return tuple(entry for _, entry in FORMATS.items())


def by_suffix(path: Path) -> Iterator[tuple[str, Format]]:
    """Formats that claim the name, longest suffix first."""
    name = path.name.lower()
    claims = [
        (suffix, entry)
        for entry in formats()
        for suffix in entry.suffixes
        if name.endswith(suffix) and len(name) > len(suffix)
    ]
    yield from sorted(claims, key=lambda claim: -len(claim[0]))


def format_of(path: _Path) -> Format:
    """Find the format of a file or folder by its name and its first bytes.

    Raises
    ------
    FormatError
        Missing, empty, of an unknown kind, or named like a format that it is not.
    """
    file, _ = place_of(path)
    if not file.exists():
        raise FormatError("no such file or folder", path=file, remedy="Check the path.")
    if file.is_file() and file.stat().st_size == 0:
        raise FormatError(
            "the file is empty (0 bytes)", path=file, remedy="Copy or export it again."
        )
    claims = [entry for _, entry in by_suffix(file)]
    for entry in claims:
        if entry.sniff(file):
            return entry
    found = [entry for entry in formats() if entry.sniff(file)]
    if found and not claims:
        return found[0]
    gathered = [entry for entry in formats() if _gathers(entry, file)]
    if gathered and not claims:
        return gathered[0]
    raise _not_that(file, claims, found)


def _gathers(entry: Format, folder: Path) -> bool:
    """Whether a folder that stands for its files can be opened as one image, where one is asked for."""
    gathers = getattr(entry, "gathers", None)
    return gathers is not None and bool(gathers(folder))


def _not_that(file: Path, claims: list[Format], found: list[Format]) -> FormatError:
    if claims and found:
        return FormatError(
            f"expected {claims[0].title} as its name says, found {found[0].title}",
            path=file,
            remedy=f"Rename it to end in {found[0].suffixes[0]}.",
        )
    if claims:
        return FormatError(
            f"expected {claims[0].title} as its name says, found something else",
            path=file,
            remedy="The file is damaged or has a wrong name; copy or export it again.",
        )
    known = ", ".join(suffix for entry in formats() for suffix in entry.suffixes)
    what = (
        "the folder is not an image" if file.is_dir() else f"unknown kind of file {file.suffix!r}"
    )
    return FormatError(what, path=file, remedy=f"Known: {known}.")


# -- open and save -----------------------------------------------------------------------


def open_volume(path: _Path, *, series: str | None = None) -> Volume:
    """Open an image of any known format; voxels are read when asked for.

    Parameters
    ----------
    path
        File, or a folder that a format knows as one image; ``folder#series`` is one of several in it.
    series
        Which image, where the folder holds several: key, UID or title, see `list_series`.

    Returns
    -------
    Volume
        Array in ``TCZYX`` order on its grid.

    Raises
    ------
    SeriesChoiceError
        Several images and none chosen; lists them.
    FormatError
        With file, fault and remedy.
    """
    file, series = place_of(path, series)
    entry = format_of(file)
    with reading(file, entry.title):
        return open_with(entry, file, series)


def open_volumes(paths: Sequence[_Path]) -> list[Volume]:
    """Open files that a person gave together; the slices of one series become one volume.

    Raises
    ------
    FormatError
        With file, fault and remedy.
    """
    together: dict[str, list[Path]] = {}
    for path in paths:
        entry = format_of(path)
        alone = not isinstance(entry, GatheringFormat) or not Path(path).is_file()
        together.setdefault(str(path) if alone else entry.name, []).append(Path(path))
    volumes = []
    for files in together.values():
        entry = format_of(files[0])
        if len(files) == 1 or not isinstance(entry, GatheringFormat):
            volumes += [open_volume(file) for file in files]
            continue
        with reading(files[0], entry.title):
            volumes += entry.open_files(files)
    return volumes


def list_series(path: _Path) -> list[Series]:
    """List the images of a file or folder that may hold several; empty where its format holds one.

    Reads headers only. Each can be opened with ``open_volume(path, series=one.key)``.

    Raises
    ------
    FormatError
        With file, fault and remedy.
    """
    file, _ = place_of(path)
    entry = format_of(file)
    if not isinstance(entry, SeriesFormat):
        return []
    with reading(file, entry.title):
        return entry.list_series(file)


def open_labels(path: _Path, *, series: str | None = None) -> Volume:
    """Open an image as labels: whole numbers on a spatial grid.

    Labels stored as real numbers are accepted when every value is whole.

    Raises
    ------
    BadInputError
        The image has channels, time points, or values that are not whole numbers.
    """
    file, series = place_of(path, series)
    entry = format_of(file)
    with reading(file, entry.title):
        opener = getattr(entry, "open_labels", entry.open)
        volume: Volume = opener(file) if series is None else open_with(entry, file, series)
    if volume.grid.axes != volume.grid.spatial_axes:
        raise BadInputError(
            f"expected labels with axes YX or ZYX, found {volume.grid.axes} {volume.grid.shape}",
            path=file,
            remedy="Labels have one value per voxel: no colours, no time points.",
        )
    is_mask = {"mask": True} if volume.dtype.kind == "b" else {}
    metadata = {**volume.metadata, **is_mask}
    return replace(volume, data=_whole(volume), is_labels=True, metadata=metadata)


def labels_in(path: _Path) -> tuple[Path, ...]:
    """Labels that lie in the file or folder of an image; each opens with `open_labels`.

    Raises
    ------
    FormatError
        With file, fault and remedy.
    """
    file, _ = place_of(path)
    entry = format_of(file)
    find = getattr(entry, "labels", None)
    if find is None:
        return ()
    with reading(file, entry.title):
        found: tuple[Path, ...] = find(file)
        return found


def _whole(volume: Volume) -> Any:
    if volume.dtype.kind in "iu":
        return volume.data
    if volume.dtype.kind == "b":
        return volume.data.astype(np.uint8)  # type: ignore[attr-defined]
    array = volume.numpy()
    if not np.isfinite(array).all() or (array != np.round(array)).any():
        raise BadInputError(
            f"expected whole numbers, found {volume.dtype} with fractions",
            path=volume.source,
            remedy="This looks like an image, not labels.",
        )
    return array.astype(smallest_integer(array))


def labels_like(
    source: Volume,
    labels: NDArray[Any],
    classes: Mapping[int, str],
    colors: Mapping[int, str] | None = None,
) -> Volume:
    """Make labels on the spatial grid of a volume, ready to be saved with that volume's exact placement.

    Parameters
    ----------
    source
        The image they belong to.
    labels
        Integer array on the image's spatial grid.
    classes
        Value → name.
    colors
        Value → ``"#RRGGBB"``.
    """
    return Volume(
        labels,
        source.grid.spatial,
        name=source.name,
        format=source.format,
        is_labels=True,
        classes=dict(classes),
        colors=dict(colors or {}),
        metadata=source.metadata,
    )


def save(volume: Volume, path: _Path) -> None:
    """Write a volume in the format of the suffix; a complete file, or none.

    The dtype of labels becomes the smallest that holds the values; class names and colours are kept.

    Raises
    ------
    BadInputError
        The format cannot be written or cannot hold this volume, or the folder may not be written to.
    ApprenticeError
        The disk is full.
    """
    file = Path(path)
    known = {s: e for e in formats() if isinstance(e, WritableFormat) for s in e.writes}
    name = file.name.lower()
    fitting = sorted((s for s in known if name.endswith(s) and len(name) > len(s)), key=len)
    if not fitting:
        raise BadInputError(
            f"cannot write files named like {file.name!r}",
            path=file,
            remedy=f"Known: {', '.join(known)}.",
        )
    writer = known[fitting[-1]]
    reason = writer.check(volume)
    if reason is not None:
        raise BadInputError(reason, path=file, remedy="Save as .ome.tif or .nii.gz instead.")
    if volume.synthetic and not (isinstance(writer, MarksSynthetic) or named_synthetic(file.name)):
        raise BadInputError(
            f"expected a name that says that the image was made up, since {writer.title} files do not",
            path=file,
            remedy=f"Let the name end in {SYNTHETIC_NAME}{fitting[-1]}, or save as .tif or .png.",
        )
    writer.save(volume, file)


def synthetic_mark(path: _Path) -> str | None:
    """What made the image of a file up, by its name or by what it says itself; None of a measured one, or of no image.

    Reads no voxel.
    """
    file, _ = place_of(path)
    if named_synthetic(file.name):
        return "made up, as the name of the file says"
    if not file.is_file():
        return None
    claims = (entry for _, entry in by_suffix(file) if isinstance(entry, MarksSynthetic))
    try:
        return next((entry.synthetic(file) for entry in claims if entry.sniff(file)), None)
    except ApprenticeError:
        return None


# -- what it is ------------------------------------------------------------------------------


def describe(volume: Volume) -> dict[str, Any]:
    """Say what a volume is, as plain JSON values; reads no voxel.

    ``spacing`` has one value per spatial axis, in the order of ``axes``; ``affine`` maps indices of those axes
    to the world in the same order.
    """
    grid = volume.grid
    return {
        "path": volume.source,
        "format": volume.format,
        "shape": list(grid.shape),
        "axes": grid.axes,
        "spacing": list(grid.spacing),
        "unit": grid.unit,
        "affine": [list(row) for row in grid.affine],
        "channels": list(volume.channels),
        "dtype": str(volume.dtype),
        "world": grid.world,
        "orientation": _orientation(volume),
        "time_step": grid.time_step,
        "rgb": volume.rgb,
        "classes": {str(value): name for value, name in volume.classes.items()},
        "colors": {str(value): color for value, color in volume.colors.items()},
        "kind": volume.metadata.get("kind"),
        "synthetic": volume.synthetic,
        "series": list(volume.metadata.get("series", ())),
        "warnings": list(volume.metadata.get("warnings", ())),
    }


def _orientation(volume: Volume) -> str | None:
    """Where the array's axes point in the patient, in the order of ``axes``: ``"SPL"``."""
    grid = volume.grid
    if grid.world != "LPS" or grid.ndim != 3:
        return None
    order, flips = grid.closest_orientation()
    letters = [""] * 3
    for world, index in enumerate(order):
        letters[index] = ("SPL", "IAR")[flips[world]][world]
    return "".join(letters)
