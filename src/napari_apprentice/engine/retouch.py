"""An image as a recipe makes it, on its own grid: for looking at, and for keeping."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .filters import filtering
from .prepare import finite, normalize, read

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_apprentice.core.jobs import Progress
    from napari_apprentice.core.spec import FilterSpec, Normalization
    from napari_apprentice.core.volume import Volume

__all__ = ["retouched", "retouching"]


def retouching(
    volume: Volume, steps: Sequence[FilterSpec], how: Normalization | None
) -> Generator[Progress, None, Volume]:
    """Filter and normalise an image, every time point by itself.

    It is what a network of as many axes as the image sees that works at the image's own spacing.

    Parameters
    ----------
    how
        None keeps the units.

    Returns
    -------
    Volume
        float32, on the grid of `volume`.
    """
    frames = []
    for number in range(volume.grid.length("T")):
        frame = volume.frame(number)
        data, _ = finite((yield from read(frame)))
        data = yield from filtering(data, steps, ndim=volume.grid.ndim, spacing=volume.grid.spacing)
        frames.append(data if how is None else normalize(data, how))
    return retouched(volume, np.stack(frames).reshape(volume.grid.shape))


def retouched(volume: Volume, data: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Volume:
    """Put other voxels in the place of an image's; what its file said of the old ones does not hold any more."""
    return replace(
        volume, data=data, source=None, format=None, rgb=False, display=(), pyramid=(), metadata={}
    )
