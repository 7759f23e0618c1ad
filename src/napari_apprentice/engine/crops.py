"""Crops around numbered objects, as a network that classes them sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.measure.boxes import object_boxes

from .prepare import labels_to_working, preparing, reorient

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.tasks import ClassesObjects

__all__ = ["Cutter", "cutting"]


@dataclass(frozen=True, eq=False)
class Cutter:
    """An image and its objects on the working grid, ready to be cut.

    Parameters
    ----------
    data
        float32 ``(C, *working)``, normalised.
    labels
        Numbers of the objects, ``working``.
    middles
        Number of each object → the working voxel in the middle of its box.
    tile
        Shape of a crop.
    notes
        What the user should know about how the image was prepared.
    """

    data: NDArray[np.float32]
    labels: NDArray[np.integer]
    middles: dict[int, tuple[int, ...]]
    tile: tuple[int, ...]
    notes: tuple[str, ...] = ()

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of all objects, ascending."""
        return np.array(sorted(self.middles), dtype=np.int64)

    def cut(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """Crops ``(N, C + 1, *tile)`` of these objects; what lies beyond the image is 0.

        The last channel is 1 in the object. One that is too small for the working grid is one voxel.
        """
        crops = np.zeros((len(numbers), len(self.data) + 1, *self.tile), np.float32)
        for crop, number in zip(crops, numbers, strict=True):
            middle = self.middles[number]
            source, place = self._window(middle)
            crop[(slice(0, -1), *place)] = self.data[(slice(None), *source)]
            mask = self.labels[source] == number
            crop[(-1, *place)] = mask
            if not mask.any():
                crop[(-1, *(size // 2 for size in self.tile))] = 1.0
        return crops

    def _window(self, middle: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where a crop lies in the image, and that part in the crop."""
        source, place = [], []
        for at, size, length in zip(middle, self.tile, self.data.shape[1:], strict=True):
            start = at - size // 2
            low, high = max(0, start), min(length, start + size)
            source.append(slice(low, high))
            place.append(slice(low - start, high - start))
        return tuple(source), tuple(place)


def cutting(
    volume: Volume, labels: NDArray[np.integer], task: ClassesObjects, spec: ModelSpec
) -> Generator[Progress, None, Cutter]:
    """Bring an image and its objects to the grid that the network works on.

    Parameters
    ----------
    volume
        One time point.
    labels
        Numbers of the objects, on the spatial grid of `volume`.

    Raises
    ------
    BadInputError
        The image does not fit the model.
    GridMismatchError
        The labels have another shape than the image.
    """
    prepared = yield from preparing(volume, spec, task.zoom(spec))
    working = labels_to_working(labels, prepared)
    boxes = object_boxes(np.ascontiguousarray(reorient(labels, prepared.order, prepared.flips)))
    factors = np.divide(prepared.grid.shape, prepared.turned.shape)
    last = np.subtract(prepared.grid.shape, 1)
    middles = {
        number: tuple(
            min(int((part.start + part.stop) / 2 * factor), int(most))
            for part, factor, most in zip(box, factors, last, strict=True)
        )
        for number, box in boxes.items()
    }
    return Cutter(prepared.data, working, middles, spec.tile, prepared.notes)
