"""The layer in which boxes of a volume are corrected, a slice at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.session.depths import deepened, with_slices
from napari_apprentice.session.placing import changed_places

from ._box_layer import CLICK, AnnotationBoxes
from ._places import (
    SIDES,
    corners_in,
    corners_of,
    cut_by_slices,
    point_features,
    sides_of,
)
from ._plane import UNSEEN, Plane, plane_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import Dims
    from numpy.typing import NDArray

    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.edit import Edit
    from napari_apprentice.session.edits import AnnotationState

__all__ = ["VolumeBoxes"]

_MOST_SOLID = 100
"""Boxes of which napari draws all edges in half a second."""


class VolumeBoxes(AnnotationBoxes):
    """Shows a rectangle for each box that passes through the slice on show; in the 3-D view, the edges of all boxes.

    Rectangles are put in with every slice: napari draws those of one slice in the time of a blink, those of all slices
    would slow down each step.

    Parameters
    ----------
    state, tell
        See `AnnotationPoints`.
    **kwargs
        As for a shapes layer.
    """

    held_changed = Signal()
    """Other boxes are in hand, or another slice is on show."""

    def __init__(self, state: AnnotationState, tell: Callable[[str], None], **kwargs: Any) -> None:
        self.plane: Plane | None = UNSEEN
        self.held: tuple[int, ...] = ()
        super().__init__(state, tell, **kwargs)
        chosen: Any = self.selected_data
        chosen.events.items_changed.connect(self._on_chosen_items)

    # -- slices -----------------------------------------------------------------------------

    def follow(self, dims: Dims) -> None:
        """Show what a viewer shows, now and whenever it shows another slice."""
        for source in (dims.events.order, dims.events.ndisplay, dims.events.current_step):
            source.connect(self._on_dims_changed)
        self._look(dims)

    def _on_dims_changed(self, event: Any) -> None:
        self._look(event.source)

    def _look(self, dims: Dims) -> None:
        plane = plane_of(dims, self)
        if plane == self.plane:
            return
        shapes: Any = self.data
        if self.plane is not None and len(shapes) > len(self.rows_seen):
            self._tell("The box was not finished when the slice changed: draw it in one slice.")
        self.plane = plane
        if len(shapes) or len(self.rows_seen):
            self._show()
        self.held_changed.emit()

    @property
    def rows_seen(self) -> NDArray[np.int64]:
        """Those that pass through the slice; in the 3-D view all, a row per side, unless they are too many."""
        rows, plane = self.rows, self.plane
        if plane is None:
            return np.repeat(rows if len(rows) <= _MOST_SOLID else rows[:0], SIDES)
        first, last = self.found.slices(plane.axis, self.state.grid.shape[plane.axis])
        return rows[(first <= plane.index) & (plane.index <= last)]

    def held_slices(self) -> tuple[int, int] | None:
        """First and last slice of what is in hand, along the axis across the slice on show; None in the 3-D view."""
        if not self.held or self.plane is None:
            return None
        axis = self.plane.axis
        first, last = self._select(np.array(self.held)).slices(axis, self.state.grid.shape[axis])
        return int(first.min()), int(last.max())

    def set_slices(self, *, first: int | None = None, last: int | None = None) -> None:
        """Let the boxes in hand begin, or end, in a slice."""
        places, plane = self.state.places, self.plane
        if places is None or plane is None or not self.held:
            return
        length = self.state.grid.shape[plane.axis]
        after = with_slices(places, self.held, plane.axis, length, first=first, last=last)
        if after is not places:
            self.state.set_places(after, "Change slices")

    # -- what is in hand --------------------------------------------------------------------

    def _on_chosen_items(self, *_: object) -> None:
        if not self._is_following and self.plane is not None:
            self._hold()

    def _hold(self) -> None:
        rows = self.rows_seen
        chosen = sorted(n for n in self.selected_data if n < len(rows))
        held = tuple(int(rows[n]) for n in chosen)
        if held != self.held:
            self.held = held
            self.held_changed.emit()

    def _record(self, before: Detections, after: Detections) -> None:
        super()._record(before, after)
        self._hold()

    def _on_state_edited(self, edit: Edit) -> None:
        if edit.places is not None and (
            len(edit.places[0]) != len(edit.places[1]) or edit.author != "person"
        ):
            self.held = ()  # rows are counted anew
        super()._on_state_edited(edit)

    def _show(self) -> None:
        super()._show()
        if self.held and self.plane is not None and self.mode in ("select", "direct"):
            self._is_following = True
            try:
                self.selected_data = {n for n, row in enumerate(self.rows_seen) if row in self.held}
            finally:
                self._is_following = False

    # -- rectangles -------------------------------------------------------------------------

    def _edges(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = super()._edges()
        if self.plane is not None:
            low[:, self.plane.axis] = high[:, self.plane.axis] = self.plane.at
        return low, high

    def _put(self, found: Detections) -> None:
        if self.plane is None:
            corners = sides_of(found.select(np.arange(0, len(found), SIDES)))
        else:
            corners = corners_in(*self._edges(), self.plane.axis)
        self.data = [(one, "rectangle") for one in corners]

    def _dress(self, found: Detections) -> None:
        # In 3-D, napari draws edges as ribbons that are wide along the longest voxels.
        self.drawn_width = self._width / 4 if self.plane is None else self._width
        super()._dress(found)

    def _after(self, before: Detections) -> Detections:
        if self.plane is None:
            raise BadInputError(
                "expected boxes to be changed in a slice, found the 3-D view",
                remedy="Show slices again.",
            )
        grid, plane = self.state.grid, self.plane
        drawn = self._geometry()
        given = deepened(self.seen, *drawn, plane.axis, plane.index, grid.spacing, self.found)
        least = self._least()
        return changed_places(before, self.rows_seen, *given, self.kind, grid.shape, least)

    def _least(self) -> tuple[float, ...]:
        click = CLICK * self.scale_factor if str(self.mode).startswith("add") else 0.0
        least = [max(1.0, click / abs(float(step))) for step in self.scale]
        if self.plane is not None:
            least[self.plane.axis] = 0.0  # nobody drew that
        return tuple(least)

    def as_layer_data_tuple(self) -> tuple[Any, dict[str, Any], str]:
        """Whole, for whoever saves or doubles the layer: rectangles of all slices."""
        _, kwargs, kind = super().as_layer_data_tuple()
        parts = cut_by_slices(self.found, self.state.grid.shape[0])
        colors = self._colors(parts)
        told = {
            "features": point_features(parts, self.state.classes),
            "shape_type": ["rectangle"] * len(parts),
            "edge_color": colors if colors else "white",
            "face_color": "transparent",
            "edge_width": self._width,
            "z_index": 0,
        }
        return corners_of(parts), {**kwargs, **told}, kind


# Writers, menus and icons of napari know layers by the name of their class.
VolumeBoxes.__name__ = "Shapes"
