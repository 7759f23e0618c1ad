"""Trainings that earlier sessions left unfinished, and whether they can be gone on with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .identity import frame_name, identity
from .text import duration, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.split import TrainItem
    from napari_apprentice.project.trainings import Interrupted, Source

__all__ = ["Leftover", "Leftovers"]


@dataclass(frozen=True, eq=False)
class Leftover:
    """An interrupted training of the image at hand.

    Parameters
    ----------
    found
        What lies on the disk.
    volumes
        The image of each of its sources; None where it is not open.
    """

    found: Interrupted
    volumes: tuple[Volume | None, ...]

    def describe(self) -> str:
        """Say what it is and how far it came."""
        request = self.found.request
        done, whole = duration(self.found.seconds), duration(60 * request.config.minutes)
        when = moment(self.found.saved)
        return f"A training of {request.name} was interrupted on {when}, after {done} of {whole}."

    @property
    def problem(self) -> str | None:
        """Why it cannot be gone on with, or None where it can."""
        pairs = zip(self.found.request.sources, self.volumes, strict=True)
        missing = sorted({source.name for source, volume in pairs if volume is None})
        if not missing:
            return None
        return f"Open the other images it learns from first, and select each once: {', '.join(missing)}."

    def items(self) -> tuple[TrainItem, ...]:
        """Read the annotations as they were, and put them to their images; takes as long as reading them.

        Raises
        ------
        FormatError
            An annotation cannot be read.
        """
        from napari_apprentice.engine.split import TrainItem
        from napari_apprentice.project.trainings import read_annotations

        rows = zip(
            self.found.request.sources, self.volumes, read_annotations(self.found), strict=True
        )
        return tuple(
            TrainItem(
                frame_name(source.name, source.frame),
                volume.frame(source.frame or 0),
                said,
                source.group,
            )
            for source, volume, said in rows
            if volume is not None
        )


class Leftovers:
    """The interrupted trainings in a folder, read when first asked for.

    Parameters
    ----------
    root
        Folder of all trainings.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: list[Interrupted] | None = None

    def forget(self) -> None:
        """Look again when asked next."""
        self._found = None

    def __iter__(self) -> Iterator[Interrupted]:
        from napari_apprentice.project.trainings import find_interrupted

        if self._found is None:
            self._found = find_interrupted(self._root)
        return iter(self._found)

    def of(self, volume: Volume, others: Iterable[Volume]) -> Leftover | None:
        """Return the newest interrupted training that learns from an image.

        Parameters
        ----------
        volume
            The image at hand.
        others
            Further images that are open.
        """
        for found in self:
            sources = found.request.sources
            if any(_is_of(volume, source) for source in sources):
                volumes = [volume, *others]
                matches = [next((v for v in volumes if _is_of(v, s)), None) for s in sources]
                return Leftover(found, tuple(matches))
        return None

    def needs(self, volume: Volume) -> bool:
        """Whether an interrupted training learns from an image."""
        return any(_is_of(volume, s) for found in self for s in found.request.sources)


def _is_of(volume: Volume, source: Source) -> bool:
    from napari_apprentice.project.trainings import mark

    is_film = "T" in volume.grid.axes
    if is_film != (source.frame is not None):
        return False
    if source.frame is not None and source.frame >= volume.grid.length("T"):
        return False
    return mark(identity(volume, source.frame)) == source.image
