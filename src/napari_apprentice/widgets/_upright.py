"""Volumes stored along other axes than the world's: turned for napari, turned back for their file."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_apprentice.engine.prepare import reorient, restore

if TYPE_CHECKING:
    from napari_apprentice.core.volume import Volume

__all__ = ["as_stored", "upright"]

_TURNED = "turned for display"


def upright(volume: Volume) -> Volume:
    """Permute (and flip) the axes of a volume so that they follow the world's, as a view."""
    order, flips = volume.grid.closest_orientation()
    if order == tuple(range(len(order))):
        return volume
    grid = volume.grid.reoriented(order, flips)
    metadata = {**volume.metadata, _TURNED: [list(order), list(flips)]}
    data: Any = volume.data
    coarser: tuple[Any, ...] = volume.pyramid
    pyramid = tuple(reorient(level, order, flips) for level in coarser)
    turned = reorient(data, order, flips)
    return replace(volume, data=turned, grid=grid, pyramid=pyramid, metadata=metadata)


def as_stored(volume: Volume) -> Volume:
    """Put the axes of a volume back into the order of the file it came from, for saving."""
    if _TURNED not in volume.metadata:
        return volume
    order, flips = volume.metadata[_TURNED]
    data: Any = volume.data
    back = [order.index(axis) for axis in range(len(order))]
    grid = volume.grid.reoriented(back, [flips[axis] for axis in back])
    metadata = {k: v for k, v in volume.metadata.items() if k != _TURNED}
    stored = restore(data, order, flips)
    return replace(volume, data=stored, grid=grid, pyramid=(), metadata=metadata)
