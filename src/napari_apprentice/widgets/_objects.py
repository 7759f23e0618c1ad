"""Buttons for numbered objects: new, merge, split, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.objects import (
    delete_object,
    merge_objects,
    new_object,
    split_object,
)

from ._buttons import ElidedButton
from ._following import Following

if TYPE_CHECKING:
    from .annotating import AnnotationLabels

__all__ = ["KEYS", "ObjectButtons"]

KEYS = {
    "Shift+O": "paint a new object",
    "Shift+J": "merge another object into this one: click it",
    "Shift+S": "split this object",
    "Shift+D": "delete this object",
}


class ObjectButtons(QWidget):
    """What can be done with the object that is picked."""

    refused = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._layer: AnnotationLabels | None = None
        self._following = Following()
        self.destroyed.connect(self._following.stop)
        self._keep = 0
        self.title = QLabel()
        self.new = ElidedButton("New object")
        self.merge = ElidedButton("Merge…")
        self.split = ElidedButton("Split")
        self.delete = ElidedButton("Delete")
        self.merge.setCheckable(True)
        grid = QGridLayout()
        grid.setSpacing(4)
        for at, button in enumerate((self.new, self.merge, self.split, self.delete)):
            grid.addWidget(button, at // 2, at % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addLayout(grid)
        self.new.clicked.connect(self.make)
        self.merge.clicked.connect(self._on_merge_clicked)
        self.split.clicked.connect(self.cut)
        self.delete.clicked.connect(self.remove)

    def set_layer(self, layer: AnnotationLabels | None) -> None:
        """Work on another layer, or on none."""
        if layer is self._layer:
            return
        self._following.stop()
        self._layer = layer
        self._keep = 0
        if layer is not None:
            self._following.follow((layer.events.selected_label,), self._on_layer_selected)
        self.render()

    def render(self) -> None:
        """Show which object is in hand."""
        value = 0 if self._layer is None else int(self._layer.selected_label)
        name = f"object {value}"
        self.title.setText(f"Object {value}" if value else "No object: pick one (L)")
        self.new.setToolTip("Paint an object with a number of its own (Shift+O)")
        self.merge.setChecked(bool(self._keep))
        self.merge.set_full(f"Click one for {self._keep}" if self._keep else "Merge…")
        for button, tip in (
            (self.merge, f"Click the object that belongs to {name} (Shift+J)"),
            (
                self.split,
                f"Cut {name} at its waist; or erase a line through it first (Shift+S)",
            ),
            (self.delete, f"Turn {name} into background (Shift+D)"),
        ):
            button.setEnabled(bool(value))
            button.setToolTip(tip if value else "Pick an object first (L)")

    def make(self) -> None:
        """Paint a new object from now on."""
        if self._layer is not None and self._try(new_object):
            self._layer.selected_label = new_object(self._layer.state)
            self._layer.mode = "paint"

    def cut(self) -> None:
        """Split the object in hand."""
        if self._layer is not None:
            self._try(split_object, int(self._layer.selected_label))

    def remove(self) -> None:
        """Delete the object in hand."""
        if self._layer is not None:
            self._try(delete_object, int(self._layer.selected_label))

    def start_merging(self) -> None:
        """Wait for a click on the object to merge; once more gives it up."""
        self._on_merge_clicked(not self._keep)

    def _on_merge_clicked(self, start: bool) -> None:
        if self._layer is None:
            return
        self._keep = int(self._layer.selected_label) if start else 0
        if self._keep:
            self._layer.mode = "pick"
        self.render()

    def _on_layer_selected(self, *_: Any) -> None:
        layer, keep = self._layer, self._keep
        if layer is not None and keep and int(layer.selected_label) not in (0, keep):
            self._keep = 0
            self._try(merge_objects, keep, int(layer.selected_label))
            layer.selected_label = keep
        self.render()

    def _try(self, verb: Any, *args: int) -> bool:
        try:
            assert self._layer is not None  # noqa: S101 - for the type checker
            verb(self._layer.state, *args)
        except ApprenticeError as error:
            self.refused.emit(str(error))
            return False
        return True
