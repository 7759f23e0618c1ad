"""Occlusion: cover one part of an image after the other, and see which of them the answer needs. No gradients."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import tile_for
from napari_apprentice.engine.size import known_zoom, placing, seen_grid

from ._explainer import check, has_classes_in_places, share_of_tiles, whole_or_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = ["EXPLAINER", "Occlusion", "cells_of"]

_CELLS = {2: 8, 3: 4}


def cells_of(part: Sequence[int], config: ExplainConfig) -> tuple[int, ...]:
    """Cells along each axis of what a tile shows of the image: near to cubes, as many along the longest axis as asked for."""
    along = config.cells or _CELLS[len(part)]
    size = max(part) / along
    return tuple(max(1, round(length / size)) for length in part)


def _part(grid: Grid, spec: ModelSpec, config: ExplainConfig) -> tuple[int, ...]:
    """How much of a tile the image fills; what is added around it is not covered."""
    how = PredictConfig(diameter=config.diameter)
    seen = seen_grid(grid, spec, known_zoom(grid, spec, how) or 1.0)
    if not has_classes_in_places(spec):
        return tuple(place.stop - place.start for place in placing(seen, spec)[2])
    tile = tile_for(spec, how)
    return tuple(min(n, t) for n, t in zip(seen.shape[-len(tile) :], tile, strict=True))


class Occlusion:
    """How much less sure the answer gets without each part (Zeiler & Fergus, ECCV 2014)."""

    title = "Occlusion"
    description = "How much the answer needs each part of the image: covers one after the other; slow, needs no gradients"
    asks_class = True

    def problem(self, spec: ModelSpec) -> str | None:
        """Why it cannot explain this model; see `Explainer`."""
        return whole_or_places(spec)

    def predictions(self, grid: Grid, spec: ModelSpec, config: ExplainConfig) -> float:
        """A pass per cell of what every tile shows of the image, and one without a cover."""
        cells = math.prod(cells_of(_part(grid, spec, config), config)) + 1
        return cells * share_of_tiles(grid, spec, 0.0, config.diameter)

    def explain(
        self, volume: Volume, model: Model, config: ExplainConfig, image_class: str | None = None
    ) -> Job[Prediction]:
        """Map how much each part is needed for a class: the drop of its probability, the largest drop being 1."""
        from ._cover import occlusion_map

        check(self.problem(model.spec), model.spec)
        cells = partial(cells_of, config=config)
        job = occlusion_map(volume, model, image_class, config, cells=cells)
        return (yield from job)


EXPLAINER = Occlusion()
