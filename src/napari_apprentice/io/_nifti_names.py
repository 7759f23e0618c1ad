"""Class names in a NIfTI header: the ``LabelTable`` that Connectome Workbench introduced."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["names_from", "table_of"]


def names_from(extensions: Iterable[bytes]) -> dict[int, str]:
    """Value → name from the first extension that has a label table; background (0) is left out."""
    for content in extensions:
        text = content.rstrip(b"\0 \n")
        # A document type could define entities that grow without end.
        if b"<LabelTable" not in text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            continue
        try:
            root = ElementTree.fromstring(text)  # noqa: S314  (document types were refused)
            labels = [(int(e.get("Key", "")), (e.text or "").strip()) for e in root.iter("Label")]
        except (ElementTree.ParseError, ValueError):
            continue
        return {key: name for key, name in labels if key > 0 and name}
    return {}


def table_of(names: Mapping[int, str]) -> bytes:
    """The XML of a label table."""
    labels = "".join(
        f'<Label Key="{value}" Red="1" Green="1" Blue="1" Alpha="1">{escape(name)}</Label>'
        for value, name in sorted(names.items())
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0">'
        f"<LabelTable>{labels}</LabelTable><VolumeType>Label</VolumeType>"
        "</VolumeInformation></CaretExtension>"
    ).encode()
