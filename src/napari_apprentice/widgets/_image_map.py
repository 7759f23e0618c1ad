"""A map of the images of a folder, in which a click opens an image."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_apprentice.core.annotation import OKABE_ITO
from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.image_map import map_job
from napari_apprentice.session.text import describe_error

from ._gallery_view import GalleryView
from ._parts import ErrorLine, elided, wrapped
from ._path_row import PathRow

if TYPE_CHECKING:
    import napari
    from numpy.typing import NDArray
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_apprentice.session.image_map import ImageMap
    from napari_apprentice.session.session import Session

__all__ = ["ImageMapView"]

_NEAR = 12.0
# As pyqtgraph calls them, and as they are written.
_SYMBOLS = {"o": "●", "t": "▼", "s": "■", "d": "◆", "+": "+", "x": "×", "star": "★", "p": "⬟"}
# Where the name of an axis has its lower half.
_BELOW = 6


class MapPlot(pg.PlotWidget):
    """Points of images, a shape and a colour for each class; a click picks the nearest."""

    picked = Signal(int)
    """Position of the image that was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.hideButtons()
        self.setMenuEnabled(False)
        self.setMinimumHeight(240)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setToolTip("Click a point to open its image")
        self.points: NDArray[np.float64] = np.empty((0, 2))
        self._items = pg.ScatterPlotItem(pen=None, size=8)
        self._marked = pg.ScatterPlotItem(
            pen=pg.mkPen(OKABE_ITO[0], width=2), brush=None, size=16, symbol="s"
        )
        self.addItem(self._items)
        self.addItem(self._marked)
        for side in ("left", "bottom"):
            self.getAxis(side).setStyle(showValues=False)
        self.plotItem.layout.setContentsMargins(1, 1, 1, _BELOW)
        self.legend = ""
        self.scene().sigMouseClicked.connect(self._on_scene_clicked)

    def set_map(self, found: ImageMap | None) -> None:
        """Show a map, or none."""
        self.points = np.empty((0, 2)) if found is None else found.points
        classes = [] if found is None else [found.classes.get(n) for n in range(len(self.points))]
        names = list(dict.fromkeys(name for name in classes if name is not None))
        kinds = [names.index(c) % len(_SYMBOLS) if c is not None else 1 for c in classes]
        symbols = list(_SYMBOLS)
        self.legend = " &nbsp; ".join(_entry(n, name) for n, name in enumerate(names))
        self._items.setData(
            pos=self.points,
            symbol=[symbols[k] for k in kinds],
            brush=[pg.mkBrush(OKABE_ITO[k]) for k in kinds],
        )
        self._marked.setData(pos=self.points[:0])
        if found is not None:
            self.setLabel("bottom", f"first component ({found.shares[0]:.0%})")
            self.setLabel("left", f"second component ({found.shares[1]:.0%})")
        self.plotItem.vb.autoRange()

    def mark(self, at: int) -> None:
        """Mark one image."""
        self._marked.setData(pos=self.points[at : at + 1])

    def _on_scene_clicked(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.pick_at(event.scenePos())

    def pick_at(self, position: QPointF) -> None:
        """Pick the image nearest to a place of the window, if one is near."""
        box = self.plotItem.vb
        here, (across, up) = box.mapSceneToView(position), box.viewPixelSize()
        pixels = np.hypot(
            (self.points[:, 0] - here.x()) / across, (self.points[:, 1] - here.y()) / up
        )
        if len(pixels) and pixels.min() <= _NEAR:
            self.picked.emit(int(pixels.argmin()))

    def set_theme(self, background: str, text: str) -> None:
        """Take a theme's colours."""
        self.setBackground(background)
        for side in ("left", "bottom"):
            axis = self.getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)


def _entry(number: int, name: str) -> str:
    """One class in the legend."""
    kind = number % len(_SYMBOLS)
    sign = list(_SYMBOLS.values())[kind]
    return f'<span style="color:{OKABE_ITO[kind]}">{sign}</span> {escape(name)}'


class ImageMapView(QWidget):
    """Choose a folder, map it with a model, click through it.

    Parameters
    ----------
    viewer
        Shows the image that was clicked, as long as the map is seen.
    session
        Runs the job.
    """

    mapped = Signal()
    """A map is shown."""

    def __init__(self, viewer: napari.viewer.Viewer, session: Session) -> None:
        super().__init__()
        self._session = session
        self.view = GalleryView(viewer)
        self.folder = PathRow("a folder of images")
        self.button = QPushButton("Map")
        self.text, self.legend, self.place = wrapped(), QLabel(), elided(bold=True)
        self.legend.setWordWrap(True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self.refusal = ErrorLine()
        self.plot = MapPlot()
        self.found: ImageMap | None = None
        self.model: str | None = None
        self._at: int | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        above = (self.folder, self.button, self.refusal, self.text, self.legend)
        for widget in (*above, self.plot, self.place):
            layout.addWidget(widget)
        self.folder.changed.connect(self.render_state)
        self.button.clicked.connect(self._on_button_clicked)
        self.plot.picked.connect(self._on_plot_picked)
        self.render_state()

    def set_model(self, name: str | None) -> None:
        """Map with another model; None: there is none that can."""
        self.model = name
        self.render_state()

    def render_state(self) -> None:
        """Show what there is."""
        problem = self._session.busy
        if self.folder.path is None:
            problem = "Choose a folder of images."
        if self.model is None:
            problem = "Choose a model for anomalies above, or learn what is normal: it has a narrow middle."
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or f"Place the images by what {self.model} sees in them")
        self.text.setText("" if self.found is None else self.found.describe())
        for widget in (self.text, self.plot, self.place):
            widget.setVisible(self.found is not None)
        self.legend.setText(self.plot.legend)
        self.legend.setVisible(bool(self.plot.legend))

    def _on_button_clicked(self) -> None:
        if self.model is None or self.folder.path is None:
            return
        self.refusal.set_sentence("")
        job = map_job(self._session.store, self.model, self.folder.path)
        self._session.launch(f"Mapping with {self.model}", job, self.set_map)

    def set_map(self, found: ImageMap) -> None:
        """Show a map."""
        self.found, self._at = found, None
        self.view.forget()
        self.plot.set_map(found)
        self.place.setText("")
        self.render_state()
        self.mapped.emit()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """The image goes with the map."""
        self.view.leave_with(event)
        super().hideEvent(event)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """The image comes back with the map."""
        super().showEvent(event)
        if self._at is not None and self.view.is_missing:
            self._on_plot_picked(self._at)

    def _on_plot_picked(self, at: int) -> None:
        if self.found is None:
            return
        self._at = at
        sample = self.found.samples[at]
        self.plot.mark(at)
        kind = self.found.classes.get(at)
        self.place.setText(sample.name if kind is None else f"{sample.name} · {kind}")
        self.refusal.set_sentence("")
        try:
            self.view.show(at, sample)
        except ApprenticeError as error:
            self.refusal.set_sentence(describe_error(error))
