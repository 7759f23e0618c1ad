"""The registry of file formats: each public module of this package is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.registry import Registry

if TYPE_CHECKING:
    from ._format import Format

__all__ = ["FORMATS"]

FORMATS: Registry[Format] = Registry("format", "napari_apprentice.io", "FORMAT")
