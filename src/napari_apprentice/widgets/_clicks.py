"""Clicks on a labels layer as voxels, in slices and in the 3-D view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["VoxelClicks", "voxel_under"]


class VoxelClicks:
    """Tells which voxels of one layer are clicked, from `start` to `stop`. Not a Qt object."""

    clicked = Signal(tuple)
    """A voxel, one index per axis of the layer; where the click was beside the image, nothing comes."""

    def __init__(self) -> None:
        self._layer: Labels | None = None

    @property
    def is_active(self) -> bool:
        """Whether clicks are waited for."""
        return self._layer is not None

    def start(self, layer: Labels) -> None:
        """Wait for clicks on a layer."""
        self.stop()
        self._layer = layer
        layer.mouse_drag_callbacks.append(self._on_layer_pressed)

    def stop(self, *_: object) -> None:
        """Wait no longer."""
        layer, self._layer = self._layer, None
        if layer is not None and self._on_layer_pressed in layer.mouse_drag_callbacks:
            layer.mouse_drag_callbacks.remove(self._on_layer_pressed)

    def _on_layer_pressed(self, layer: Labels, event: Any) -> None:
        voxel = voxel_under(layer, event)
        if voxel is not None:
            self.clicked.emit(voxel)


def voxel_under(layer: Labels, event: Any) -> tuple[int, ...] | None:
    """Return the voxel under the mouse, in 3-D the first labelled one on the line of sight; None beside the image.

    Parameters
    ----------
    layer
        On which the mouse was pressed.
    event
        With ``position``, ``view_direction`` and ``dims_displayed``, as napari's mouse callbacks get it.
    """
    shape = layer.data.shape
    if len(event.dims_displayed) < 3:
        point = np.round(np.asarray(layer.world_to_data(event.position))).astype(int)
        inside = bool(((point >= 0) & (point < shape)).all())
        return tuple(int(v) for v in point) if inside else None
    near, far = layer.get_ray_intersections(
        event.position, event.view_direction, list(event.dims_displayed)
    )
    if near is None or far is None:
        return None
    steps = 2 * int(np.ceil(np.abs(np.subtract(far, near)).max())) + 2  # no voxel is stepped over
    points = np.round(np.linspace(near, far, steps)).astype(int)
    points = np.clip(points, 0, np.array(shape) - 1)
    found = np.flatnonzero(np.asarray(layer.data)[tuple(points.T)])
    return tuple(int(v) for v in points[found[0]]) if len(found) else None
