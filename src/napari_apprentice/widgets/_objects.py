"""Buttons for numbered objects: from one to the next, and what can be done with the one in hand or with all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QVBoxLayout, QWidget

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.units import unit_text
from napari_apprentice.session import object_sets as sets
from napari_apprentice.session import objects as edits
from napari_apprentice.session import splitting
from napari_apprentice.session.removing import remove_small_job, small_size
from napari_apprentice.session.renumbering import renumber_job

from ._box import Drawing
from ._buttons import ElidedButton
from ._clicks import VoxelClicks
from ._coloring import Coloring
from ._following import Following
from ._keys import key_for
from ._object_table import features_of, title_of
from ._object_tools import KEYS, TOOLS
from ._parts import elided, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from napari_apprentice.core.edit import Edit
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.session.bulk import Bulk, Found
    from napari_apprentice.session.edits import AnnotationState
    from napari_apprentice.session.growing import Growing

    from .annotating import AnnotationLabels

__all__ = ["KEYS", "ObjectButtons"]

_LARGEST = 1e12
_MILLISECONDS = 300
_FLAT_ONLY = "Show slices first: this is the 3-D view"


class ObjectButtons(QWidget):
    """What can be done with the object that is picked, and with all of them.

    Parameters
    ----------
    viewer
        Whose camera goes to the next object.
    growing
        Adds the objects that are clicked.
    bulk
        Finds the edits that look at every voxel.
    """

    refused = Signal(str)

    def __init__(self, viewer: napari.viewer.Viewer, growing: Growing, bulk: Bulk) -> None:
        super().__init__()
        self._viewer = viewer
        self._growing = growing
        self._bulk = bulk
        self._layer: AnnotationLabels | None = None
        self._following = Following()
        self._clicks = VoxelClicks()
        self._drawing = Drawing(viewer, "add_line", "draw a line")
        self._soon = QTimer(self, interval=_MILLISECONDS, singleShot=True)
        self._waiting = ""
        self._keep = 0
        self._doubted = sets.BEGINNING
        self._first: tuple[int, ...] | None = None
        self.title = elided()
        self.counts = wrapped()
        self.coloring = Coloring()
        self.buttons = {tool.key: ElidedButton(tool.name) for tool in TOOLS}
        self.smallest = QDoubleSpinBox()
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self.smallest.setRange(0, _LARGEST)
        self.smallest.setPrefix("below ")
        self.smallest.setAccessibleName("smallest size")
        grid = QGridLayout()
        grid.setSpacing(4)
        for at, tool in enumerate(TOOLS):
            self.buttons[tool.key].setCheckable(tool.waits)
            grid.addWidget(self.buttons[tool.key], at // 2, at % 2)
        grid.addWidget(self.smallest, len(TOOLS) // 2, 1)
        self.smallest.setMinimumWidth(1)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for widget in (self.counts, self.coloring, self.title):
            layout.addWidget(widget)
        layout.addLayout(grid)

    def _connect(self) -> None:
        for key, action in self.actions().items():
            self.buttons[key].clicked.connect(lambda *_, do=action: do())
        self._clicks.clicked.connect(self.take_click)
        self._drawing.drawn.connect(self._on_drawing_drawn)
        self._drawing.ended.connect(self._on_drawing_ended)
        self._growing.added.connect(self._on_growing_added)
        self._growing.failed.connect(self._on_growing_failed)
        self._soon.timeout.connect(self.put_table)
        for helper in (self._following, self._clicks):
            self.destroyed.connect(helper.stop)
        self.destroyed.connect(self._growing.close)

    def actions(self) -> dict[str, Callable[[], object]]:
        """What each key does; the buttons do the same."""
        return {
            "Shift+Left": lambda: self.go(-1),
            "Shift+Right": lambda: self.go(1),
            "Shift+Down": self.doubt,
            "Shift+K": self.toggle_lock,
            "Shift+A": lambda: self._wait("Shift+A"),
            "Shift+O": self.make,
            "Shift+D": lambda: self._on_one(edits.delete_object),
            "Shift+J": lambda: self._wait("Shift+J"),
            "Shift+L": lambda: self._wait("Shift+L"),
            "Shift+X": lambda: self._wait("Shift+X"),
            "Shift+S": lambda: self._on_one(splitting.split_object),
            "Shift+H": lambda: self._on_one(edits.fill_object),
            "Shift+G": lambda: self._on_one(edits.keep_largest_piece),
            "Shift+R": self.renumber,
            "Shift+M": self.remove_small,
        }

    # -- showing ----------------------------------------------------------------------------

    def set_layer(self, layer: AnnotationLabels | None) -> None:
        """Work on another layer, or on none."""
        if layer is self._layer:
            return
        self._following.stop()
        self._give_up()
        self._layer, self._doubted = layer, sets.BEGINNING
        self.coloring.set_layer(layer)
        if layer is not None:
            self._following.follow((layer.events.selected_label,), self._on_layer_selected)
            self._following.follow((layer.state.changed,), self._on_state_changed)
            self._following.follow((layer.state.edited,), self._on_state_edited)
            self._propose_size(layer)
            self.put_table()
        self.render()

    def _propose_size(self, layer: AnnotationLabels) -> None:
        grid, size = layer.state.grid, small_size(layer.state)
        flat = grid.ndim == 2
        power = "" if grid.unit == "pixel" else "²" if flat else "³"
        self.smallest.setSuffix(f" {unit_text(grid.unit)}{power}")
        self.smallest.setDecimals(max(0, 1 - math.floor(math.log10(size))) if size else 2)
        self.smallest.setValue(size)
        what = "Area" if flat else "Volume"
        self.smallest.setToolTip(f"{what}; proposed: a tenth of the median object")

    def put_table(self) -> None:
        """Make what is known of the objects the layer's features, and count them."""
        layer = self._layer
        if layer is None:
            return
        state = layer.state
        layer.features = features_of(
            state.index.numbers().tolist(), state.notes, state.classes, layer.features
        )
        self.counts.setText(sets.count_objects(state))

    def render(self) -> None:
        """Show which object is in hand, and what can be done with it."""
        layer = self._layer
        value = 0 if layer is None else int(layer.selected_label)
        locked = layer is not None and value in layer.state.locked
        self.title.setText(
            "No object: pick one (L)" if layer is None else title_of(layer.state, value)
        )
        for tool in TOOLS:
            button = self.buttons[tool.key]
            button.setToolTip(tool.tooltip(value))
            if tool.on_one or tool.key == "Shift+K":
                button.setEnabled(bool(value) and not (locked and tool.on_one))
            if not button.isEnabled():
                why = f"Object {value} is locked; unlock it first ({key_for('Shift+K')})"
                button.setToolTip(why if value else "Pick an object first (L)")
        self._render_adding()
        self.buttons["Shift+K"].set_full("Unlock" if locked else "Lock")
        self._render_waiting()

    def _render_adding(self) -> None:
        button, problem = self.buttons["Shift+A"], self._growing.problem()
        button.setEnabled(problem is None)
        if problem is not None:
            button.setToolTip(problem)

    def _render_waiting(self) -> None:
        """Show which clicks are waited for."""
        side = "one side" if self._first is None else "the other side"
        count = self._growing.waiting
        says = {
            "Shift+J": f"Click one for {self._keep}",
            "Shift+X": f"Click {side}",
            "Shift+A": f"Click… ({count} to come)" if count else "Click on objects…",
            "Shift+L": "Draw a line…",
        }
        for tool in TOOLS:
            if tool.waits:
                is_waiting = self._waiting == tool.key
                self.buttons[tool.key].setChecked(is_waiting)
                self.buttons[tool.key].set_full(says[tool.key] if is_waiting else tool.name)

    def _on_state_edited(self, edit: Edit) -> None:
        """What a model has just said is doubted anew."""
        if edit.author == "model":
            self._doubted = sets.BEGINNING

    def _on_state_changed(self) -> None:
        self.render()
        self._soon.start()  # the table of many objects is not for every stroke

    # -- doing ------------------------------------------------------------------------------

    def go(self, step: int) -> None:
        """Go to the next object that is not locked, or to the one before."""
        layer = self._layer
        if layer is not None:
            value = int(layer.selected_label)
            self._show_found(lambda: sets.next_object(layer.state, value, step))

    def doubt(self) -> None:
        """Go to the object that the model was least sure of, then on to surer ones."""
        layer = self._layer
        if layer is None:
            return
        state = layer.state

        def find() -> tuple[int, tuple[int, ...]]:
            self._doubted, voxel = sets.next_doubtful(state, self._doubted)
            return self._doubted[1], voxel

        self._show_found(find)

    def _show_found(self, find: Callable[[], tuple[int, tuple[int, ...]]]) -> None:
        """Bring an object into the middle of the canvas and take it in hand."""
        layer = self._layer
        if layer is None:
            return
        self._give_up()
        self.refused.emit("")
        try:
            number, voxel = find()
        except ApprenticeError as error:
            self.refused.emit(str(error))
            return
        layer.selected_label = number
        dims, world = self._viewer.dims, layer.data_to_world(voxel)
        extra = dims.ndim - layer.ndim
        dims.set_point(range(extra, dims.ndim), [float(v) for v in world])
        shown = [a - extra for a in dims.displayed if a >= extra]
        self._viewer.scene.camera.center = tuple(float(world[a]) for a in shown)

    def make(self) -> None:
        """Paint a new object from now on."""
        if self._layer is not None and self._try(edits.new_object):
            self._layer.selected_label = edits.new_object(self._layer.state)
            self._layer.mode = "paint"

    def renumber(self) -> None:
        """Number all objects without gaps."""
        self._look_through("Renumbering objects", renumber_job)

    def remove_small(self) -> None:
        """Remove all objects below the size in the dock."""
        smallest = self.smallest.value()
        self._look_through("Removing small objects", lambda s: remove_small_job(s, smallest))

    def _look_through(self, name: str, make: Callable[[AnnotationState], Job[Found]]) -> None:
        layer = self._layer
        if layer is not None:
            self.refused.emit("")
            self._bulk.start(name, layer.state, make, lambda: layer.is_painting)

    def toggle_lock(self) -> None:
        """Lock the object in hand, or unlock it."""
        if self._layer is not None:
            value = int(self._layer.selected_label)
            self._try(sets.lock_object, value, value not in self._layer.state.locked)

    # -- waiting for clicks -----------------------------------------------------------------

    def _wait(self, key: str) -> None:
        """Wait for what a tool needs; once more gives it up."""
        layer, again = self._layer, self._waiting == key
        self._give_up()
        value = 0 if layer is None else int(layer.selected_label)
        if layer is not None and not again and (value or key != "Shift+J"):
            self._start_waiting(layer, key, value)
        self.render()

    def _start_waiting(self, layer: AnnotationLabels, key: str, value: int) -> None:
        flat = self._viewer.dims.ndisplay == 2
        if key in ("Shift+A", "Shift+L") and not flat:
            self.refused.emit(_FLAT_ONLY)
            return
        self.refused.emit("")
        self._waiting = key
        if key == "Shift+L":
            self._drawing.start(layer)
            return
        layer.mode = "pick"
        if key == "Shift+J":
            self._keep = value
        else:
            self._clicks.start(layer)

    def _give_up(self) -> None:
        """Wait for no click any more."""
        self._waiting = ""
        self._clicks.stop()
        self._drawing.stop()
        self._growing.stop()
        self._keep, self._first = 0, None

    def take_click(self, voxel: tuple[int, ...]) -> None:
        """A voxel was clicked while a tool waits for it."""
        if self._waiting == "Shift+A":
            if self._layer is not None:
                self.refused.emit("")
                self._growing.add(self._layer.state, voxel)
        elif self._first is None:
            self._first = voxel
        else:
            first = self._first
            self._give_up()
            self._try(splitting.split_between, first, voxel)
        self.render()

    def _on_drawing_drawn(self, line: Any) -> None:
        layer = self._layer
        if layer is not None:
            self._try(splitting.split_along, line, layer.axes_order[-2:])

    def _on_drawing_ended(self) -> None:
        if self._waiting == "Shift+L":
            self._waiting = ""
            self.render()

    def _on_growing_added(self, number: int) -> None:
        if self._layer is not None:
            self._layer.selected_label = number
        self.render()

    def _on_growing_failed(self, sentence: str) -> None:
        self.refused.emit(sentence)
        self.render()

    def _on_layer_selected(self, *_: Any) -> None:
        layer, keep = self._layer, self._keep
        if layer is not None and keep and int(layer.selected_label) not in (0, keep):
            self._give_up()
            self._try(edits.merge_objects, keep, int(layer.selected_label))
            layer.selected_label = keep
        self.render()

    def _on_one(self, verb: Any) -> None:
        if self._layer is not None:
            self._try(verb, int(self._layer.selected_label))

    def _try(self, verb: Any, *args: Any) -> bool:
        if self._layer is None:
            return False
        self.refused.emit("")
        try:
            verb(self._layer.state, *args)
        except ApprenticeError as error:
            self.refused.emit(str(error))
            return False
        return True
