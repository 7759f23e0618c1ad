"""The contract every task keeps; the engine knows tasks only through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = ["ReducesOutput", "Task"]


@runtime_checkable
class Task(Protocol):
    """What is asked of a network: how to teach it, how to read its answer, how to mark it.

    Contract
    --------
    - ``targets`` returns a small-integer or float array on the annotation's own grid; `IGNORE` (255) marks what does not count.
    - ``loss`` takes network output ``(B, K, *spatial)`` and batched targets ``(B, *spatial)`` and ignores 255.
    - ``decode`` takes the network's answer on the *source* grid and makes a `Prediction` there.
    - ``score`` returns flat names and numbers; higher ``primary`` is better.
    """

    name: str
    title: str
    primary: str

    def output_channels(self, spec: ModelSpec) -> int:
        """Channels the network must answer with."""
        ...

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[Any]:
        """Turn an annotation into what the network should have said, ``annotation.grid.shape``."""
        ...

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Scalar loss of a batch; zero-gradient where the target is `IGNORE`."""
        ...

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Make a prediction of the network's answer (reduced, where the task reduces), on `grid`."""
        ...

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """Scores of one case where the annotation counts."""
        ...

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Propose a model for these volumes: network, spacing, tile, normalisation."""
        ...


@runtime_checkable
class ReducesOutput(Protocol):
    """A task whose answer can be decided voxel by voxel, so that full-size scores never exist."""

    def reduce(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Turn scores ``(K, *spatial)`` of a slab into its answer ``(*spatial)``, uint8 or uint16."""
        ...
