"""Between a napari points layer and an `AnnotationState` of places: what is added, moved and deleted becomes edits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points

from napari_apprentice.core.annotation import Extent, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.edits import AnnotationState
from napari_apprentice.session.identity import frame_name

from . import layers as adapt
from ._facts import classes_in
from ._places import colors_of, detections_in, point_features, point_look

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_apprentice.core.edit import Edit

    from ._annotator import Annotator

__all__ = ["AnnotationPoints", "Pointing"]

_VERBS = {"added": "Add point", "removed": "Delete points", "changed": "Move points"}
_OBJECT = (LabelClass(1, "object"),)


class AnnotationPoints(Points):
    """A points layer that shows the places of an `AnnotationState`; napari's own tools change them.

    Parameters
    ----------
    state
        The annotation.
    **kwargs
        As for a points layer.
    """

    def __init__(self, state: AnnotationState, **kwargs: Any) -> None:
        self.state = state
        self._is_following = False
        found = state.places or Detections.none(state.grid.ndim)
        super().__init__(found.centres.copy(), **{**point_look(found, state.classes), **kwargs})
        self.events.data.connect(self._on_self_data)
        state.edited.connect(self._on_state_edited)
        self.pick(state.classes[0].value if state.classes else 1)

    def pick(self, value: int) -> None:
        """Points are of this class from now on; those that are selected become so."""
        entry = next((c for c in self.state.classes if c.value == value), None)
        if entry is None:
            return
        layer: Any = self  # napari types its own property only in parts
        chosen = sorted(layer.selected_data)
        layer.selected_data = set()
        blank = {f"size-{axis}": np.nan for axis in range(self.ndim)}
        self.feature_defaults = {"class": entry.name, "score": 1.0, **blank}
        self.current_face_color = entry.color
        found = self.state.places
        if chosen and found is not None:
            kinds, scores = found.kinds.copy(), found.scores.copy()
            kinds[chosen], scores[chosen] = value, 1.0
            places = Detections(found.centres, found.sizes, kinds, scores)
            self.state.set_places(places, "Change class")

    def _on_self_data(self, event: Any) -> None:
        """Record what napari did; a person is sure of what they place."""
        verb = _VERBS.get(str(getattr(event.action, "value", event.action)))
        if verb is None or self._is_following:
            return
        try:
            found = detections_in(self.data, self.features, self.state.classes)
        except ApprenticeError:
            self._show(self.state.places)  # a place that is none
            return
        before = self.state.places
        scores = found.scores.copy()
        if before is not None and len(before) == len(found):
            scores[(before.centres != found.centres).any(axis=1)] = 1.0
        found = Detections(found.centres, found.sizes, found.kinds, scores)
        self._is_following = True
        try:
            self.state.set_places(found, verb)
        finally:
            self._is_following = False

    def _on_state_edited(self, edit: Edit) -> None:
        if edit.classes is not None or (edit.places is not None and not self._is_following):
            self._show(self.state.places)

    def _show(self, found: Detections | None) -> None:
        if found is None:
            return
        self._is_following = True
        try:
            layer: Any = self
            layer.selected_data = set()
            self.data = found.centres.copy()
            self.features = point_features(found, self.state.classes)
            self.shown = np.ones(len(found), bool)
            if len(found):
                self.face_color = colors_of(found, self.state.classes)
        finally:
            self._is_following = False


# Writers, menus and icons of napari know layers by the name of their class.
AnnotationPoints.__name__ = "Points"


class Pointing:
    """Finds and makes the points layer of the annotation of the session's image.

    Parameters
    ----------
    annotator
        Of the same image.
    """

    def __init__(self, annotator: Annotator) -> None:
        self.annotator = annotator

    @property
    def state(self) -> AnnotationState | None:
        """Annotation of the image, where it is of places."""
        state = self.annotator.state
        return state if state is not None and state.kind == "places" else None

    @property
    def layer(self) -> AnnotationPoints | None:
        """Layer in which it is made."""
        state, layers = self.state, self.annotator.viewer.layers
        own = (o for o in layers if isinstance(o, AnnotationPoints))
        return next((o for o in own if o.state is state), None)

    def predictions(self) -> list[Points]:
        """Points that a model made of this image, newest first."""
        annotator = self.annotator
        key = annotator.session.key
        made = reversed(annotator.viewer.layers)
        return [o for o in made if isinstance(o, Points) and adapt.is_result_of(o, key)]

    def correct(self, source: Points) -> None:
        """Make an annotation of predicted points, which stay, hidden."""
        classes = classes_in(source) or _OBJECT
        data, features, frame = source.data, source.features, self.annotator.session.frame
        grid = self.annotator.grid
        if grid is not None and data.shape[1] > grid.ndim:
            rows = np.flatnonzero(np.round(data[:, 0]) == frame)
            data, features = data[rows][:, 1:], features.iloc[rows]
        self._begin(detections_in(data, features, classes), classes)
        for layer in self.annotator.viewer.layers:
            if adapt.is_result_of(layer, self.annotator.session.key):
                layer.visible = False

    def start(self) -> None:
        """Mark points from nothing."""
        grid, spec = self.annotator.grid, self.annotator.session.spec
        if grid is not None:
            classes = () if spec is None else spec.label_classes
            self._begin(Detections.none(grid.ndim), classes or _OBJECT)

    def _begin(self, found: Detections, classes: tuple[LabelClass, ...]) -> None:
        annotator = self.annotator
        grid, volume = annotator.grid, annotator.session.volume
        if grid is None or volume is None:
            return
        inside = found.select(found.in_image(grid.shape))
        nothing = np.zeros(grid.shape, np.uint8)
        name = frame_name(volume.name, annotator.session.frame)
        annotator.adopt(AnnotationState(name, grid, nothing, classes, Extent(), places=inside))

    def show(self, placed: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Show the annotation in a layer, ready to add points."""
        state, viewer = self.state, self.annotator.viewer
        if state is None:
            return
        layer = self.layer
        if layer is None:
            classes = [asdict(c) for c in state.classes]
            name = adapt.unique_name([o.name for o in viewer.layers], f"{state.name} ▸ points")
            known = {**facts, "annotation": True, "classes": classes}
            layer = AnnotationPoints(state, name=name, metadata={adapt.METADATA: known}, **placed)
            viewer.add_layer(layer)
        layer.visible = True
        viewer.layers.selection.active = layer
        layer.mode = "select" if len(layer.data) else "add"
        self.annotator.changed.emit()
