"""Buttons for numbered objects: from one to the next, and what can be done with the one in hand or with all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.object_sets import (
    lock_object,
    next_object,
    remove_small,
    renumber,
    small_size,
)
from napari_apprentice.session.objects import (
    delete_object,
    fill_object,
    keep_largest_piece,
    merge_objects,
    new_object,
)
from napari_apprentice.session.splitting import split_between, split_object
from napari_apprentice.session.text import unit_text

from ._buttons import ElidedButton
from ._clicks import VoxelClicks
from ._following import Following

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

    from .annotating import AnnotationLabels

__all__ = ["KEYS", "ObjectButtons"]

KEYS = {
    "Shift+Left": "go to the previous object that is not locked",
    "Shift+Right": "go to the next object that is not locked",
    "Shift+O": "paint a new object",
    "Shift+D": "delete this object",
    "Shift+J": "merge another object into this one: click it",
    "Shift+K": "lock this object, so that nothing changes it, or unlock it",
    "Shift+S": "split this object",
    "Shift+X": "split an object: click its one side, then its other side",
    "Shift+H": "fill the holes of this object",
    "Shift+G": "keep the largest piece of this object",
    "Shift+M": "remove all objects below the size in the dock",
    "Shift+R": "renumber all objects without gaps",
}
_NAMES = (
    "◂ Previous",
    "Next ▸",
    "New object",
    "Delete",
    "Merge…",
    "Lock",
    "Split",
    "Split by clicks…",
    "Fill holes",
    "Keep largest",
    "Remove small",
    "Renumber",
)
_TIPS = {
    "Shift+O": "Paint an object with a number of its own",
    "Shift+J": "Click the object that belongs to {name}",
    "Shift+D": "Turn {name} into background",
    "Shift+S": "Cut {name} at its waist; or erase a line through it first",
    "Shift+X": "Click one side of an object, then its other side: it is cut between the two",
    "Shift+H": "Give {name} the background that it encloses",
    "Shift+G": "Turn every piece of {name} but the largest into background",
}
_ON_ONE = ("Shift+D", "Shift+J", "Shift+S", "Shift+H", "Shift+G")
_LARGEST = 1e12


class ObjectButtons(QWidget):
    """What can be done with the object that is picked, and with all of them.

    Parameters
    ----------
    viewer
        Whose camera goes to the next object.
    """

    refused = Signal(str)

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: AnnotationLabels | None = None
        self._following = Following()
        self._clicks = VoxelClicks()
        self._clicks.clicked.connect(self._on_clicks_clicked)
        self.destroyed.connect(self._following.stop)
        self.destroyed.connect(self._clicks.stop)
        self._keep = 0
        self._first: tuple[int, ...] | None = None
        self.title = QLabel()
        names = zip(KEYS, _NAMES, strict=True)
        self.buttons = {key: ElidedButton(name) for key, name in names}
        self.smallest = QDoubleSpinBox()
        self._lay_out()
        for key, action in self.actions().items():
            self.buttons[key].clicked.connect(lambda *_, do=action: do())

    def _lay_out(self) -> None:
        for key in ("Shift+J", "Shift+X"):
            self.buttons[key].setCheckable(True)
        self.smallest.setRange(0, _LARGEST)
        self.smallest.setPrefix("below ")
        self.smallest.setAccessibleName("smallest size")
        grid = QGridLayout()
        grid.setSpacing(4)
        *others, small, renumbering = self.buttons.values()
        for at, button in enumerate(others):
            grid.addWidget(button, at // 2, at % 2)
        last = len(others) // 2
        grid.addWidget(small, last, 0)
        grid.addWidget(self.smallest, last, 1)
        grid.addWidget(renumbering, last + 1, 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addLayout(grid)

    def actions(self) -> dict[str, Callable[[], object]]:
        """What each key does; the buttons do the same."""
        doing = (
            lambda: self.go(-1),
            lambda: self.go(1),
            self.make,
            lambda: self._on_one(delete_object),
            self.start_merging,
            self.toggle_lock,
            lambda: self._on_one(split_object),
            self.start_splitting,
            lambda: self._on_one(fill_object),
            lambda: self._on_one(keep_largest_piece),
            lambda: self._try(remove_small, self.smallest.value()),
            lambda: self._try(renumber),
        )
        return dict(zip(KEYS, doing, strict=True))

    # -- showing ----------------------------------------------------------------------------

    def set_layer(self, layer: AnnotationLabels | None) -> None:
        """Work on another layer, or on none."""
        if layer is self._layer:
            return
        self._following.stop()
        self._clicks.stop()
        self._layer, self._keep = layer, 0
        if layer is not None:
            self._following.follow((layer.events.selected_label,), self._on_layer_selected)
            self._propose_size(layer)
        self.render()

    def _propose_size(self, layer: AnnotationLabels) -> None:
        grid, size = layer.state.grid, small_size(layer.state)
        flat = grid.ndim == 2
        unit = f"{unit_text(grid.unit)}{'²' if flat else '³'}"
        self.smallest.setSuffix(" px" if grid.unit == "pixel" else f" {unit}")
        self.smallest.setDecimals(max(0, 1 - math.floor(math.log10(size))) if size else 2)
        self.smallest.setValue(size)
        what = "Area" if flat else "Volume"
        self.smallest.setToolTip(f"{what}; proposed: a tenth of the median object")

    def render(self) -> None:
        """Show which object is in hand, and what can be done with it."""
        layer = self._layer
        value = 0 if layer is None else int(layer.selected_label)
        locked = layer is not None and value in layer.state.locked
        name = f"Object {value}{' · locked' if locked else ''}"
        self.title.setText(name if value else "No object: pick one (L)")
        for key, button in self.buttons.items():
            tip = _TIPS.get(key, KEYS[key][:1].upper() + KEYS[key][1:])
            button.setToolTip(f"{tip.format(name=f'object {value}')} ({key})")
        for key in (*_ON_ONE, "Shift+K"):
            button = self.buttons[key]
            button.setEnabled(bool(value) and not (locked and key in _ON_ONE))
            if not value:
                button.setToolTip("Pick an object first (L)")
            elif not button.isEnabled():
                button.setToolTip(f"Object {value} is locked; unlock it first (Shift+K)")
        self.buttons["Shift+K"].set_full("Unlock" if locked else "Lock")
        self._render_waiting()

    def _render_waiting(self) -> None:
        """Show which clicks are waited for."""
        merge, split = self.buttons["Shift+J"], self.buttons["Shift+X"]
        merge.setChecked(bool(self._keep))
        merge.set_full(f"Click one for {self._keep}" if self._keep else "Merge…")
        split.setChecked(self._clicks.is_active)
        side = "one side" if self._first is None else "the other side"
        split.set_full(f"Click {side}" if self._clicks.is_active else "Split by clicks…")

    # -- doing ------------------------------------------------------------------------------

    def go(self, step: int) -> None:
        """Go to the next object that is not locked, or to the one before."""
        layer = self._layer
        if layer is None:
            return
        self._give_up()
        try:
            number, voxel = next_object(layer.state, int(layer.selected_label), step)
        except ApprenticeError as error:
            self.refused.emit(str(error))
            return
        self.refused.emit("")
        layer.selected_label = number
        dims, world = self._viewer.dims, layer.data_to_world(voxel)
        extra = dims.ndim - layer.ndim
        dims.set_point(range(extra, dims.ndim), [float(v) for v in world])
        shown = [a - extra for a in dims.displayed if a >= extra]
        self._viewer.scene.camera.center = tuple(float(world[a]) for a in shown)

    def make(self) -> None:
        """Paint a new object from now on."""
        if self._layer is not None and self._try(new_object):
            self._layer.selected_label = new_object(self._layer.state)
            self._layer.mode = "paint"

    def toggle_lock(self) -> None:
        """Lock the object in hand, or unlock it."""
        if self._layer is not None:
            value = int(self._layer.selected_label)
            self._try(lock_object, value, value not in self._layer.state.locked)

    def start_merging(self) -> None:
        """Wait for a click on the object to merge; once more gives it up."""
        keep = 0 if self._keep or self._layer is None else int(self._layer.selected_label)
        self._give_up()
        if self._layer is not None and keep:
            self._keep = keep
            self._layer.mode = "pick"
        self.render()

    def start_splitting(self) -> None:
        """Wait for a click on either side of an object; once more gives it up."""
        start = not self._clicks.is_active
        self._give_up()
        if self._layer is not None and start:
            self._layer.mode = "pick"
            self._clicks.start(self._layer)
        self.render()

    def _give_up(self) -> None:
        """Wait for no click any more."""
        self._clicks.stop()
        self._keep, self._first = 0, None

    def _on_clicks_clicked(self, voxel: tuple[int, ...]) -> None:
        if self._first is None:
            self._first = voxel
        else:
            first = self._first
            self._give_up()
            self._try(split_between, first, voxel)
        self.render()

    def _on_layer_selected(self, *_: Any) -> None:
        layer, keep = self._layer, self._keep
        if layer is not None and keep and int(layer.selected_label) not in (0, keep):
            self._keep = 0
            self._try(merge_objects, keep, int(layer.selected_label))
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
