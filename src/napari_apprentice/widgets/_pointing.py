"""`Pointing`: finds and makes the layers of an annotation of points and boxes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes
from psygnal import Signal

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.session.begun import blank
from napari_apprentice.session.choice import kind_of_task
from napari_apprentice.session.identity import frame_name
from napari_apprentice.session.taking import take_over_places

from . import layers as adapt
from ._box_layer import AnnotationBoxes
from ._facts import classes_in
from ._near_slices import NearSlices
from ._place_layer import AnnotationPoints
from ._places import MOST_BOXES, detections_in, most_in_a_slice
from ._volume_boxes import VolumeBoxes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_apprentice.session.edits import AnnotationState

    from ._annotator import Annotator

__all__ = ["Pointing"]

_OBJECT = (LabelClass(1, "object"),)


class Pointing:
    """Finds and makes the layers of points, or of boxes, of the annotation of the session's image.

    Parameters
    ----------
    annotator
        Of the same image.
    """

    told = Signal(str)
    """Something cannot be done; the sentence says why. An empty one: it could."""

    def __init__(self, annotator: Annotator) -> None:
        self.annotator = annotator
        self.as_boxes = False
        self._near = NearSlices(getattr(annotator.viewer, "__wrapped__", annotator.viewer))

    @property
    def state(self) -> AnnotationState | None:
        """Annotation of the image, where it is of places."""
        state = self.annotator.state
        return state if state is not None and state.kind == "places" else None

    @property
    def layer(self) -> AnnotationPoints | AnnotationBoxes | None:
        """Layer in which it is made: that of boxes where those are in hand, else that of points."""
        layers = self._layers()
        return next((o for o in layers if self._is_of_boxes(o) == self.as_boxes), None) or next(
            iter(layers), None
        )

    def _layers(self) -> list[AnnotationPoints | AnnotationBoxes]:
        state, layers = self.state, self.annotator.viewer.layers
        own = (o for o in layers if isinstance(o, AnnotationPoints | AnnotationBoxes))
        return [o for o in own if o.state is state]

    @staticmethod
    def _is_of_boxes(layer: object) -> bool:
        return isinstance(layer, Shapes)

    def predictions(self) -> list[Points]:
        """Points that a model made of this image, newest first."""
        annotator = self.annotator
        key = annotator.session.key
        made = reversed(annotator.viewer.layers)
        return [o for o in made if isinstance(o, Points) and adapt.is_result_of(o, key)]

    def detections_of(self, source: Points) -> Detections:
        """Places of a layer, in the frame on show."""
        classes = classes_in(source) or _OBJECT
        data, features, frame = source.data, source.features, self.annotator.session.frame
        grid = self.annotator.grid
        if grid is not None and data.shape[1] > grid.ndim:
            rows = np.flatnonzero(np.round(data[:, 0]) == frame)
            data, features = data[rows][:, 1:], features.iloc[rows]
        return detections_in(data, features, classes)

    # -- beginning ------------------------------------------------------------------------

    def correct(self, source: Points) -> None:
        """Make an annotation of predicted points, which stay, hidden; of their boxes where those are selected."""
        active = self.annotator.viewer.layers.selection.active
        self.as_boxes = self._is_of_boxes(active)
        self._begin(self.detections_of(source), classes_in(source) or _OBJECT)

    def start(self) -> None:
        """Mark points from nothing."""
        grid, spec = self.annotator.grid, self.annotator.session.spec
        if grid is not None:
            known = spec is not None and kind_of_task(spec.task) == "places"
            classes = spec.label_classes if spec is not None and known else ()
            self._begin(Detections.none(grid.ndim), classes or _OBJECT)

    def _begin(self, found: Detections, classes: tuple[LabelClass, ...]) -> None:
        annotator = self.annotator
        grid, volume = annotator.grid, annotator.session.volume
        if grid is None or volume is None:
            return
        inside = found.select(found.in_image(grid.shape))
        name = frame_name(volume.name, annotator.session.frame)
        annotator.adopt(blank(name, grid, classes, places=inside))

    # -- a newer prediction ---------------------------------------------------------------

    def newer(self) -> Points | None:
        """Points of the same classes that a model found after the annotation was begun, where some of it is not finished."""
        state, layer, layers = self.state, self.layer, self.annotator.viewer.layers
        newest = next(iter(self.predictions()), None)
        if state is None or layer is None or newest is None or state.extent.whole:
            return None
        known = {c.name for c in state.classes}
        fits = {c.name for c in classes_in(newest)} <= known
        return newest if fits and layers.index(newest) > layers.index(layer) else None

    def take_over(self) -> None:
        """Put the newer prediction in place of what nobody finished or placed; one edit, which can be undone."""
        newer, state = self.newer(), self.state
        if newer is not None and state is not None:
            take_over_places(state, self.detections_of(newer))
            self.annotator.show()

    # -- layers ---------------------------------------------------------------------------

    def no_boxes(self) -> str | None:
        """Why places cannot be shown as boxes, or None where they can."""
        state = self.state
        if state is None or state.places is None:
            return "Nothing is marked yet."
        count = most_in_a_slice(state.places.select(state.places.are_boxes), state.grid.shape)
        where = " in a slice" if state.grid.ndim == 3 else ""
        too_many = f"{count} boxes{where} are more than napari draws at once."
        return too_many if count > MOST_BOXES else None

    def show_as(self, boxes: bool) -> None:
        """Correct the boxes, or the points."""
        if boxes and self.no_boxes() is not None:
            return
        self.as_boxes = boxes
        self.annotator.show()

    def show(self, placed: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Show the annotation in a layer, ready to add to it; what a model found, and the other kind, is hidden."""
        state, viewer = self.state, self.annotator.viewer
        if state is None:
            return
        self.as_boxes = self.as_boxes and self.no_boxes() is None
        own = (o for o in self._layers() if self._is_of_boxes(o) == self.as_boxes)
        layer = next(own, None)
        if layer is None:
            layer = self._make(state, placed, facts)
            viewer.add_layer(layer)
            if isinstance(layer, VolumeBoxes):
                layer.follow(viewer.dims)
        for other in viewer.layers:
            is_result = adapt.is_result_of(other, self.annotator.session.key)
            if other in self._layers() or (is_result and isinstance(other, Points | Shapes)):
                other.visible = other is layer
        viewer.layers.selection.active = layer
        add = "add_rectangle" if self.as_boxes else "add"
        layer.mode = "select" if len(layer.found) else add
        self._near.show(layer)

    def _make(
        self, state: AnnotationState, placed: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> AnnotationPoints | AnnotationBoxes:
        boxes = VolumeBoxes if state.grid.ndim == 3 else AnnotationBoxes
        kind = boxes if self.as_boxes else AnnotationPoints
        taken = [o.name for o in self.annotator.viewer.layers]
        ending = "boxes" if self.as_boxes else "points"
        name = adapt.unique_name(taken, f"{state.name} ▸ {ending}")
        classes = [asdict(c) for c in state.classes]
        known = {adapt.METADATA: {**facts, "annotation": True, "classes": classes}}
        return kind(state, self.told.emit, name=name, metadata=known, **placed)
