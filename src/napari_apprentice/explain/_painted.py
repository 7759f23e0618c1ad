"""What a network tells box by box, voxel by voxel: the boxes are painted."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from napari_apprentice.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import ReadsBoxes

__all__ = ["Painted"]


class Painted(torch.nn.Module):
    """A network that answers box by box as one that answers ``(B, C, *tile)`` with shares ``(B, 1 + n, *tile)``.

    A voxel is of the class of the surest box around it, else background, and of nothing else: how sure a box is does not count
    beyond that it is told. (The focal loss leaves scores near the middle, of boxes that every copy of an image shows, too.)
    """

    def __init__(self, network: torch.nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network = network
        self._spec = spec
        self._task = cast("ReadsBoxes", TASKS[spec.task])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Shares of the background and of each class, voxel by voxel."""
        tile = tuple(image.shape[2:])
        told = [self._task.found(rows, self._spec) for rows in self.network(image)]
        classes = torch.from_numpy(np.stack([_painted(boxes, tile) for boxes in told]))
        shares = torch.nn.functional.one_hot(classes, 1 + len(self._spec.classes))
        return shares.movedim(-1, 1).float().to(image.device)


def _painted(boxes: NDArray[np.float32], tile: Sequence[int]) -> NDArray[np.int64]:
    """Position from 1 of the class of each voxel, 0 beside all boxes, from boxes ``(M, 2 n + classes)``."""
    ndim = len(tile)
    painted = np.zeros(tuple(tile), np.int64)
    shares = boxes[:, 2 * ndim :]
    for box in boxes[np.argsort(shares.max(axis=1, initial=0.0), kind="stable")]:
        middle, half = box[:ndim], box[ndim : 2 * ndim] / 2
        # Voxels whose middles lie inside.
        low = np.ceil(middle - half).clip(0, tile).astype(int)
        high = (np.floor(middle + half) + 1).clip(0, tile).astype(int)
        painted[tuple(map(slice, low, high))] = 1 + int(box[2 * ndim :].argmax())
    return painted
