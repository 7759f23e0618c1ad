"""Planning to learn from images without labels: what can be learned from, and in patches of which size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.models.networks import NETWORKS

from .tiles import tile_shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import AnswersWithImage

    from .config import TrainConfig
    from .split import TrainItem

__all__ = ["check_lessons", "is_constant", "lesson_patch", "lesson_spec"]

_PATCH = {2: 64, 3: 32}


def check_lessons(items: Sequence[TrainItem]) -> None:
    """Refuse what nothing can be learned from, before any work is done.

    Raises
    ------
    BadInputError
        No images, clean counterparts for only some of them or of another shape, or the same value everywhere.
    """
    if not items:
        raise BadInputError(
            "expected at least one image to learn from, found none", remedy="Open an image first."
        )
    with_clean = [item for item in items if item.annotation.clean is not None]
    if with_clean and len(with_clean) < len(items):
        raise BadInputError(
            f"expected clean counterparts for all images or for none, found {len(with_clean)} "
            f"for {len(items)}",
            remedy="Give each image its clean counterpart, or learn from the images alone.",
        )
    for item in with_clean:
        _check_pair(item)
    if all(is_constant(item) for item in items):
        raise BadInputError(
            "expected an image with something on it, found the same value everywhere",
            path=items[0].name,
            remedy="Choose another image.",
        )


def _check_pair(item: TrainItem) -> None:
    clean, channels = item.annotation.clean, item.volume.grid.length("C")
    expected = (channels, *item.volume.grid.spatial_shape)
    if clean is not None and tuple(clean.shape) != expected:
        raise BadInputError(
            f"expected a clean image of {expected} (channels first), found {tuple(clean.shape)}",
            path=item.name,
            remedy="Both images of a pair must have the same size and channels.",
        )


def is_constant(item: TrainItem) -> bool:
    """Whether no two values differ, those that are not finite left out."""
    values = np.asarray(item.volume.data)
    known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    return not known.size or bool(known.min() == known.max())


def lesson_spec(spec: ModelSpec, maker: AnswersWithImage, items: Sequence[TrainItem]) -> ModelSpec:
    """Fix a description to what is learned from: pairs, or images alone."""
    return maker.planned(spec, has_clean=any(i.annotation.clean is not None for i in items))


def lesson_patch(spec: ModelSpec, config: TrainConfig) -> tuple[int, ...]:
    """Size of training patches: the model's tile, of restoration at most 64 pixels (32 voxels) long unless asked for.

    Noise is local: many small patches teach more of it in the same time. What has to be rebuilt is seen as a whole.
    """
    if config.tile is not None or spec.task_args.get("lesson") == "itself":
        return spec.tile
    divisor = NETWORKS[spec.network].divisor(ndim=spec.ndim, args=spec.network_args)
    return tile_shape([min(t, _PATCH[spec.ndim]) for t in spec.tile], divisor)
