"""The layers in which points and boxes are corrected: what napari's own tools do to them becomes edits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from qtpy.QtCore import QTimer

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.placing import changed_places

from ._places import colors_of, point_features, point_look

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Edit
    from napari_apprentice.session.edits import AnnotationState

__all__ = ["AnnotationPoints", "PlacesLayer"]

_CHANGES = ("added", "removed", "changed")
_OF_LAYER = frozenset(
    (
        "name",
        "metadata",
        "visible",
        "opacity",
        "blending",
        "scale",
        "translate",
        "rotate",
        "shear",
        "affine",
        "units",
        "axis_labels",
    )
)
"""What of a layer is not of its places."""
_NEVER = "00"
"""Opacity of what is hidden."""


class PlacesLayer(ABC):
    """What layers of points and of boxes share: both show the places of one `AnnotationState`, and follow it."""

    verbs: tuple[str, str, str] = ("", "", "")
    """What was done, for *Undo*: where there are more of them, fewer, and as many."""
    nouns = ""
    is_of_boxes = False
    state: AnnotationState
    level = 0.0
    """Lowest score that is shown."""

    def _join(self, state: AnnotationState, tell: Callable[[str], None]) -> None:
        self.state = state
        self._tell = tell
        self._is_following = self._is_stale = False
        layer: Any = self
        layer.events.data.connect(self._on_self_data)
        layer.events.visible.connect(self._on_self_visible)
        state.edited.connect(self._on_state_edited)
        self.kind = state.classes[0].value if state.classes else 1
        self.pick(self.kind)

    # -- of each kind ---------------------------------------------------------------------

    @property
    @abstractmethod
    def rows(self) -> NDArray[np.int64]:
        """Which of the places belong to it."""

    @property
    def rows_seen(self) -> NDArray[np.int64]:
        """Which of them it shows now."""
        return self.rows

    @abstractmethod
    def _geometry(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Middles, and lengths where it shows them."""

    @abstractmethod
    def _put(self, found: Detections) -> None:
        """Show these, in place of what it shows."""

    @abstractmethod
    def _dress(self, found: Detections) -> None:
        """Features and colours of these, which it shows; the doubtful are hidden."""

    def _is_tidy(self) -> bool:
        """Whether it looks as what it says."""
        return True

    def _after(self, before: Detections) -> Detections:
        """Places as they are now that napari changed the layer."""
        centres, sizes = self._geometry()
        shape = self.state.grid.shape
        return changed_places(
            before, self.rows_seen, centres, sizes, self.kind, shape, self._least()
        )

    def _least(self) -> float | tuple[float, ...]:
        """Voxels that what is drawn must have, along every axis or along each."""
        return 1.0

    # -- what a person says ---------------------------------------------------------------

    @property
    def found(self) -> Detections:
        """The places that belong to it."""
        return self._select(self.rows)

    @property
    def seen(self) -> Detections:
        """The places that it shows now."""
        return self._select(self.rows_seen)

    def _select(self, rows: NDArray[np.int64]) -> Detections:
        places = self.state.places
        return Detections.none(self.state.grid.ndim) if places is None else places.select(rows)

    def pick(self, value: int) -> None:
        """Places are of this class from now on; those that are selected become so."""
        entry = next((c for c in self.state.classes if c.value == value), None)
        places = self.state.places
        if entry is None or places is None:
            return
        layer: Any = self
        self.kind = value
        chosen = self.rows_seen[sorted(layer.selected_data)]
        layer.selected_data = set()
        self._take_color(entry.color)
        if len(chosen):
            kinds, scores = places.kinds.copy(), places.scores.copy()
            kinds[chosen], scores[chosen] = value, 1.0
            again = Detections(places.centres, places.sizes, kinds, scores)
            self.state.set_places(again, "Change class")

    @abstractmethod
    def _take_color(self, color: str) -> None:
        """Draw new ones in this colour."""

    def show_from(self, level: float) -> None:
        """Hide what has a lower score; it stays in the layer, and is saved with it."""
        self.level = level
        if not self._is_stale:
            self._dress(self.seen)

    def _colors(self, found: Detections) -> list[str]:
        """Colour of each by its class; without any opacity where it is hidden."""
        colors = colors_of(found, self.state.classes)
        pairs = zip(colors, found.scores >= self.level, strict=True)
        return [color if sure else color + _NEVER for color, sure in pairs]

    # -- following ------------------------------------------------------------------------

    def _on_self_data(self, event: Any) -> None:
        """Record what napari did."""
        action = str(getattr(event.action, "value", event.action))
        before = self.state.places
        if action not in _CHANGES or self._is_following or before is None:
            return
        if self._is_stale:
            self._tidy_later()
            return
        try:
            after = self._after(before)
        except ApprenticeError as error:
            self._tell(str(error))
            self._tidy_later()
            return
        if after is not before:
            self._record(before, after)

    def _record(self, before: Detections, after: Detections) -> None:
        more, fewer, others = self.verbs
        count = len(after) - len(before)
        self._tell("")
        self._is_following = True
        try:
            self.state.set_places(after, more if count > 0 else fewer if count < 0 else others)
        finally:
            self._is_following = False
        self._dress(self.seen)
        if not self._is_tidy():
            self._tidy_later()

    def _tidy_later(self) -> None:
        # napari is still busy with what the mouse does.
        QTimer.singleShot(0, self._show)

    def as_layer_data_tuple(self) -> tuple[Any, dict[str, Any], str]:
        """Everything as it is, for whoever saves or doubles the layer; also while it is hidden and does not keep up."""
        layer: Any = super()
        data, kwargs, kind = layer.as_layer_data_tuple()
        if not self._is_stale:
            return data, kwargs, kind
        kind_of_layer: Any = type(self)
        data, fresh, _ = kind_of_layer(self.state, lambda _: None).as_layer_data_tuple()
        kept = {name: value for name, value in kwargs.items() if name in _OF_LAYER}
        return data, {**fresh, **kept}, kind

    def _on_state_edited(self, edit: Edit) -> None:
        if edit.classes is not None or (edit.places is not None and not self._is_following):
            self._show()

    def _on_self_visible(self) -> None:
        if self._is_stale:
            self._show()

    def _show(self) -> None:
        """Show the places as they are; while it is hidden, napari does not keep up."""
        layer: Any = self
        self._is_stale = not layer.visible
        if self._is_stale:
            return
        self._is_following = True
        try:
            layer.selected_data = set()
            self._put(self.seen)
            self._dress(self.seen)
        finally:
            self._is_following = False


class AnnotationPoints(PlacesLayer, Points):
    """A points layer that shows the places of an `AnnotationState`.

    Parameters
    ----------
    state
        The annotation.
    tell
        Called with a sentence where something cannot be done, and with none where it could.
    **kwargs
        As for a points layer.
    """

    verbs = ("Add point", "Delete points", "Move points")
    nouns = "points"

    def __init__(self, state: AnnotationState, tell: Callable[[str], None], **kwargs: Any) -> None:
        found = state.places or Detections.none(state.grid.ndim)
        look = point_look(found, state.classes)
        Points.__init__(self, found.centres.copy(), **{**look, **kwargs})
        self._usual = float(look["size"])
        self._join(state, tell)

    @property
    def rows(self) -> NDArray[np.int64]:
        """All of them."""
        return np.arange(0 if self.state.places is None else len(self.state.places))

    def _geometry(self) -> tuple[NDArray[np.float64], None]:
        return np.array(self.data, dtype=np.float64), None

    def _put(self, found: Detections) -> None:
        self.data = found.centres.copy()

    def _take_color(self, color: str) -> None:
        self.current_face_color, self.current_border_color = color, "black"
        self.current_size = self._usual

    def _dress(self, found: Detections) -> None:
        layer: Any = self  # napari types its own properties only in parts
        layer.features = point_features(found, self.state.classes)
        if len(found):
            layer.face_color = self._colors(found)
            layer.border_color = [
                "#000000" + ("" if sure else _NEVER) for sure in found.scores >= self.level
            ]
        # In 2-D napari (0.9) shows points that are not `shown`; without a size none is clicked.
        sizes = np.where(layer.size > 0, layer.size, self._usual)
        layer.size = np.where(found.scores >= self.level, sizes, 0.0)


# Writers, menus and icons of napari know layers by the name of their class.
AnnotationPoints.__name__ = "Points"
