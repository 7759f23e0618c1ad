"""Dims what is not finished yet, beside the layer of an annotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import layers as adapt
from .annotating import veil_layer

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_apprentice.core.annotation import Extent

    from ._annotator import Annotator

__all__ = ["Veiling"]


class Veiling:
    """Finds, makes and follows the veil of the annotation of the session's image.

    Parameters
    ----------
    annotator
        Of the same image.
    """

    def __init__(self, annotator: Annotator) -> None:
        self._annotator = annotator
        self._shown: Extent | None = None

    @property
    def layer(self) -> Image | None:
        """Layer of the veil; None where there is none."""
        session = self._annotator.session
        here = (session.key, session.frame)
        facts = ((o, adapt.facts_of(o)) for o in self._annotator.viewer.layers)
        veils = ((o, (f.get("of"), f.get("frame"))) for o, f in facts if f.get("veil"))
        return next((o for o, place in veils if place == here), None)

    def show(self) -> None:
        """Dim the rest as soon as a part is finished; in 3-D a veil would hide everything."""
        state, own, veil = self._annotator.state, self._annotator.own_layer, self.layer
        partial = state is not None and bool(state.extent.slices or state.extent.boxes)
        wanted = partial and own is not None and not (state is None or state.extent.whole)
        wanted = wanted and own is not None and own.visible
        if veil is None and wanted:
            veil = self._add()
        if veil is None:
            return
        if state is not None and state.extent != self._shown:
            self._shown = state.extent
            veil.refresh(extent=False)
        visible = wanted and self._annotator.viewer.dims.ndisplay == 2
        if veil.visible != visible:
            veil.visible = visible

    def _add(self) -> Image | None:
        annotator = self._annotator
        state, own, layers = annotator.state, annotator.own_layer, annotator.viewer.layers
        if state is None or own is None:
            return None
        active = layers.selection.active
        name = adapt.unique_name([o.name for o in layers], f"{state.name} ▸ not finished")
        placed = adapt.layer_kwargs(own, own.ndim)
        place = {"of": annotator.session.key, "frame": annotator.session.frame}
        veil: Image = annotator.viewer.add_layer(veil_layer(state, placed, name, place))
        layers.selection.active = active
        return veil
