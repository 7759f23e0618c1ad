"""The card of a model that was learned: how good it is, and what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFrame, QHBoxLayout, QPushButton, QVBoxLayout

from ._parts import wrapped

if TYPE_CHECKING:
    from napari_apprentice.session.session import Candidate

__all__ = ["ResultCard"]


class ResultCard(QFrame):
    """What was learned, and what to do with it: use it, keep both, or discard it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = wrapped()
        self.use = QPushButton("Use it")
        self.both = QPushButton("Keep both")
        self.discard = QPushButton("Discard")
        self.use.setToolTip("Save the new model and predict with it from now on")
        self.both.setToolTip("Save the new model, and stay with the present one")
        self.discard.setToolTip("Forget what was learned")
        row = QHBoxLayout()
        for button in (self.use, self.both, self.discard):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.text)
        layout.addLayout(row)

    def set_candidate(self, candidate: Candidate | None) -> None:
        """Show the result, or nothing."""
        self.setVisible(candidate is not None)
        if candidate is not None:
            self.text.setText(f"{candidate.name}: {candidate.describe()}")
