"""Channels of an image by what a person calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from napari_apprentice.core.volume import Volume

__all__ = ["pick_channels"]


def pick_channels(volume: Volume, wanted: str | None) -> Volume:
    """Keep the channels that are named, in that order.

    Parameters
    ----------
    volume
        The image; lazy stays lazy.
    wanted
        Names or numbers (from 1), with commas between them: ``"DAPI"``, ``"2,1"``; None keeps all as they are.

    Raises
    ------
    BadInputError
        There is no such channel.
    """
    if wanted is None:
        return volume
    count = volume.grid.length("C")
    names = [name.casefold() for name in volume.channels]
    chosen = [_number(part.strip(), names, count) for part in wanted.split(",")]
    if None in chosen:
        known = f" ({', '.join(volume.channels)})" if any(volume.channels) else ""
        raise BadInputError(
            f"expected names or numbers of the {count} channel{'s' if count > 1 else ''}{known}, found {wanted!r}",
            path=volume.source or volume.name,
        )
    return volume.select(tuple(c for c in chosen if c is not None))


def _number(said: str, names: list[str], count: int) -> int | None:
    if said.casefold() in names:
        return names.index(said.casefold())
    return int(said) - 1 if said.isdecimal() and 1 <= int(said) <= count else None
