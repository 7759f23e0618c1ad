"""A push button that gives way: its text loses its middle where there is no room, and never widens a dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QPushButton, QSizePolicy

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

__all__ = ["ElidedButton"]

_FRAME = 14


class ElidedButton(QPushButton):
    """A button as wide as its column, whatever it says.

    Parameters
    ----------
    text
        What it says.
    suffix
        End of the text that is never left out, such as a key.
    """

    def __init__(self, text: str = "", suffix: str = "") -> None:
        super().__init__()
        self._full = ""
        self._suffix = suffix
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.set_full(text)

    @property
    def full(self) -> str:
        """The whole text."""
        return self._full

    def set_full(self, text: str) -> None:
        """Say something else."""
        self._full = text
        self.setAccessibleName(text)
        self._elide()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Narrow enough for any column."""
        return QSize(30, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        """Fit the text to the new width."""
        super().resizeEvent(event)
        self._elide()

    def _elide(self) -> None:
        icon = 0 if self.icon().isNull() else self.iconSize().width() + 6
        end = f"   {self._suffix}" if self._suffix else ""
        metrics = self.fontMetrics()
        room = self.width() - _FRAME - icon - metrics.horizontalAdvance(end)
        shown = metrics.elidedText(self._full, Qt.TextElideMode.ElideMiddle, max(room, 20))
        self.setText(shown + end)
