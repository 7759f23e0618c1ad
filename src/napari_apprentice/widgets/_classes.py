"""Buttons for the classes of an annotation: colour, name and key; add, rename, recolour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QButtonGroup,
    QColorDialog,
    QGridLayout,
    QLineEdit,
    QMenu,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ._buttons import ElidedButton
from ._new_class import NewClass
from .styles import CLASS, MORE

if TYPE_CHECKING:
    from napari_apprentice.core.annotation import LabelClass

__all__ = ["ClassButtons", "class_key", "swatch"]

_SWATCH = 16


def class_key(number: int) -> str:
    """Key of the n-th class (from 1); only the first nine have one."""
    return f"Ctrl+{number}" if number <= 9 else ""


def swatch(color: str) -> QIcon:
    """Return a square of a colour, framed so that it shows in both themes."""
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(QColor(color))
    painter = QPainter(pixmap)
    painter.setPen(QColor("#888888"))
    painter.drawRect(0, 0, _SWATCH - 1, _SWATCH - 1)
    painter.end()
    return QIcon(pixmap)


class ClassButtons(QWidget):
    """One row per class; the pressed one is what the brush paints."""

    picked = Signal(int)
    added = Signal(str)
    renamed = Signal(int, str)
    recolored = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()
        self.group = QButtonGroup(self)
        self.group.setExclusive(True)
        self._classes: tuple[LabelClass, ...] = ()
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(2)
        self.new = NewClass()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._grid)
        layout.addWidget(self.new)
        self.group.idClicked.connect(self.picked)
        self.new.added.connect(self.added)

    def set_classes(self, classes: tuple[LabelClass, ...]) -> None:
        """Show these classes; emits nothing."""
        if classes == self._classes:
            return
        self._classes = classes
        self._clear()
        for row, entry in enumerate(classes):
            self._add_row(row, entry)

    def set_selected(self, value: int) -> None:
        """Press the button of a class, or none."""
        button = self.group.button(value)
        if button is not None:
            button.setChecked(True)
            return
        self.group.setExclusive(False)
        for other in self.group.buttons():
            other.setChecked(False)
        self.group.setExclusive(True)

    def _clear(self) -> None:
        for button in self.group.buttons():
            self.group.removeButton(button)
        while self._grid.count():
            item = self._grid.takeAt(0)
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _add_row(self, row: int, entry: LabelClass) -> None:
        key = class_key(row + 1)
        button = ElidedButton(suffix=key)
        button.setStyleSheet(CLASS)
        button.setCheckable(True)
        button.setIcon(swatch(entry.color))
        button.setIconSize(QSize(_SWATCH, _SWATCH))
        button.set_full(entry.name)
        button.setToolTip(f"Paint {entry.name} (label {entry.value}{f', {key}' if key else ''})")
        button.setAccessibleName(f"class {entry.name}")
        self.group.addButton(button, entry.value)
        self._grid.addWidget(button, row, 0)
        self._grid.setColumnStretch(0, 1)
        more = QToolButton()
        more.setText("…")
        more.setToolTip(f"Rename or recolour {entry.name}")
        more.setAccessibleName(f"rename or recolour {entry.name}")
        menu = QMenu(more)
        menu.addAction("Rename", lambda: self._rename(entry, row))
        menu.addAction("Colour…", lambda: self._recolor(entry))
        more.setMenu(menu)
        more.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        more.setStyleSheet(MORE)
        self._grid.addWidget(more, row, 1)

    def _rename(self, entry: LabelClass, row: int) -> None:
        """Put a line to type in over the button; Enter or leaving it renames, Escape does not."""
        edit = QLineEdit(entry.name)
        edit.setMaxLength(100)
        edit.setAccessibleName(f"new name of {entry.name}")
        button = self.group.button(entry.value)
        button.hide()
        self._grid.addWidget(edit, row, 0)
        edit.selectAll()
        edit.setFocus()

        def done() -> None:
            name = edit.text().strip()
            edit.blockSignals(True)
            edit.hide()
            edit.deleteLater()
            button.show()
            if name and name != entry.name:
                self.renamed.emit(entry.value, name)

        edit.editingFinished.connect(done)

    def _recolor(self, entry: LabelClass) -> None:
        color = QColorDialog.getColor(QColor(entry.color), self, f"Colour of {entry.name}")
        if color.isValid():
            self.recolored.emit(entry.value, color.name())
