"""Live curves of a training: the loss, and the held-out score above it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_apprentice.core.annotation import OKABE_ITO
from napari_apprentice.session.text import is_less_better, score_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.jobs import Metric

__all__ = ["CurvePlot"]

_MILLISECONDS = 200
_MOST_POINTS = 2000
_SMALLEST_SPAN = 0.02
_BLUE, _ORANGE = OKABE_ITO[1], OKABE_ITO[0]


def span(values: Sequence[float]) -> tuple[float, float, float]:
    """Return a round lower end, upper end and tick distance (two to four of them) around finite values."""
    finite = [v for v in values if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    width = max(high - low, _SMALLEST_SPAN)
    power = 10.0 ** math.floor(math.log10(width / 2))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= width / 3)
    bottom, top = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return bottom * step, max(top, bottom + 1) * step, step


class CurvePlot(QWidget):
    """Loss (line) and held-out score (line with dots) over the training's seconds; drawn at most five times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._metrics: Sequence[Metric] = []
        self._text = "gray"
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_MILLISECONDS)
        self._timer.timeout.connect(self.draw)
        self.loss = pg.PlotWidget()
        self.score = pg.PlotWidget()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        for plot in (self.loss, self.score):
            plot.setMenuEnabled(False)
            plot.hideButtons()
            plot.setMouseEnabled(False, False)
            plot.setMinimumHeight(96)
            plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            layout.addWidget(plot)
            plot.getAxis("left").setWidth(44)
        self.loss.setYRange(0, 1)
        self.score.setYRange(0, 1)
        self.score.setXLink(self.loss)
        self._loss_line = self.loss.plot()
        self._score_line = self.score.plot()
        self._style()

    def follow(self, curve: Sequence[Metric]) -> None:
        """Show the session's curve, whichever dock it began in: another one at once, what it has gained soon; hide where there is none.

        Parameters
        ----------
        curve
            Grows, and is another one when another training begins.
        """
        self.setVisible(bool(curve))
        if curve is not self._metrics:
            self._metrics = curve
            self.draw()
        elif not self._timer.isActive():
            self._timer.start()

    def draw(self) -> None:
        """Draw what there is."""
        losses = [m for m in self._metrics if m.name == "loss"]
        scores = [m for m in self._metrics if m.name != "loss"]
        step = max(1, len(losses) // _MOST_POINTS)
        shown = losses[::step]
        self._loss_line.setData([m.seconds for m in shown], [m.value for m in shown])
        self._score_line.setData([m.seconds for m in scores], [m.value for m in scores])
        self._title(self.loss, "loss", losses)
        name = score_title(scores[-1].name) if scores else "held-out score"
        self._title(self.score, name, scores)
        if losses:
            self.loss.setXRange(0, max(m.seconds for m in self._metrics), padding=0.02)
            self._zoom(self.loss, [m.value for m in shown])
        if scores:
            self._zoom(self.score, [m.value for m in scores])

    @staticmethod
    def _zoom(plot: pg.PlotWidget, values: Sequence[float]) -> None:
        """Fit the axis to the data: 0 to 1 would make a flat line of a gain of 0.05. Ticks stand at round values."""
        low, high, step = span(values)
        ticks = [low + i * step for i in range(round((high - low) / step) + 1)]
        plot.setYRange(low, high, padding=0.15)
        plot.getAxis("left").setTicks([[(v, f"{v:.4g}") for v in ticks]])

    def _title(self, plot: pg.PlotWidget, name: str, points: Sequence[Metric]) -> None:
        text = f"{name} {points[-1].value:.3g}" if points else name
        pick = min if is_less_better(name) else max
        best = pick((p.value for p in points), default=0.0)
        if plot is self.score and points and f"{best:.3g}" != f"{points[-1].value:.3g}":
            text += f", best {best:.3g}"
        plot.setTitle(text, color=self._text, size=f"{self._points()}pt")

    def _points(self) -> int:
        return max(7, self.font().pointSize())

    def set_theme(self, background: str, text: str) -> None:
        """Take a theme's colours; the curves keep theirs, and differ by dots too."""
        self._text = text
        for plot in (self.loss, self.score):
            plot.setBackground(background)
            for side in ("left", "bottom"):
                axis = plot.getAxis(side)
                axis.setPen(text)
                axis.setTextPen(text)
        self.draw()

    def _style(self) -> None:
        self.loss.getAxis("bottom").setStyle(showValues=False)
        self.score.setLabel("bottom", "time", units="s")
        self._loss_line.setPen(pg.mkPen(_ORANGE, width=2))
        self._score_line.setPen(pg.mkPen(_BLUE, width=2))
        self._score_line.setSymbol("o")
        self._score_line.setSymbolSize(6)
        self._score_line.setSymbolBrush(_BLUE)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Room for two small plots."""
        return QSize(320, 240)
