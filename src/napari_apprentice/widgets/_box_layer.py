"""The layer in which boxes of a 2-D image are corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes

from ._place_layer import PlacesLayer
from ._places import box_look, boxes_in, corners_of, point_features

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_apprentice.core.detections import Detections
    from napari_apprentice.session.edits import AnnotationState

__all__ = ["CLICK", "AnnotationBoxes"]

CLICK = 4.0
"""Pixels of the screen: what is drawn smaller was a click."""


class AnnotationBoxes(PlacesLayer, Shapes):
    """A shapes layer that shows the boxes of an `AnnotationState`; places without a size it leaves out.

    Parameters
    ----------
    state, tell
        See `AnnotationPoints`.
    **kwargs
        As for a shapes layer.
    """

    verbs = ("Draw box", "Delete boxes", "Change boxes")
    nouns = "boxes"
    is_of_boxes = True

    def __init__(self, state: AnnotationState, tell: Callable[[str], None], **kwargs: Any) -> None:
        self.state = state
        look = box_look(self.found, state.classes)
        self._width = self.drawn_width = float(look["edge_width"])
        Shapes.__init__(self, ndim=state.grid.ndim, **kwargs)
        self.current_edge_width = self._width
        self._join(state, tell)
        self._show()

    @property
    def rows(self) -> NDArray[np.int64]:
        """Those with a size along every axis."""
        places = self.state.places
        return np.flatnonzero([] if places is None else places.are_boxes)

    def _geometry(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        shapes: Any = self.data
        return boxes_in(shapes, self.ndim)

    def _edges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper corners of the rectangles that should be there."""
        return self.seen.corners()

    def _is_tidy(self) -> bool:
        shapes: Any = self.data
        return all(map(_is_box, shapes, *self._edges()))

    def _least(self) -> float | tuple[float, ...]:
        drawing = str(self.mode).startswith("add")
        return max(1.0, CLICK * self.scale_factor / float(self.scale[-1])) if drawing else 1.0

    def _put(self, found: Detections) -> None:
        self.data = [(corners, "rectangle") for corners in corners_of(found)]

    def _take_color(self, color: str) -> None:
        self.current_edge_color = color
        self.current_face_color = "transparent"

    def _dress(self, found: Detections) -> None:
        layer: Any = self
        layer.features = point_features(found, self.state.classes)
        if len(found):
            layer.edge_color = self._colors(found)
            layer.face_color = ["transparent"] * len(found)
            if set(layer.edge_width) != {self.drawn_width}:  # napari gives some a width of its own
                layer.edge_width = self.drawn_width


def _is_box(corners: NDArray[Any], low: NDArray[np.float64], high: NDArray[np.float64]) -> bool:
    """Whether a shape is the upright rectangle from `low` to `high`."""
    at_low, at_high = (np.isclose(corners, edge, rtol=0, atol=0.01) for edge in (low, high))
    ends = at_low.any(axis=0) & at_high.any(axis=0)
    return len(corners) == 4 and bool((at_low | at_high).all() and ends.all())


# Writers, menus and icons of napari know layers by the name of their class.
AnnotationBoxes.__name__ = "Shapes"
