"""*Series*: what a folder of scans holds; choose which to open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
)

from napari_apprentice.core.jobs import Progress
from napari_apprentice.io import list_series

from . import layers as adapt
from ._dock import Dock
from ._parts import ErrorLine, elided, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.io import Series

__all__ = ["SeriesDock", "show_series"]

_COLUMNS = ("Series", "Kind", "Size", "Files")
_EMPTY = "Choose a folder of scans, or drop one on napari."


class SeriesDock(Dock):
    """Lists the series of a folder and opens the chosen ones.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    """

    shows_image = False

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.place = elided()
        self.choose = QPushButton("Choose folder…")
        self.table = QTableWidget(0, len(_COLUMNS))
        self.hint = wrapped(_EMPTY)
        self.button = QPushButton("Open")
        self.refusal = ErrorLine()
        self._path: Path | None = None
        self._series: list[Series] = []
        self._lay_out()
        self._connect()
        self._render()

    def _lay_out(self) -> None:
        table = self.table
        table.setHorizontalHeaderLabels(_COLUMNS)
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setWordWrap(False)
        table.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for widget in (self.place, self.choose, self.hint, table, self.button, self.refusal):
            self.body.addWidget(widget)
        self.body.addStretch()

    def _connect(self) -> None:
        self.choose.clicked.connect(self._on_choose_clicked)
        self.button.clicked.connect(self._on_button_clicked)
        self.table.itemSelectionChanged.connect(self._render_button)
        self.table.itemDoubleClicked.connect(self._on_button_clicked)
        self.listen(self.session.status_changed, self._render_button)
        self.listen(self.session.refused, self.refusal.set_sentence)

    # -- a folder ---------------------------------------------------------------------------

    def look_in(self, path: Path) -> None:
        """List what a folder holds."""
        self.refusal.set_sentence("")

        def done(found: list[Series]) -> None:
            self._path, self._series = path, found
            self._render()

        self.session.launch(f"Looking into {path.name}", _list_job(path), done)

    def ask(self) -> Path | None:
        """Let the person choose a folder."""
        given = QFileDialog.getExistingDirectory(self, "Folder of scans")
        return Path(given) if given else None

    def _on_choose_clicked(self) -> None:
        path = self.ask()
        if path is not None:
            self.look_in(path)

    # -- what it holds ----------------------------------------------------------------------

    def _render(self) -> None:
        self.place.setText("" if self._path is None else self._path.name)
        self.place.setToolTip("" if self._path is None else str(self._path))
        self.place.setVisible(self._path is not None)
        self.table.setRowCount(len(self._series))
        for row, one in enumerate(self._series):
            size = " × ".join(map(str, one.shape))
            for column, text in enumerate((one.title, one.modality, size, str(one.files))):
                item = QTableWidgetItem(text)
                item.setToolTip(str(one))
                self.table.setItem(row, column, item)
        self.table.setVisible(bool(self._series))
        none = "This folder holds one image, or none: open it with File ▸ Open."
        self.hint.setText(_EMPTY if self._path is None else none)
        self.hint.setVisible(not self._series)
        if self._series:
            self.table.selectRow(0)
        self._render_button()

    def _render_button(self, *_: Any) -> None:
        count = len(self._chosen())
        self.button.setText(f"Open {count} series" if count > 1 else "Open")
        problem = self.session.busy or (None if count else "Choose a series first.")
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or "Open as layers")

    def _chosen(self) -> list[Series]:
        rows = sorted({index.row() for index in self.table.selectedIndexes()})
        return [self._series[row] for row in rows]

    def _on_button_clicked(self, *_: Any) -> None:
        chosen = self._chosen()
        if self._path is None or not chosen:
            return
        self.refusal.set_sentence("")
        name = f"Opening {chosen[0].title}" + (f" and {len(chosen) - 1} more" if chosen[1:] else "")
        self.session.launch(name, _open_job(self._path, chosen), self._on_session_opened)

    def _on_session_opened(self, made: list[tuple[Any, dict[str, Any], str]]) -> None:
        for data, kwargs, kind in made:
            kwargs["name"] = adapt.unique_name(
                [one.name for one in self.viewer.layers], kwargs["name"]
            )
            self.viewer.add_layer(Layer.create(data, kwargs, kind))


def _list_job(path: Path) -> Job[list[Series]]:
    yield Progress("reading headers")
    return list_series(path)


def _open_job(path: Path, chosen: Sequence[Series]) -> Job[list[tuple[Any, dict[str, Any], str]]]:
    from .manifest import read

    made = []
    for number, one in enumerate(chosen):
        yield Progress("opening", number, len(chosen), "series")
        made += read(f"{path}#{one.key}")
    return made


def show_series(path: str) -> bool:
    """Let the person choose in the current viewer; false where there is none with a window."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        return False
    _, dock = viewer.window.add_plugin_dock_widget("napari-apprentice", "Series")
    dock.look_in(Path(path))
    return True
