"""What is learned from an annotation: what is finished, and of numbered objects each locked one with its rim."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.measure.diameter import equivalent_diameter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation

    from .edits import AnnotationState

__all__ = ["diameter_of", "finished_objects", "lesson"]

_RIM = 0.25
"""Width of the rim, in diameters of a disk or ball of the object's size: where a border is learned."""


def lesson(state: AnnotationState) -> Annotation:
    """Return a copy of an annotation for a training job: also locked objects count, with the background around them."""
    said = state.annotation()
    if not state.objects or said.extent.whole or not state.locked:
        return said
    finished = finished_objects(state)
    if said.extent.strokes and said.painted is not None:
        finished |= said.painted
    return replace(said, extent=replace(said.extent, strokes=True), painted=finished)


def finished_objects(state: AnnotationState) -> NDArray[np.bool_]:
    """Boolean array on the grid: true in locked objects, and in the background near to one of them."""
    from scipy import ndimage

    spacing = np.array(state.grid.spacing)
    mask = np.zeros(state.grid.shape, dtype=bool)
    for number in sorted(state.locked):
        found = state.index.mask(number)
        if found is None:
            continue
        box, inside = found
        rim = max(_RIM * diameter_of(inside, spacing), float(spacing.min()))
        reach = np.ceil(rim / spacing).astype(int)
        wide = tuple(
            slice(max(0, part.start - by), min(length, part.stop + by))
            for part, by, length in zip(box, reach, mask.shape, strict=True)
        )
        labels = state.labels[wide]
        distance = ndimage.distance_transform_edt(labels != number, sampling=spacing)
        mask[wide] |= (labels == number) | ((labels == 0) & (distance <= rim))
    return mask


def diameter_of(mask: NDArray[np.bool_], spacing: NDArray[np.float64]) -> float:
    """Diameter of a disk or ball of the same size, in the unit of the spacing."""
    return float(equivalent_diameter(np.count_nonzero(mask) * spacing.prod(), mask.ndim))
