"""Occlusion: cover one part of an image after the other, and see which of them the answer needs. No gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import tile_for

from ._explainer import check, share_of_tiles, whole_or_places

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


def cells_of(tile: Sequence[int], config: ExplainConfig) -> tuple[int, ...]:
    """Cells along each axis of a tile: near to cubes, as many along the longest axis as asked for."""
    along = config.cells or _CELLS[len(tile)]
    size = max(tile) / along
    return tuple(max(1, round(length / size)) for length in tile)


class Occlusion:
    """How much less sure the answer gets without each part (Zeiler & Fergus, ECCV 2014)."""

    title = "Occlusion"
    description = "How much the answer needs each part of the image: covers one after the other; slow, needs no gradients"
    asks_class = True

    def problem(self, spec: ModelSpec) -> str | None:
        """Why it cannot explain this model; see `Explainer`."""
        return whole_or_places(spec)

    def predictions(self, grid: Grid, spec: ModelSpec, config: ExplainConfig) -> float:
        """A pass per cell of every tile, and one without a cover."""
        cells = math.prod(cells_of(tile_for(spec, PredictConfig()), config)) + 1
        return cells * share_of_tiles(grid, spec, 0.0, config.diameter)

    def explain(
        self, volume: Volume, model: Model, config: ExplainConfig, image_class: str | None = None
    ) -> Job[Prediction]:
        """Map how much each part is needed for a class: the drop of its probability, the largest drop being 1."""
        from ._cover import occlusion_map

        check(self.problem(model.spec), model.spec)
        cells = cells_of(tile_for(model.spec, PredictConfig()), config)
        job = occlusion_map(volume, model, image_class, config, cells=cells)
        return (yield from job)


EXPLAINER = Occlusion()
