"""One button per class of whole images, with its key; and a line to add a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ._buttons import ElidedButton
from ._classes import swatch
from ._new_class import NewClass
from .styles import CLASS

if TYPE_CHECKING:
    from napari_apprentice.core.annotation import LabelClass

__all__ = ["ClassList"]

_SWATCH = 16
_KEYS = 9


class ClassList(QWidget):
    """A click, or the class's number, gives the image that class."""

    picked = Signal(str)
    added = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.buttons: list[ElidedButton] = []
        self._classes: tuple[LabelClass, ...] = ()
        self._column = QVBoxLayout()
        self._column.setSpacing(2)
        self.new = NewClass()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._column)
        layout.addWidget(self.new)
        self.new.added.connect(self.added)
        self.new.ended.connect(self._on_new_ended)
        self.new.name.setToolTip(
            "Name of a class to add; press Enter, and once more to give classes with the number keys"
        )

    def set_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Show these classes; emits nothing."""
        if classes == self._classes:
            return
        self._classes = classes
        while self.buttons:
            button = self.buttons.pop()
            self._column.removeWidget(button)
            button.hide()
            button.deleteLater()
        for number, entry in enumerate(classes, start=1):
            self._add_button(number, entry)

    def _add_button(self, number: int, entry: LabelClass) -> None:
        key = str(number) if number <= _KEYS else ""
        button = ElidedButton(entry.name, suffix=key)
        button.setStyleSheet(CLASS)
        button.setCheckable(True)
        button.setIcon(swatch(entry.color))
        button.setIconSize(QSize(_SWATCH, _SWATCH))
        button.setToolTip(f"This image is of {entry.name}{f' ({key})' if key else ''}")
        button.clicked.connect(lambda _, name=entry.name: self.picked.emit(name))
        self._column.addWidget(button)
        self.buttons.append(button)

    def _on_new_ended(self) -> None:
        """Leave the line: number keys are typed into it as long as it has the keyboard."""
        if self.buttons:
            self.buttons[0].setFocus()

    def set_chosen(self, name: str | None) -> None:
        """Press the button of a class, or none."""
        for button in self.buttons:
            button.setChecked(button.full == name)

    def pick(self, number: int) -> None:
        """Do as if the n-th class (from 0) was clicked."""
        if number < len(self._classes):
            self.picked.emit(self._classes[number].name)
