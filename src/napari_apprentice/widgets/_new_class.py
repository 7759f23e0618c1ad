"""A line to add a class with."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QPushButton, QWidget

__all__ = ["NewClass"]


class NewClass(QWidget):
    """A name and *Add*; Enter adds, too, and says that there are no more where there is no name."""

    added = Signal(str)
    ended = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.name = QLineEdit()
        self.name.setPlaceholderText("New class")
        self.name.setMaxLength(100)
        self.name.setToolTip("Name of a class to add; press Enter")
        self.add = QPushButton("Add")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.name, 1)
        row.addWidget(self.add)
        self.name.returnPressed.connect(self._on_add)
        self.add.clicked.connect(self._on_add)
        self.name.textChanged.connect(self._on_name_changed)
        self._on_name_changed("")

    def _on_add(self) -> None:
        name = self.name.text().strip()
        if name:
            self.name.clear()
            self.added.emit(name)
        else:
            self.ended.emit()

    def _on_name_changed(self, text: str) -> None:
        self.add.setEnabled(bool(text.strip()))
        self.add.setToolTip("Add this class" if text.strip() else "Type a name on the left first")
