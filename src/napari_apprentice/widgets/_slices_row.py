"""From which slice to which the boxes in hand go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QGridLayout, QLabel, QSpinBox, QWidget

from ._buttons import ElidedButton
from ._keys import key_for
from ._volume_boxes import VolumeBoxes

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Layer

__all__ = ["KEYS", "SlicesRow"]

KEYS = {
    "Shift+I": "the box in hand, of a volume, begins in this slice",
    "Shift+E": "the box in hand, of a volume, ends in this slice",
}
_BEGINS, _ENDS = KEYS


class SlicesRow(QWidget):
    """Two numbers, and two buttons that set them to the slice on show. Hidden unless boxes of a volume are corrected."""

    def __init__(self) -> None:
        super().__init__()
        self._layer: VolumeBoxes | None = None
        self.title = QLabel("Slices")
        self.first, self.last = QSpinBox(), QSpinBox()
        self.begins = ElidedButton("Begins here")
        self.ends = ElidedButton("Ends here")
        for spin, name in ((self.first, "first slice"), (self.last, "last slice")):
            spin.setKeyboardTracking(False)
            spin.setAccessibleName(name)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for column, widget in enumerate((self.title, self.first, QLabel("to"), self.last)):
            grid.addWidget(widget, 0, column)
            grid.setColumnStretch(column, column % 2)
        grid.addWidget(self.begins, 1, 0, 1, 2)
        grid.addWidget(self.ends, 1, 2, 1, 2)
        self.first.valueChanged.connect(lambda value: self._set(first=value))
        self.last.valueChanged.connect(lambda value: self._set(last=value))
        self.begins.clicked.connect(self.begin_here)
        self.ends.clicked.connect(self.end_here)

    def keys(self) -> dict[str, Callable[[], object]]:
        """What is bound to the layer."""
        return dict(zip(KEYS, (self.begin_here, self.end_here), strict=True))

    def render(self, layer: Layer) -> None:
        """Show the boxes in hand of a layer."""
        self._layer = layer if isinstance(layer, VolumeBoxes) else None
        self.setVisible(self._layer is not None)
        if self._layer is None:
            return
        plane, slices, count = self._layer.plane, self._layer.held_slices(), len(self._layer.held)
        axis = "" if plane is None else f" ({self._layer.state.grid.spatial_axes[plane.axis]})"
        self.title.setText(f"Slices{axis}")
        problem = None
        if plane is None:
            problem = "Show slices first: this is the 3-D view."
        elif slices is None:
            problem = "Select a box first (5), in a slice that it passes through."
        self._enable(problem, count)
        if slices is not None and plane is not None:
            self._fill(slices, self._layer.state.grid.shape[plane.axis])

    def _enable(self, problem: str | None, count: int) -> None:
        what = "the box in hand" if count == 1 else f"the {count} boxes in hand"
        told = {
            self.first: f"First slice of {what}",
            self.last: f"Last slice of {what}",
            self.begins: f"The slice on show is the first of {what} ({key_for(_BEGINS)})",
            self.ends: f"The slice on show is the last of {what} ({key_for(_ENDS)})",
        }
        for widget, text in told.items():
            # Several need not begin, or end, together: their ends are set, not shown.
            widget.setEnabled(
                problem is None and (count == 1 or widget in (self.begins, self.ends))
            )
            widget.setToolTip(problem or text)

    def _fill(self, slices: tuple[int, int], length: int) -> None:
        for spin, value in zip((self.first, self.last), slices, strict=True):
            blocker = QSignalBlocker(spin)
            spin.setRange(0, length - 1)
            spin.setValue(value)
            blocker.unblock()

    def begin_here(self) -> None:
        """Let the boxes in hand begin in the slice on show."""
        if self._layer is not None and self._layer.plane is not None:
            self._set(first=self._layer.plane.index)

    def end_here(self) -> None:
        """Let the boxes in hand end in the slice on show."""
        if self._layer is not None and self._layer.plane is not None:
            self._set(last=self._layer.plane.index)

    def _set(self, first: int | None = None, last: int | None = None) -> None:
        if self._layer is not None:
            self._layer.set_slices(first=first, last=last)
