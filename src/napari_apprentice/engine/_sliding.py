"""One run of a network over one prepared frame: tiles in, answer out, an event per tile."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_apprentice.core.errors import ModelError
from napari_apprentice.core.jobs import Progress

from ._stitch import Answer, RowSampler, Window
from ._tune import tune
from .tiles import blend_weights, halved, mirrorings, padding, tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from numpy.typing import NDArray

    from .prepare import Prepared

__all__ = ["Clock", "Plan", "Runner", "batches", "next_plan", "padded_with"]


@dataclass(frozen=True)
class Plan:
    """How tiles are run; the out-of-memory ladder changes one thing of it at a time.

    Parameters
    ----------
    device, stitch
        Device of the network and of the blended sums.
    batch
        Tiles per pass.
    tile
        Tile in working voxels, a multiple of the network's divisor.
    overlap
        Share of a tile that its neighbour repeats.
    mixed
        Half precision (CUDA only).
    mirror
        Spatial axes along which mirrored passes are averaged.
    """

    device: str
    stitch: str
    batch: int
    tile: tuple[int, ...]
    overlap: float
    mixed: bool = False
    mirror: tuple[int, ...] = ()


def next_plan(plan: Plan, divisor: Sequence[int]) -> tuple[Plan, str] | None:
    """Return the next step of the out-of-memory ladder and its sentence, or None where all was tried."""
    if plan.batch > 1:
        return replace(plan, batch=1), "one tile at a time"
    if plan.stitch != "cpu":
        return replace(plan, stitch="cpu"), "stitching in main memory"
    half = halved(plan.tile, divisor)
    if half != plan.tile:
        return replace(plan, tile=half), f"tiles of {' × '.join(map(str, half))} voxels"
    if plan.device != "cpu":
        return replace(plan, device="cpu", mixed=False), "the network on the CPU"
    return None


class Clock:
    """Counts tiles over all frames and says how long the rest will take."""

    def __init__(self, total: int, seconds: float | None = None) -> None:
        self.done, self.total = 0, total
        self._offset = 0
        self._guess = seconds
        self._began = time.perf_counter()

    def restart(self, done: int, total: int) -> None:
        """Begin again at `done` of `total`, after a step of the out-of-memory ladder."""
        self.done, self.total, self._offset = done, total, done
        self._guess, self._began = None, time.perf_counter()

    def tick(self, tiles: int = 0) -> Progress:
        """Count finished tiles and tell the progress."""
        self.done += tiles
        left = self._guess
        if self.done > self._offset:
            per_tile = (time.perf_counter() - self._began) / (self.done - self._offset)
            left = per_tile * (self.total - self.done)
        return Progress("predicting", self.done, self.total, "tile", left)


class Runner:
    """A network on its device, and how its scores become an answer.

    Parameters
    ----------
    network
        Module that maps ``(B, C, *tile)`` to ``(B, K, *tile)``; changed in place, so give a fresh one.
    plan
        How tiles are run.
    reduce
        See `Answer`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        plan: Plan,
        reduce: Callable[[torch.Tensor], torch.Tensor] | None,
    ) -> None:
        self._plan = plan
        self._reduce = reduce
        # Half-precision weights on disk or not, the sums of a convolution want more.
        self._network = network.to(plan.device, torch.float32).eval()
        self._layout = torch.contiguous_format
        if plan.device == "cpu":
            self._network, self._layout = tune(self._network, len(plan.tile))
        self._weights = torch.from_numpy(blend_weights(plan.tile)).to(plan.stitch)
        self._flips = mirrorings(plan.mirror)

    def run(self, prepared: Prepared, clock: Clock) -> Generator[Progress, None, NDArray[Any]]:
        """Run over a frame; return the answer on the reoriented source grid (see `Answer`)."""
        data = torch.from_numpy(prepared.data)
        ndim = len(self._plan.tile)
        answer = Answer(prepared.turned.shape, self._reduce)
        if data.ndim - 1 > ndim:
            for z in range(data.shape[1]):
                source = prepared.turned.shape[1:]
                yield from self._field(data[:, z], source, answer, (z,), clock)
        else:
            yield from self._field(data, prepared.turned.shape, answer, (), clock)
        if answer.dense is None:
            raise ModelError("expected an answer of the network, found none")
        return answer.dense

    def _field(
        self,
        data: torch.Tensor,
        source: tuple[int, ...],
        answer: Answer,
        place: tuple[int, ...],
        clock: Clock,
    ) -> Generator[Progress, None, None]:
        """Run over one array ``(C, *working)`` that the network sees all axes of."""
        plan = self._plan
        pad = padding(data.shape[1:], plan.tile)
        padded = padded_with(data, pad)
        shape = tuple(padded.shape[1:])
        sampler = RowSampler(data.shape[1:], source, pad)
        window: Window | None = None
        starts = tiles(shape, plan.tile, plan.overlap)
        for first, group in itertools.groupby(starts, key=lambda start: start[0]):
            if window is not None:
                yield from self._flush(window, first, sampler, answer, place, clock)
            for batch in batches(group, plan.batch):
                scores = yield from self._forward(padded, batch, clock)
                for start, one in zip(batch, scores, strict=True):
                    with torch.inference_mode():
                        window = window or Window(len(one), shape, self._weights)
                        window.add(start, one)
                    yield clock.tick(1)
                del scores, one
        if window is not None:
            yield from self._flush(window, shape[0], sampler, answer, place, clock)

    def _flush(
        self,
        window: Window,
        row: int,
        sampler: RowSampler,
        answer: Answer,
        place: tuple[int, ...],
        clock: Clock,
    ) -> Iterator[Progress]:
        """Turn the rows before `row` into answers, a chunk at a time, and let them go."""
        with torch.inference_mode():
            rows = window.final(row)
        chunks = sampler.push(window.first, rows)
        while True:
            # Modes of torch belong to the thread, not to the generator: none may stay on across a yield.
            with torch.inference_mode():
                chunk = next(chunks, None)
                if chunk is not None:
                    low, scores = chunk
                    answer.put((*place, slice(low, low + scores.shape[1])), scores)
                else:
                    window.advance(row)
            if chunk is None:
                return
            yield clock.tick()

    def _forward(
        self, padded: torch.Tensor, batch: Sequence[Sequence[int]], clock: Clock
    ) -> Generator[Progress, None, torch.Tensor]:
        """Scores ``(B, K, *tile)`` of a batch of tiles, mirrored passes averaged."""
        total: torch.Tensor | None = None
        with torch.inference_mode():
            inputs = self._inputs(padded, batch)
        for number, flips in enumerate(self._flips):
            if number:
                yield clock.tick()
            with torch.inference_mode():
                scores = self._pass(inputs, flips)
                total = scores if total is None else total.add_(scores)
        if total is None:
            raise ValueError("expected at least one pass, found none")
        if len(self._flips) > 1:
            with torch.inference_mode():
                total /= len(self._flips)
        return total

    def _inputs(self, padded: torch.Tensor, batch: Sequence[Sequence[int]]) -> torch.Tensor:
        cuts = [
            padded[
                (
                    slice(None),
                    *(slice(s, s + t) for s, t in zip(start, self._plan.tile, strict=True)),
                )
            ]
            for start in batch
        ]
        stacked = torch.stack(cuts).to(self._plan.device)
        return stacked.contiguous(memory_format=self._layout)

    def _pass(self, inputs: torch.Tensor, flips: tuple[int, ...]) -> torch.Tensor:
        scores = self._answer(torch.flip(inputs, flips) if flips else inputs)
        if scores.shape[2:] != inputs.shape[2:]:
            raise ModelError(
                f"expected scores of {tuple(inputs.shape[2:])} voxels, "
                f"found {tuple(scores.shape[2:])}",
                remedy="This network cannot answer voxel by voxel.",
            )
        scores = torch.flip(scores, flips) if flips else scores
        return scores.to(self._plan.stitch, torch.float32)

    def _answer(self, inputs: torch.Tensor) -> torch.Tensor:
        kind = self._plan.device.partition(":")[0]
        with torch.autocast(kind, torch.float16, enabled=self._plan.mixed and kind == "cuda"):
            answer: torch.Tensor = self._network(inputs)
        return answer


def padded_with(data: torch.Tensor, pad: Sequence[tuple[int, int]]) -> torch.Tensor:
    """Pad the spatial axes of ``(C, *spatial)`` with zeros, as MONAI's inferer does; zero is the mean of a z-score."""
    if not np.any(pad):
        return data
    flat = [value for pair in reversed(pad) for value in pair]
    return torch.nn.functional.pad(data, flat)


def batches(starts: Iterator[tuple[int, ...]], size: int) -> Iterator[list[tuple[int, ...]]]:
    """The starts of tiles, so many at a time."""
    while batch := list(itertools.islice(starts, size)):
        yield batch
