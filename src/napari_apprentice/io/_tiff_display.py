"""Colours and windows of channels in TIFF files of OME, ImageJ and Zeiss (LSM)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.volume import Display

from ._colors import color_of, rgb_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["of_lsm", "ome_color", "shown_by_imagej", "shown_by_ome"]

_WHITE = "#FFFFFF"
_Spacing = tuple[float, float, float]


def shown_by_ome(colors: Sequence[str | None]) -> tuple[Display, ...]:
    """Displays from OME's colours, RGBA in a signed number; white, the default, says nothing."""
    found = []
    for text in colors:
        try:
            number = int(text or "-1") & 0xFFFFFFFF
        except ValueError:
            return ()
        color = color_of(number >> 24, number >> 16 & 255, number >> 8 & 255)
        found.append(Display(None if color == _WHITE else color))
    return _said(found)


def ome_color(color: str) -> int:
    """The number under which OME keeps a colour."""
    red, green, blue = rgb_of(color)
    number = red << 24 | green << 16 | blue << 8 | 255
    return number - 2**32 if number >= 2**31 else number


def shown_by_imagej(metadata: Mapping[str, Any]) -> tuple[Display, ...]:
    """Displays from ImageJ's lookup tables and ranges; tables are followed where they are shown in colour."""
    count = int(metadata.get("channels", 1))
    tables = metadata.get("LUTs") or []
    colored = count > 1 and str(metadata.get("mode", "")).lower() in ("composite", "color")
    colors: list[str | None] = [None] * count
    if colored and len(tables) == count:
        ends = [np.asarray(table).reshape(3, -1)[:, -1] for table in tables]
        colors = [color_of(*map(float, end)) for end in ends]
    ranges = list(metadata.get("Ranges") or ())
    if len(ranges) != 2 * count:
        ranges = [metadata.get("min"), metadata.get("max")] if count == 1 else [None] * 2 * count
    windows = [_window(*ranges[2 * i : 2 * i + 2]) for i in range(count)]
    return _said([Display(c, w) for c, w in zip(colors, windows, strict=True)])


def _window(low: Any, high: Any) -> tuple[float, float] | None:
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return (float(low), float(high)) if low < high else None


def _said(found: Sequence[Display]) -> tuple[Display, ...]:
    return tuple(found) if any(one != Display() for one in found) else ()


def of_lsm(
    metadata: Mapping[str, Any],
) -> tuple[_Spacing, float | None, tuple[str, ...], tuple[Display, ...]]:
    """Z, Y, X spacing in micrometres (stored in metres), time step in seconds, channel names and colours."""
    sizes = [float(metadata.get(f"VoxelSize{a}") or 0) * 1e6 for a in "ZYX"]
    z, y, x = (size if math.isfinite(size) and size > 0 else 0.0 for size in sizes)
    spacing = (z or x or 1.0, y or x or 1.0, x or y or 1.0)
    step = float(metadata.get("TimeIntervall") or 0)  # as Zeiss spells it
    channels = metadata.get("ChannelColors") or {}
    names = tuple(str(n) for n in channels.get("ColorNames") or ())
    shown = [Display(color_of(*map(float, c[:3]))) for c in channels.get("Colors") or ()]
    return spacing, step if math.isfinite(step) and step > 0 else None, names, _said(shown)
