"""Stitching tiles in a rolling window: scores of the whole volume never exist at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["Answer", "RowSampler", "Window"]

_CHUNK_BYTES = 8 * 2**20


class Window:
    """Weighted sums of overlapping tiles, for as many rows of the first axis as one tile has.

    Tiles must come sorted by their first row. Before the first tile that starts lower down, `final` gives the rows
    that no later tile touches and `advance` lets them go.

    Parameters
    ----------
    channels
        Scores per voxel.
    shape
        Spatial shape of the padded volume.
    weights
        Blending weights of a tile, float32, on the device where sums are kept.
    """

    def __init__(self, channels: int, shape: Sequence[int], weights: torch.Tensor) -> None:
        self._rows = weights.shape[0]
        self._weights = weights
        window = (self._rows, *shape[1:])
        self._sum = torch.zeros((channels, *window), device=weights.device)
        self._weight = torch.zeros(window, device=weights.device)
        self.first = 0

    def add(self, start: Sequence[int], scores: torch.Tensor) -> None:
        """Add the scores ``(K, *tile)`` of the tile at `start`, which must begin in the window's first row."""
        if start[0] != self.first:
            raise ValueError(f"expected a tile starting in row {self.first}, found {start[0]}")
        place = (
            slice(None),
            *(slice(s, s + t) for s, t in zip(start[1:], scores.shape[2:], strict=True)),
        )
        scores = scores.to(self._sum.device, torch.float32)
        self._sum[(slice(None), *place)].addcmul_(scores, self._weights)
        self._weight[place] += self._weights

    def final(self, row: int) -> torch.Tensor:
        """Blended scores ``(K, row - first, *rest)`` of the rows before `row`: a view, valid until `advance`."""
        count = row - self.first
        rows = self._sum[:, :count]
        return rows.div_(self._weight[:count])

    def advance(self, row: int) -> None:
        """Let go of the rows before `row`; the window now starts there."""
        step = row - self.first
        if step <= 0:
            return
        for array in (self._sum.movedim(1, 0), self._weight):
            # Blocks of `step` rows do not overlap with where they go: no second copy of the window.
            for to in range(0, self._rows - step, step):
                block = array[to + step : min(to + 2 * step, self._rows)]
                array[to : to + len(block)] = block
            array[max(0, self._rows - step) :] = 0
        self.first = row


class RowSampler:
    """Linear interpolation from the working to the source grid, row by row as rows become final.

    Outer faces of both grids coincide (`Grid.with_shape`), so along each axis source voxel ``j`` lies at working
    coordinate ``(j + 1/2) * working / source - 1/2``, held inside the volume.

    Parameters
    ----------
    working
        Spatial shape on the working grid, without padding.
    source
        Spatial shape on the reoriented source grid.
    pad
        Voxels of padding before and after each axis of what is pushed.
    """

    def __init__(
        self, working: Sequence[int], source: Sequence[int], pad: Sequence[tuple[int, int]]
    ) -> None:
        self._working, self._source = tuple(working), tuple(source)
        self._before = pad[0][0]
        self._crop = tuple(
            slice(before, before + length)
            for (before, _), length in zip(pad[1:], working[1:], strict=True)
        )
        at = (np.arange(source[0]) + 0.5) * (working[0] / source[0]) - 0.5
        at = np.clip(at, 0, working[0] - 1)
        self._low = np.floor(at).astype(int)
        self._high = np.ceil(at).astype(int)
        self._share = (at - self._low).astype(np.float32)
        self._kept: dict[int, torch.Tensor] = {}
        self._next = 0

    def push(self, first: int, rows: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
        """Take the next final rows and give the source rows that depend on nothing later.

        Parameters
        ----------
        first
            Row of the padded volume that ``rows[:, 0]`` is.
        rows
            Scores ``(K, n, *rest)`` with padding.

        Yields
        ------
        int, torch.Tensor
            First source row of a chunk and its scores ``(K, m, *source[1:])``.
        """
        begin = first - self._before
        end = min(begin + rows.shape[1], self._working[0])
        begin, skipped = max(begin, 0), max(-begin, 0)
        rows = rows[(slice(None), slice(skipped, skipped + max(0, end - begin)), *self._crop)]
        ready = int(np.searchsorted(self._high, end, side="left"))
        size = self._rows_per_chunk(rows.shape[0])
        while self._next < ready:
            low = self._next
            high = min(low + size, ready)
            yield low, self._chunk(low, high, begin, rows)
            self._next = high
        self._keep(begin, end, rows)

    def _rows_per_chunk(self, channels: int) -> int:
        wider = np.maximum(self._source[1:], self._working[1:])
        return max(1, _CHUNK_BYTES // int(4 * channels * np.prod(wider)))

    def _chunk(self, low: int, high: int, begin: int, rows: torch.Tensor) -> torch.Tensor:
        if self._working == self._source:
            return rows[:, low - begin : high - begin]
        below = self._gather(self._low[low:high], begin, rows)
        if self._share[low:high].any():
            share = torch.from_numpy(self._share[low:high]).to(rows.device)
            above = self._gather(self._high[low:high], begin, rows)
            below = torch.lerp(below, above, share.view(-1, *(1,) * (below.ndim - 1)))
        if self._working[1:] != self._source[1:]:
            mode = "bilinear" if below.ndim == 4 else "linear"
            below = functional.interpolate(
                below, size=self._source[1:], mode=mode, align_corners=False
            )
        return below.movedim(0, 1)

    def _gather(self, wanted: NDArray[np.int64], begin: int, rows: torch.Tensor) -> torch.Tensor:
        """Working rows as ``(n, K, *rest)``, from those just pushed or from those kept."""
        picked = [self._kept[i] if i < begin else rows[:, i - begin] for i in wanted.tolist()]
        return torch.stack(picked)

    def _keep(self, begin: int, end: int, rows: torch.Tensor) -> None:
        """Copy the rows that the next source row needs and that will be gone by then."""
        if self._next >= self._source[0]:
            self._kept = {}
            return
        oldest = int(self._low[self._next])
        self._kept = {i: r for i, r in self._kept.items() if i >= oldest}
        for i in range(max(oldest, begin), end):
            self._kept[i] = rows[:, i - begin].clone()


class Answer:
    """The answer of one frame or plane on the source grid, filled slab by slab.

    Parameters
    ----------
    shape
        Spatial shape on the reoriented source grid.
    reduce
        Turns scores ``(K, *slab)`` into answers ``(*slab)`` or ``(n, *slab)``; None keeps the scores, as float16.
    """

    def __init__(
        self, shape: Sequence[int], reduce: Callable[[torch.Tensor], torch.Tensor] | None
    ) -> None:
        self._shape = tuple(shape)
        self._reduce = reduce
        self.dense: NDArray[np.generic] | None = None

    def put(self, place: tuple[int | slice, ...], scores: torch.Tensor) -> None:
        """Write the answer for the scores of a slab at `place` (an index without channels)."""
        answer = scores.to(torch.float16) if self._reduce is None else self._reduce(scores)
        lead = tuple(answer.shape[: answer.ndim - scores.ndim + 1])
        values = answer.cpu().numpy()
        if self.dense is None:
            self.dense = np.zeros((*lead, *self._shape), dtype=values.dtype)
        self.dense[(..., *place, *(slice(None),) * (len(self._shape) - len(place)))] = values
