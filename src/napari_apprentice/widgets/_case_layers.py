"""One case of an evaluation in the viewer: its image, truth, prediction, and where they differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

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
        if case.image is not None:
            self._add_image(case.image)
        if not beside:
            self._add_both(case)
        if case.errors is not None:
            self._add(case.errors, f"{case.name} ▸ errors", contour=False)
            self._go_to_worst(case.errors)
        if not beside and self._own:
            self._viewer.reset_view()

    def _add_both(self, case: Opened) -> None:
        """Prediction, hidden so that errors can be seen, and truth, as contours."""
        said = replace(case.prediction, provenance=None)
        self._add(said, f"{case.name} ▸ prediction", contour=True)
        if self._own and case.errors is not None:
            self._own[-1].visible = False
        true = None if said.labels is None else case.annotation.labels
        classes = case.annotation.classes
        places = case.annotation.detections
        truth = replace(
            said, labels=true, objects={}, image=None, classes=classes, detections=places
        )
        self._add(truth, f"{case.name} ▸ truth", contour=True)

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
            answer, volume, name, None, f"case {name}"
        ):
            kwargs["name"] = self._free(kwargs["name"])
            self._own.append(getattr(self._viewer, f"add_{kind}")(data, **kwargs))

    def _free(self, name: str) -> str:
        return adapt.unique_name([one.name for one in self._viewer.layers], name)

    def _go_to_worst(self, errors: Prediction) -> None:
        """Bring the slice with most errors into view."""
        layer = self._own[-1]
        wrong = np.asarray(layer.data) > 0
        if wrong.ndim < 3 or not wrong.any():
            return
        plane = int(wrong.sum(axis=tuple(range(1, wrong.ndim))).argmax())
        middle = [plane, *(n // 2 for n in wrong.shape[1:])]
        world = layer.data_to_world(middle)
        dims = self._viewer.dims
        dims.set_point(dims.ndim - layer.ndim, float(world[0]))
