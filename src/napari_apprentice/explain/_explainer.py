"""The contract of an explainer; docks and the command line know them only through it. Loads no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.engine.config import PredictConfig
from napari_apprentice.engine.cost import overlap_for, tile_for
from napari_apprentice.engine.size import known_zoom, seen_grid
from napari_apprentice.engine.tiles import tiles
from napari_apprentice.models.networks import NETWORKS, answers_per_image
from napari_apprentice.tasks import TASKS, TellsClasses, WholeImage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model

__all__ = [
    "OVERLAP",
    "ExplainConfig",
    "Explainer",
    "check",
    "class_names",
    "class_position",
    "count_tiles",
    "has_classes_in_places",
    "is_of_whole_images",
    "share_of_tiles",
    "tiles_of",
    "whole_or_places",
]

OVERLAP = 0.25
"""Of the tiles of an explanation: maps are smooth, and half of what predictions take costs a third."""


class ExplainConfig(BaseModel):
    """How an explanation is made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str = Field(
        "auto",
        title="Device",
        description="Where the network runs: auto takes a GPU that really works, else the CPU",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        examples=["auto", "cpu", "cuda"],
    )
    passes: int | None = Field(
        None,
        ge=2,
        le=64,
        title="Passes",
        description="Uncertainty: how many varied copies of the image are predicted; none: as many as 2.5 predictions pay "
        "for, from 2 to 8",
    )
    cells: int | None = Field(
        None,
        ge=2,
        le=64,
        title="Cells",
        description="Occlusion: parts along the longest axis of what the network sees at once, that are covered one after the other; none: 8 "
        "in planes, 4 in volumes",
    )
    diameter: float | None = Field(
        None,
        gt=0,
        title="Object diameter",
        description="Typical diameter of the objects in the image's unit (pixels where it has none); none: estimated "
        "where the model needs it, as in a prediction",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, title="Seed", description="Uncertainty: makes the copies repeatable"
    )


class Explainer(Protocol):
    """A way to explain an answer.

    Contract
    --------
    - ``title`` and ``description`` are what people read; ``asks_class`` says whether it explains one class.
    - ``problem`` and ``predictions`` work from descriptions alone: no voxel is read and torch is not loaded.
    - ``explain`` returns a `Prediction` whose ``image`` is a float32 map on the spatial grid of the volume, 0 to 1, whose
      ``image_class`` names the class and whose ``summary`` is a phrase for people.
    """

    title: str
    description: str
    asks_class: bool

    def problem(self, spec: ModelSpec) -> str | None:
        """Why it cannot explain this model, as a short phrase, or None where it can."""
        ...

    def predictions(self, grid: Grid, spec: ModelSpec, config: ExplainConfig) -> float:
        """What it costs for an image on `grid`, in predictions of that image."""
        ...

    def explain(
        self, volume: Volume, model: Model, config: ExplainConfig, image_class: str | None = None
    ) -> Job[Prediction]:
        """Explain the answer about one time point; None asks for the class that the model finds most of.

        Raises
        ------
        BadInputError
            A model that it cannot explain, a class that the model does not know, an image that does not fit.
        """
        ...


def has_classes_in_places(spec: ModelSpec) -> bool:
    """Whether a model's answer tells voxel by voxel, or box by box, how much speaks for each class."""
    is_of_parts = not answers_per_image(NETWORKS[spec.network])
    return is_of_parts and isinstance(TASKS[spec.task], TellsClasses)


def is_of_whole_images(spec: ModelSpec) -> bool:
    """Whether a model says of which class an image is as a whole."""
    return isinstance(TASKS[spec.task], WholeImage) and answers_per_image(NETWORKS[spec.network])


def whole_or_places(spec: ModelSpec) -> str | None:
    """The problem of models whose answers are no classes, neither of whole images nor of what is in them."""
    if has_classes_in_places(spec) or is_of_whole_images(spec):
        return None
    return "explains classes of whole images, and classes, objects, points and boxes that are found in them"


def class_names(spec: ModelSpec) -> tuple[str, ...]:
    """Names of what is told from the background: the classes of a model, or objects where it has none."""
    return tuple(entry.name for entry in spec.classes) or ("object",)


def class_position(spec: ModelSpec, image_class: str | None) -> int | None:
    """Position among the model's classes; None where none is asked for.

    Raises
    ------
    BadInputError
        A class that the model does not know.
    """
    if image_class is None:
        return None
    names = [name.casefold() for name in class_names(spec)]
    if image_class.casefold() not in names:
        raise BadInputError(
            f"expected one of {', '.join(class_names(spec))}, found {image_class!r}"
        )
    return names.index(image_class.casefold())


def check(problem: str | None, spec: ModelSpec) -> None:
    """Refuse a model that an explainer cannot explain.

    Raises
    ------
    BadInputError
        Where there is a problem.
    """
    if problem is not None:
        raise BadInputError(
            f"{spec.name} cannot be explained this way: it {problem}",
            remedy="Choose another model, or another way.",
        )


def tiles_of(grid: Grid, spec: ModelSpec, overlap: float, diameter: float | None = None) -> int:
    """How many tiles an image on `grid` has for a model; where its zoom is to be found first, at none."""
    config = PredictConfig(diameter=diameter)
    shape = seen_grid(grid, spec, known_zoom(grid, spec, config) or 1.0).shape
    return count_tiles(shape, tile_for(spec, config), overlap)


def count_tiles(shape: Sequence[int], tile: Sequence[int], overlap: float) -> int:
    """How many tiles an array of this spatial shape has, planes of a 2-D model included."""
    lead = len(shape) - len(tile)
    lengths = [max(n, t) for n, t in zip(shape[lead:], tile, strict=True)]
    return math.prod(shape[:lead]) * len(tiles(lengths, tile, overlap))


def share_of_tiles(
    grid: Grid, spec: ModelSpec, overlap: float, diameter: float | None = None
) -> float:
    """Tiles at this overlap, in tiles of a prediction; 1 for whole images."""
    if not has_classes_in_places(spec):
        return 1.0
    usual = overlap_for(spec, PredictConfig())
    return tiles_of(grid, spec, overlap, diameter) / tiles_of(grid, spec, usual, diameter)
