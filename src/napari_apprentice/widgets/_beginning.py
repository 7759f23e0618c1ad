"""What *Correct* shows before there is an annotation, and what a crash left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels, Points
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_apprentice.session.text import moment

from ._buttons import ElidedButton
from ._facts import is_result
from ._parts import elided, wrapped

if TYPE_CHECKING:
    from ._annotator import Annotator

__all__ = ["Beginning", "RecoveryBar"]


class Beginning(QWidget):
    """Correct a prediction, start from nothing, or show an annotation whose layer is gone.

    Parameters
    ----------
    annotator
        What the buttons drive.
    """

    def __init__(self, annotator: Annotator) -> None:
        super().__init__()
        self._annotator = annotator
        self.correct = ElidedButton("Correct the prediction")
        self.start = ElidedButton("Start from nothing")
        self.number = ElidedButton("Number objects from nothing")
        self.mark = ElidedButton("Mark points or boxes from nothing")
        self.source = elided()
        self.show_again = ElidedButton("Show the annotation")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(
            wrapped("Correct what is wrong, say which part is right, and let a model learn it.")
        )
        for widget in (
            self.source,
            self.correct,
            self.start,
            self.number,
            self.mark,
            self.show_again,
        ):
            column.addWidget(widget)
        column.addStretch()
        self.correct.clicked.connect(self._on_correct_clicked)
        self.start.clicked.connect(lambda: annotator.start())
        self.number.clicked.connect(lambda: annotator.start(objects=True))
        self.mark.clicked.connect(annotator.pointing.start)
        self.show_again.clicked.connect(lambda: annotator.show())

    def render_state(self) -> None:
        """Show what can be begun, and say why the rest cannot."""
        annotator = self._annotator
        blocked = annotator.blocked()
        is_hidden = annotator.state is not None
        candidates = [] if blocked else self._candidates()
        name = candidates[0].name if candidates else ""
        first = candidates[0] if candidates else None
        is_own = isinstance(first, Labels) and not is_result(first)
        self.source.setText(name)
        self.source.setVisible(bool(name) and not is_hidden)
        self.correct.setVisible(not is_hidden)
        self.start.setVisible(not is_hidden)
        self.number.setVisible(not is_hidden)
        self.mark.setVisible(not is_hidden)
        self.mark.setEnabled(not blocked)
        self.mark.setToolTip(blocked or "Put a point on every object, or draw a box around it")
        self.show_again.setVisible(is_hidden)
        self.show_again.setToolTip("Its layer was deleted; nothing that you said is lost")
        nothing = "There are no labels on the grid of this image yet: press Predict first."
        reason = blocked or ("" if name else nothing)
        self.correct.set_full("Correct these labels" if is_own else "Correct the prediction")
        self.correct.setEnabled(not reason)
        self.correct.setToolTip(reason or f"{name} becomes an annotation; it stays, hidden")
        self.start.setEnabled(not blocked)
        self.start.setToolTip(blocked or "Paint every class yourself")
        self.number.setEnabled(not blocked)
        self.number.setToolTip(blocked or "Paint nuclei or cells, each with a number of its own")

    def _candidates(self) -> list[Labels | Points]:
        """Labels and points that could be corrected; predicted points first where they came last."""
        annotator = self._annotator
        labels, points = annotator.predictions(), annotator.pointing.predictions()
        if labels and points:
            at = annotator.viewer.layers.index
            return [*points, *labels] if at(points[0]) > at(labels[0]) else [*labels, *points]
        return [*labels, *points]

    def _on_correct_clicked(self) -> None:
        candidates = self._candidates()
        if candidates and isinstance(candidates[0], Points):
            self._annotator.pointing.correct(candidates[0])
        elif candidates:
            self._annotator.correct(candidates[0])


class RecoveryBar(QFrame):
    """Offers the corrections that an earlier session left; hidden where there are none.

    Parameters
    ----------
    annotator
        What the buttons drive.
    """

    def __init__(self, annotator: Annotator) -> None:
        super().__init__()
        self._annotator = annotator
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.found = QLabel()
        self.found.setWordWrap(True)
        self.restore = QPushButton("Restore")
        self.restore.setToolTip("Go on where you were")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Delete these corrections for good")
        row = QHBoxLayout()
        row.addWidget(self.restore)
        row.addWidget(self.discard)
        row.addStretch()
        column = QVBoxLayout(self)
        column.addWidget(self.found)
        column.addLayout(row)
        self.restore.clicked.connect(annotator.restore)
        self.discard.clicked.connect(annotator.discard)

    def render_state(self) -> None:
        """Show what there is to restore."""
        summary = self._annotator.found()
        self.setVisible(summary is not None)
        if summary is not None:
            when = moment(summary.saved)
            edits = f"{summary.edits} edit{'' if summary.edits == 1 else 's'}"
            self.found.setText(f"An earlier session left {edits} of this image, last on {when}.")
