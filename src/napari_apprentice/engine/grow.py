"""One object at a place in an image: the network looks at its surroundings only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.edit import trimmed
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.notes import Note
from napari_apprentice.tasks import TASKS, GrowsObjects, SizesObjects

from .cost import tile_for
from .predict import predict
from .prepare import has_spacing
from .size import seen_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model

    from .config import PredictConfig

__all__ = ["GrownObject", "can_grow", "grow"]


@dataclass(frozen=True, eq=False)
class GrownObject:
    """An object that a network shows at a place.

    Parameters
    ----------
    start
        First voxel of the box around it.
    mask
        Boolean array of the box.
    note
        How sure the network is, and of which class it says it is.
    """

    start: tuple[int, ...]
    mask: NDArray[np.bool_]
    note: Note


def can_grow(spec: ModelSpec) -> bool:
    """Whether a model can be asked for the object at a place."""
    return isinstance(TASKS[spec.task], GrowsObjects)


def grow(
    volume: Volume,
    model: Model,
    config: PredictConfig,
    place: Sequence[int],
    *,
    usual: float | None = None,
) -> Job[GrownObject | None]:
    """Find the object at a voxel, also where the network is not sure of it.

    Parameters
    ----------
    volume
        One time point, with the model's channels.
    config
        As for a prediction.
    place
        The voxel, one index per spatial axis.
    usual
        Diameter of other objects of this image, in its unit. It stands in for the size that the model would have to
        find out by itself where it or the image does not know how large a voxel is.

    Returns
    -------
    GrownObject or None
        None where the network shows nothing there.

    Raises
    ------
    BadInputError
        The model does not find objects or does not fit the image, or there is no such voxel.
    """
    grid, task = volume.grid.spatial, TASKS[model.spec.task]
    if not isinstance(task, GrowsObjects):
        raise BadInputError(
            f"expected a model that finds objects, found one of the task {model.spec.task}",
            remedy="Choose another model in Predict.",
        )
    if not all(0 <= v < n for v, n in zip(place, grid.shape, strict=True)):
        raise BadInputError(f"expected a voxel within {grid.shape}, found {tuple(place)}")
    if config.diameter is None and usual and not has_spacing(grid, model.spec):
        config = config.model_copy(update={"diameter": usual})
    start, stop = _surroundings(volume, model.spec, config, place)
    inner = tuple(int(v) - a for v, a in zip(place, start, strict=True))
    part = _cropped(volume, start, stop)
    config = config.model_copy(update={"mirror": False})
    answer = yield from predict(
        part, model, config, decode=lambda dense, at, spec: task.grow(dense, at, spec, inner)
    )
    labels = answer.labels
    whole = tuple(slice(0, n) for n in part.grid.spatial.shape)
    box = None if labels is None else trimmed(whole, labels > 0)
    if labels is None or box is None:
        return None
    kinds = answer.objects.get("class")
    kind = 0 if kinds is None else int(kinds[0])
    score = float(answer.objects["score"][0])
    note = Note("person", score, kind, "model" if kind else None)
    corner = tuple(a + b.start for a, b in zip(start, box, strict=True))
    return GrownObject(corner, np.asarray(labels[box] > 0), note)


def _surroundings(
    volume: Volume, spec: ModelSpec, config: PredictConfig, place: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Box around a voxel that fills about one tile of the network; of a volume for a 2-D network, some planes."""
    grid = volume.grid.spatial
    spacing = np.array(grid.spacing)
    tile = np.array(tile_for(spec, config), dtype=float)
    lengths = tile * np.array(seen_grid(grid, spec).spacing)[-spec.ndim :]
    task = TASKS[spec.task]
    wanted = task.diameter(spec) if isinstance(task, SizesObjects) else None
    if wanted and config.diameter is not None:
        lengths = tile * config.diameter / wanted
    if grid.ndim > spec.ndim:
        lengths = np.concatenate([[lengths.max() / 2], lengths])
    half = np.maximum(1, np.ceil(lengths / spacing / 2)).astype(int)
    low = np.maximum(np.array(place) - half, 0)
    high = np.minimum(np.array(place) + half + 1, grid.shape)
    return tuple(low.tolist()), tuple(high.tolist())


def _cropped(volume: Volume, start: Sequence[int], stop: Sequence[int]) -> Volume:
    """The same box of all channels, read into memory."""
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    lead = len(volume.grid.axes) - len(box)
    data = np.asarray(volume.data[(*(slice(None),) * lead, *box)])
    return replace(volume, data=data, grid=volume.grid.crop(start, stop), pyramid=())
