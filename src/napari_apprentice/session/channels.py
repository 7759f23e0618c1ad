"""Which channels of an image feed a model that expects fewer of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.volume import Volume

if TYPE_CHECKING:
    from napari_apprentice.core.spec import ModelSpec

__all__ = ["Channels", "default_channels", "fed", "outline"]

Channels = tuple[int, ...]


def default_channels(
    volume: Volume, spec: ModelSpec, selected: int | None = None
) -> Channels | None:
    """Propose which channels feed a model; None where all do, or there are too few.

    Channels of the model's own names are taken; of a model for one channel the selected one; else the first. A model for
    pictures, grey or colour, sees one channel of an image whose channels are no colours.

    Parameters
    ----------
    volume
        The image.
    spec
        The model.
    selected
        Channel that the person selected, where the image has one layer per channel.
    """
    have, want = volume.grid.length("C"), len(spec.channels)
    if spec.grey_as_color and have > 1 and not volume.rgb:
        return (selected if selected is not None and selected < have else 0,)
    if want >= have:
        return None
    names = [name.casefold() for name in volume.channels]
    known = [names.index(n) if n in names else None for n in map(str.casefold, spec.channels)]
    if want == 1 and known[0] is None and selected is not None and selected < have:
        return (selected,)
    chosen: list[int] = []
    for match in known:
        free = (c for c in range(have) if c not in chosen and c not in known)
        chosen.append(match if match is not None else next(free, 0))
    return tuple(chosen)


def fed(volume: Volume, channels: Channels | None) -> Volume:
    """Return what a model sees: the chosen channels, or all of them."""
    return volume if channels is None else volume.select(channels)


def outline(volume: Volume, channels: Channels | None) -> Volume:
    """Like `fed`, without a voxel: for questions about kind and size that must not read or copy anything."""
    if channels is None:
        return volume
    grid = volume.grid.without("C")
    if len(channels) > 1:
        grid = volume.grid.with_channels(len(channels))
    data = np.broadcast_to(np.zeros((), volume.dtype), grid.shape)
    names = tuple(volume.channels[c] for c in channels)
    return Volume(data, grid, channels=names, name=volume.name, source=volume.source)
