"""The page of *Correct* for points and boxes: their classes, the doubtful ones, what is finished, undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSlider, QVBoxLayout, QWidget

from napari_apprentice.core.errors import ApprenticeError

from ._box import box_in_view
from ._buttons import ElidedButton
from ._classes import ClassButtons, class_key
from ._following import Following
from ._parts import ErrorLine, elided, wrapped
from ._plane import plane_of
from ._slices_row import SlicesRow
from ._volume_boxes import VolumeBoxes
from .styles import CHIP

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_apprentice.session.edits import AnnotationState

    from ._box_layer import AnnotationBoxes
    from ._place_layer import AnnotationPoints
    from ._pointing import Pointing

__all__ = ["PointsPage"]

_POINT_TOOLS = "Add (2), select and move (3), delete (Del): napari's tools on the left."
_BOX_TOOLS = "Draw (R), select, move and resize (5), delete (Del): napari's tools on the left."


class PointsPage(QWidget):
    """Correct points or boxes with napari's own tools, and say which part is right.

    Parameters
    ----------
    pointing
        Whose layer and annotation it shows.
    """

    def __init__(self, pointing: Pointing) -> None:
        super().__init__()
        self._pointing = pointing
        self._bound: AnnotationPoints | AnnotationBoxes | None = None
        self._following = Following()
        self.classes = ClassButtons()
        self.error = ErrorLine()
        self.count = elided()
        self.as_points = ElidedButton("Points")
        self.as_boxes = ElidedButton("Boxes")
        self.tools = wrapped()
        self.slices = SlicesRow()
        self.take_over = ElidedButton("Take over the prediction")
        self.threshold = QSlider(Qt.Orientation.Horizontal)
        self.level = QLabel("0.00")
        self.delete = ElidedButton("Delete the doubtful")
        self.chip = elided()
        self.hint = wrapped()
        self.whole = ElidedButton("Whole image")
        self.slice = ElidedButton("Finish slice")
        self.view = ElidedButton("Finish view")
        self.undo = ElidedButton("Undo")
        self.redo = ElidedButton("Redo")
        self._lay_out()
        self._connect()
        self.destroyed.connect(self._following.stop)

    def _lay_out(self) -> None:
        self.threshold.setRange(0, 99)
        self.threshold.setAccessibleName("lowest score")
        self.threshold.setToolTip("What has a lower score is hidden; Delete takes it away")
        for button in (self.as_points, self.as_boxes):
            button.setCheckable(True)
        self.as_points.setToolTip("Correct places: a click per object")
        self.whole.setCheckable(True)
        self.chip.setStyleSheet(CHIP)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.error)
        column.addWidget(self.take_over)
        column.addLayout(_row(self.as_points, self.as_boxes))
        for widget in (self.count, self.tools, self.classes, self.slices):
            column.addWidget(widget)
        column.addWidget(QLabel("Lowest score"))
        for row in (
            (self.threshold, self.level),
            (self.delete,),
            (self.undo, self.redo),
        ):
            column.addLayout(_row(*row))
        for widget in (QLabel("What counts"), self.chip):
            column.addWidget(widget)
        column.addLayout(_row(self.slice, self.view, self.whole))
        column.addWidget(self.hint)
        column.addStretch()

    def _connect(self) -> None:
        pointing = self._pointing
        pointing.told.connect(self.error.set_sentence)
        self.destroyed.connect(lambda: pointing.told.disconnect())
        self.as_points.clicked.connect(lambda: pointing.show_as(boxes=False))
        self.as_boxes.clicked.connect(lambda: pointing.show_as(boxes=True))
        self.take_over.clicked.connect(pointing.take_over)
        self.classes.picked.connect(self.pick)
        self.classes.added.connect(lambda name: self._do(lambda s: s.add_class(name)))
        self.classes.renamed.connect(lambda v, n: self._do(lambda s: s.rename_class(v, n)))
        self.classes.recolored.connect(lambda v, c: self._do(lambda s: s.recolor_class(v, c)))
        self.threshold.valueChanged.connect(self._on_threshold_value)
        self.delete.clicked.connect(self._on_delete_clicked)
        self.undo.clicked.connect(lambda: self._do(lambda s: s.undo()))
        self.redo.clicked.connect(lambda: self._do(lambda s: s.redo()))
        self.whole.clicked.connect(lambda on: self._do(lambda s: s.finish_all(on)))
        self.slice.clicked.connect(self._on_slice_clicked)
        self.view.clicked.connect(self._on_view_clicked)

    # -- showing ----------------------------------------------------------------------------

    def render_state(self) -> None:
        """Show the annotation as it is."""
        state, layer = self._pointing.state, self._pointing.layer
        self._bind(layer)
        if state is None or state.places is None or layer is None:
            return
        self.classes.set_classes(state.classes)
        self._render_kind(layer)
        found = layer.found
        doubtful = int((found.scores < self._level()).sum())
        self.delete.set_full(f"Delete {doubtful} below")
        self.delete.setEnabled(bool(doubtful))
        self.delete.setToolTip("Delete what is hidden" if doubtful else "None has a lower score")
        self._render_extent(state, layer)
        self._render_history(state)
        if layer.level != self._level():
            layer.show_from(self._level())

    def _render_kind(self, layer: AnnotationPoints | AnnotationBoxes) -> None:
        """Say whether points or boxes are in hand, how many, and by which tools they change."""
        is_boxes, problem = layer.is_of_boxes, self._pointing.no_boxes()
        self.as_points.setChecked(not is_boxes)
        self.as_boxes.setChecked(is_boxes)
        self.as_boxes.setEnabled(problem is None)
        self.as_boxes.setToolTip(problem or "Correct where objects begin and end")
        found, places = layer.found, layer.state.places
        words = f"{len(found)} {'boxes' if is_boxes else 'points'}, {int((found.scores == 1).sum())} by a person"
        left = 0 if places is None else len(places) - len(found)
        here = isinstance(layer, VolumeBoxes) and layer.plane is not None
        words += f" · {len(layer.rows_seen)} in this slice" if here else ""
        self.count.setText(words + (f" · {left} without a box" if left else ""))
        self.tools.setText(_BOX_TOOLS if is_boxes else _POINT_TOOLS)
        self.slices.render(layer)
        newer = self._pointing.newer()
        self.take_over.setVisible(newer is not None)
        if newer is not None:
            self.take_over.setToolTip(
                f"{newer.name} replaces what you neither finished nor placed; Undo takes it back"
            )

    def _render_extent(
        self, state: AnnotationState, layer: AnnotationPoints | AnnotationBoxes
    ) -> None:
        own = "box" if layer.is_of_boxes else "point"
        self.chip.setText(state.describe())
        self.chip.setToolTip(f"{state.describe()}: only this is learned from and scored")
        self.whole.setChecked(state.extent.whole)
        self.whole.setToolTip(
            f"Every object of the image has its {own}; press again to take it back"
        )
        self.view.setToolTip(f"Every object that is in view now has its {own}")
        self.hint.setText(f"Nothing is learned from yet: say where every object has its {own}.")
        self.hint.setVisible(state.is_empty)
        self.slice.setVisible(state.grid.ndim == 3)
        self.slice.setToolTip(f"Every object in this slice has its {own}")

    def _render_history(self, state: AnnotationState) -> None:
        for button, name, verb in (
            (self.undo, state.undo_name, "Undo"),
            (self.redo, state.redo_name, "Redo"),
        ):
            button.setEnabled(bool(name))
            button.set_full(f"{verb} {name[:1].lower()}{name[1:]}".strip())
            button.setToolTip(button.full if name else f"Nothing to {verb.lower()}")

    def _level(self) -> float:
        return self.threshold.value() / 100

    def _on_threshold_value(self, value: int) -> None:
        self.level.setText(f"{value / 100:.2f}")
        self.render_state()

    # -- doing ------------------------------------------------------------------------------

    def pick(self, value: int) -> None:
        """Points are of this class from now on."""
        layer = self._pointing.layer
        if layer is not None:
            layer.pick(value)

    def _pick_number(self, number: int) -> None:
        state = self._pointing.state
        if state is not None and number <= len(state.classes):
            self.classes.set_selected(state.classes[number - 1].value)
            self.pick(state.classes[number - 1].value)

    def _on_delete_clicked(self) -> None:
        layer = self._pointing.layer
        places = None if layer is None else layer.state.places
        if layer is not None and places is not None:
            gone = layer.rows[layer.found.scores < self._level()]
            kept = places.select(np.delete(np.arange(len(places)), gone))
            layer.state.set_places(kept, f"Delete doubtful {layer.nouns}")

    def _on_slice_clicked(self) -> None:
        layer, dims = self._pointing.layer, self._pointing.annotator.viewer.dims
        plane = None if layer is None else plane_of(dims, layer)
        if plane is None:
            self.error.set_sentence("Show slices first: this is the 3-D view.")
            return
        axis, index = plane.axis, plane.index
        self._do(lambda s: s.finish_slice(axis, index, not s.is_finished(axis, index)))

    def _on_view_clicked(self) -> None:
        annotator, layer = self._pointing.annotator, self._pointing.layer
        image = annotator.image_layer()
        if layer is None or image is None or annotator.viewer.dims.ndisplay == 3:
            self.error.set_sentence("Show the image in 2-D first.")
            return
        point = np.asarray(layer.world_to_data(annotator.viewer.dims.point[-layer.ndim :]))
        axes = tuple(range(layer.ndim))[-2:]
        self._do(lambda s: s.finish_box(*box_in_view(image, s.grid.shape, axes, point, 0)))

    def _do(self, action: Callable[[Any], object]) -> None:
        self.error.set_sentence("")
        try:
            if self._pointing.state is not None:
                action(self._pointing.state)
        except ApprenticeError as error:
            self.error.set_sentence(str(error))

    # -- keys -------------------------------------------------------------------------------

    def _bind(self, layer: AnnotationPoints | AnnotationBoxes | None) -> None:
        if layer is self._bound:
            return
        self._following.stop()
        self._bound = layer
        if layer is None:
            return
        keys: dict[str, Callable[[], object]] = {
            class_key(n): lambda n=n: self._pick_number(n)  # type: ignore[misc]
            for n in range(1, 10)
        }
        keys["Control-Z"], keys["Control-Shift-Z"] = layer.state.undo, layer.state.redo
        sources: list[Any] = [layer.state.changed]
        if isinstance(layer, VolumeBoxes):
            keys |= self.slices.keys()
            sources.append(layer.held_changed)
        self._following.bind(layer, keys)
        self._following.follow(sources, self.render_state)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 1)
    return row
