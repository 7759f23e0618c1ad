"""*Correct*: a prediction becomes an annotation, and what a person finishes counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_apprentice.core.errors import ApprenticeError

from ._annotator import Annotator
from ._classes import ClassButtons, class_key
from ._counting import KEYS as COUNTING_KEYS
from ._counting import Counting
from ._dock import Dock
from ._parts import ErrorLine, elided, wrapped
from ._tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from napari_apprentice.session.session import Session

    from .annotating import AnnotationLabels

__all__ = ["KEYS", "CorrectDock"]

KEYS = {
    "Ctrl+1 … Ctrl+9": "paint the first … ninth class",
    **COUNTING_KEYS,
    "Ctrl+Z": "undo anything: strokes, classes, what is finished",
    "Ctrl+Shift+Z": "redo",
}
"""Keys on the annotation layer while this dock is open; none is napari's own but undo."""


class CorrectDock(Dock):
    """Correct what is wrong, and say what is right.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    embedded
        Without image and job, because the dock around it shows them.
    """

    _told = Signal(str)

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session | None = None,
        *,
        embedded: bool = False,
    ) -> None:
        super().__init__(viewer, session, embedded=embedded)
        self.annotator = Annotator(viewer, self.session)
        self.error = ErrorLine()
        self.pages = QStackedWidget()
        self.classes = ClassButtons()
        self.tools = Tools()
        self.counting = Counting(self.annotator)
        self.undo = QPushButton("Undo")
        self.redo = QPushButton("Redo")
        self.correct = QPushButton("Correct the prediction")
        self.start = QPushButton("Start from nothing")
        self.source = elided()
        self.show_again = QPushButton("Show the annotation")
        self.found = QLabel()
        self.restore = QPushButton("Restore")
        self.discard = QPushButton("Discard")
        self._bound: AnnotationLabels | None = None
        self._lay_out()
        self._connect()
        self.render_state()

    # -- layout -----------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.recovery = self._recovery_bar()
        self.pages.addWidget(self._empty_page())
        self.pages.addWidget(self._work_page())
        self.body.addWidget(self.recovery)
        self.body.addWidget(self.error)
        self.body.addWidget(self.pages)
        self.body.addStretch()

    def _recovery_bar(self) -> QFrame:
        bar = QFrame()
        bar.setFrameShape(QFrame.Shape.StyledPanel)
        self.found.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.restore)
        row.addWidget(self.discard)
        row.addStretch()
        column = QVBoxLayout(bar)
        column.addWidget(self.found)
        column.addLayout(row)
        self.restore.setToolTip("Go on where you were")
        self.discard.setToolTip("Delete these corrections for good")
        return bar

    def _empty_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(
            wrapped(
                "Correct what is wrong; say which part is right; then let a model learn from it."
            )
        )
        for widget in (self.source, self.correct, self.start, self.show_again):
            column.addWidget(widget)
        column.addStretch()
        return page

    def _work_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        history = QHBoxLayout()
        for button in (self.undo, self.redo):
            button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            history.addWidget(button)
        column.addWidget(_title("Class"))
        column.addWidget(self.classes)
        column.addWidget(_title("Tool"))
        column.addWidget(self.tools)
        column.addLayout(history)
        column.addWidget(_title("What counts"))
        column.addWidget(self.counting)
        column.addStretch()
        return page

    def _connect(self) -> None:
        annotator = self.annotator
        self.listen(annotator.changed, self.render_state)
        self.listen(annotator.problem, self._on_annotator_problem)
        self._told.connect(self.error.set_sentence)
        self.correct.clicked.connect(self._on_correct_clicked)
        self.start.clicked.connect(annotator.start)
        self.show_again.clicked.connect(lambda: annotator.show())
        self.restore.clicked.connect(annotator.restore)
        self.discard.clicked.connect(annotator.discard)
        self.undo.clicked.connect(self._on_undo_clicked)
        self.redo.clicked.connect(self._on_redo_clicked)
        self.classes.picked.connect(self.pick)
        self.classes.added.connect(lambda name: self._try("add_class", name))
        self.classes.renamed.connect(lambda value, name: self._try("rename_class", value, name))
        self.classes.recolored.connect(lambda value, c: self._try("recolor_class", value, c))
        self.destroyed.connect(annotator.close)

    # -- showing ------------------------------------------------------------------------------

    def render_state(self) -> None:
        """Show the session's image, its annotation and the layer as they are."""
        annotator = self.annotator
        state, layer = annotator.state, annotator.layer
        self._render_recovery()
        at_work = state is not None and layer is not None
        self.pages.setCurrentIndex(int(at_work))
        self.tools.set_layer(layer)
        self._bind(layer)
        if not at_work or state is None or layer is None:
            self._render_empty()
            return
        self.classes.set_classes(state.classes)
        self._render_selected()
        self._render_history()
        self.counting.render_state()

    def _render_recovery(self) -> None:
        summary = self.annotator.found()
        self.recovery.setVisible(summary is not None)
        if summary is not None:
            when = summary.saved.astimezone().strftime("%-d %b %Y, %H:%M")
            edits = f"{summary.edits} edit{'' if summary.edits == 1 else 's'}"
            self.found.setText(f"An earlier session left {edits} of this image, last on {when}.")

    def _render_empty(self) -> None:
        annotator = self.annotator
        blocked = annotator.blocked()
        is_hidden = annotator.state is not None
        candidates = [] if blocked else annotator.predictions()
        name = candidates[0].name if candidates else ""
        self.source.setText(name)
        self.source.setVisible(bool(name) and not is_hidden)
        self.correct.setVisible(not is_hidden)
        self.start.setVisible(not is_hidden)
        self.show_again.setVisible(is_hidden)
        self.show_again.setToolTip("Its layer was deleted; nothing that you said is lost")
        nothing = "There is no prediction on the grid of this image yet: press Predict first."
        reason = blocked or ("" if name else nothing)
        self.correct.setEnabled(not reason)
        self.correct.setToolTip(reason or f"{name} becomes an annotation; it stays, hidden")
        self.start.setEnabled(not blocked)
        self.start.setToolTip(blocked or "Paint everything yourself")

    def _render_selected(self, *_: Any) -> None:
        if self._bound is not None:
            erasing = str(self._bound.mode) == "erase"
            self.classes.set_selected(-1 if erasing else int(self._bound.selected_label))

    def _render_history(self) -> None:
        state = self.annotator.state
        if state is None:
            return
        for button, name, verb, key in (
            (self.undo, state.undo_name, "Undo", "Ctrl+Z"),
            (self.redo, state.redo_name, "Redo", "Ctrl+Shift+Z"),
        ):
            button.setEnabled(bool(name))
            button.setText(f"{verb} {_lower(name)}".strip())
            button.setToolTip(
                f"{verb} {_lower(name)} ({key})" if name else f"Nothing to {verb.lower()}"
            )

    def _on_annotator_problem(self, sentence: str) -> None:
        self._told.emit(sentence)  # a Qt signal: the writing thread may be the one that speaks

    # -- doing --------------------------------------------------------------------------------

    def pick(self, value: int) -> None:
        """Paint a class from now on."""
        layer = self.annotator.layer
        if layer is None:
            return
        layer.selected_label = value
        if str(layer.mode) in ("erase", "pan_zoom", "pick", "transform"):
            layer.mode = "paint"

    def _pick_number(self, number: int) -> None:
        state = self.annotator.state
        if state is not None and number <= len(state.classes):
            self.pick(state.classes[number - 1].value)

    def _on_correct_clicked(self) -> None:
        candidates = self.annotator.predictions()
        if candidates:
            self.annotator.correct(candidates[0])

    def _on_undo_clicked(self) -> None:
        if self.annotator.layer is not None:
            self.annotator.layer.undo()

    def _on_redo_clicked(self) -> None:
        if self.annotator.layer is not None:
            self.annotator.layer.redo()

    def _try(self, verb: str, *args: Any) -> None:
        """Do something with the annotation; say it here if it cannot be done."""
        self.error.set_sentence("")
        try:
            getattr(self.annotator.state, verb)(*args)
        except ApprenticeError as error:
            self.error.set_sentence(str(error))

    # -- keys ---------------------------------------------------------------------------------

    def _bind(self, layer: AnnotationLabels | None) -> None:
        """Bind the keys to the layer in hand, and to no other."""
        if layer is self._bound:
            return
        if self._bound is not None:
            self._bound.events.selected_label.disconnect(self._render_selected)
            self._bound.events.mode.disconnect(self._render_selected)
            for key in self._keys():
                self._bound.bind_key(key, None)
        self._bound = layer
        if layer is not None:
            layer.events.selected_label.connect(self._render_selected)
            layer.events.mode.connect(self._render_selected)
            for key, action in self._keys().items():
                layer.bind_key(key, lambda _, do=action: do(), overwrite=True)

    def _keys(self) -> dict[str, Callable[[], None]]:
        numbers = range(1, 10)
        keys: dict[str, Callable[[], None]] = {
            class_key(n): lambda n=n: self._pick_number(n)  # type: ignore[misc]
            for n in numbers
        }
        counting = self.counting
        actions = (counting.toggle_slice, counting.go_on, counting.toggle_drawing)
        return keys | dict(zip(COUNTING_KEYS, actions, strict=True))


def _title(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft)
    return label


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
