"""One case of an evaluation in the viewer: its image, truth, prediction, and where they differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points

from napari_apprentice.core.volume import Volume

from . import layers as adapt
from ._display import label_colors
from ._upright import upright

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.session.evaluating import Opened

__all__ = ["CaseLayers"]


class CaseLayers:
    """Shows one case at a time; layers of the one before are taken away.

    Parameters
    ----------
    viewer
        Where.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self._viewer = viewer
        self._own: list[Layer] = []
        self._placed: dict[str, Any] | None = None

    def clear(self) -> None:
        """Take the layers of the case away."""
        for layer in self._own:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._own = []

    def show(self, case: Opened, *, beside: bool = False) -> None:
        """Show a case.

        Parameters
        ----------
        case
            What was opened.
        beside
            Whether truth and prediction are layers already: only the errors are added.
        """
        self.clear()
        self._placed = None
        if case.image is not None:
            self._add_image(case.image)
            self._placed = adapt.spatial_kwargs(case.image.grid.spatial)
        if not beside:
            self._add_both(case)
        if case.errors is not None:
            self._add(case.errors, f"{case.name} ▸ errors", contour=False)
            self._mark_errors(self._own[-1])
            self._go_to_worst(self._own[-1])
        if not beside and self._own:
            self._viewer.reset_view(layers=self._own)

    def _add_both(self, case: Opened) -> None:
        """Prediction, hidden so that errors can be seen, and truth: contours, rings, or the clean image."""
        said, true = replace(case.prediction, provenance=None), case.annotation
        before = len(self._own)
        self._add(said, f"{case.name} ▸ prediction", contour=True)
        for layer in self._own[before:]:
            layer.visible = case.errors is None
        truth = replace(
            said,
            labels=None if said.labels is None else true.labels,
            objects={},
            image=None if said.image is None else true.clean,
            classes=true.classes,
            detections=true.detections,
        )
        before = len(self._own)
        self._add(truth, f"{case.name} ▸ truth", contour=True)
        for layer in self._own[before:]:
            if isinstance(layer, Points):
                layer.border_color, layer.face_color = layer.face_color.copy(), "transparent"
                layer.border_width = 0.25

    def _add_image(self, volume: Volume) -> None:
        for data, kwargs, _ in adapt.layer_tuples(volume):
            kwargs["name"] = self._free(kwargs["name"])
            added: Any = self._viewer.add_image(data, **kwargs)
            self._own.append(added)

    def _add(self, answer: Prediction, name: str, *, contour: bool) -> None:
        if answer.labels is None:
            self._add_places(answer, name)
            return
        labels = np.asarray(answer.labels)
        kind = labels.dtype if labels.dtype.kind in "iu" else np.uint8
        volume = upright(
            Volume(labels.astype(kind, copy=False), answer.grid, name=name, is_labels=True)
        )
        look = label_colors(answer)
        facts = {
            "of": f"case {name}",
            "axes": volume.grid.axes,
            "world": volume.grid.world,
            "evaluated": True,
        }
        added: Any = self._viewer.add_labels(
            volume.numpy(),
            name=self._free(name),
            metadata={adapt.METADATA: facts},
            **adapt.spatial_kwargs(volume.grid),
            **look,
        )
        if contour:
            added.contour = adapt.contour_width(volume.grid.shape)
        self._own.append(added)

    def _add_places(self, answer: Prediction, name: str) -> None:
        """Points and boxes, or an image: whatever else a prediction is shown as."""
        nothing = np.broadcast_to(np.zeros((), np.uint8), answer.grid.shape)
        volume = Volume(nothing, answer.grid, name=name)
        for data, kwargs, kind in adapt.prediction_layers(
            answer, volume, name, self._placed if answer.image is None else None, f"case {name}"
        ):
            kwargs["name"] = self._free(kwargs["name"])
            kwargs["metadata"][adapt.METADATA]["evaluated"] = True
            self._own.append(getattr(self._viewer, f"add_{kind}")(data, **kwargs))

    def _free(self, name: str) -> str:
        return adapt.unique_name([one.name for one in self._viewer.layers], name)

    @staticmethod
    def _mark_errors(layer: Layer) -> None:
        """Mark each kind of error by a symbol of its own, larger than what it lies upon."""
        if isinstance(layer, Points) and len(layer.data):
            kinds = list(layer.features["class"])
            known = dict(zip(dict.fromkeys(kinds), ("x", "cross"), strict=False))
            layer.symbol = [known.get(kind, "star") for kind in kinds]
            layer.size = layer.size * 2

    def _go_to_worst(self, layer: Layer) -> None:
        """Bring the slice with most errors into view."""
        if layer.ndim < 3:
            return
        data = np.asarray(layer.data)
        wrong = np.round(data[:, 0]) if isinstance(layer, Points) else np.nonzero(data)[0]
        if not len(wrong):
            return
        plane = int(np.bincount(wrong.clip(0).astype(np.int64)).argmax())
        middle = [plane, *(0,) * (layer.ndim - 1)]
        world = layer.data_to_world(middle)
        dims = self._viewer.dims
        dims.set_point(dims.ndim - layer.ndim, float(world[0]))
