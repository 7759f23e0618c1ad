"""One run of a network that answers box by box: every tile tells of what has its middle there."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from napari_apprentice.tasks import TASKS

from ._sliding import Runner, batches, padded_with
from .tiles import padding, tile_starts, tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import ReadsBoxes

    from ._sliding import Clock, Plan
    from .prepare import Prepared

__all__ = ["RowRunner", "runner_for"]

_SHARE_TOLD_TWICE = 0.25
_TOLD_TWICE = 2.0
"""Voxels: the middle of one box is not quite the same to two tiles; it may be told twice, but must not be lost."""


def runner_for(
    network: torch.nn.Module,
    plan: Plan,
    reduce: Callable[[torch.Tensor], torch.Tensor] | None,
    spec: ModelSpec,
) -> Runner:
    """How a network is run tile by tile: as it answers."""
    if not getattr(network, "finds_boxes", False):
        return Runner(network, plan, reduce)
    task = cast("ReadsBoxes", TASKS[spec.task])
    return RowRunner(network, plan, lambda rows: task.found(rows, spec))


class RowRunner(Runner):
    """A network on its device, and how its rows become boxes.

    An object is told of by the tile in whose own part its middle lies: up to half-way into the overlap with the next, and a
    little further.

    Parameters
    ----------
    network, plan
        See `Runner`; the module maps ``(B, C, *tile)`` to rows ``(B, R, columns)``.
    found
        What the rows ``(R, columns)`` of a tile tell: ``(M, 2 n + classes)``, middles and lengths first.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        plan: Plan,
        found: Callable[[torch.Tensor], NDArray[np.float32]],
    ) -> None:
        super().__init__(network, plan, None)
        self._found = found

    def run(self, prepared: Prepared, clock: Clock) -> Generator[Progress, None, NDArray[Any]]:
        """Run over a frame; return ``(N, 2 m + classes)`` on the working grid of m axes.

        Lengths are NaN along an axis that the network does not see.
        """
        data = torch.from_numpy(prepared.data)
        if data.ndim - 1 == len(self._plan.tile):
            return (yield from self._boxes(data, clock))
        found = []
        for z in range(data.shape[1]):
            rows = yield from self._boxes(data[:, z], clock)
            found.append(_on_plane(rows, z, len(self._plan.tile)))
        return np.concatenate(found)

    def _boxes(
        self, data: torch.Tensor, clock: Clock
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Boxes of one array ``(C, *working)``."""
        plan = self._plan
        pad = padding(data.shape[1:], plan.tile)
        padded = padded_with(data, pad)
        own = _own_parts(padded.shape[1:], plan.tile, plan.overlap)
        ndim = len(plan.tile)
        found = []
        starts = iter(tiles(tuple(padded.shape[1:]), plan.tile, plan.overlap))
        for batch in batches(starts, plan.batch):
            told = yield from self._told(padded, batch, clock)
            for start, rows in zip(batch, told, strict=True):
                rows[:, :ndim] += np.asarray(start, np.float32)
                found.append(rows[_is_own(rows[:, :ndim], start, own)])
                yield clock.tick(1)
        every = np.concatenate(found)
        every[:, :ndim] -= np.array([before for before, _ in pad], np.float32)
        return every

    def _told(
        self, padded: torch.Tensor, batch: Sequence[Sequence[int]], clock: Clock
    ) -> Generator[Progress, None, list[NDArray[np.float32]]]:
        """Boxes of each tile of a batch, those of mirrored passes among them, in voxels of the tile."""
        told: list[list[NDArray[np.float32]]] = [[] for _ in batch]
        with torch.inference_mode():
            inputs = self._inputs(padded, batch)
        for number, flips in enumerate(self._flips):
            if number:
                yield clock.tick()
            with torch.inference_mode():
                rows = self._answer(torch.flip(inputs, flips) if flips else inputs)
                for slot, one in enumerate(rows):
                    told[slot].append(_unmirrored(self._found(one), flips, inputs.shape[2:]))
        return [np.concatenate(passes) for passes in told]


def _unmirrored(
    rows: NDArray[np.float32], flips: Sequence[int], tile: Sequence[int]
) -> NDArray[np.float32]:
    for axis in flips:
        rows[:, axis - 2] = tile[axis - 2] - 1 - rows[:, axis - 2]
    return rows


def _own_parts(
    shape: Sequence[int], tile: Sequence[int], overlap: float
) -> list[dict[int, tuple[float, float]]]:
    """Of each axis the part that a tile with a given start tells of: beyond the image there is no end to it."""
    parts = []
    for length, size in zip(shape, tile, strict=True):
        starts = tile_starts(length, size, overlap)
        bounds = [-np.inf]
        more = [0.0]
        for before, after in itertools.pairwise(starts):
            bounds.append((after + before + size) / 2 - 0.5)
            more.append(max(_TOLD_TWICE, _SHARE_TOLD_TWICE * (before + size - after)))
        bounds.append(np.inf)
        more.append(0.0)
        parts.append(
            {
                start: (bounds[n] - more[n], bounds[n + 1] + more[n + 1])
                for n, start in enumerate(starts)
            }
        )
    return parts


def _is_own(
    middles: NDArray[np.float32],
    start: Sequence[int],
    own: Sequence[dict[int, tuple[float, float]]],
) -> NDArray[np.bool_]:
    inside = np.ones(len(middles), dtype=bool)
    for axis, first in enumerate(start):
        low, high = own[axis][first]
        inside &= (middles[:, axis] >= low) & (middles[:, axis] < high)
    return inside


def _on_plane(rows: NDArray[np.float32], z: int, ndim: int) -> NDArray[np.float32]:
    """The boxes of a plane as boxes of the volume, of unknown depth."""
    count = len(rows)
    place, depth = np.full((count, 1), z, np.float32), np.full((count, 1), np.nan, np.float32)
    return np.concatenate([place, rows[:, :ndim], depth, rows[:, ndim:]], axis=1)
