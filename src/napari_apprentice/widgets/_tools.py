"""The tools of a labels layer as buttons: they set the layer's mode and show it, whoever set it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ._buttons import ElidedButton
from ._following import Following

if TYPE_CHECKING:
    from .annotating import AnnotationLabels

__all__ = ["TOOLS", "Tools"]

TOOLS = (
    (
        "paint",
        "Brush",
        "P",
        "Paint the chosen class. Going over voxels that are right confirms them",
    ),
    ("erase", "Eraser", "E", "Paint background"),
    ("fill", "Fill", "F", "Give a whole connected area the chosen class"),
    ("polygon", "Polygon", "3", "Click corners; Enter or a double click fills the polygon"),
    ("pick", "Pick", "L", "Choose what to paint by clicking on it"),
    ("pan_zoom", "Move", "Z", "Move and zoom; or hold Space in any other tool"),
)
"""Mode of the layer, name, napari's own key, what it does."""
_LARGEST = 100


class Tools(QWidget):
    """Tools and brush size of one layer."""

    def __init__(self) -> None:
        super().__init__()
        self._layer: AnnotationLabels | None = None
        self._following = Following()
        self.destroyed.connect(self._following.stop)
        self.group = QButtonGroup(self)
        grid = QGridLayout()
        grid.setSpacing(2)
        for number, (_, name, key, does) in enumerate(TOOLS):
            button = ElidedButton(name)
            button.setCheckable(True)
            button.setToolTip(f"{does} ({key})")
            self.group.addButton(button, number)
            grid.addWidget(button, number // 3, number % 3)
        self.size = QSlider(Qt.Orientation.Horizontal)
        self.number = QSpinBox()
        for widget in (self.size, self.number):
            widget.setRange(1, _LARGEST)
            widget.setAccessibleName("brush size")
            widget.valueChanged.connect(self._on_size_changed)
        self.volume = QPushButton("3-D")
        self.volume.setCheckable(True)
        self.volume.toggled.connect(self._on_volume_toggled)
        below = QHBoxLayout()
        below.addWidget(QLabel("Size"))
        below.addWidget(self.size, 1)
        below.addWidget(self.number)
        below.addWidget(self.volume)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(grid)
        layout.addLayout(below)
        self.group.idClicked.connect(self._on_tool_clicked)

    def set_layer(self, layer: AnnotationLabels | None) -> None:
        """Drive another layer, or none."""
        if layer is self._layer:
            return
        self._following.stop()
        self._layer = layer
        if layer is not None:
            events = layer.events
            sources = (events.mode, events.brush_size, events.n_edit_dimensions)
            self._following.follow(sources, self.render)
        self.setEnabled(layer is not None)
        self.render()

    def render(self, *_: Any) -> None:
        """Show the layer's mode and brush."""
        layer = self._layer
        if layer is None:
            return
        modes = [mode for mode, *_ in TOOLS]
        mode = str(layer.mode)
        if mode in modes:
            self.group.button(modes.index(mode)).setChecked(True)
        self._show_size(round(layer.brush_size))
        flat = layer.ndim < 3
        self.number.setSuffix(" px" if flat else " voxels")
        for widget in (self.size, self.number):
            unit = "pixels" if flat else "voxels"
            widget.setToolTip(f"Diameter of brush and eraser in {unit} ([ and ])")
        self._render_volume(layer, flat)

    def _render_volume(self, layer: AnnotationLabels, flat: bool) -> None:
        self.volume.setEnabled(not flat and not layer.is_solid)
        was_blocked = self.volume.blockSignals(True)
        self.volume.setChecked(not flat and layer.n_edit_dimensions > 2)
        self.volume.blockSignals(was_blocked)
        told = "Brush, fill and polygon reach through slices"
        if layer.is_solid:
            told = (
                "The 3-D view: brush, eraser and fill change what is there already, through slices"
            )
        self.volume.setToolTip(
            "The image is flat: there is nothing to paint through" if flat else told
        )

    def _show_size(self, size: int) -> None:
        for widget in (self.size, self.number):
            was_blocked = widget.blockSignals(True)
            widget.setValue(size)
            widget.blockSignals(was_blocked)

    def _on_tool_clicked(self, number: int) -> None:
        if self._layer is not None:
            self._layer.mode = TOOLS[number][0]

    def _on_size_changed(self, size: int) -> None:
        if self._layer is not None:
            self._layer.brush_size = size

    def _on_volume_toggled(self, through: bool) -> None:
        if self._layer is not None:
            self._layer.n_edit_dimensions = self._layer.ndim if through else 2
