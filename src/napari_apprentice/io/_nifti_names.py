"""Class names and colours in a NIfTI header: the ``LabelTable`` that Connectome Workbench introduced."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from ._colors import color_of, rgb_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["table_from", "table_of"]

_NO_COLOR = "#FFFFFF"


def table_from(extensions: Iterable[bytes]) -> tuple[dict[int, str], dict[int, str]]:
    """Value → name and value → colour of the first label table; background (0) is left out.

    A table whose colours are all white says nothing about colours: that is what is written where none are known.
    """
    for content in extensions:
        text = content.rstrip(b"\0 \n")
        # A document type could define entities that grow without end.
        if b"<LabelTable" not in text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            continue
        try:
            root = ElementTree.fromstring(text)  # noqa: S314  (document types were refused)
            labels = {int(e.get("Key", "")): e for e in root.iter("Label")}
            shown = {key: _color(e) for key, e in labels.items() if key > 0}
        except (ElementTree.ParseError, ValueError, OverflowError):
            continue
        names = {key: (labels[key].text or "").strip() for key in shown}
        colors = {} if set(shown.values()) <= {_NO_COLOR} else shown
        return {key: name for key, name in names.items() if name}, colors
    return {}, {}


def _color(label: ElementTree.Element) -> str:
    red, green, blue = (float(label.get(k, "1")) * 255 for k in ("Red", "Green", "Blue"))
    return color_of(red, green, blue)


def table_of(names: Mapping[int, str], colors: Mapping[int, str]) -> bytes:
    """The XML of a label table."""
    labels = "".join(
        _label(value, name, colors.get(value, _NO_COLOR)) for value, name in sorted(names.items())
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0">'
        f"<LabelTable>{labels}</LabelTable><VolumeType>Label</VolumeType>"
        "</VolumeInformation></CaretExtension>"
    ).encode()


def _label(value: int, name: str, color: str) -> str:
    red, green, blue = (f"{v / 255:.6g}" for v in rgb_of(color))
    return f'<Label Key="{value}" Red="{red}" Green="{green}" Blue="{blue}" Alpha="1">{escape(name)}</Label>'
