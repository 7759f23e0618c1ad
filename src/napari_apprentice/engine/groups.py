"""Groups of images, the patients say: a table that names them, held against the images that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.io import read_rows, stem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["check_groups", "read_groups"]

_NAMED = 5


def read_groups(path: Path) -> dict[str, str]:
    """Read a CSV with the columns ``name`` and ``group``; names are file names, with or without suffixes.

    Raises
    ------
    BadInputError
        The file cannot be read or lacks a column.
    """
    rows = read_rows(path)
    if not {"name", "group"} <= set(rows[0]):
        raise BadInputError(
            f"expected a CSV with the columns name and group, found {', '.join(rows[0])}", path=path
        )
    return {stem(row["name"]): row["group"] for row in rows}


def check_groups(
    groups: Iterable[str] | None, images: Iterable[str], path: Path | None = None
) -> None:
    """Refuse names in a list of groups that no image has: a slip of the pen would part what belongs together.

    Parameters
    ----------
    groups
        Names in the list; none: nothing to check.
    images
        Names of the images.
    path
        Where they lie, for the message.

    Raises
    ------
    BadInputError
        Names the first of them.
    """
    unknown = sorted(set(groups or ()) - set(images))
    if unknown:
        raise BadInputError(
            f"no image for the group of {', '.join(unknown[:_NAMED])}",
            path=path,
            remedy="Names in the list of groups are file names without suffixes.",
        )
