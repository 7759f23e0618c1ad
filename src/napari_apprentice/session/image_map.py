"""A map of many images: near each other where a model's narrow middle finds them alike. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import ApprenticeError, BadInputError
from napari_apprentice.core.jobs import Log, Progress

from .samples import Sample, folder_samples

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.models.store import ModelStore

__all__ = ["ImageMap", "map_job"]

_FEWEST = 3


@dataclass(frozen=True, eq=False)
class ImageMap:
    """Images and where they lie.

    Parameters
    ----------
    samples
        The images, in the order of `points`.
    points
        ``(N, 2)``.
    shares
        Share of all variance along both axes.
    classes
        Class by position, where folders say it.
    """

    samples: tuple[Sample, ...]
    points: NDArray[np.float64]
    shares: NDArray[np.float64]
    classes: Mapping[int, str]

    def describe(self) -> str:
        """Say what the map shows."""
        return f"{len(self.samples)} images · the map shows {self.shares.sum():.0%} of their differences"


def map_job(store: ModelStore, name: str, folder: Path) -> Job[ImageMap]:
    """Read the narrow middle of a model for all images of a folder; one that cannot be read is named and left out.

    Raises
    ------
    BadInputError
        Too few images, or a model without a narrow middle.
    """
    from napari_apprentice.engine.loading import load_libraries

    yield Progress(f"loading {name}")
    load_libraries(training=False)
    from napari_apprentice.engine.bottleneck import bottleneck_of, encoder_of, flat_map

    model = store.load(name)
    network = model.build()
    encoder_of(network, model.spec)  # refused before any image is read
    samples, said = folder_samples(folder)
    kept: list[int] = []
    rows = []
    for number, sample in enumerate(samples):
        yield Progress("looking", number, len(samples), "image")
        try:
            rows.append((yield from bottleneck_of(sample.open(), network, model.spec)))
            kept.append(number)
        except ApprenticeError as error:
            yield Log(f"left out: {sample.name}: {error.message}", "warning")
    if len(rows) < _FEWEST:
        raise BadInputError(
            f"expected at least {_FEWEST} images for a map, found {len(rows)} that can be read",
            path=folder,
        )
    points, shares = flat_map(np.stack(rows))
    classes = {new: said[old] for new, old in enumerate(kept) if old in said}
    return ImageMap(tuple(samples[n] for n in kept), points, shares, classes)
