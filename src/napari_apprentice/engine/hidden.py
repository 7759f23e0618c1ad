"""Images to learn from without labels: patches of pairs, of images themselves, and of images with hidden voxels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import naming
from napari_apprentice.core.jobs import Log, Progress

from .prepare import preparing, reorient

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import Task

    from .prepare import Prepared
    from .split import TrainItem

__all__ = ["LessonArray", "LessonSampler", "hide", "lesson_of", "prepare_lessons", "target_of"]

SHARE = 0.08
"""Share of the voxels of a patch that are hidden at a time."""
_REACH = 2
_TRIES = 8


@dataclass(frozen=True, eq=False)
class LessonArray:
    """A prepared image and what is asked of it, both ``(C, *working)`` float32; NaN where nothing is asked."""

    name: str
    data: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: float = 1.0


def lesson_of(spec: ModelSpec) -> str:
    """What a model learns from: ``"pairs"``, ``"hidden"`` voxels or the image ``"itself"``."""
    return str(spec.task_args.get("lesson", "pairs"))


def target_of(
    item: TrainItem, prepared: Prepared, task: Task, spec: ModelSpec
) -> NDArray[np.float32]:
    """What the network should say about an image, ``(C, *working)`` in the image's own normalisation.

    The clean image, or the image itself; NaN where that is not finite or the annotation does not count.
    """
    if lesson_of(spec) == "pairs":
        wanted = np.asarray(task.targets(item.annotation, spec), dtype=np.float32)
    else:
        wanted = np.asarray(item.volume.channel_first(), dtype=np.float32)
    target = np.empty(wanted.shape, np.float32)
    for out, channel, shift, scale in zip(
        target, wanted, prepared.shift, prepared.scale, strict=True
    ):
        np.subtract(channel, np.float32(shift), out=out)
        out *= np.float32(1.0 / scale if scale else 0.0)
    target[~np.isfinite(wanted)] = np.nan
    if not item.annotation.extent.whole:
        target[:, ~item.annotation.counts()] = np.nan
    target = np.ascontiguousarray(reorient(target, prepared.order, prepared.flips))
    channels = len(spec.channels)
    return target if len(target) == channels else np.repeat(target, channels, axis=0)


def prepare_lessons(
    items: Sequence[TrainItem], task: Task, spec: ModelSpec
) -> Generator[Event, None, tuple[list[LessonArray], str]]:
    """Prepare every image; 3-D images of a 2-D model become their planes.

    Returns
    -------
    list of LessonArray
        Ready for a `LessonSampler`.
    str
        SHA-256 over everything that is learned from.

    Raises
    ------
    BadInputError
        An image does not fit the model; the message names it.
    """
    arrays: list[LessonArray] = []
    digest = hashlib.sha256()
    for number, item in enumerate(items):
        yield Progress("preparing", number, len(items), "image")
        with naming(item.name):
            prepared = yield from preparing(item.volume, spec)
            target = target_of(item, prepared, task, spec)
        digest.update(prepared.data.tobytes())
        digest.update(target.tobytes())
        array = LessonArray(item.name, prepared.data, target, item.weight)
        arrays += _planes(array) if target.ndim - 1 > spec.ndim else [array]
        for note in prepared.notes:
            yield Log(f"{item.name}: {note}", "warning")
    return arrays, digest.hexdigest()


def _planes(array: LessonArray) -> list[LessonArray]:
    return [
        LessonArray(f"{array.name} z{z}", array.data[:, z], array.target[:, z], array.weight)
        for z in range(array.target.shape[1])
        if np.isfinite(array.target[:, z]).any()
    ]


class LessonSampler:
    """Draws batches of patches, mirrored and turned; hides voxels where that is the lesson.

    A patch is never deformed or resampled: that would smooth the very noise that is to be told from the image. Beyond
    the image a patch is zero, the mean, and nothing is asked there.

    Parameters
    ----------
    arrays
        Images of one dimensionality and channel count.
    patch
        Patch size in voxels.
    hides
        Whether voxels are hidden, and only they are asked for.
    axes
        Spatial axes along which a mirrored image is as good; where rows and columns are, they may also be swapped.
    """

    is_varied = True
    """Patches come varied; there is no need to do so with the batch."""

    def __init__(
        self,
        arrays: Sequence[LessonArray],
        patch: Sequence[int],
        *,
        hides: bool,
        axes: Sequence[int],
        generator: np.random.Generator,
    ) -> None:
        self.arrays = tuple(arrays)
        self.patch = tuple(patch)
        self.generator = generator
        self._hides = hides
        self._axes = tuple(axes)
        weights = np.array([a.weight for a in self.arrays])
        self._limits = np.cumsum(weights / weights.sum())

    def draw(self, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return images and targets, both ``(count, C, *patch)``."""
        channels = self.arrays[0].data.shape[0]
        data = np.zeros((count, channels, *self.patch), np.float32)
        target = np.full((count, channels, *self.patch), np.nan, np.float32)
        for slot in range(count):
            for _ in range(_TRIES):  # some places lie where nothing is asked
                self._cut(data[slot], target[slot])
                if np.isfinite(target[slot]).any():
                    break
        if self._hides:
            data, target = hide(data, target, self.generator)
        return data, target

    def _cut(self, data: NDArray[np.float32], target: NDArray[np.float32]) -> None:
        """Copy a patch from somewhere into the given slots."""
        drawn = int(np.searchsorted(self._limits, self.generator.random(), side="right"))
        array = self.arrays[min(drawn, len(self.arrays) - 1)]
        source, slot = [slice(None)], [slice(None)]
        for size, length in zip(self.patch, array.data.shape[1:], strict=True):
            start = int(self.generator.integers(0, abs(length - size) + 1))
            inside, whole = slice(start, start + min(size, length)), slice(0, min(size, length))
            source.append(inside if length > size else whole)
            slot.append(whole if length > size else inside)
        data[...], target[...] = 0.0, np.nan
        data[tuple(slot)] = array.data[tuple(source)]
        target[tuple(slot)] = array.target[tuple(source)]
        for whole_patch in self._varied(data, target):
            whole_patch[0][...] = whole_patch[1]

    def _varied(self, *arrays: NDArray[np.float32]) -> list[tuple[Any, NDArray[np.float32]]]:
        """Mirror and turn arrays ``(C, *patch)`` alike; pairs of each array and its new content."""
        rng, axes = self.generator, [a + 1 for a in self._axes]
        flips = tuple(a for a in axes if rng.random() < 0.5)
        swap = None
        last = (len(self.patch) - 1, len(self.patch))
        if set(last) <= set(axes) and self.patch[-1] == self.patch[-2] and rng.random() < 0.5:
            swap = last
        pairs = []
        for array in arrays:
            turned = np.flip(array, flips) if flips else array
            turned = np.swapaxes(turned, *swap) if swap else turned
            pairs.append((array, turned.copy()))
        return pairs


def hide(
    data: NDArray[np.float32],
    target: NDArray[np.float32],
    generator: np.random.Generator,
    share: float = SHARE,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Hide some voxels of images ``(B, C, *spatial)``, all channels of each, and ask for these alone.

    A hidden voxel gets the value of a random neighbour (Krull et al., "Noise2Void", CVPR 2019): the network cannot see that
    it is hidden, and nothing of its own noise is left to copy.
    """
    shape = (data.shape[0], *data.shape[2:])
    chosen = generator.random(shape) < share
    where = np.nonzero(chosen)
    other: list[NDArray[np.int64]] = []
    steps = generator.integers(-_REACH, _REACH + 1, (len(shape) - 1, len(where[0])))
    steps[-1, (steps == 0).all(axis=0)] = 1
    for at, step, length in zip(where[1:], steps, shape[1:], strict=True):
        moved = np.abs(at + step)
        other.append(np.where(moved >= length, 2 * (length - 1) - moved, moved).clip(0, length - 1))
    seen = data.copy()
    # Channels last, so that one index array per axis picks all of them.
    taken = np.moveaxis(data, 1, -1)[(where[0], *other)]
    np.moveaxis(seen, 1, -1)[where] = taken
    asked = np.where(chosen[:, np.newaxis], target, np.float32(np.nan))
    return seen, asked
