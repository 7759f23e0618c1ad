"""The sample images that come with the package: where they lie, and small pictures of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Volume

from .layers import layer_tuples

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Sample", "sample_layers", "samples", "thumbnail", "thumbnail_file"]

_PACKAGE = Path(__file__).parents[1]
# In an installed package; in a checkout.
_FOLDERS = (_PACKAGE / "_sample_data", _PACKAGE.parents[1] / "sample_data")


@dataclass(frozen=True)
class Sample:
    """One sample image.

    Parameters
    ----------
    key
        As in the manifest.
    title, description
        For people.
    image
        The file, or a folder of pictures of one size.
    clean
        The same image without noise, where the sample is a noisy one.
    """

    key: str
    title: str
    description: str
    image: Path
    clean: Path | None = None


def samples(*, offered: bool = True) -> list[Sample]:
    """List the samples of the index: those that are offered first thing, or all.

    An installation without them has none, which is no error.
    """
    for folder in _FOLDERS:
        index = folder / "index.json"
        if index.is_file():
            return _listed(folder, json.loads(index.read_text("utf-8")), offered)
    return []


def _listed(folder: Path, index: dict[str, Any], offered: bool) -> list[Sample]:
    entries = [e for e in index["samples"] if not offered or e["key"] in index["defaults"]]
    return [
        Sample(
            entry["key"],
            entry["title"],
            entry["description"],
            folder / entry["image"],
            folder / entry["labels"] if entry["task"] == "restoration" else None,
        )
        for entry in entries
    ]


def sample_layers(key: str) -> list[tuple[Any, dict[str, Any], str]]:
    """Open a sample as layers; what a noisy one is without noise lies below it, hidden.

    Raises
    ------
    BadInputError
        No such sample, or an installation without samples.
    """
    for sample in samples(offered=False):
        if sample.key == key:
            shown = layer_tuples(replace(_volume(sample.image), name=key))
            return [*_hidden(sample, shown), *shown]
    raise BadInputError(
        f"no sample named {key!r} in this installation",
        remedy="Install napari-apprentice again, or open an image of your own.",
    )


def _hidden(
    sample: Sample, shown: list[tuple[Any, dict[str, Any], str]]
) -> list[tuple[Any, dict[str, Any], str]]:
    if sample.clean is None:
        return []
    look = {n: v for n, v in shown[0][1].items() if n in ("contrast_limits", "colormap")}
    named = replace(_volume(sample.clean), name=f"{sample.key} ▸ without noise")
    made = layer_tuples(named)
    return [(data, {**kwargs, **look, "visible": False}, kind) for data, kwargs, kind in made]


def _volume(image: Path) -> Volume:
    """Open an image, or the pictures of a folder one behind the other."""
    from napari_apprentice.io import list_images, open_volume

    if image.is_file():
        return open_volume(image)
    pictures = [open_volume(path) for path in list_images(image)]
    first = pictures[0]
    data = np.stack([picture.numpy() for picture in pictures], axis=1)
    grid = Grid.regular("CZYX", data.shape, (1.0, *first.grid.spacing), unit=first.grid.unit)
    return Volume(data, grid, first.channels, rgb=first.rgb)


def thumbnail_file(sample: Sample) -> Path:
    """Small picture of an offered sample, drawn beforehand: opening the dock must not wait for a reader."""
    return Path(__file__).parent / "thumbnails" / f"{sample.key}.png"


def thumbnail(sample: Sample, size: int = 150) -> NDArray[np.uint8]:
    """Draw the small grey picture of a sample: its middle plane, at most `size` pixels high and wide.

    ``thumbnails/`` holds what this returns; a test compares.
    """
    from napari_apprentice.io import open_volume

    data = open_volume(sample.image).numpy()
    plane = data if data.ndim == 2 else data[data.shape[0] // 2]
    step = max(1, -(-max(plane.shape) // size))
    small = plane[::step, ::step].astype(np.float32)
    low, high = np.percentile(small, (0.5, 99.5))
    grey: NDArray[np.uint8] = (np.clip((small - low) / max(high - low, 1e-6), 0, 1) * 255).astype(
        np.uint8
    )
    return np.ascontiguousarray(grey)
