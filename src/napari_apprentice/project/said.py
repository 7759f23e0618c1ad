"""Classes that a person gave to images, kept from one session to the next.

One file per source (a folder, a stack), which only grows: every statement is a line of JSON with a hash of what the image is
known by, the class and its number, so that neither paths nor file names show in it. A last line that a crash tore off is left
out on reading; two windows that look at one folder add to the same file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.annotation import MOST_CLASSES
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.home import user_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

__all__ = ["Said", "SaidLog"]

_MOST_BYTES = 2**28


@dataclass(frozen=True)
class Said:
    """What a person said in earlier sessions.

    Parameters
    ----------
    classes
        Names, in the order of their keys.
    images
        What an image is known by → name of its class.
    """

    classes: tuple[str, ...] = ()
    images: Mapping[str, str] = field(default_factory=dict)


class SaidLog:
    """The classes given to the images of one source.

    Parameters
    ----------
    source
        What the source is known by from one session to the next, for example the path of its folder.
    """

    def __init__(self, source: str) -> None:
        self.path: Path = user_folder() / "classes" / f"{_digest(source)}.jsonl"

    def read(self, images: Iterable[str]) -> Said:
        """Return what was said last about some images.

        Parameters
        ----------
        images
            What they are known by.

        Raises
        ------
        BadInputError
            The file cannot be read.
        """
        last = {line["image"]: line for line in self._lines()}
        known = {image: last[_digest(image)] for image in images if _digest(image) in last}
        given = {image: line for image, line in known.items() if line["class"] is not None}
        order = sorted({(line["number"], line["class"]) for line in given.values()})
        return Said(
            tuple(dict.fromkeys(name for _, name in order)),
            {image: line["class"] for image, line in given.items()},
        )

    def write(self, image: str, name: str | None, number: int = 0) -> None:
        """Add a statement: the class of an image and the class's number, or none that it has none any more.

        Raises
        ------
        BadInputError
            The file cannot be written to.
        """
        line = {"image": _digest(image), "class": name, "number": number}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(b"\n" + json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise BadInputError(
                f"classes cannot be kept: {error.strerror or error}",
                path=self.path,
                remedy="Save them as a table, or make room on the disk.",
            ) from None

    def _lines(self) -> list[dict[str, Any]]:
        try:
            if not self.path.is_file():
                return []
            if self.path.stat().st_size > _MOST_BYTES:
                raise OSError(f"larger than {_MOST_BYTES} bytes")
            text = self.path.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise BadInputError(
                f"classes of earlier sessions cannot be read: {error.strerror or error}",
                path=self.path,
                remedy="Look whether the file may be read, or move it away.",
            ) from None
        return [line for raw in text.split("\n") if (line := _line(raw)) is not None]


def _line(raw: str) -> dict[str, Any] | None:
    """A statement, or None where a line is torn or no such thing."""
    try:
        line = json.loads(raw)
        image, name, number = line["image"], line["class"], line["number"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(image, str) or type(number) is not int or not 0 <= number <= MOST_CLASSES:
        return None
    is_name = name is None or (isinstance(name, str) and bool(name.strip()))
    return {"image": image, "class": name, "number": number} if is_name else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]
