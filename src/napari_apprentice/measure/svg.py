"""Figures as SVG for a page of its own: nothing is loaded from anywhere, every text is escaped."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import OKABE_ITO

from .figures import Matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .figures import Curve, Figure, Plot

__all__ = ["as_text", "svg"]

_WIDTH, _HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 46
_LINE = 18
_CELL, _MOST_NUMBERS, _NAMED = 48, 14, 40
_DASHES = ("", "7 3", "2 3", "8 3 2 3")
_LONGEST = 28
# Blue and vermillion first; yellow is hardly seen on white.
_COLOURS = tuple(OKABE_ITO[n] for n in (4, 5, 2, 6, 1, 0, 7))


def as_text(text: str) -> str:
    """Text for HTML and SVG, attributes included; control and direction characters, which can disguise it, become ``�``."""
    plain = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return escape(plain, quote=True)


def svg(figure: Figure) -> str:
    """Draw a figure; text has the page's colour.

    Parameters
    ----------
    figure
        What to draw.

    Returns
    -------
    str
        One ``<svg>`` element.
    """
    return _matrix(figure) if isinstance(figure, Matrix) else _plot(figure)


def _short(text: str) -> str:
    return (
        text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 + 1 :]}"
    )


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{as_text(text)}</text>'


def _framed(body: Sequence[str], width: float, height: float, label: str) -> str:
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" aria-label="{as_text(label)}">'
    return head + "".join(body) + "</svg>"


# -- curves -------------------------------------------------------------------------------


class _Axes:
    """From values to places in the picture."""

    def __init__(self, plot: Plot) -> None:
        self.x_low, self.x_high = _ends(plot.x_range)
        self.y_low, self.y_high = _ends(plot.y_range)

    def place(self, x: float, y: float) -> tuple[float, float]:
        across = (x - self.x_low) / (self.x_high - self.x_low)
        up = (y - self.y_low) / (self.y_high - self.y_low)
        wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
        return _LEFT + across * wide, _TOP + (1 - up) * high


def _ends(pair: tuple[float, float]) -> tuple[float, float]:
    low, high = (float(v) for v in pair)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """Round values in a range, about five."""
    raw = (high - low) / 5
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(s * size for s in (1, 2, 2.5, 5, 10) if s * size >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [step * n for n in range(first, last + 1)]


def _plot(plot: Plot) -> str:
    axes = _Axes(plot)
    body = [*_scales(plot, axes)]
    if plot.diagonal:
        low = max(axes.x_low, axes.y_low)
        high = min(axes.x_high, axes.y_high)
        body.append(
            _line([axes.place(low, low), axes.place(high, high)], "currentColor", "3 4", 0.4)
        )
    for number, curve in enumerate(plot.curves):
        body += _curve(curve.thinned(), axes, number)
    height = _HEIGHT
    for number, curve in enumerate(plot.curves):
        height += _LINE
        colour, dashes = _look(number)
        y = height - 6.0
        body.append(_line([(_LEFT, y - 4), (_LEFT + 26, y - 4)], colour, dashes))
        body.append(
            _text(_LEFT + 34, y, _short(curve.name) if len(curve.name) > 52 else curve.name)
        )
    return _framed(body, _WIDTH, height + 4, plot.title)


def _scales(plot: Plot, axes: _Axes) -> list[str]:
    left, bottom = axes.place(axes.x_low, axes.y_low)
    right, top = axes.place(axes.x_high, axes.y_high)
    body = [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}" '
        'fill="none" stroke="currentColor" stroke-opacity="0.5"/>'
    ]
    for value in _ticks(axes.x_low, axes.x_high):
        x, _ = axes.place(value, axes.y_low)
        body.append(_text(x, bottom + 16, f"{value:g}", 'text-anchor="middle"'))
    for value in _ticks(axes.y_low, axes.y_high):
        _, y = axes.place(axes.x_low, value)
        body.append(_text(left - 6, y + 4, f"{value:g}", 'text-anchor="end"'))
        body.append(_line([(left, y), (right, y)], "currentColor", "", 0.12))
    body.append(_text((left + right) / 2, bottom + 36, plot.x_label, 'text-anchor="middle"'))
    middle = (top + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 14 {middle:.1f})"'
    return [*body, _text(14, middle, plot.y_label, turned)]


def _look(number: int) -> tuple[str, str]:
    """Colour and dashes of a curve: never colour alone."""
    return _COLOURS[number % len(_COLOURS)], _DASHES[number % len(_DASHES)]


def _line(
    points: Sequence[tuple[float, float]], colour: str, dashes: str = "", opacity: float = 1.0
) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
        f'stroke-opacity="{opacity:g}"{dashed}/>'
    )


def _curve(curve: Curve, axes: _Axes, number: int) -> list[str]:
    colour, dashes = _look(number)
    known = np.isfinite(curve.x) & np.isfinite(curve.y)
    points = [
        axes.place(float(x), float(y)) for x, y in zip(curve.x[known], curve.y[known], strict=True)
    ]
    body = [_line(points, colour, dashes)] if len(points) > 1 else []
    if curve.dots:
        body += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return body


# -- matrices -----------------------------------------------------------------------------


def _matrix(matrix: Matrix) -> str:
    size = len(matrix.names)
    cell = _CELL if size <= _MOST_NUMBERS else max(3, 640 // size)
    left, top = (150.0, 110.0) if size <= _NAMED else (30.0, 30.0)
    body = [_text(left, 12, "predicted →", ""), _text(2, top + 12, "true ↓", "")]
    for row, shares in enumerate(matrix.shares):
        for column, share in enumerate(shares):
            x, y = left + column * cell, top + row * cell
            body.append(_cell(matrix, row, column, float(share), (x, y, cell)))
    if size <= _NAMED:
        for number, name in enumerate(matrix.names):
            middle = number * cell + cell / 2
            body.append(_text(left - 6, top + middle + 4, _short(name), 'text-anchor="end"'))
            x, y = left + middle + 4, top - 6
            body.append(_text(x, y, _short(name), f'transform="rotate(-40 {x:.1f} {y:.1f})"'))
    return _framed(body, left + size * cell + 90, top + size * cell + 10, matrix.title)


def _cell(
    matrix: Matrix, row: int, column: int, share: float, place: tuple[float, float, float]
) -> str:
    """Square as dark as its share of the true class; right answers blue, wrong ones orange."""
    x, y, size = place
    colour = OKABE_ITO[4] if row == column else OKABE_ITO[5]
    count = int(matrix.counts[row][column])
    says = f"{matrix.names[row]} taken for {matrix.names[column]}: {count} ({share:.1%})"
    square = (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{size - 1:.1f}" height="{size - 1:.1f}" fill="{colour}" '
        f'fill-opacity="{0.08 + 0.72 * share if count else 0.04:.3f}"><title>{as_text(says)}</title></rect>'
    )
    if len(matrix.names) > _MOST_NUMBERS or not count:
        return square
    middle = f'text-anchor="middle" font-size="{11 if count < 10_000 else 9}"'
    share_text = f"{100 * share:.3g} %"
    return (
        square
        + _text(x + size / 2, y + size / 2 - 2, _count_text(count), middle)
        + _text(x + size / 2, y + size / 2 + 12, share_text, middle)
    )


def _count_text(count: int) -> str:
    return f"{count}" if count < 100_000 else f"{count:.1e}"
