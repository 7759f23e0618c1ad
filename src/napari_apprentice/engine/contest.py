"""Real images that a network learns to make more of: whole ones fitted to its size, or patches of large ones."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError

from .images import fitted
from .lessons import is_constant

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress
    from napari_apprentice.core.spec import ModelSpec

    from .images import ImageArray
    from .prepare import Prepared
    from .split import TrainItem

__all__ = ["PictureSampler", "check_pictures", "parts_of", "picture_spec", "sees_whole"]


def check_pictures(items: Sequence[TrainItem]) -> None:
    """Refuse what nothing can be made up from, before any work is done.

    Raises
    ------
    BadInputError
        No images, volumes, classes for only some of them, or the same value everywhere.
    """
    if not items:
        raise BadInputError(
            "expected images to learn to make more of, found none",
            remedy="Choose a folder of images.",
        )
    if all(item.is_synthetic for item in items):
        raise BadInputError(
            f"expected measured images to learn from, found only made-up ones ({len(items)})",
            remedy="Give the images that those were made of.",
        )
    deep = next((item for item in items if item.volume.grid.ndim != 2), None)
    if deep is not None:
        raise BadInputError(
            "expected flat images to learn to make more of, found a volume",
            path=deep.name,
            remedy="Save single slices as images of their own.",
        )
    said = Counter(item.annotation.image_class is not None for item in items)
    if len(said) > 1:
        raise BadInputError(
            f"expected a class for all images or for none, found {said[True]} of {len(items)} with one",
            remedy="Give every image a class, or none.",
        )
    if all(is_constant(item) for item in items):
        raise BadInputError(
            "expected an image with something on it, found the same value everywhere",
            path=items[0].name,
            remedy="Choose other images.",
        )


def sees_whole(spec: ModelSpec) -> bool:
    """Whether a model makes whole images, not patches of larger ones."""
    return str(spec.task_args.get("sees", "whole")) == "whole"


def picture_spec(spec: ModelSpec, items: Sequence[TrainItem]) -> ModelSpec:
    """Fix a description to the size of its images.

    Raises
    ------
    BadInputError
        Intensities that could not be brought back to those of the images, or too few images.
    """
    if spec.normalization.kind != "window":
        raise BadInputError(
            f"expected one window of intensities for all images, found {spec.normalization.kind}: what is made up "
            "could not be brought back to the values of the images",
            remedy="Leave the intensities as planned, or give a window.",
        )
    if sees_whole(spec) and len(items) < 2:
        raise BadInputError(
            f"expected at least two images, found {len(items)}: all that is made up would be a copy of it",
            path=items[0].name if items else None,
            remedy="Give more images, some dozen at least; of a single large image patches are learned.",
        )
    args = {**spec.network_args, "size": list(spec.tile)}
    return spec.model_copy(update={"network_args": args})


def parts_of(prepared: Prepared, spec: ModelSpec) -> Generator[Progress, None, NDArray[np.float32]]:
    """What a prepared image gives to learn from, ``(1, C, *size)``: fitted to the model's size, or as it is, but no smaller."""
    if sees_whole(spec):
        return (yield from fitted(prepared, spec))
    data = prepared.data
    lacking = [max(0, t - n) for t, n in zip(spec.tile, data.shape[1:], strict=True)]
    if any(lacking):
        data = np.pad(data, [(0, 0), *((0, n) for n in lacking)], mode="symmetric")
    return data[np.newaxis]


class PictureSampler:
    """Draws batches of images of the model's size, kinds equally often or as they occur; mirrored where that is as good.

    Parameters
    ----------
    arrays
        Of one channel count, none smaller than `patch`.
    patch
        Size of what is drawn.
    balance
        1 draws every kind equally often, 0 as often as it occurs; between them, as the power of its share.
    axes
        Spatial axes along which a mirrored image is as plausible.
    """

    is_varied = True
    """What is judged is varied later, real and made alike; there is no need to do so with the batch."""

    def __init__(
        self,
        arrays: Sequence[ImageArray],
        patch: Sequence[int],
        *,
        balance: float,
        axes: Sequence[int],
        generator: np.random.Generator,
    ) -> None:
        self.arrays = tuple(arrays)
        self.patch = tuple(patch)
        self.generator = generator
        self._axes = tuple(axes)
        kinds = np.array([array.target for array in arrays])
        _, at, counts = np.unique(kinds, return_inverse=True, return_counts=True)
        weights = (counts ** (1.0 - balance) / counts)[at]
        self._limits = np.cumsum(weights / weights.sum())

    def draw(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return images ``(count, C, *patch)`` and positions of their kinds ``(count,)``."""
        channels = self.arrays[0].data.shape[0]
        data = np.empty((count, channels, *self.patch), np.float32)
        kinds = np.empty(count, np.uint8)
        for slot in range(count):
            drawn = int(np.searchsorted(self._limits, self.generator.random(), side="right"))
            array = self.arrays[min(drawn, len(self.arrays) - 1)]
            data[slot], kinds[slot] = self._cut(array.data), array.target
        return data, kinds

    def _cut(self, data: NDArray[np.float32]) -> NDArray[np.float32]:
        """A patch from somewhere, mirrored by chance."""
        place: list[slice] = [slice(None)]
        for length, size in zip(data.shape[1:], self.patch, strict=True):
            start = int(self.generator.integers(0, length - size + 1))
            place.append(slice(start, start + size))
        flips = tuple(axis + 1 for axis in self._axes if self.generator.random() < 0.5)
        return np.flip(data[tuple(place)], flips)
