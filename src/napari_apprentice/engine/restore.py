"""From what a network says about an image to an image in the units of its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .prepare import restore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import AnswersWithImage

    from .prepare import Prepared

__all__ = ["finished_image", "in_units"]


def finished_image(
    output: NDArray[np.float32],
    prepared: Prepared,
    task: AnswersWithImage,
    spec: ModelSpec,
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Make the image ``(M, *source)`` of the network's output ``(K, *turned)``.

    Parameters
    ----------
    prepared
        What the network saw, on its own voxels (models of these tasks have no working spacing).
    dtype
        Of the source: the answer has it too where the task keeps the units and it is of integers, else it is float32.
    """
    image = task.image(output, prepared.data, spec)
    if task.keeps_units:
        image = in_units(image, prepared, dtype)
    return np.ascontiguousarray(restore(image, prepared.order, prepared.flips))


def in_units(image: NDArray[np.float32], prepared: Prepared, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Undo the normalisation of an image ``(C, *turned)``; integers are rounded and held within their range.

    A grey image that was seen as several channels becomes grey again: their mean.
    """
    count = len(prepared.shift)
    if len(image) != count:
        image = image.mean(axis=0, keepdims=True)
    is_whole = np.issubdtype(dtype, np.integer)
    result = np.empty(image.shape, dtype if is_whole else np.float32)
    for channel, out, shift, scale in zip(
        image, result, prepared.shift, prepared.scale, strict=True
    ):
        for row, place in zip(
            channel, out, strict=True
        ):  # a row or plane at a time: no second copy
            values = row * np.float32(scale) + np.float32(shift)
            if is_whole:
                limits = np.iinfo(dtype)
                values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
            place[...] = values
    return result
