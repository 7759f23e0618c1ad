"""Crop, resample, turn, flip: buttons that make a new image of the one that is worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from psygnal import Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.units import unit_text
from napari_apprentice.engine.geometry import box_of, cropped, flipped, quarter_turned
from napari_apprentice.session.preparing import change_job, resample_job

from ._box import Drawing, box_around
from .layers import is_helper, volume_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Layer

    from napari_apprentice.core.volume import Volume
    from napari_apprentice.session.session import Session

__all__ = ["GeometryTools"]


class GeometryTools(QWidget):
    """Makes new images; what they show stays where it is, but for turning and flipping.

    Parameters
    ----------
    viewer, session
        What they work on.
    """

    made = Signal(object)
    """A new image (`Volume`)."""
    failed = Signal(str)
    """Why there is none."""

    def __init__(self, viewer: napari.viewer.Viewer, session: Session) -> None:
        super().__init__()
        self.viewer, self.session = viewer, session
        self.draw = QPushButton("Crop to a box")
        self.fit = QPushButton("Crop to labels")
        self.spacing = QLineEdit()
        self.resample = QPushButton("Resample")
        self.left, self.right = QPushButton("↺ 90°"), QPushButton("↻ 90°")
        self.across, self.upside = QPushButton("⇄ Flip"), QPushButton("⇅ Flip")
        self._drawing = Drawing(viewer, "add_rectangle", "draw a box")
        self._lay_out()
        self.draw.clicked.connect(self._on_draw_clicked)
        self.fit.clicked.connect(self._on_fit_clicked)
        self.resample.clicked.connect(self._on_resample_clicked)
        self._drawing.drawn.connect(self._on_box_drawn)
        for button, name, change in (
            (self.left, "turned left", lambda v: quarter_turned(v, 1)),
            (self.right, "turned right", lambda v: quarter_turned(v, -1)),
            (self.across, "flipped", lambda v: flipped(v, -1)),
            (self.upside, "upside down", lambda v: flipped(v, -2)),
        ):
            button.clicked.connect(self._maker(name, change))
        self.render_state()

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.addWidget(self.draw, 0, 0)
        grid.addWidget(self.fit, 0, 1)
        line = QHBoxLayout()
        line.addWidget(self.spacing, 1)
        line.addWidget(self.resample)
        turns = QHBoxLayout()
        for button in (self.left, self.right, self.across, self.upside):
            turns.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(grid)
        column.addLayout(line)
        column.addLayout(turns)
        self._tips = {
            self.draw: "Draw a rectangle: the new image is what lies in it, in all planes",
            self.fit: "The new image is the box around what the labels layer marks",
            self.resample: "The new image covers the same with voxels of this size",
            self.left: "Turn the planes against the clock, about the centre",
            self.right: "Turn the planes with the clock, about the centre",
            self.across: "Mirror left and right, about the centre",
            self.upside: "Mirror top and bottom, about the centre",
        }
        self.spacing.setAccessibleName("Size of a voxel")

    def render_state(self) -> None:
        """Show which of it can be done with the image."""
        volume = self.session.volume
        for button, tip in self._tips.items():
            button.setEnabled(volume is not None)
            button.setToolTip(tip if volume is not None else "Open or select an image first.")
        if volume is not None:
            axes = " × ".join(volume.grid.spatial_axes)
            unit = unit_text(volume.grid.unit)
            self.spacing.setPlaceholderText(
                " × ".join(f"{s:.4g}" for s in volume.grid.spacing) + f" {unit}"
            )
            self.spacing.setToolTip(f"Size of a voxel along {axes}, in {unit}; one number for all")

    def stop(self) -> None:
        """Give up drawing."""
        self._drawing.stop()

    # -- crop -------------------------------------------------------------------------------

    def _on_draw_clicked(self) -> None:
        layer: Any = self.viewer.layers.selection.active
        if layer is None or isinstance(layer, Labels) or self.session.volume is None:
            self.failed.emit("Select the image layer first.")
            return
        self._drawing.start(layer)

    def _on_box_drawn(self, corners: Any) -> None:
        volume = self.session.volume
        if volume is None:
            return
        n = volume.grid.ndim
        shown = [a - corners.shape[1] + n for a in self.viewer.dims.displayed]
        axes = [a for a in shown if a >= 0]
        shape = volume.grid.spatial_shape
        start, stop = box_around(corners[:, -n:], shape, axes, max(shape))
        self._make("cropped", lambda v: cropped(v, start, stop))

    def _on_fit_clicked(self) -> None:
        labels = self._labels()
        if labels is None:
            self.failed.emit("There are no labels on the grid of this image.")
            return
        data = labels.data
        self._make("cropped", lambda v: cropped(v, *box_of(data)))

    def _labels(self) -> Layer | None:
        volume = self.session.volume
        if volume is None:
            return None
        active = self.viewer.layers.selection.active
        known = [active, *reversed(self.viewer.layers)]
        for layer in known:
            is_own = isinstance(layer, Labels) and not is_helper(layer)
            if is_own and volume_of(layer).grid == volume.grid.spatial:
                return layer
        return None

    # -- the rest ---------------------------------------------------------------------------

    def _maker(self, name: str, change: Callable[[Volume], Volume]) -> Callable[[], None]:
        return lambda: self._make(name, change)

    def _make(self, name: str, change: Callable[[Volume], Volume]) -> None:
        volume = self.session.volume
        if volume is not None:
            job = change_job(volume, change, name)
            self.session.launch(f"Making {volume.name} ▸ {name}", job, self.made.emit)

    def _on_resample_clicked(self) -> None:
        volume = self.session.volume
        if volume is None:
            return
        try:
            spacing = self._spacing(volume)
        except BadInputError as error:
            self.failed.emit(str(error))
            return
        self.session.launch(
            f"Resampling {volume.name}", resample_job(volume, spacing), self.made.emit
        )

    def _spacing(self, volume: Volume) -> list[float]:
        words = self.spacing.text().replace("×", " ").replace("x", " ").replace(",", " ").split()
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        n = volume.grid.ndim
        if len(values) == 1:
            values *= n
        if len(values) != n or min(values) <= 0:
            raise BadInputError(
                f"expected the size of a voxel, one number or {n}, found {self.spacing.text()!r}"
            )
        return values
