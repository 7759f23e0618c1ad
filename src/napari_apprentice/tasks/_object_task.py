"""What tasks that class numbered objects promise beside `Task`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec

    from ._task import Task

__all__ = ["ClassesObjects", "inputs_of"]


@runtime_checkable
class ClassesObjects(Protocol):
    """A task that says of which class numbered objects are; its networks are `AnswersPerImage` and see a crop around each.

    Contract
    --------
    - an annotation numbers objects and says the class of some: ``object_classes``; all others count for nothing.
    - a crop has the channels of the image and, last, the mask of its object; ``spec.tile`` is its size.
    - ``targets`` returns ``(N,)``, one position among ``spec.classes`` per object of `known_objects`; ``loss`` takes output
      ``(B, K)`` and targets ``(B,)``; ``decode`` takes scores ``(N, K)`` of the objects 1 … N.
    """

    def input_channels(self, spec: ModelSpec) -> int:
        """Channels of a crop."""
        ...

    def known_objects(
        self, annotation: Annotation, spec: ModelSpec
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Numbers of the objects whose class is known, ascending, and its position among ``spec.classes``."""
        ...

    def planned(self, spec: ModelSpec, annotations: Sequence[Annotation]) -> ModelSpec:
        """A new model's description with the size of crops that the annotated objects need."""
        ...

    def zoom(self, spec: ModelSpec) -> float:
        """How images without voxel size are zoomed before they are cut."""
        ...

    def classed(
        self,
        scores: NDArray[Any],
        numbers: NDArray[Any],
        labels: NDArray[Any],
        grid: Grid,
        spec: ModelSpec,
    ) -> Prediction:
        """Make a prediction of scores ``(N, K)`` of the objects with these numbers ``(N,)`` in `labels`."""
        ...

    def judge(
        self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec
    ) -> Mapping[str, float]:
        """See `WholeImage.judge`; of objects."""
        ...

    def calibrated(self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec) -> ModelSpec:
        """See `WholeImage.calibrated`."""
        ...


def inputs_of(task: Task, spec: ModelSpec) -> int:
    """Channels that a network sees: those of the image, and what the task adds."""
    return task.input_channels(spec) if isinstance(task, ClassesObjects) else len(spec.channels)
