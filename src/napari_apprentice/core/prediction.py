"""`Prediction`: what a network said about a volume, always on the volume's own grid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import BadInputError, GridMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from .annotation import LabelClass
    from .detections import Detections
    from .grid import Grid

__all__ = ["Prediction", "Provenance"]


@dataclass(frozen=True)
class Provenance:
    """How a prediction came to be: enough to make it again.

    Parameters
    ----------
    model
        Name of the model.
    fingerprint
        SHA-256 of its weights.
    device
        Where it ran at the end, for example ``"cpu"`` or ``"cuda:0"``.
    seconds
        Wall time of the run.
    parameters
        The prediction's configuration as plain data.
    notes
        What was changed on the way, for example steps of the out-of-memory ladder.
    """

    model: str
    fingerprint: str
    device: str
    seconds: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Prediction:
    """Labels, scores or an image on the grid of the source volume.

    Parameters
    ----------
    grid
        Spatial grid of the source (plus ``T`` where every frame was predicted, and ``C`` of an `image` of several
        channels).
    labels
        Integer array on `grid`.
    image
        Array on `grid` for networks that answer with an image (restoration, uncertainty).
    classes
        What the label values mean; where labels number objects, what the values of ``objects["class"]`` mean.
    objects
        Where labels number objects, one value per object in each column, all of one length: ``"label"`` (its number,
        ascending), ``"score"`` (0 doubtful … 1 sure), ``"class"`` (a value of `classes`) where the model tells classes
        apart, ``"frame"`` where there is time. Numbers are unique within a frame. Empty for other labels.
    table
        Scores for the whole image by name, for example class probabilities.
    image_class
        The most likely class of the image as a whole, where that was asked.
    is_unsure
        Whether `image_class` is less likely than what was asked for.
    is_map
        Whether `image` is a map of something else than the brightness of the source.
    summary
        One short phrase for the user: ``"143 nuclei"``.
    provenance
        How it was made.
    detections
        Points and boxes with their classes and scores, in voxels of the spatial grid; where there is time, those of all
        frames, and `frames` says of which. None where places were not asked for.
    frames
        ``(N,)`` int32: frame of each detection, where there is time.
    slice_doubts
        For each spatial axis of a volume, how many voxels of each slice perpendicular to it are likely to be wrong:
        ``(n,)`` float32, ``(T, n)`` where every frame was predicted. Empty where that is not known.
    """

    grid: Grid
    labels: NDArray[Any] | None = None
    image: NDArray[Any] | None = None
    classes: tuple[LabelClass, ...] = ()
    table: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    provenance: Provenance | None = None
    objects: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    image_class: str | None = None
    is_unsure: bool = False
    detections: Detections | None = None
    frames: NDArray[Any] | None = None
    is_map: bool = False
    slice_doubts: tuple[NDArray[np.float32], ...] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(column) for name, column in self.objects.items()}
        if lengths and ("label" not in lengths or len(set(lengths.values())) > 1):
            raise BadInputError(
                f"expected columns of objects of one length with a label each, found {lengths}"
            )
        for name, array in (("labels", self.labels), ("image", self.image)):
            if array is not None and tuple(array.shape) != self.grid.shape:
                raise GridMismatchError(
                    f"expected {name} of {self.grid.shape} on axes {self.grid.axes}, "
                    f"found {tuple(array.shape)}"
                )

    @property
    def count(self) -> int | None:
        """How many objects were found in all frames; None where neither labels number objects nor places were asked for."""
        if self.detections is not None:
            return len(self.detections)
        return len(self.objects["label"]) if self.objects else None
