"""Units as people read them."""

from __future__ import annotations

from typing import Final

__all__ = ["unit_text"]

_WRITTEN: Final = {"um": "µm", "pixel": "px"}


def unit_text(unit: str) -> str:
    """Write a grid's unit: ``"um"`` → ``"µm"``, ``"pixel"`` → ``"px"``, others as they are."""
    return _WRITTEN.get(unit, unit)
