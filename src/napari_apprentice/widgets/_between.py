"""A row that goes from one seed to another: both ends, and a slider between them."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QSlider, QSpinBox, QVBoxLayout, QWidget

__all__ = ["BetweenRow"]

_MOST = 2**31 - 1


class BetweenRow(QWidget):
    """Two seeds and where between them.

    Parameters
    ----------
    steps
        Places of the slider, both ends among them.
    """

    moved = Signal(int)
    """The slider stands elsewhere, or between others: at which place."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.first, self.last, self.slider = QSpinBox(), QSpinBox(), QSlider()
        self.slider.setOrientation(Qt.Orientation.Horizontal)
        self.slider.setRange(0, steps - 1)
        self.slider.setAccessibleName("From the one image to the other")
        layout, ends = QVBoxLayout(self), QHBoxLayout()
        layout.setContentsMargins(0, 0, 0, 0)
        for box in (self.first, self.last):
            ends.addWidget(box)
        layout.addLayout(ends)
        layout.addWidget(self.slider)
        for box, value, end in ((self.first, 0, "left"), (self.last, 1, "right")):
            box.setRange(0, _MOST)
            box.setValue(value)
            box.setToolTip(f"Seed of the image at the {end} end")
            box.setAccessibleName(box.toolTip())
        self.slider.valueChanged.connect(self.moved.emit)
        for box in (self.first, self.last):
            box.valueChanged.connect(lambda _: self.moved.emit(self.slider.value()))
