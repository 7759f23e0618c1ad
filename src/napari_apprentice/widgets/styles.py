"""The few style sheets of our own; everything else is napari's theme. Half-transparent greys suit dark and light."""

from __future__ import annotations

__all__ = ["CHIP", "CLASS", "MORE"]

CHIP = "background: rgba(128, 128, 128, 70); border-radius: 9px; padding: 2px 4px;"
"""A short fact in a rounded field."""

CLASS = "text-align: left; padding: 3px 6px;"
"""The button of a class: colour and name on the left."""

MORE = "QToolButton { padding: 2px 6px; } QToolButton::menu-indicator { image: none; }"
"""A small button with a menu; the dots on it say so."""
