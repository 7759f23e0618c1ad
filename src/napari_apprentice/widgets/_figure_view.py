"""The figures of an evaluation, one at a time, in pyqtgraph."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_apprentice.core.annotation import OKABE_ITO
from napari_apprentice.measure.figures import Matrix

from ._parts import ElidedList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.measure.figures import Figure, Plot

__all__ = ["FigureView"]

_COLORS = tuple(OKABE_ITO[n] for n in (1, 0, 2, 6, 4, 5, 7))
_STYLES = (
    Qt.PenStyle.SolidLine,
    Qt.PenStyle.DashLine,
    Qt.PenStyle.DotLine,
    Qt.PenStyle.DashDotLine,
)
_SIGNS = ("━━━", "━ ━", "┅┅┅", "━ ·")
_MOST_NUMBERS = 8
_NAMED = 12
_SHORT = 9
_IN_ONE_LINE, _IN_TWO_LINES = 3, 6


class FigureView(QWidget):
    """A list of figures and the one that is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.titles = ElidedList()
        self.plot = pg.PlotWidget()
        self.plot.hideButtons()
        self.plot.setMouseEnabled(False, False)
        self.plot.setFixedHeight(230)
        self.plot.plotItem.layout.setContentsMargins(1, 1, 1, 6)  # else names of axes are cut off
        self.plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.legend = QLabel()
        self.legend.setWordWrap(True)
        self.legend.setTextFormat(Qt.TextFormat.RichText)
        self._figures: tuple[Figure, ...] = ()
        self._text = "#ffffff"
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        for widget in (self.titles, self.plot, self.legend):
            layout.addWidget(widget)
        layout.addStretch()
        self.titles.setAccessibleName("figure")
        self.titles.currentIndexChanged.connect(self.draw)

    def set_figures(self, figures: Sequence[Figure]) -> None:
        """Show these; one of the same title stays chosen."""
        chosen = self.titles.currentText()
        self._figures = tuple(figures)
        was_blocked = self.titles.blockSignals(True)
        self.titles.clear()
        self.titles.addItems([figure.title for figure in figures])
        self.titles.setCurrentIndex(max(0, self.titles.findText(chosen)) if figures else -1)
        self.titles.blockSignals(was_blocked)
        self.draw()

    def set_theme(self, background: str, text: str) -> None:
        """Take a theme's colours."""
        self._text = text
        self.plot.setBackground(background)
        self.draw()

    def draw(self) -> None:
        """Draw the chosen figure."""
        self.plot.clear()
        at = self.titles.currentIndex()
        for side in ("left", "bottom"):
            axis = self.plot.getAxis(side)
            axis.setPen(self._text)
            axis.setTextPen(self._text)
            axis.setTicks(None)
        if not 0 <= at < len(self._figures):
            self.legend.setText("")
            return
        figure = self._figures[at]
        if isinstance(figure, Matrix):
            self._draw_matrix(figure)
        else:
            self._draw_curves(figure)

    def _draw_curves(self, figure: Plot) -> None:
        self.plot.getViewBox().invertY(False)
        names = []
        if figure.diagonal:
            grey = pg.mkPen("#888888", width=1, style=Qt.PenStyle.DotLine)
            self.plot.plot([0, 1], [0, 1], pen=grey)
        for number, curve in enumerate(figure.curves):
            thin, color = curve.thinned(), _COLORS[number % len(_COLORS)]
            style = _STYLES[number % len(_STYLES)]
            known = np.isfinite(thin.x) & np.isfinite(thin.y)
            marks: dict[str, Any] = {"symbol": "o", "symbolSize": 6} if curve.dots else {}
            if marks:
                marks |= {"symbolBrush": color, "symbolPen": None}
            pen = pg.mkPen(color, width=2, style=style)
            self.plot.plot(thin.x[known], thin.y[known], pen=pen, **marks)
            sign = _SIGNS[number % len(_SIGNS)]
            # Names of classes come from anywhere.
            names.append(f'<span style="color:{color}">{sign}</span> {escape(curve.name)}')
        self.plot.setLabel("bottom", figure.x_label)
        self.plot.setLabel("left", figure.y_label)
        self.plot.setXRange(*figure.x_range, padding=0.03)
        self.plot.setYRange(*figure.y_range, padding=0.05)
        self.legend.setText("<br>".join(names))

    def _draw_matrix(self, figure: Matrix) -> None:
        size, shares = len(figure.names), figure.shares
        right = np.eye(size, dtype=bool)
        colors = np.where(right[..., np.newaxis], _rgb(OKABE_ITO[1]), _rgb(OKABE_ITO[0]))
        opacity = np.where(np.asarray(figure.counts) > 0, 40 + 200 * shares, 12)
        picture = np.concatenate([colors, opacity[..., np.newaxis]], axis=-1).astype(np.uint8)
        self.plot.addItem(pg.ImageItem(picture.transpose(1, 0, 2)))
        self.plot.getViewBox().invertY(True)
        self.plot.setLabel("bottom", "predicted")
        self.plot.setLabel("left", "true")
        if size <= _MOST_NUMBERS:
            self._write_shares(shares)
        names = [_shortened(name) for name in figure.names] if size <= _NAMED else []
        for side, shown in (("left", names), ("bottom", _staggered(names))):
            axis = self.plot.getAxis(side)
            axis.setTicks([[(n + 0.5, name) for n, name in enumerate(shown)]])
            axis.setStyle(hideOverlappingLabels=False)  # names that reach over the edge, too
        self.plot.setXRange(0, size, padding=0.01)
        self.plot.setYRange(0, size, padding=0.01)
        self.legend.setText("share of each true class, in percent; the report has the counts")

    def _write_shares(self, shares: Any) -> None:
        for row, column in np.ndindex(shares.shape):
            share = shares[row, column]
            # The brighter half of the cells is too bright for a dark theme's letters.
            color = "black" if share > 0.5 else self._text
            item = pg.TextItem(f"{100 * share:.3g}", color, anchor=(0.5, 0.5))
            item.setPos(column + 0.5, row + 0.5)
            self.plot.addItem(item)


def _staggered(names: Sequence[str]) -> list[str]:
    """Names one below the other by turns, in as many lines as they need to pass each other in a dock's width."""
    lines = 1 + (len(names) > _IN_ONE_LINE) + (len(names) > _IN_TWO_LINES)
    return ["\n" * (n % lines) + name for n, name in enumerate(names)]


def _rgb(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def _shortened(name: str) -> str:
    return name if len(name) <= _SHORT else f"{name[: _SHORT - 1]}…"
