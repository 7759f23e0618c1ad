"""What a network sees while it learns: patches after filters, normalisation and augmentation, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import IGNORE
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Progress
from napari_apprentice.tasks import TASKS

from ._sheet import laid_out
from .feed import feed_of
from .start import first_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.models.store import Model

    from .config import TrainConfig
    from .split import TrainItem

__all__ = ["Glimpse", "glimpse", "mosaic"]


@dataclass(frozen=True, eq=False)
class Glimpse:
    """Some patches as a network is given them.

    Parameters
    ----------
    images
        ``(n, C, *patch)`` float32.
    targets
        ``(n, *patch)`` uint8, 255 where nothing was said; None where the task's targets are no images.
    spec
        The model that would learn from them.
    """

    images: NDArray[np.float32]
    targets: NDArray[np.uint8] | None
    spec: ModelSpec

    @property
    def grid(self) -> Grid:
        """Grid of one patch."""
        spec = self.spec
        return Grid.regular(
            "ZYX"[-spec.ndim :], self.images.shape[2:], spec.spacing, unit=spec.unit
        )


def glimpse(
    items: Sequence[TrainItem],
    *,
    init: Model | ModelSpec | None,
    config: TrainConfig,
    task: str,
    count: int = 9,
) -> Job[Glimpse]:
    """Draw the first patches that a training would draw, varied as it would vary them.

    Parameters
    ----------
    items, init, config, task
        As of `train`; ``config.seed`` decides which patches.
    count
        How many.

    Raises
    ------
    BadInputError
        Items that cannot be learned from.
    """
    import torch

    from .learner import numpy_generator, varied

    if not 1 <= count <= 100:
        raise BadInputError(f"expected 1 to 100 patches, found {count}")
    feed = feed_of(TASKS[task])
    feed.check(items)
    split = feed.split(items, config)
    spec = first_spec(items, split.train, task=task, init=init, config=config, name="glimpse")
    arrays, _ = yield from feed.prepare(split.train, spec)
    yield Progress("drawing patches")
    arrays_of: Any = arrays
    sampler = feed.sampler(arrays_of, spec, config, numpy_generator(config.seed))
    generator = torch.Generator().manual_seed(config.seed)
    data, target = map(torch.from_numpy, sampler.draw(count))
    if not sampler.is_varied:
        data, target = varied(data, target, TASKS[task], spec, config, generator)
    return Glimpse(data.numpy(), _as_labels(target.numpy(), data.shape), spec)


def _as_labels(target: NDArray[Any], shape: Sequence[int]) -> NDArray[np.uint8] | None:
    if target.dtype != np.uint8 or target.shape != (shape[0], *shape[2:]):
        return None
    return target


def mosaic(seen: Glimpse) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None, Grid]:
    """Lay patches out in rows and columns, volumes with all their planes.

    Returns
    -------
    ndarray
        Images ``(C, *spatial)``, the darkest value between them.
    ndarray
        Targets ``(*spatial)`` as labels: 0 also where nothing was said; or None.
    Grid
        Of the whole, beginning at 0.
    """
    images = laid_out(seen.images, float(seen.images.min()))
    labels = None
    if seen.targets is not None:
        targets = np.where(seen.targets == IGNORE, np.uint8(0), seen.targets)
        labels = laid_out(targets[:, np.newaxis], 0)[0]
    return images, labels, seen.grid.crop((0,) * seen.grid.ndim, images.shape[1:])
