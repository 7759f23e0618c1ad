"""Points of a volume are seen from the slices beside them, and images stay as thin as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet, ref

from napari.layers import Image, Points

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

__all__ = ["NearSlices"]


class NearSlices:
    """Gives a viewer's slices the depth of points, without which napari shows those of the very slice only.

    A depth that a person chose stays. Images would be averaged over the depth; each is told once not to be.

    Parameters
    ----------
    viewer
        Held weakly.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = ref(viewer)
        self._thin: WeakSet[Layer] = WeakSet()
        self._is_deep = False

    def show(self, layer: Layer) -> None:
        """Let the points of a volume be seen as deep as they are large; any other layer changes nothing."""
        viewer = self._viewer()
        if (
            viewer is None
            or not isinstance(layer, Points)
            or layer.projection_mode != "rescale_spherical"
        ):
            return
        dims, depths = viewer.dims, list(viewer.dims.thickness)
        added = range(dims.ndim - layer.ndim, dims.ndim)
        if any(depths[axis] for axis in added):
            return
        if not self._is_deep:
            self._is_deep = True
            viewer.layers.events.inserted.connect(self._keep_thin)
        self._keep_thin()
        for axis, step in zip(added, layer.scale, strict=True):
            depths[axis] = float(layer.current_size * step)
        dims.thickness = depths

    def _keep_thin(self, _: object = None) -> None:
        viewer = self._viewer()
        for layer in () if viewer is None else viewer.layers:
            if isinstance(layer, Image) and layer not in self._thin:
                self._thin.add(layer)
                if layer.projection_mode == "mean":  # napari's own default
                    layer.projection_mode = "none"
