"""Colours of classes and channels as formats keep them: ``"#RRGGBB"`` here, numbers there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["as_color", "by_value", "color_of", "rgb_of"]

_HEX = re.compile(r"#?([0-9a-fA-F]{6})(?:[0-9a-fA-F]{2})?")


def color_of(red: float, green: float, blue: float) -> str:
    """``"#RRGGBB"`` of three numbers from 0 to 255; what lies outside is moved to the nearest."""
    return "#" + "".join(f"{min(255, max(0, round(v))):02X}" for v in (red, green, blue))


def rgb_of(color: str) -> tuple[int, int, int]:
    """Red, green and blue from 0 to 255 of a colour that `Volume` accepts."""
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def as_color(text: Any) -> str | None:
    """``"#RRGGBB"`` of what a file says, with or without ``#`` and alpha; None where it is something else."""
    found = _HEX.fullmatch(str(text).strip())
    return f"#{found[1].upper()}" if found else None


def by_value(pairs: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[int, str]:
    """Value → colour from a file's strings; what is no whole number or no colour is left out."""
    items = pairs.items() if hasattr(pairs, "items") else pairs
    found = {}
    for value, text in items:
        color = as_color(text)
        if color is not None and str(value).lstrip("-").isdecimal():
            found[int(value)] = color
    return found
