"""*Correct*: a prediction becomes an annotation, and what a person finishes counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.classing import Classing
from napari_apprentice.session.growing import Growing
from napari_apprentice.session.object_sets import classify_object

from ._annotator import Annotator
from ._beginning import Beginning, RecoveryBar
from ._buttons import ElidedButton
from ._classes import ClassButtons, class_key
from ._classing import KEYS as CLASSING_KEYS
from ._classing import ClassingRow
from ._counting import KEYS as COUNTING_KEYS
from ._counting import Counting
from ._dock import Dock
from ._following import Following
from ._objects import KEYS as OBJECT_KEYS
from ._objects import ObjectButtons
from ._parts import ErrorLine
from ._points_page import PointsPage
from ._slices_row import KEYS as SLICES_KEYS
from ._tools import Tools

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from napari_apprentice.session.session import Session

    from .annotating import AnnotationLabels

__all__ = ["KEYS", "CorrectDock"]

KEYS = {
    "Ctrl+1 … Ctrl+9": "paint the first … ninth class",
    **OBJECT_KEYS,
    **CLASSING_KEYS,
    **COUNTING_KEYS,
    **SLICES_KEYS,
    "Shift+Down": "go to the object that the model was least sure of, or the slice where classes are painted; then on to surer ones",
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
        self.objects = ObjectButtons(viewer, Growing(self.session), self.annotator.bulk)
        self.classing = ClassingRow(Classing(self.session))
        self.tools = Tools()
        self.counting = Counting(self.annotator)
        self.hidden = ElidedButton("Show the annotation")
        self.take_over = ElidedButton("Take over the prediction")
        self.what = _title("Class")
        self.undo = ElidedButton("Undo")
        self.redo = ElidedButton("Redo")
        self.beginning = Beginning(self.annotator)
        self.recovery = RecoveryBar(self.annotator)
        self.points = PointsPage(self.annotator.pointing)
        self._bound: AnnotationLabels | None = None
        self._following = Following()
        self.destroyed.connect(self._following.stop)
        self._lay_out()
        self._connect()
        self.render_state()

    # -- layout -----------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.pages.addWidget(self.beginning)
        self.pages.addWidget(self._work_page())
        self.pages.addWidget(self.points)
        self.body.addWidget(self.recovery)
        self.body.addWidget(self.error)
        self.body.addWidget(self.pages)
        self.body.addStretch()

    def _work_page(self) -> QWidget:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        history = QHBoxLayout()
        for button in (self.undo, self.redo):
            history.addWidget(button)
        for widget in (self.hidden, self.take_over, self.objects, self.what, self.classes):
            column.addWidget(widget)
        for widget in (self.classing, _title("Tool"), self.tools):
            column.addWidget(widget)
        column.addLayout(history)
        column.addWidget(_title("What counts"))
        column.addWidget(self.counting)
        column.addStretch()
        return page

    def _connect(self) -> None:
        annotator = self.annotator
        self.listen(annotator.changed, self.render_state)
        self.listen(annotator.problem, self._on_annotator_problem)
        self.listen(self.session.status_changed, self.classing.render)
        self.listen(self.session.model_changed, self.objects.render)
        self._told.connect(self.error.set_sentence)
        self.objects.refused.connect(self.error.set_sentence)
        self.undo.clicked.connect(self._on_undo_clicked)
        self.redo.clicked.connect(self._on_redo_clicked)
        self.hidden.clicked.connect(annotator.show_hidden)
        self.take_over.clicked.connect(annotator.take_over)
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
        self.recovery.render_state()
        self.points.render_state()
        at_work = state is not None and layer is not None
        self.pages.setCurrentIndex(int(at_work))
        self.tools.set_layer(layer)
        numbered = state is not None and state.objects
        self.objects.set_layer(layer if numbered else None)
        self._bind(layer)
        if not at_work or state is None or layer is None:
            self.beginning.render_state()
            if self.annotator.pointing.layer is not None:
                self.pages.setCurrentWidget(self.points)
            return
        self.classes.set_classes(state.classes)
        self.objects.setVisible(state.objects)
        if state.objects:
            self.objects.render()
        self.classing.set_state(state)
        self.what.setText("Class of the object" if state.objects else "Class")
        self._render_selected()
        self._render_offers()
        self._render_history()
        self.counting.render_state()

    def _render_selected(self, *_: Any) -> None:
        layer = self._bound
        if layer is None:
            return
        value = -1 if str(layer.mode) == "erase" else int(layer.selected_label)
        if layer.state.objects:
            note = layer.state.notes.get(value)
            value = -1 if note is None else note.kind
        self.classes.set_selected(value)

    def _render_offers(self, *_: Any) -> None:
        """Offer to show a hidden annotation, and to take over what a model that has learned says."""
        layer, newer = self.annotator.layer, self.annotator.newer()
        self.hidden.setVisible(layer is not None and not layer.visible)
        self.hidden.setToolTip("Its layer is hidden; the eye in the layer list shows it, too")
        self.take_over.setVisible(newer is not None)
        if newer is not None:
            self.take_over.setToolTip(
                f"{newer.name} replaces what you neither finished nor painted; Undo takes it back"
            )

    def _render_history(self) -> None:
        state = self.annotator.state
        if state is None:
            return
        for button, name, verb, key in (
            (self.undo, state.undo_name, "Undo", "Ctrl+Z"),
            (self.redo, state.redo_name, "Redo", "Ctrl+Shift+Z"),
        ):
            button.setEnabled(bool(name))
            button.set_full(f"{verb} {_lower(name)}".strip())
            button.setToolTip(
                f"{verb} {_lower(name)} ({key})" if name else f"Nothing to {verb.lower()}"
            )

    def _on_annotator_problem(self, sentence: str) -> None:
        self._told.emit(sentence)  # a Qt signal: the writing thread may be the one that speaks

    # -- doing --------------------------------------------------------------------------------

    def pick(self, value: int) -> None:
        """Paint a class from now on; of numbered objects, say that the one in hand is of this class."""
        layer = self.annotator.layer
        if layer is None:
            return
        if layer.state.objects:
            self._do(lambda: classify_object(layer.state, int(layer.selected_label), value))
            self._render_selected()
            return
        layer.selected_label = value
        if str(layer.mode) in ("erase", "pan_zoom", "pick", "transform"):
            layer.mode = "paint"

    def _pick_number(self, number: int) -> None:
        state = self.annotator.state
        if state is not None and number <= len(state.classes):
            self.pick(state.classes[number - 1].value)

    def _doubt(self) -> None:
        """Go to what the model was least sure of: an object, or a slice."""
        state = self.annotator.state
        if state is not None and state.objects:
            self.objects.doubt()
        else:
            self.counting.doubt()

    def _on_undo_clicked(self) -> None:
        if self.annotator.layer is not None:
            self.annotator.layer.undo()

    def _on_redo_clicked(self) -> None:
        if self.annotator.layer is not None:
            self.annotator.layer.redo()

    def _try(self, verb: str, *args: Any) -> None:
        """Do something with the annotation; say it here if it cannot be done."""
        self._do(lambda: getattr(self.annotator.state, verb)(*args))

    def _do(self, action: Callable[[], object]) -> None:
        self.error.set_sentence("")
        try:
            action()
        except ApprenticeError as error:
            self.error.set_sentence(str(error))

    # -- keys ---------------------------------------------------------------------------------

    def _bind(self, layer: AnnotationLabels | None) -> None:
        """Bind the keys to the layer in hand, and to no other."""
        if layer is self._bound:
            return
        self._following.stop()
        self._bound = layer
        if layer is not None:
            events = layer.events
            self._following.follow((events.selected_label, events.mode), self._render_selected)
            self._following.follow((events.visible,), self._render_offers)
            self._following.bind(layer, self._keys())

    def _keys(self) -> dict[str, Callable[[], object]]:
        numbers = range(1, 10)
        keys: dict[str, Callable[[], object]] = {
            class_key(n): lambda n=n: self._pick_number(n)  # type: ignore[misc]
            for n in numbers
        }
        counting = self.counting
        counted = (counting.toggle_slice, counting.go_on, counting.toggle_drawing)
        keys |= dict(zip(COUNTING_KEYS, counted, strict=True))
        keys |= dict.fromkeys(CLASSING_KEYS, self.classing.classify)
        return keys | self.objects.actions() | {"Shift+Down": self._doubt}


def _title(text: str) -> QLabel:
    label = QLabel(text)
    font = label.font()
    font.setBold(True)
    label.setFont(font)
    label.setAlignment(Qt.AlignmentFlag.AlignLeft)
    return label


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
