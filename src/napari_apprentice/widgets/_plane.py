"""Which slice of a volume a viewer shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Layer

__all__ = ["UNSEEN", "Plane", "plane_of"]


@dataclass(frozen=True)
class Plane:
    """A slice of a layer.

    Parameters
    ----------
    axis
        Of the layer, across the slice.
    index
        Number of the slice.
    at
        Where the viewer cuts, in voxels: not in the middle of a slice where another layer is finer.
    """

    axis: int
    index: int
    at: float


UNSEEN = Plane(0, -1, -1.0)
"""No viewer shows the layer yet."""


def plane_of(dims: Dims, layer: Layer) -> Plane | None:
    """Slice of a layer of a volume on show; None in the 3-D view, or where another axis takes its place."""
    before = dims.ndim - layer.ndim
    across = [axis - before for axis in dims.not_displayed if axis >= before]
    if len(across) != 1:
        return None
    (axis,) = across
    at = float(layer.world_to_data(dims.point[-layer.ndim :])[axis])
    return Plane(axis, round(at), at)
