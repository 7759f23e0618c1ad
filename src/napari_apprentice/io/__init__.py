"""Files in and out: one module per format, found by the registry."""

from __future__ import annotations

from ._format import Format, WritableFormat
from ._open import (
    describe,
    format_of,
    labels_in,
    labels_like,
    list_images,
    open_labels,
    open_volume,
    pair,
    save,
    stem,
)
from ._registry import FORMATS

__all__ = [
    "FORMATS",
    "Format",
    "WritableFormat",
    "describe",
    "format_of",
    "labels_in",
    "labels_like",
    "list_images",
    "open_labels",
    "open_volume",
    "pair",
    "save",
    "stem",
]
