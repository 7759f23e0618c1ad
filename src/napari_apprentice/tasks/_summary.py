"""What a prediction of objects says in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.units import unit_text
from napari_apprentice.measure.diameter import equivalent_diameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.grid import Grid

__all__ = ["count_text", "places_text"]


def count_text(
    objects: Mapping[str, NDArray[Any]],
    sizes: NDArray[np.int64],
    grid: Grid,
    classes: Sequence[LabelClass],
) -> str:
    """Write ``"143 nuclei · median ⌀ 9.8 µm"``, or the count of each class.

    Parameters
    ----------
    objects
        Columns of the prediction.
    sizes
        Voxels of each object.
    """
    if "class" in objects:
        counts = [(int((objects["class"] == c.value).sum()), c.name) for c in classes]
    else:
        counts = [(len(sizes), classes[0].name if classes else "object")]
    text = " · ".join(f"{count} {_plural(name, count)}" for count, name in counts)
    if not len(sizes):
        return text
    median = float(np.median(equivalent_diameter(sizes * grid.voxel_size, grid.ndim)))
    return f"{text} · median ⌀ {median:.3g} {unit_text(grid.unit)}"


def _plural(name: str, count: int) -> str:
    """Nuclei, cells; Latin keeps its own plural."""
    if count == 1:
        return name
    return f"{name[:-2]}i" if name.endswith("us") else f"{name}s"


def places_text(found: Detections, classes: Sequence[LabelClass]) -> str:
    """Write ``"143 nuclei"``, or the count of each class."""
    if len(classes) < 2:
        counts = [(len(found), classes[0].name if classes else "object")]
    else:
        counts = [(int((found.kinds == c.value).sum()), c.name) for c in classes]
    return " · ".join(f"{count} {_plural(name, count)}" for count, name in counts)
