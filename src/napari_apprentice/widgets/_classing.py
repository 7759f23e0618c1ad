"""*Classify the rest*: one button that learns from what was said of a few objects and says it of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ._buttons import ElidedButton
from ._keys import key_for
from ._parts import ElidedList, wrapped

if TYPE_CHECKING:
    from napari_apprentice.session.classing import Classing
    from napari_apprentice.session.edits import AnnotationState

__all__ = ["KEYS", "ClassingRow"]

KEYS = {"Shift+C": "classify the rest of the objects as those that you classed"}
_NOTHING = "from what you say here"


class ClassingRow(QWidget):
    """What it starts from, the button, and what came of it.

    Parameters
    ----------
    classing
        Does it.
    """

    def __init__(self, classing: Classing) -> None:
        super().__init__()
        self._classing = classing
        self._state: AnnotationState | None = None
        self.start = ElidedList()
        self.button = ElidedButton("Classify the rest")
        self.keep = ElidedButton("Keep classifier")
        self.summary = wrapped()
        self._lay_out()
        self._say("")
        self.start.currentIndexChanged.connect(self.render)
        self.button.clicked.connect(self.classify)
        self.keep.clicked.connect(classing.keep)
        classing.done.connect(self._on_classing_done)
        classing.failed.connect(self._say)
        self.destroyed.connect(classing.close)

    def _lay_out(self) -> None:
        self.start.setAccessibleName("start classifying from")
        self.start.setToolTip("What classifying starts from: nothing, or a classifier you kept")
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.button, 1)
        row.addWidget(self.keep, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.start)
        layout.addLayout(row)
        layout.addWidget(self.summary)

    def set_state(self, state: AnnotationState | None) -> None:
        """Work on another annotation, or on none; hidden where it does not number objects."""
        numbered = state if state is not None and state.objects else None
        if numbered is not self._state:
            self._state = numbered
            self._say("")
        self.setVisible(numbered is not None)
        self._list()
        self.render()

    def _list(self) -> None:
        """Offer the classifiers that fit; hidden where there is none."""
        entries = [("", "Start", _NOTHING)]
        entries += [(name, name, hint) for name, hint in self._classing.choices()]
        known = [self.start.itemData(row) for row in range(self.start.count())]
        if known != [key for key, _, _ in entries]:
            chosen = self.start.currentData()
            was_blocked = self.start.blockSignals(True)
            self.start.clear()
            for key, name, hint in entries:
                self.start.addItem(f"{name}: {hint}", key)
            self.start.setCurrentIndex(max(0, self.start.findData(chosen)))
            self.start.blockSignals(was_blocked)
        self.start.setVisible(len(entries) > 1)

    def _say(self, sentence: str) -> None:
        self.summary.setText(sentence)
        self.summary.setVisible(bool(sentence))

    @property
    def stored(self) -> str | None:
        """Name of the kept classifier to start from."""
        return self.start.currentData() or None

    def render(self, *_: object) -> None:
        """Show what can be done now."""
        state = self._state
        problem = None if state is None else self._classing.problem(state, self.stored)
        self.button.setEnabled(state is not None and problem is None)
        self.button.setToolTip(
            problem
            or "Learn from the objects that you classed and class all others; "
            f"what you said stays ({key_for('Shift+C')})"
        )
        has_model = self._classing.model() is not None
        self.keep.setEnabled(has_model)
        self.keep.setToolTip(
            "Save it as a model, for other images and the command line"
            if has_model
            else "Classify the rest first: that teaches a classifier"
        )

    def classify(self) -> None:
        """Begin a round."""
        if self._state is not None:
            self._classing.classify(self._state, self.stored)

    def _on_classing_done(self, sentence: str) -> None:
        self._say(sentence)
        if self.stored is not None:
            self.start.setCurrentIndex(0)  # the next round goes on from this one
        self._list()
        self.render()
