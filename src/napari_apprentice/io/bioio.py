"""Files of microscope makers through bioio, which the extra ``bioio`` installs: read only.

bioio reads a file with the plugin for it, which is installed apart, as some of them have licences of their own:
``bioio-czi`` for Zeiss, ``bioio-nd2`` for Nikon, ``bioio-lif`` for Leica, ``bioio-dv`` for DeltaVision. Voxels are read
when asked for; voxel sizes are in micrometres, as bioio gives them. Scenes are series.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import MissingDependencyError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.optional import require
from napari_apprentice.core.volume import Volume

from ._faults import reading
from ._format import Series
from ._names import bare_name
from ._series import pick

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FORMAT", "BioioFormat"]

# Suffix → (place, first bytes). ND2 was JPEG 2000 once.
_MAGIC = {
    ".czi": ((0, b"ZISRAWFILE"),),
    ".nd2": ((0, b"\xda\xce\xbe\x0a"), (4, b"jP  ")),
    ".lif": ((0, b"\x70\x00\x00\x00"),),
    ".dv": ((96, b"\xa0\xc0"), (96, b"\xc0\xa0")),
}
_PLUGINS = {".czi": "bioio-czi", ".nd2": "bioio-nd2", ".lif": "bioio-lif", ".dv": "bioio-dv"}


class BioioFormat:
    """What the software of a microscope writes."""

    name = "bioio"
    title = "microscope file"
    suffixes = tuple(_MAGIC)

    def sniff(self, path: Path) -> bool:
        """Whether a file named like one of a maker starts like one."""
        known = _MAGIC.get(path.suffix.lower(), ())
        try:
            with path.open("rb") as file:
                start = file.read(128)
        except OSError:
            return False
        return any(start[at : at + len(magic)] == magic for at, magic in known)

    def open(self, path: Path) -> Volume:
        """Open the first scene lazily.

        Raises
        ------
        MissingDependencyError
            bioio, or its plugin for this file, is not installed.
        """
        return self.open_series(path, "")

    def open_series(self, path: Path, series: str) -> Volume:
        """Open a scene lazily, by its number from 0 or its name."""
        image = _image(path)
        with reading(path, self.title):
            chosen = int(pick(_scenes(image), series, path).key) if series else 0
            return _volume(path, image, chosen)

    def list_series(self, path: Path) -> list[Series]:
        """List the scenes."""
        with reading(path, self.title):
            return _scenes(_image(path))


FORMAT = BioioFormat()


def _image(path: Path) -> Any:
    purpose = f"read {path.suffix} files"
    library: Any = require("bioio", extra="bioio", purpose=purpose)
    errors: Any = require("bioio_base.exceptions", extra="bioio", purpose=purpose)
    with reading(path, FORMAT.title), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return library.BioImage(path)
        except errors.UnsupportedFileFormatError as error:
            plugin = _PLUGINS.get(path.suffix.lower(), "its plugin")
            raise MissingDependencyError(
                f"bioio cannot read this {path.suffix} file: {' '.join(str(error).split())[:120]}",
                path=path,
                remedy=f"Run: pip install {plugin}",
            ) from error


def _scenes(image: Any) -> list[Series]:
    return [Series(str(i), str(name)) for i, name in enumerate(image.scenes)]


def _volume(path: Path, image: Any, scene: int) -> Volume:
    image.set_scene(scene)
    colours = "S" in image.dims.order
    array = image.get_image_dask_data("TCZYXS" if colours else "TCZYX")
    rgb = colours and array.shape[-1] in (3, 4) and array.shape[1] == 1
    if colours:  # samples become channels
        array = array.transpose([0, 1, 5, 2, 3, 4])
        array = array.reshape((array.shape[0], -1, *array.shape[3:]))
    drop = tuple(i for i, a in enumerate("TCZ") if array.shape[i] == 1)
    axes = "".join(a for i, a in enumerate("TCZYX") if i not in drop)
    array = array.squeeze(axis=drop)
    spacing, unit = _spacing(image, axes)
    grid = Grid.regular(axes, array.shape, spacing, unit=unit, time_step=_step(image, axes))
    names = () if rgb else tuple(str(n) for n in image.channel_names or ())
    return Volume(
        array,
        grid,
        channels=names if "C" in axes and len(names) == grid.length("C") else (),
        name=bare_name(path.name, FORMAT.suffixes),
        source=str(path),
        format=FORMAT.name,
        rgb=rgb,
        metadata={
            "kind": path.suffix.lower().lstrip(".").upper(),
            "series": tuple(map(str, image.scenes)) if len(image.scenes) > 1 else (),
        },
    )


def _spacing(image: Any, axes: str) -> tuple[list[float], str]:
    """Distances of the spatial axes in micrometres; pixels where the file does not say those of Y and X."""
    sizes = image.physical_pixel_sizes
    found = {a: _positive(getattr(sizes, a)) for a in "ZYX"}
    if found["Y"] is None or found["X"] is None:
        return [1.0 for a in axes if a in "ZYX"], "pixel"
    return [found[a] or found["X"] for a in axes if a in "ZYX"], "um"


def _positive(value: Any) -> float | None:
    number = float(value) if value is not None else 0.0
    return number if np.isfinite(number) and number > 0 else None


def _step(image: Any, axes: str) -> float | None:
    step: Any = getattr(image, "time_interval", None) if "T" in axes else None
    return _positive(step.total_seconds()) if hasattr(step, "total_seconds") else None
