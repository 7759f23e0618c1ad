"""The contract every file format keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_apprentice.core.volume import Volume

__all__ = [
    "Format",
    "GatheringFormat",
    "MarksSynthetic",
    "Series",
    "SeriesFormat",
    "WritableFormat",
]


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


@dataclass(frozen=True)
class Series:
    """One of several images in a file or folder.

    Parameters
    ----------
    key
        Short name within the file or folder: ``"3"``; ``path#key`` opens it.
    title
        What the scanner calls it.
    modality
        ``"CT"``, ``"MR"``, ``"SEG"`` …
    shape
        Planes, rows, columns.
    files
        Number of files.
    uid
        What identifies it everywhere.
    """

    key: str
    title: str
    modality: str = ""
    shape: tuple[int, ...] = ()
    files: int = 1
    uid: str = ""

    def __str__(self) -> str:
        size = " × ".join(map(str, self.shape))
        said = (self.modality, size, f"UID …{self.uid[-8:]}" if self.uid else "")
        return f"{self.key}: {self.title} ({', '.join(part for part in said if part)})"


@runtime_checkable
class SeriesFormat(Format, Protocol):
    """A format of which one file or folder may hold several images."""

    def list_series(self, path: Path) -> list[Series]:
        """Say what can be opened; reads headers only."""
        ...

    def open_series(self, path: Path, series: str) -> Volume:
        """Open one of them, by its key, UID or title.

        Raises
        ------
        SeriesChoiceError
            None or several fit.
        """
        ...


@runtime_checkable
class GatheringFormat(SeriesFormat, Protocol):
    """A format in which several files make one image."""

    def open_files(self, paths: Sequence[Path]) -> list[Volume]:
        """Open files that a person gave together: one volume per series."""
        ...


@runtime_checkable
class MarksSynthetic(Format, Protocol):
    """A format whose files say for themselves that an image was made up: ``save`` writes ``volume.synthetic``, ``open`` reads it."""

    def synthetic(self, path: Path) -> str | None:
        """What made the image of a file up, without reading a voxel; None where the file does not say so."""
        ...
