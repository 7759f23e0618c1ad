"""Whole images as samples: fitted to the model's size, drawn class by class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import ApprenticeError, BadInputError, naming
from napari_apprentice.core.jobs import Log, Progress

from ._resample import resample
from .prepare import preparing, restore
from .size import placing

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import Task

    from .prepare import Prepared
    from .split import TrainItem

__all__ = ["ImageArray", "ImageSampler", "fitted", "left_out", "prepare_images", "unfitted"]

_NAMED = 3
_SHIFT = 16


@dataclass(frozen=True, eq=False)
class ImageArray:
    """A whole image ``(C, *tile)`` float32, the position of its class, a digest of its voxels, and what else is known of it."""

    name: str
    data: NDArray[np.float32]
    target: int
    digest: str
    measured: NDArray[np.float32] | None = None


def fitted(prepared: Prepared, spec: ModelSpec) -> Generator[Progress, None, NDArray[np.float32]]:
    """Bring a prepared image to the model's tile, as a whole where the model has no spacing of its own.

    Without a working spacing it is resized until it just fits, its proportions (in the world) kept; with one its size
    means something: it is cropped around its middle. What is left of the tile is zero.

    Returns
    -------
    ndarray
        ``(N, C, *tile)`` float32: one image, or the N planes of a volume for a 2-D model.
    """
    data = prepared.data
    planes = data.shape[1 : -spec.ndim]
    shape, source, slot = placing(prepared.grid, spec)
    data = yield from resample(data, [*planes, *shape])
    result = np.zeros((*data.shape[: -spec.ndim], *spec.tile), np.float32)
    lead = (slice(None),) * (result.ndim - spec.ndim)
    result[(*lead, *slot)] = data[(*lead, *source)]
    return np.moveaxis(result, 1, 0) if planes else result[np.newaxis]


def unfitted(
    maps: NDArray[np.float32], prepared: Prepared, spec: ModelSpec
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Bring maps ``(N, *tile)``, one per part of an image, back to the image's own grid: undo `fitted`.

    What the network did not see (with a working spacing, what was cropped away) is zero.
    """
    shape, source, slot = placing(prepared.grid, spec)
    seen = np.zeros((len(maps), *shape), np.float32)
    seen[(slice(None), *source)] = maps[(slice(None), *slot)]
    turned = prepared.turned.shape
    if len(turned) > spec.ndim:
        whole = yield from resample(seen[np.newaxis], turned)
        return np.ascontiguousarray(restore(whole[0], prepared.order, prepared.flips))
    whole = yield from resample(seen, turned)
    return np.ascontiguousarray(restore(whole[0], prepared.order, prepared.flips))


Parts = Callable[["Prepared", "ModelSpec"], "Generator[Progress, None, NDArray[np.float32]]"]


def prepare_images(
    items: Sequence[TrainItem],
    task: Task,
    spec: ModelSpec,
    parts: Parts = fitted,
) -> Generator[Event, None, tuple[list[ImageArray], str]]:
    """Prepare and fit every image; one that cannot be read is left out, named and counted.

    Volumes of a 2-D model become their planes, each of the volume's class.

    Parameters
    ----------
    items, task, spec
        What is learned from, and by which model.
    parts
        What an image gives to learn from; default: the image, fitted to the model's size.

    Returns
    -------
    list of ImageArray
        Ready for an `ImageSampler`.
    str
        SHA-256 over everything that is learned from.

    Raises
    ------
    BadInputError
        No image can be read, or an annotation does not fit the model.
    """
    arrays: list[ImageArray] = []
    digest = hashlib.sha256()
    faults: list[ApprenticeError] = []
    flat: list[str] = []
    for number, item in enumerate(items):
        yield Progress("preparing", number, len(items), "image")
        with naming(item.name):
            target = int(task.targets(item.annotation, spec))
        try:
            prepared = yield from preparing(item.volume, spec)
        except ApprenticeError as error:
            error.path = error.path or item.name
            faults.append(error)
            continue
        for part in (yield from parts(prepared, spec)):
            own = hashlib.sha256(part.tobytes()).hexdigest()
            arrays.append(ImageArray(item.name, np.ascontiguousarray(part), target, own))
            digest.update(f"{own} {target}".encode())
        if np.ptp(prepared.data) == 0:
            flat.append(item.name)
        for note in prepared.notes:
            yield Log(f"{item.name}: {note}", "warning")
    yield from left_out(faults, len(items))
    if flat:
        some = ", ".join(flat[:_NAMED]) + (" …" if len(flat) > _NAMED else "")
        yield Log(
            f"{len(flat)} of {len(items)} images have one value everywhere, nothing can be learned from them: {some}",
            "warning",
        )
    return arrays, digest.hexdigest()


def left_out(faults: Sequence[ApprenticeError], count: int) -> Generator[Log, None, None]:
    """Name the first images that could not be used, and count all.

    Raises
    ------
    BadInputError
        None of them could be used.
    """
    if faults and len(faults) == count:
        first = faults[0]
        message = first.message if count == 1 else f"none of {count} images can be used: {first}"
        raise BadInputError(message, path=first.path if count == 1 else None)
    for fault in faults[:_NAMED]:
        yield Log(f"left out: {fault}", "warning")
    if faults:
        more = f" ({len(faults) - _NAMED} of them not named)" if len(faults) > _NAMED else ""
        yield Log(f"{len(faults)} of {count} images left out{more}", "warning")


class ImageSampler:
    """Draws batches of whole images with replacement, shifted a little.

    Parameters
    ----------
    arrays
        Images of one size and channel count.
    balance
        1 draws every class equally often, 0 as often as it occurs; between them, as the power of its share.
    """

    is_varied = False

    def __init__(
        self,
        arrays: Sequence[ImageArray],
        *,
        balance: float,
        generator: np.random.Generator,
    ) -> None:
        self.arrays = tuple(arrays)
        self.generator = generator
        self.patch = arrays[0].data.shape[1:]
        self._by_class: dict[int, NDArray[np.int64]] = {
            int(value): np.flatnonzero([a.target == value for a in arrays])
            for value in np.unique([a.target for a in arrays])
        }
        shares = np.array([len(where) for where in self._by_class.values()]) ** (1.0 - balance)
        self._limits = np.cumsum(shares / shares.sum())

    @property
    def classes(self) -> list[int]:
        """Positions of the classes that occur."""
        return list(self._by_class)

    def draw(self, count: int) -> tuple[NDArray[Any], ...]:
        """Return images ``(count, C, *tile)``, class positions ``(count,)``, and what was measured where it was, ``(count, M)``."""
        first = self.arrays[0].data
        data = np.zeros((count, first.shape[0], *self.patch), np.float32)
        target = np.empty(count, np.uint8)
        measured = []
        for slot in range(count):
            array = self.arrays[self._choose()]
            source, place = self._shifted(array.data.shape[1:])
            data[slot][(slice(None), *place)] = array.data[(slice(None), *source)]
            target[slot] = array.target
            if array.measured is not None:
                measured.append(array.measured)
        return (data, target, np.stack(measured)) if measured else (data, target)

    def all(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """All images once, what was measured of each ``(N, M)``, and class positions ``(N,)``."""
        nothing = np.zeros(0, np.float32)
        measured = [nothing if a.measured is None else a.measured for a in self.arrays]
        targets = np.array([a.target for a in self.arrays], np.int64)
        return np.stack([a.data for a in self.arrays]), np.stack(measured), targets

    def _choose(self) -> int:
        rng = self.generator
        drawn = int(np.searchsorted(self._limits, rng.random(), side="right"))
        where = self._by_class[self.classes[min(drawn, len(self._limits) - 1)]]
        return int(where[int(rng.integers(len(where)))])

    def _shifted(self, shape: Sequence[int]) -> tuple[list[slice], list[slice]]:
        """Take the image with a random shift of at most a sixteenth of its size, cropped to the batch's size."""
        source: list[slice] = []
        place: list[slice] = []
        for length, size in zip(shape, self.patch, strict=True):
            most = length // _SHIFT
            start = (length - size) // 2 + int(self.generator.integers(-most, most + 1))
            low, high = max(0, start), min(length, start + size)
            source.append(slice(low, high))
            place.append(slice(low - start, high - start))
        return source, place
