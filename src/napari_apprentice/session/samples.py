"""Where images to be looked at one after the other come from: the planes of a volume, the files of a folder. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume

from .identity import identity

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Sample", "folder_samples", "plane_samples"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a gallery.

    Parameters
    ----------
    name
        Shown to the person, and what the image is known by.
    open
        Gives its voxels; called when they are looked at, in any thread.
    group
        Images of one group are never divided between learning and checking.
    file
        Path from the folder it comes from; empty where it comes from a layer.
    key
        What it is known by from one session to the next, among the images of its source; default: `file`, else `name`.
    """

    name: str
    open: Callable[[], Volume]
    group: str | None = None
    file: str = ""
    key: str = ""

    @property
    def known_by(self) -> str:
        """`key`, `file` or `name`, the first that there is."""
        return self.key or self.file or self.name


def plane_samples(volume: Volume) -> tuple[Sample, ...]:
    """The planes of one time point of a volume, or a flat image alone."""
    if volume.grid.ndim == 2:
        return (Sample(volume.name, lambda: volume, key=identity(volume)),)
    count = volume.grid.spatial_shape[0]
    width = len(str(count - 1))
    return tuple(
        Sample(f"{volume.name} · slice {z:0{width}d}", partial(_plane, volume, z), key=f"slice {z}")
        for z in range(count)
    )


def _plane(volume: Volume, z: int) -> Volume:
    grid = volume.grid
    at = grid.axes.index("Z")
    lead = "C" if "C" in grid.axes else ""
    shape = (grid.length("C"),) * len(lead) + tuple(grid.spatial_shape[1:])
    flat = Grid.regular(f"{lead}YX", shape, grid.spacing[1:], unit=grid.unit)
    data = volume.data[(slice(None),) * at + (z,)]
    return Volume(data, flat, volume.channels, f"{volume.name} · slice {z}", rgb=volume.rgb)


def folder_samples(folder: Path) -> tuple[tuple[Sample, ...], dict[int, str]]:
    """The images of a folder; of a folder of class folders, with their classes by position.

    Raises
    ------
    BadInputError
        No image there.
    """
    from napari_apprentice.engine.class_files import class_folders, list_classes
    from napari_apprentice.io import list_images, open_volume, stem

    def sample(path: Path, name: str) -> Sample:
        # A series of the folder lies, by its name, beside it: ``folder#key``.
        file = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
        return Sample(name, lambda: open_volume(path).frame(0), file=file)

    try:
        paths = list_images(folder)
    except BadInputError:
        if not class_folders(folder):
            raise
        files = run_to_end(list_classes(folder))
        samples = tuple(sample(f.path, f.name) for f in files)
        return samples, {n: f.image_class for n, f in enumerate(files)}
    return tuple(sample(path, stem(path)) for path in paths), {}
