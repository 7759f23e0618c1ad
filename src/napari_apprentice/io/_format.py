"""The contract every file format keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.volume import Volume

__all__ = ["Format", "WritableFormat"]


@runtime_checkable
class Format(Protocol):
    """A file format by name.

    Contract
    --------
    - ``sniff`` looks at the first bytes (or the folder), never raises, and is quick.
    - ``open`` reads the header at once and voxels only when asked (where the format allows it), moves no
      voxel to another place in the world, and raises `FormatError` naming file, fault and remedy.
    - arrays come in ``TCZYX`` order.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]

    def sniff(self, path: Path) -> bool:
        """Whether the file looks like this format."""
        ...

    def open(self, path: Path) -> Volume:
        """Open as a (lazy) volume."""
        ...


@runtime_checkable
class WritableFormat(Format, Protocol):
    """A format that can be written.

    ``writes`` holds the suffixes under which it writes; the others of ``suffixes`` are read only.
    """

    writes: tuple[str, ...]

    def check(self, volume: Volume) -> str | None:
        """Return why this volume cannot be written in this format, or None where it can."""
        ...

    def save(self, volume: Volume, path: Path) -> None:
        """Write atomically: a complete file under `path`, or none."""
        ...
