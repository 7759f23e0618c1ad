"""A row that asks for a folder or a file, and shows which was chosen."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QToolButton, QWidget

from ._parts import elided

__all__ = ["PathRow"]


class PathRow(QWidget):
    """The chosen path, elided, with a button for a folder and where that may be one for a file.

    Parameters
    ----------
    what
        What is asked for, for tooltips and dialogs.
    empty
        Shown while nothing is chosen.
    folder, files
        Whether a folder may be chosen, and which files: a filter of Qt, empty for none.
    optional
        Whether there is a button that takes the choice back.
    """

    changed = Signal()
    """Another path was chosen, or none."""

    def __init__(
        self,
        what: str,
        empty: str = "choose …",
        *,
        folder: bool = True,
        files: str = "",
        optional: bool = False,
    ) -> None:
        super().__init__()
        self.path: Path | None = None
        self._what, self._empty, self._files = what, empty, files
        self.label = elided(empty)
        self.folder, self.file, self.clear = QToolButton(), QToolButton(), QToolButton()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.label, 1)
        for button, text, tip, is_there in (
            (self.folder, "Folder…", f"Choose the folder: {what}", folder),
            (self.file, "File…", f"Choose the file: {what}", bool(files)),
            (self.clear, "✕", f"Without {what}", optional),
        ):
            button.setText(text)
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.setVisible(is_there)
            if is_there:
                layout.addWidget(button)
        self.folder.clicked.connect(self._on_folder_clicked)
        self.file.clicked.connect(self._on_file_clicked)
        self.clear.clicked.connect(lambda: self.set_path(None))
        self.set_path(None)

    def set_path(self, path: Path | None) -> None:
        """Choose a path, or none."""
        self.path = path
        self.label.setText(self._empty if path is None else path.name or str(path))
        self.label.setToolTip(self._what if path is None else str(path))
        self.clear.setEnabled(path is not None)
        self.changed.emit()

    def set_empty(self, text: str) -> None:
        """Show another text while nothing is chosen."""
        self._empty = text
        if self.path is None:
            self.label.setText(text)

    def _on_folder_clicked(self) -> None:
        found = QFileDialog.getExistingDirectory(self, self._what)
        if found:
            self.set_path(Path(found))

    def _on_file_clicked(self) -> None:
        found, _ = QFileDialog.getOpenFileName(self, self._what, "", self._files)
        if found:
            self.set_path(Path(found))
