"""What counts: finished slices, boxes, the whole image, or the strokes; and on to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_apprentice.session.navigate import next_doubtful_slice, next_unfinished

from ._box import Drawing, box_around, box_in_view
from ._buttons import ElidedButton
from ._facts import doubts_in
from ._keys import key_for
from ._parts import elided, wrapped
from .styles import CHIP

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._annotator import Annotator

__all__ = ["KEYS", "Counting"]

KEYS = {
    "Shift+F": "finish the slice shown, or reopen it",
    "Shift+N": "go to the next slice that is not finished",
    "Shift+B": "draw a box that is finished",
}

_FLAT = "A 2-D image has no slices: finish a box or the whole image"
_IN_3D = "Show slices first: this is the 3-D view"
_NO_DOUBTS = "Predict first: a prediction knows of which slices the model is least sure"


class Counting(QWidget):
    """Says where the annotation counts, and changes it.

    Parameters
    ----------
    annotator
        Whose annotation it is about.
    """

    def __init__(self, annotator: Annotator) -> None:
        super().__init__()
        self._annotator = annotator
        self.drawing = Drawing(annotator.viewer, "add_rectangle", "draw a box")
        self.chip = elided()
        self.hint = wrapped()
        self.slice = ElidedButton()
        self.next = ElidedButton("Next ▸")
        self.doubtful = ElidedButton("Doubtful ▾")
        self.box = ElidedButton("Draw box")
        self.view = ElidedButton("Finish view")
        self.whole = ElidedButton("Whole image")
        self.strokes = ElidedButton("Strokes")
        self.depth = QSpinBox()
        self._looked: tuple[object, set[int]] = (None, set())
        self._lay_out()
        self.slice.clicked.connect(self.toggle_slice)
        self.next.clicked.connect(self.go_on)
        self.doubtful.clicked.connect(self.doubt)
        self.box.clicked.connect(self.toggle_drawing)
        self.view.clicked.connect(self._on_view_clicked)
        self.whole.clicked.connect(self._on_whole_clicked)
        self.strokes.clicked.connect(self._on_strokes_clicked)
        self.drawing.drawn.connect(self._on_drawing_drawn)
        self.drawing.ended.connect(self.render_state)

    def _lay_out(self) -> None:
        self.chip.setStyleSheet(CHIP)
        self.depth.setRange(0, 999)
        self.depth.setPrefix("± ")
        self.depth.setSuffix(" slices")
        self.depth.setAccessibleName("depth of a box")
        for button in (self.box, self.whole, self.strokes):
            button.setCheckable(True)
        grid = QGridLayout()
        grid.setSpacing(4)
        onward = QHBoxLayout()
        onward.setSpacing(4)
        for button in (self.next, self.doubtful):
            onward.addWidget(button)
        grid.addWidget(self.slice, 0, 0)
        grid.addLayout(onward, 0, 1)
        buttons = (self.box, self.view, self.whole, self.strokes)
        for at, button in enumerate(buttons, start=2):
            grid.addWidget(button, at // 2, at % 2)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        self.depth_row = QWidget()
        row = QHBoxLayout(self.depth_row)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Boxes reach"))
        row.addWidget(self.depth)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.chip)
        layout.addLayout(grid)
        layout.addWidget(self.depth_row)
        layout.addWidget(self.hint)

    # -- showing --------------------------------------------------------------------------

    def render_state(self) -> None:
        """Show where the annotation counts and what can be done about it."""
        state, layer = self._annotator.state, self._annotator.layer
        self.setEnabled(state is not None)
        if state is None:
            return
        self.chip.setText(state.describe())
        self.chip.setToolTip(f"{state.describe()}: only this is learned from and scored")
        empty = state.is_empty
        self.hint.setVisible(empty)
        more = " or lock objects" if state.objects else ""
        self.hint.setText(f"Nothing is learned from yet: say which part is finished{more}.")
        self.strokes.setVisible(not state.objects)  # of an object only the whole says something
        self.doubtful.setVisible(not state.objects and state.grid.ndim > 2)
        self._render_slice()
        flat = state.grid.ndim < 3
        no_layer = "Show the annotation first" if layer is None else ""
        in_3d = no_layer or (_IN_3D if self._annotator.viewer.dims.ndisplay == 3 else "")
        _allow(
            self.box, in_3d, f"Draw a rectangle in which everything is right ({key_for('Shift+B')})"
        )
        _allow(self.view, in_3d, "Everything that is in view now is right")
        self.box.setChecked(self.drawing.is_active)
        self.box.set_full("Draw on the image…" if self.drawing.is_active else "Draw box")
        self.depth_row.setVisible(not flat)
        self.depth.setToolTip("How far a box reaches beyond the slice shown, to both sides")
        self.whole.setChecked(state.extent.whole)
        frame = self._annotator.session.frame
        self.whole.set_full("Whole image" if frame is None else "Whole frame")
        what = "in the image" if frame is None else f"in frame {frame}"
        self.whole.setToolTip(f"Everything {what} is right; press again to take it back")
        self.strokes.setChecked(state.extent.strokes)
        self.strokes.setToolTip(
            "Every voxel you went over counts, erased ones too; press again to take it back"
        )

    def _render_slice(self) -> None:
        state, where = self._annotator.state, self._slice()
        if state is None:
            return
        if self._is_flat_frame():
            self._render_frame(state.extent.whole)
            return
        reason = _FLAT if state.grid.ndim < 3 else _IN_3D
        finished = where is not None and state.is_finished(*where)
        text = "slice" if where is None else f"slice {where[1]}"
        self.slice.set_full(f"Reopen {text}" if finished else f"Finish {text}")
        tip = "Go on correcting here" if finished else "Everything in this slice is right"
        _allow(self.slice, "" if where is not None else reason, f"{tip} ({key_for('Shift+F')})")
        _allow(
            self.next,
            "" if where is not None else reason,
            "Go to the next slice that is not finished; "
            f"first to those where the newest prediction says something else ({key_for('Shift+N')})",
        )
        _allow(
            self.doubtful,
            reason if where is None else "" if self._doubts(where[0]) else _NO_DOUBTS,
            "Go to the slice that the model is least sure of: there is most to learn from; "
            f"once more goes on to surer ones ({key_for('Shift+Down')})",
        )

    def _is_flat_frame(self) -> bool:
        """Whether frames take the place of slices: in a film of flat images."""
        state, frame = self._annotator.state, self._annotator.session.frame
        return state is not None and state.grid.ndim < 3 and frame is not None

    def _render_frame(self, finished: bool) -> None:
        frame = self._annotator.session.frame
        self.slice.set_full(f"{'Reopen' if finished else 'Finish'} frame {frame}")
        tip = "Go on correcting here" if finished else "Everything in this frame is right"
        _allow(self.slice, "", f"{tip} ({key_for('Shift+F')})")
        _allow(self.next, "", f"Go to the next frame that is not finished ({key_for('Shift+N')})")

    # -- where the viewer is --------------------------------------------------------------

    def _slice(self) -> tuple[int, int] | None:
        """Axis and index of the slice shown; None in 3-D and for flat images."""
        layer, dims = self._annotator.layer, self._annotator.viewer.dims
        if layer is None or layer.ndim < 3 or dims.ndisplay == 3:
            return None
        axis = layer.axes_order[0]
        index = round(float(self._point()[axis]))
        return axis, int(np.clip(index, 0, layer.data.shape[axis] - 1))

    def _point(self) -> NDArray[Any]:
        layer = self._annotator.layer
        if layer is None:
            return np.zeros(0)
        return np.asarray(layer.world_to_data(self._annotator.viewer.dims.point[-layer.ndim :]))

    # -- doing ----------------------------------------------------------------------------

    def toggle_slice(self) -> None:
        """Finish the slice shown, or reopen it."""
        state, where = self._annotator.state, self._slice()
        if state is not None and self._is_flat_frame():
            state.finish_all(not state.extent.whole)
        elif state is not None and where is not None:
            state.finish_slice(*where, finished=not state.is_finished(*where))

    def go_on(self) -> None:
        """Go to the next slice that is not finished."""
        state, where, layer = self._annotator.state, self._slice(), self._annotator.layer
        if self._is_flat_frame():
            if not self._annotator.go_to_open_frame():
                self.hint.setText("Every frame is finished.")
                self.hint.show()
            return
        if state is None or where is None or layer is None:
            return
        axis, index = where
        found = self._annotator.predictions()
        newest = self._annotator.labels_of(found[0]) if found else None
        where_to = next_unfinished(state, axis, index, newest)
        if where_to is None:
            self.hint.setText("Every slice is finished.")
            self.hint.show()
            return
        self._show_slice(axis, where_to)

    def doubt(self) -> None:
        """Go to the slice that the model is least sure of, then on to surer ones; not to those beside a finished one."""
        state, where = self._annotator.state, self._slice()
        if state is None or where is None:
            return
        axis = where[0]
        found = self._doubts(axis)
        if found is None:
            return
        prediction, doubts = found
        finished = {i for i in range(len(doubts)) if state.is_finished(axis, i)}
        if self._looked[0] != (prediction, axis):
            self._looked = ((prediction, axis), set())
        looked = self._looked[1]
        where_to = next_doubtful_slice(doubts, finished | looked)
        if where_to is None and looked:
            looked.clear()  # all were looked at: from the beginning
            where_to = next_doubtful_slice(doubts, finished)
        if where_to is None:
            self.hint.setText("No slice is left that the model is unsure of.")
        else:
            looked.add(where_to)
            self._show_slice(axis, where_to)
            self.hint.setText(f"About {doubts[where_to]:.0f} voxels in doubt here.")
        self.hint.show()

    def _doubts(self, axis: int) -> tuple[object, NDArray[Any]] | None:
        """The prediction that knows of doubts, and how many voxels of each slice along an axis are likely wrong."""
        frame = self._annotator.session.frame
        for layer in self._annotator.predictions():
            doubts = doubts_in(layer)
            if doubts:
                of_axis = doubts[axis]
                return layer.unique_id, of_axis if of_axis.ndim == 1 else of_axis[frame or 0]
        return None

    def _show_slice(self, axis: int, index: int) -> None:
        layer, dims = self._annotator.layer, self._annotator.viewer.dims
        if layer is None:
            return
        point = self._point()
        point[axis] = index
        at = axis + dims.ndim - layer.ndim
        dims.set_point(at, float(layer.data_to_world(point)[axis]))

    def toggle_drawing(self) -> None:
        """Begin to draw a box, or give it up."""
        layer = self._annotator.layer
        if self.drawing.is_active:
            self.drawing.stop()
        elif layer is not None and self.box.isEnabled():
            self.drawing.start(layer)
            self.render_state()

    def _on_drawing_drawn(self, corners: NDArray[Any]) -> None:
        state, layer = self._annotator.state, self._annotator.layer
        if state is None or layer is None:
            return
        axes = layer.axes_order[-2:]
        start, stop = box_around(corners, state.grid.shape, axes, self.depth.value())
        state.finish_box(start, stop)

    def _on_view_clicked(self) -> None:
        state, layer = self._annotator.state, self._annotator.layer
        if state is None or layer is None:
            return
        box = box_in_view(
            layer, state.grid.shape, layer.axes_order[-2:], self._point(), self.depth.value()
        )
        state.finish_box(*box)

    def _on_whole_clicked(self, finished: bool) -> None:
        state = self._annotator.state
        if state is not None:
            state.finish_all(finished)

    def _on_strokes_clicked(self, count: bool) -> None:
        state = self._annotator.state
        if state is not None:
            state.count_strokes(count)


def _allow(button: QPushButton, reason: str, tip: str) -> None:
    """Enable a button, or say in its tooltip why it is not."""
    button.setEnabled(not reason)
    button.setToolTip(reason or tip)
