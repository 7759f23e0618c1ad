"""What can be written in which format, and the jobs that write it. No Qt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_apprentice.core.jobs import Progress
from napari_apprentice.io import FORMATS, WritableFormat, save

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume

__all__ = ["Target", "export_job", "preferred", "suggested_name", "targets"]

_USUAL = {"LPS": ".nii.gz", "stage": ".ome.tif"}
_UNSAFE = re.compile(r"[^\w\-. ()+,]+")
_SPACES = re.compile(r"(\s+-\s+)+|\s+")


@dataclass(frozen=True)
class Target:
    """A kind of file that a volume may be written to.

    Parameters
    ----------
    format
        Name of the format in the registry.
    title
        Its name as people know it.
    suffixes
        File names end in one of these; the first is proposed.
    problem
        Why this volume cannot be written so, or None where it can.
    """

    format: str
    title: str
    suffixes: tuple[str, ...]
    problem: str | None = None

    def describe(self) -> str:
        """For a list: ``"NIfTI (.nii.gz)"``."""
        return f"{self.title} ({self.suffixes[0]})"


def targets(volume: Volume) -> list[Target]:
    """Every kind of file that can be written; those that cannot hold this volume come last, with the reason."""
    found = [
        Target(name, entry.title, _usual_first(entry.writes), entry.check(volume))
        for name, entry in FORMATS.items()
        if isinstance(entry, WritableFormat)
    ]
    return sorted(found, key=lambda target: target.problem is not None)


def preferred(volume: Volume, choices: list[Target]) -> Target | None:
    """The image's own kind where it can be written, else what its field usually takes."""
    can = [target for target in choices if target.problem is None]
    own = (target for target in can if target.format == volume.format)
    usual = (target for target in can if target.suffixes[0] == _USUAL.get(volume.grid.world))
    return next(own, None) or next(usual, None) or next(iter(can), None)


def _usual_first(suffixes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(suffixes, key=lambda suffix: suffix not in _USUAL.values()))


def suggested_name(volume: Volume, suffix: str) -> str:
    """A file name that every system takes, made of the volume's name: ``"brain - model 2.nii.gz"``."""
    words = _SPACES.sub(
        lambda found: " - " if "-" in found[0] else " ", _UNSAFE.sub(" - ", volume.name)
    )
    return (words.strip(" .-") or "export") + suffix


def export_job(volume: Volume, path: Path) -> Job[Path]:
    """Write a volume; a complete file, or none.

    Raises
    ------
    BadInputError
        The format cannot hold this volume, or the folder cannot be written to.
    """
    yield Progress("writing")
    save(volume, path)
    return path
