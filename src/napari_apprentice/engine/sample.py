"""Drawing patches where they teach something: foreground-aware, and only where the annotation counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["PatchSampler", "TrainArray", "planes"]

_CANDIDATES = 20_000


@dataclass(frozen=True, eq=False)
class TrainArray:
    """A prepared image with what the network should say of it.

    Parameters
    ----------
    name
        For messages.
    data
        ``(C, *working)`` float32.
    target
        ``(*working)`` uint8, or several maps ``(n, *working)``.
    weight
        How often it is drawn.
    marked
        ``(*working)`` uint8: which class a patch around a voxel shows, `IGNORE` where nothing counts. None: the target
        itself says so.
    """

    name: str
    data: NDArray[np.float32]
    target: NDArray[np.uint8]
    weight: float = 1.0
    marked: NDArray[np.uint8] | None = None

    @property
    def marks(self) -> NDArray[np.uint8]:
        """Where classes are and what counts, ``(*working)``."""
        return self.target if self.marked is None else self.marked

    def plane(self, z: int) -> TrainArray:
        """One Z plane of it (views)."""
        marked = None if self.marked is None else self.marked[z]
        target = self.target[..., z, :, :]
        return TrainArray(f"{self.name} z{z}", self.data[:, z], target, self.weight, marked)


def planes(array: TrainArray) -> list[TrainArray]:
    """Cut a 3-D training array into its Z planes that count (views), for 2-D networks."""
    marks = array.marks
    return [array.plane(z) for z in range(len(marks)) if (marks[z] != IGNORE).any()]


class PatchSampler:
    """Draws batches of patches with replacement.

    A share of the patches is centred on a voxel of a class (every class equally often), the others on any voxel that
    counts, so that no patch is without a lesson. Parts of a patch beyond the image are zero (the mean of a z-scored
    image) in the image and `IGNORE` in the target.

    Parameters
    ----------
    arrays
        Training arrays of one dimensionality and channel count.
    patch
        Patch size in voxels.
    foreground
        Share of patches centred on a class.
    """

    is_varied = False

    def __init__(
        self,
        arrays: Sequence[TrainArray],
        patch: Sequence[int],
        *,
        foreground: float,
        generator: np.random.Generator,
    ) -> None:
        self.arrays = tuple(arrays)
        self.patch = tuple(patch)
        self.foreground = foreground
        self.generator = generator
        self._weights = np.array([a.weight for a in self.arrays])
        # Candidate centres are fixed at the start: drawing one costs nothing afterwards.
        seed = np.random.default_rng(0)
        self._counted = [_positions(a.marks != IGNORE, seed) for a in self.arrays]
        self._by_class: dict[int, list[tuple[int, NDArray[np.int64]]]] = {}
        for number, array in enumerate(self.arrays):
            for value in np.unique(array.marks):
                if value not in (0, IGNORE):
                    where = _positions(array.marks == value, seed)
                    self._by_class.setdefault(int(value), []).append((number, where))

    @property
    def classes(self) -> list[int]:
        """Class numbers that occur in the targets."""
        return sorted(self._by_class)

    def draw(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return images ``(count, C, *patch)`` and targets ``(count, *patch)``, or ``(count, n, *patch)``."""
        first = self.arrays[0]
        data = np.zeros((count, len(first.data), *self.patch), dtype=np.float32)
        maps = first.target.shape[: first.target.ndim - len(self.patch)]
        target = np.full((count, *maps, *self.patch), IGNORE, dtype=np.uint8)
        for slot in range(count):
            number, centre = self._choose()
            self._cut(self.arrays[number], centre, data[slot], target[slot])
        return data, target

    def _choose(self) -> tuple[int, NDArray[np.int64]]:
        """Pick an array and a voxel to look at."""
        rng = self.generator
        if self._by_class and rng.random() < self.foreground:
            value = self.classes[int(rng.integers(len(self.classes)))]
            places = self._by_class[value]
            number, where = places[self._draw([n for n, _ in places])]
        else:
            number = self._draw(range(len(self.arrays)))
            where = self._counted[number]
        return number, where[int(rng.integers(len(where)))]

    def _draw(self, numbers: Sequence[int]) -> int:
        """Pick one of these arrays, by weight; return its position in the list."""
        weights = self._weights[list(numbers)]
        if (weights == weights[0]).all():
            return int(self.generator.integers(len(weights)))
        return int(self.generator.choice(len(weights), p=weights / weights.sum()))

    def _cut(
        self,
        array: TrainArray,
        centre: NDArray[np.int64],
        data: NDArray[np.float32],
        target: NDArray[np.uint8],
    ) -> None:
        """Copy the patch around `centre` into the given slots, with a random shift that keeps the centre inside."""
        source, slot = [], []
        for at, size, length in zip(centre, self.patch, array.marks.shape, strict=True):
            if length <= size:
                # The whole axis fits: place it anywhere in the patch.
                offset = int(self.generator.integers(0, size - length + 1))
                source.append(slice(0, length))
                slot.append(slice(offset, offset + length))
                continue
            jitter = int(self.generator.integers(-(size // 4), size // 4 + 1))
            start = min(max(int(at) - size // 2 + jitter, 0), length - size)
            source.append(slice(start, start + size))
            slot.append(slice(0, size))
        data[(slice(None), *slot)] = array.data[(slice(None), *source)]
        maps: tuple[Any, ...] = (Ellipsis,)
        target[maps + tuple(slot)] = array.target[maps + tuple(source)]


def _positions(mask: NDArray[np.bool_], generator: np.random.Generator) -> NDArray[np.int64]:
    """Return indices of true voxels, at most some thousands of them drawn at random, ``(n, ndim)``."""
    flat = np.flatnonzero(mask)
    if len(flat) > _CANDIDATES:
        flat = generator.choice(flat, _CANDIDATES, replace=False)
    return np.stack(np.unravel_index(flat, mask.shape), axis=1)
