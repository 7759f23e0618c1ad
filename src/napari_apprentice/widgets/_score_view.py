"""A table of scores that is sorted by a click on a head and says which row was chosen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSortFilterProxyModel, Qt, Signal
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

if TYPE_CHECKING:
    from napari_apprentice.session.score_tables import Table

__all__ = ["ScoreView"]

_ROLE = Qt.ItemDataRole
_WIDEST = 170
_FEW = 3


class _Cells(QAbstractTableModel):
    """The table as Qt reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.table: Table | None = None

    def set_table(self, table: Table | None) -> None:
        self.beginResetModel()
        self.table = table
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        return 0 if self.table is None else len(self.table.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 - Qt's name
        return 0 if self.table is None else len(self.table.heads)

    def data(self, index: QModelIndex, role: int = _ROLE.DisplayRole) -> Any:
        if self.table is None or not index.isValid():
            return None
        text = self.table.rows[index.row()][index.column()]
        if role in (_ROLE.DisplayRole, _ROLE.ToolTipRole):
            return text
        if role == _ROLE.UserRole:
            return self.table.keys[index.row()][index.column()]
        if role == _ROLE.TextAlignmentRole and index.column():
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = _ROLE.DisplayRole
    ) -> Any:
        if self.table is None or role not in (_ROLE.DisplayRole, _ROLE.ToolTipRole):
            return None
        return self.table.heads[section] if orientation == Qt.Orientation.Horizontal else None


class _Sorted(QSortFilterProxyModel):
    """Numbers by value and texts by letters; what does not apply comes last in ascending order."""

    def lessThan(self, left: QModelIndex, right: QModelIndex) -> bool:  # noqa: N802 - Qt's name
        one, other = (self.sourceModel().data(index, _ROLE.UserRole) for index in (left, right))
        if isinstance(one, str) or isinstance(other, str):
            return str(one).casefold() < str(other).casefold()
        return bool((math.isnan(one), one) < (math.isnan(other), other))


class ScoreView(QTableView):
    """Rows of scores.

    Parameters
    ----------
    name
        For those who hear the screen.
    """

    chosen = Signal(int)
    """Number of the row that was clicked, or reached by keyboard and Return, in the table's own order."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.cells, self._sorted = _Cells(), _Sorted()
        self._sorted.setSourceModel(self.cells)
        self.setModel(self._sorted)
        self.setAccessibleName(name)
        self.setSortingEnabled(True)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setTabKeyNavigation(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        self.setMinimumHeight(160)
        self.clicked.connect(self._on_index_chosen)
        self.activated.connect(self._on_index_chosen)
        self._last: int | None = None

    def set_table(self, table: Table | None) -> None:
        """Show another table, in its own order."""
        self._last = None
        self.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self.cells.set_table(table)
        header, few = self.horizontalHeader(), self.cells.columnCount() <= _FEW
        modes = QHeaderView.ResizeMode
        for column in range(self.cells.columnCount()):
            of_few = modes.Stretch if column == 0 else modes.ResizeToContents
            header.setSectionResizeMode(column, of_few if few else modes.Interactive)
        if not few:
            self.resizeColumnsToContents()
            for column in range(self.cells.columnCount()):
                self.setColumnWidth(column, min(_WIDEST, self.columnWidth(column)))

    def order(self) -> list[int]:
        """Numbers of the rows from top to bottom, as they are sorted now."""
        rows = range(self._sorted.rowCount())
        return [self._sorted.mapToSource(self._sorted.index(row, 0)).row() for row in rows]

    def _on_index_chosen(self, index: QModelIndex) -> None:
        row = self._sorted.mapToSource(index).row()
        if row != self._last:  # a click activates as well on some systems
            self._last = row
            self.chosen.emit(row)
