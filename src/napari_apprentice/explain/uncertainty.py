"""Uncertainty by test-time augmentation: how far the answer changes with changes of the image that should not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._explainer import OVERLAP, check, has_classes_in_places, share_of_tiles, whole_or_places

if TYPE_CHECKING:
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = ["EXPLAINER", "Uncertainty"]

_BUDGET = 2.5
_FEWEST, _MOST = 2, 8


class Uncertainty:
    """Entropy of the mean answer to varied copies (Wang et al., Neurocomputing 338, 2019)."""

    title = "Uncertainty"
    description = (
        "Where the answer changes when the image is mirrored, shifted or a little brighter"
    )
    asks_class = False

    def problem(self, spec: ModelSpec) -> str | None:
        """Why it cannot explain this model; see `Explainer`."""
        return whole_or_places(spec)

    def passes(self, grid: Grid, spec: ModelSpec, config: ExplainConfig) -> int:
        """How many copies are predicted: as asked for, else what the budget pays for."""
        if config.passes is not None:
            return config.passes
        if not has_classes_in_places(spec):
            return _FEWEST
        return int(
            np.clip(_BUDGET / share_of_tiles(grid, spec, OVERLAP, config.diameter), _FEWEST, _MOST)
        )

    def predictions(self, grid: Grid, spec: ModelSpec, config: ExplainConfig) -> float:
        """As many as there are copies; less where tiles overlap less than in a prediction."""
        return self.passes(grid, spec, config) * share_of_tiles(
            grid, spec, OVERLAP, config.diameter
        )

    def explain(
        self, volume: Volume, model: Model, config: ExplainConfig, image_class: str | None = None
    ) -> Job[Prediction]:
        """Map where the answer is unsure; see `uncertainty_map`."""
        from ._varied import uncertainty_map

        check(self.problem(model.spec), model.spec)
        count = self.passes(volume.grid, model.spec, config)
        return (yield from uncertainty_map(volume, model, count, config))


EXPLAINER = Uncertainty()
