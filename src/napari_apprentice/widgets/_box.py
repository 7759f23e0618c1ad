"""Drawing a box or a line: a shapes layer that lives for one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes
from psygnal import Signal
from qtpy.QtCore import QTimer

from . import layers as adapt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari
    from napari.layers import Labels
    from numpy.typing import NDArray

__all__ = ["Drawing", "box_around", "box_in_view"]


class Drawing:
    """Lets a person draw one shape on a labels layer.

    Parameters
    ----------
    viewer
        Where it is drawn.
    mode
        napari's name of the tool: ``"add_rectangle"``, ``"add_line"``.
    name
        Of the layer meanwhile.
    """

    drawn = Signal(object)
    """Corners of the shape in voxels of the labels layer: ``(4, n)``, of a line ``(2, n)``."""
    ended = Signal()
    """The shape was drawn, or the drawing given up."""

    def __init__(self, viewer: napari.viewer.Viewer, mode: str, name: str) -> None:
        self.viewer = viewer
        self._mode, self._name = mode, name
        self.target: Labels | None = None
        self._shapes: Shapes | None = None

    @property
    def is_active(self) -> bool:
        """Whether a shape is being drawn."""
        return self._shapes is not None and self._shapes in self.viewer.layers

    def start(self, target: Labels) -> None:
        """Wait for a shape."""
        self.stop()
        self.target = target
        self._shapes = Shapes(
            ndim=target.ndim,
            name=self._name,
            edge_color="#56B4E9",
            edge_width=max(1.0, min(target.data.shape[-2:]) / 200),
            face_color="#56B4E940",
            metadata={adapt.METADATA: {"temporary": True, "result": True}},
            **adapt.layer_kwargs(target, target.ndim),
        )
        self.viewer.add_layer(self._shapes)
        self._shapes.mode = self._mode
        # Keys of the layer beneath are out of reach meanwhile.
        self._shapes.bind_key("Escape", lambda _: QTimer.singleShot(0, self.stop), overwrite=True)
        self._shapes.events.data.connect(self._on_shapes_data)
        self.viewer.layers.events.removed.connect(self._on_layers_removed)

    def stop(self) -> None:
        """Give up, or clean up."""
        shapes, self._shapes = self._shapes, None
        if shapes is None:
            return
        self.viewer.layers.events.removed.disconnect(self._on_layers_removed)
        shapes.events.data.disconnect(self._on_shapes_data)
        if shapes in self.viewer.layers:
            self.viewer.layers.remove(shapes)
        if self.target is not None and self.target in self.viewer.layers:
            self.viewer.layers.selection.active = self.target
        self.ended.emit()

    def _on_shapes_data(self, event: Any) -> None:
        if str(getattr(event.action, "value", event.action)) == "added":
            # napari is still busy with the layer; take it away afterwards.
            QTimer.singleShot(0, self._finish)

    def _finish(self) -> None:
        if not self.is_active or self._shapes is None or not len(self._shapes.data):
            return
        corners = np.asarray(self._shapes.data[-1])
        if (np.ptp(corners, axis=0) < 1).all():
            self._shapes.data = []  # a click, not a shape: go on waiting
            return
        self.stop()
        self.drawn.emit(corners)

    def _on_layers_removed(self) -> None:
        if self._shapes is not None and self._shapes not in self.viewer.layers:
            self.stop()


def box_around(
    corners: NDArray[Any], shape: Sequence[int], axes: Sequence[int], depth: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the voxels that a rectangle encloses, as start and stop.

    Parameters
    ----------
    corners
        ``(k, n)`` points in voxels; the outline of voxel 3 runs from 2.5 to 3.5.
    shape
        Of the labels.
    axes
        Those the rectangle extends along; along the others it reaches `depth` voxels to both sides.
    depth
        See `axes`.
    """
    low = np.ceil(corners.min(axis=0) - 1e-6)
    high = np.floor(corners.max(axis=0) + 1e-6) + 1
    for axis in range(len(shape)):
        if axis not in axes:
            centre = np.round(corners[:, axis].mean())
            low[axis], high[axis] = centre - depth, centre + depth + 1
    low = np.clip(low, 0, np.array(shape) - 1)
    high = np.clip(high, low + 1, shape)
    return tuple(int(v) for v in low), tuple(int(v) for v in high)


def box_in_view(
    layer: Labels, shape: Sequence[int], axes: Sequence[int], centre: NDArray[Any], depth: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the box of voxels that the canvas shows now."""
    pixels = np.asarray(layer.corner_pixels, dtype=float)
    corners = np.where([[a in axes for a in range(len(shape))]] * 2, pixels, np.asarray(centre))
    return box_around(corners, shape, axes, depth)
