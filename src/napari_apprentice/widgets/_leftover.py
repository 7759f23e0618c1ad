"""Offers to go on with a training that an earlier session left unfinished; never by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from ._parts import wrapped

if TYPE_CHECKING:
    from napari_apprentice.session.session import Session

__all__ = ["LeftoverBar"]


class LeftoverBar(QFrame):
    """What was interrupted, and two buttons; hidden where there is nothing.

    Parameters
    ----------
    session
        What the buttons drive.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.found = wrapped()
        self.resume = QPushButton("Resume")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Delete what was learned so far; annotations and models stay")
        row = QHBoxLayout()
        row.addWidget(self.resume)
        row.addWidget(self.discard)
        row.addStretch()
        column = QVBoxLayout(self)
        column.addWidget(self.found)
        column.addLayout(row)
        self.resume.clicked.connect(session.resume_leftover)
        self.discard.clicked.connect(session.discard_leftover)

    def render_state(self) -> None:
        """Show what there is to go on with."""
        left = self._session.leftover()
        self.setVisible(left is not None)
        if left is None:
            return
        self.found.setText(" ".join(part for part in (left.describe(), left.problem) if part))
        self.resume.setEnabled(left.problem is None)
        start = "Go on where it stopped, from the annotations as they were when it began"
        self.resume.setToolTip(left.problem or start)
