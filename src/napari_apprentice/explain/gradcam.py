"""Grad-CAM: where the evidence for a class was, from the gradient of its score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._explainer import OVERLAP, check, has_classes_in_places, share_of_tiles, whole_or_places

if TYPE_CHECKING:
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model

    from ._explainer import ExplainConfig

__all__ = ["EXPLAINER", "GradCam"]

_BACKWARD = 2.2  # a pass forth and back, in passes forth


class GradCam:
    """Evidence for a class from gradients: two to three passes."""

    title = "Evidence (Grad-CAM)"
    description = "Where the features lay that raised the score of a class; coarse, fast"
    asks_class = True

    def problem(self, spec: ModelSpec) -> str | None:
        """Why it cannot explain this model; see `Explainer`."""
        return whole_or_places(spec)

    def predictions(self, grid: Grid, spec: ModelSpec, config: ExplainConfig) -> float:
        """A pass forth and back over every tile, with less overlap than a prediction."""
        return _BACKWARD * share_of_tiles(grid, spec, OVERLAP, config.diameter)

    def explain(
        self, volume: Volume, model: Model, config: ExplainConfig, image_class: str | None = None
    ) -> Job[Prediction]:
        """Map the evidence for a class; see `class_map` and `voxel_map`."""
        from ._cam import class_map, voxel_map

        check(self.problem(model.spec), model.spec)
        how = voxel_map if has_classes_in_places(model.spec) else class_map
        return (yield from how(volume, model, image_class, config))


EXPLAINER = GradCam()
