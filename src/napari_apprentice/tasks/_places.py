"""Places in labels, and how large what lies there usually is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.measure.boxes import object_boxes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["detections_of_labels", "usual_diameter"]

_FEWEST = 3
_SHARE = 0.7
_PERCENTILE = 25


def detections_of_labels(labels: NDArray[Any], kinds: Mapping[int, int]) -> Detections:
    """The box around each numbered object, and the middle of that.

    Parameters
    ----------
    labels
        Object numbers, 0 is background.
    kinds
        Class value by number; 1 where it is not said.

    Raises
    ------
    BadInputError
        An object without a class among others that have one.
    """
    if labels.dtype.kind not in "iu" or (labels.size and int(labels.min()) < 0):
        raise BadInputError(
            f"expected object numbers from 0 (background) up, found {labels.dtype}",
            remedy="Give every object a positive whole number, and the background 0.",
        )
    boxes = object_boxes(labels)
    nameless = [number for number in boxes if kinds and not kinds.get(number)]
    if nameless:
        raise BadInputError(
            f"expected a class for each object, found {len(nameless)} without, such as {nameless[0]}",
            remedy="Name the class of every object in the label file, or leave out the classes.",
        )
    centres, sizes = [], []
    for box in boxes.values():
        centres.append([(part.start + part.stop - 1) / 2 for part in box])
        sizes.append([part.stop - part.start for part in box])
    shape = (len(boxes), labels.ndim)
    values = [kinds.get(number, 1) for number in boxes]
    return Detections.of(np.reshape(centres, shape), np.reshape(sizes, shape), values)


def usual_diameter(
    several: Sequence[tuple[Detections, NDArray[np.float64]]],
) -> float | None:
    """Median mean side of the boxes there are; without any, from how near points lie to each other.

    Parameters
    ----------
    several
        Detections of each image with the lengths of its voxels, ``(n,)``.

    Returns
    -------
    float or None
        In the unit of those lengths; None where there are too few to tell.
    """
    from scipy.spatial import cKDTree

    sides, gaps = [], []
    for detections, scale in several:
        sides.append((detections.sizes[detections.are_boxes] * scale).mean(axis=1))
        if len(detections) >= _FEWEST:
            places = detections.centres * scale
            gaps.append(cKDTree(places).query(places, k=2)[0][:, 1])
    known = np.concatenate(sides) if sides else np.zeros(0)
    if len(known):
        return float(np.median(known))
    apart = np.concatenate(gaps) if gaps else np.zeros(0)
    apart = apart[apart > 0]
    return _SHARE * float(np.percentile(apart, _PERCENTILE)) if len(apart) else None
