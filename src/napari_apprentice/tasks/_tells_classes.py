"""What tasks promise whose answers can be asked for a reason: of which class each voxel, or each anchor, is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from napari_apprentice.core.spec import ModelSpec

__all__ = ["TellsClasses"]


@runtime_checkable
class TellsClasses(Protocol):
    """A task that reads from its network's answer, place by place, how much speaks for each class.

    Places are voxels, ``*spatial``; of networks that answer box by box they are the R anchors. Those that answer once per
    image (`AnswersPerImage`) are not asked.
    """

    def class_scores(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Scores ``(B, 1 + n, *places)`` of the background and of each class, from an answer ``(B, K, *spatial)`` or of rows.

        Their softmax are the probabilities; gradients pass through. A model of numbered objects without classes has
        one, of all of them.
        """
        ...

    def told(self, scores: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Which class each place is given, ``(B, *places)`` from those scores: 0 background, else its position from 1."""
        ...
