"""Layers of images that a recipe made: the live preview, patches, and those that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.engine.glimpse import mosaic

from . import layers as adapt
from ._facts import facts_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.glimpse import Glimpse

__all__ = ["MadeLayers"]

_PREVIEW, _PATCHES = "preview", "patches"
_BESIDE = 0.05


class MadeLayers:
    """Adds, replaces and removes them in one viewer.

    Parameters
    ----------
    viewer
        Where they are shown.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self.viewer = viewer

    def keep(self, volume: Volume) -> None:
        """Add an image that stays, and work on it."""
        for data, kwargs, _ in adapt.layer_tuples(volume):
            kwargs["name"] = adapt.unique_name([o.name for o in self.viewer.layers], kwargs["name"])
            self.viewer.add_image(data, **kwargs)

    # -- the live preview -------------------------------------------------------------------

    def preview(self, volume: Volume, key: str) -> None:
        """Show a preview in place of the one before; which layer is selected stays as it was."""
        made = adapt.layer_tuples(volume)
        shown = self._own(_PREVIEW)
        if [o.data.shape for o in shown] == [np.shape(data) for data, _, _ in made]:
            for layer, (data, kwargs, _) in zip(shown, made, strict=True):
                # A plane of its own may have moved along Z.
                layer.data = data
                if "translate" in kwargs:
                    layer.translate = kwargs["translate"]
                else:
                    layer.affine = kwargs["affine"]
                layer.reset_contrast_limits()
            return
        active = self.viewer.layers.selection.active
        self._remove(shown)
        for data, kwargs, _ in made:
            self._add(self.viewer.add_image, data, kwargs, f"preview: {volume.name}", _PREVIEW, key)
        self._select(active)

    def end_preview(self) -> None:
        """Take the preview away."""
        self._remove(self._own(_PREVIEW))

    # -- patches ----------------------------------------------------------------------------

    def patches(
        self, seen: Glimpse, name: str, key: str, beside: Volume, colors: tuple[LabelClass, ...]
    ) -> None:
        """Show patches to the right of an image, with contours of what they teach; those of the same name go."""
        images, labels, grid = mosaic(seen)
        if seen.spec.spacing is None:
            spacing = beside.grid.spacing[-grid.ndim :]
            grid = type(grid).regular(grid.axes, grid.shape, spacing, unit=beside.grid.unit)
        active = self.viewer.layers.selection.active
        self._remove([o for o in self._own(_PATCHES) if facts_of(o).get("patches") == name])
        place = {**adapt.spatial_kwargs(grid), "translate": self._right_of(beside.grid, grid)}
        for number, image in enumerate(images):
            own = name if len(images) == 1 else f"{name} · {seen.spec.channels[number]}"
            look = {"blending": "additive"} if len(images) > 1 else {}
            self._add(self.viewer.add_image, image, {**place, **look}, own, _PATCHES, key, name)
        if labels is not None:
            look = adapt.class_colors(colors) if colors else {}
            self._add(
                self.viewer.add_labels,
                labels,
                {**place, **look},
                f"{name} · said",
                _PATCHES,
                key,
                name,
            ).contour = 1
        self._select(active)
        self.viewer.reset_view()

    def _right_of(self, image: Grid, grid: Grid) -> tuple[float, ...]:
        """Where patches begin, in the unit of the image: beside it, their middle plane on the one on show."""
        corners = np.array(list(np.ndindex(*(2,) * image.ndim))) * np.array(image.spatial_shape)
        world = image.to_world(corners - 0.5)[:, -grid.ndim :]
        low, high = world.min(axis=0), world.max(axis=0)
        start = low.copy()
        start[-1] = high[-1] + _BESIDE * (high[-1] - low[-1])
        if grid.ndim == 3:
            here = float(self.viewer.dims.point[-3])
            start[0] = here - (grid.shape[0] // 2) * grid.spacing[0]
        return tuple(map(float, start))

    # -- pieces -----------------------------------------------------------------------------

    def _add(
        self, add: Any, data: Any, kwargs: Any, name: str, kind: str, key: str, patches: str = ""
    ) -> Any:
        facts = {"recipe": kind, "of": key, "patches": patches, "axes": "ZYX"[-np.ndim(data) :]}
        taken = [o.name for o in self.viewer.layers]
        named = {"name": adapt.unique_name(taken, name), "metadata": {adapt.METADATA: facts}}
        return add(data, **{**kwargs, **named})

    def _own(self, kind: str) -> list[Layer]:
        return [o for o in self.viewer.layers if facts_of(o).get("recipe") == kind]

    def _remove(self, layers: list[Layer]) -> None:
        for layer in layers:
            self.viewer.layers.remove(layer)

    def _select(self, layer: Layer | None) -> None:
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.selection.active = layer
