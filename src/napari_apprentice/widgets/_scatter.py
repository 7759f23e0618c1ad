"""A histogram of one column or a scatter plot of two, in which a drag with the mouse selects and a click picks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import QPointF, Qt, Signal
from qtpy.QtWidgets import QFormLayout, QVBoxLayout, QWidget

from napari_apprentice.core.annotation import OKABE_ITO
from napari_apprentice.session.measuring import inside

from ._parts import ElidedList

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_apprentice.session.measuring import Measured

__all__ = ["ObjectPlot"]

_BLUE, _ORANGE = OKABE_ITO[1], OKABE_ITO[0]
_BINS = 30
_NEAR = 12.0
_COUNT = "how many"


class _LassoBox(pg.ViewBox):
    """Hands a drag with the left button on as an outline, where pyqtgraph would move the plot."""

    dragged = Signal(object, bool)
    """Corners so far in data coordinates, shape ``(m, 2)``, and whether the button was let go."""

    def __init__(self) -> None:
        super().__init__(enableMenu=False)
        self._corners: list[tuple[float, float]] = []

    def mouseDragEvent(self, event: Any, axis: int | None = None) -> None:  # noqa: N802 - Qt's name
        if event.button() != Qt.MouseButton.LeftButton:
            super().mouseDragEvent(event, axis)
            return
        event.accept()
        if event.isStart():
            self._corners = [self._place(event.buttonDownPos())]
        self._corners.append(self._place(event.pos()))
        self.dragged.emit(np.array(self._corners), bool(event.isFinish()))

    def _place(self, position: Any) -> tuple[float, float]:
        point = self.mapToView(position)
        return float(point.x()), float(point.y())


class ObjectPlot(QWidget):
    """What was measured of each object, and which of them are selected."""

    selected = Signal(object)
    """Rows of the table that the person selected, an array."""
    picked = Signal(int)
    """Row of the object that the person clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.across = ElidedList()
        self.up = ElidedList()
        self.across.setToolTip("What is plotted to the right")
        self.up.setToolTip(f"What is plotted upwards; “{_COUNT}” makes a histogram")
        self.box = _LassoBox()
        self.plot = pg.PlotWidget(viewBox=self.box)
        self.plot.hideButtons()
        self.plot.setMinimumHeight(220)
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.plot.setToolTip("Drag around objects to select them, click one to go to it")
        self._measured: Measured | None = None
        self._rows: NDArray[Any] = np.empty(0, dtype=int)
        self._points = pg.ScatterPlotItem(pen=None, brush=pg.mkBrush(_BLUE + "99"), size=6)
        # Larger and of another shape: colour alone is not seen by everybody.
        self._marked = pg.ScatterPlotItem(
            pen=pg.mkPen(_ORANGE, width=2), brush=None, size=11, symbol="s"
        )
        self._bars = pg.BarGraphItem(x=[], height=[], width=1, brush=_BLUE, pen=None)
        self._marked_bars = pg.BarGraphItem(x=[], height=[], width=1, brush=_ORANGE, pen=None)
        self._lasso = self.plot.plot(pen=pg.mkPen(_ORANGE, width=1, style=Qt.PenStyle.DashLine))
        for item in (self._bars, self._marked_bars, self._points, self._marked):
            self.plot.addItem(item)
        form = QFormLayout()
        form.addRow("Across", self.across)
        form.addRow("Up", self.up)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.plot)
        self.across.currentIndexChanged.connect(self._on_columns_index)
        self.up.currentIndexChanged.connect(self._on_columns_index)
        self.box.dragged.connect(self._on_box_dragged)
        self.plot.scene().sigMouseClicked.connect(self._on_scene_clicked)

    # -- what is shown ------------------------------------------------------------------------

    def set_measured(self, measured: Measured | None) -> None:
        """Show a table; columns that it has too stay chosen, nothing is selected."""
        self._measured = measured
        self._rows = np.empty(0, dtype=int)
        names = [] if measured is None else measured.columns()
        for box, first, position in ((self.across, [], 0), (self.up, [_COUNT], 0)):
            chosen = box.currentText()
            was_blocked = box.blockSignals(True)
            box.clear()
            box.addItems([*first, *names])
            box.setCurrentIndex(max(position, box.findText(chosen)) if box.count() else -1)
            box.blockSignals(was_blocked)
        self.draw()

    def set_selected(self, rows: Iterable[int]) -> None:
        """Mark these rows; emits nothing."""
        self._rows = np.array(sorted(rows), dtype=int)
        self.draw()

    @property
    def is_histogram(self) -> bool:
        """Whether one column is shown, and how many objects have which value."""
        return self.up.currentText() in ("", _COUNT)

    def points(self) -> NDArray[np.float64]:
        """Where the objects stand in the plot, shape ``(rows, 2)``; in a histogram all at 0."""
        if self._measured is None or not self.across.currentText():
            return np.empty((0, 2))
        x = self._measured.values(self.across.currentText())
        y = np.zeros(len(x)) if self.is_histogram else self._measured.values(self.up.currentText())
        return np.column_stack([x, y])

    def draw(self) -> None:
        """Draw what there is."""
        points = self.points()
        finite = np.asarray(np.isfinite(points).all(axis=1))
        rows = self._rows[finite[self._rows]] if len(points) else self._rows[:0]
        self._lasso.setData([], [])
        if self.is_histogram:
            self._draw_bars(points[finite, 0], points[rows, 0])
        shown, marked = (
            (points[:0], points[:0]) if self.is_histogram else (points[finite], points[rows])
        )
        self._points.setData(pos=shown)
        self._marked.setData(pos=marked)
        for item in (self._bars, self._marked_bars):
            item.setVisible(self.is_histogram)
        self.plot.setLabel("bottom", self.across.currentText())
        self.plot.setLabel("left", self.up.currentText())

    def _draw_bars(self, values: NDArray[Any], marked: NDArray[Any]) -> None:
        heights, edges = np.histogram(values, bins=min(_BINS, max(5, round(len(values) ** 0.5))))
        width = edges[1] - edges[0]
        for item, counts in (
            (self._bars, heights),
            (self._marked_bars, np.histogram(marked, edges)[0]),
        ):
            item.setOpts(x0=edges[:-1], height=counts, width=0.92 * width)

    def set_theme(self, background: str, text: str) -> None:
        """Take a theme's colours."""
        self.plot.setBackground(background)
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(text)
            axis.setTextPen(text)

    # -- what the person does -----------------------------------------------------------------

    def _on_columns_index(self) -> None:
        self.draw()
        self.box.autoRange()

    def _on_box_dragged(self, corners: NDArray[np.float64], is_done: bool) -> None:
        closed = np.vstack([corners, corners[:1]])
        self._lasso.setData(closed[:, 0], closed[:, 1])
        if is_done:
            self.select_in(corners)

    def select_in(self, outline: NDArray[np.float64]) -> None:
        """Select the objects in an outline; in a histogram those between its ends."""
        points = self.points()
        if self.is_histogram:
            low, high = outline[:, 0].min(), outline[:, 0].max()
            rows = np.flatnonzero((points[:, 0] >= low) & (points[:, 0] <= high))
        else:
            rows = inside(points, outline)
        self.set_selected(rows)
        self.selected.emit(rows)

    def _on_scene_clicked(self, event: Any) -> None:
        if event.button() == Qt.MouseButton.LeftButton and not self.is_histogram:
            self.pick_at(event.scenePos())

    def pick_at(self, position: QPointF) -> None:
        """Pick the object nearest to a place of the window, if one is near."""
        points, here = self.points(), self.box.mapSceneToView(position)
        across, up = self.box.viewPixelSize()
        pixels = np.hypot((points[:, 0] - here.x()) / across, (points[:, 1] - here.y()) / up)
        pixels = np.nan_to_num(pixels, nan=np.inf)
        if len(pixels) and pixels.min() <= _NEAR:
            nearest = int(pixels.argmin())
            self.set_selected([nearest])
            self.picked.emit(nearest)
