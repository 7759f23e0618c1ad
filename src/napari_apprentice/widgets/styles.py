"""The few style sheets of our own; everything else is napari's theme. Half-transparent greys suit dark and light."""

from __future__ import annotations

__all__ = ["CHIP", "CLASS"]

CHIP = "background: rgba(128, 128, 128, 70); border-radius: 9px; padding: 2px 8px; margin: 0px;"
"""A short fact in a rounded field."""

CLASS = "text-align: left; padding: 3px 6px;"
"""The button of a class: colour and name on the left."""
