"""The registry of file formats: each public module of this package is one."""

from __future__ import annotations

from napari_apprentice.core.registry import Registry

from ._format import Format

__all__ = ["FORMATS"]

FORMATS: Registry[Format] = Registry("format", "napari_apprentice.io", "FORMAT")
