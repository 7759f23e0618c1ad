"""Distances between the surfaces of two masks: Hausdorff, average surface distance, surface Dice.

A surface is the set of voxels of a mask that touch, across a face, a voxel outside it; what lies
beyond the border of the image is outside. Distances are between voxel centres, in physical units.
This is the convention of ``monai.metrics`` (without sub-voxels), and the tests hold us to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from napari_apprentice.core.errors import BadInputError

from ._arrays import ClassCodes, check_shapes, check_spacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "SurfaceDistances",
    "average_surface_distance",
    "hausdorff_distance",
    "surface_dice",
    "surface_distances",
    "surface_distances_per_class",
]

_ROUNDING = 1e-6
"""Relative slack of a tolerance: spacings such as 0.1 are not exact in binary."""


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance from every surface voxel to the nearest surface voxel of the other mask.

    Parameters
    ----------
    to_truth
        Shape ``(surface voxels of the prediction,)``; infinite where the truth has no surface.
    to_prediction
        Shape ``(surface voxels of the truth,)``; infinite where the prediction has no surface.
    """

    to_truth: NDArray[np.float64]
    to_prediction: NDArray[np.float64]

    @property
    def pooled(self) -> NDArray[np.float64]:
        """Both directions together; empty if neither mask has a surface."""
        return np.concatenate([self.to_truth, self.to_prediction])


def hausdorff_distance(distances: SurfaceDistances, percentile: float = 95.0) -> float:
    """Hausdorff distance at a percentile: the larger of both directed percentiles.

    At 100 it is the classic distance of Huttenlocher et al., IEEE TPAMI 15(9) (1993); 95 makes it
    robust against a few stray voxels (used so in BraTS; Menze et al., IEEE TMI 34(10), 2015).

    Returns
    -------
    float
        In the unit of the spacing; lower is better. NaN if both surfaces are empty, infinite if one
        is.

    Raises
    ------
    BadInputError
        A percentile outside 0 … 100.
    """
    if not 0 <= percentile <= 100:
        raise BadInputError(f"expected a percentile from 0 to 100, found {percentile}")
    if np.isinf(distances.pooled).any():
        return float("inf")
    directed = (distances.to_truth, distances.to_prediction)
    return max((float(np.percentile(d, percentile)) for d in directed if d.size), default=np.nan)


def average_surface_distance(distances: SurfaceDistances) -> float:
    """Average symmetric surface distance: mean of the distances in both directions, pooled.

    Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT datasets",
    IEEE TMI 28(8) (2009).

    Returns
    -------
    float
        In the unit of the spacing; lower is better. NaN if both surfaces are empty, infinite if one
        is.
    """
    pooled = distances.pooled
    return float(pooled.mean()) if pooled.size else float("nan")


def surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Surface Dice (normalised surface distance): share of both surfaces near the other one.

    Nikolov et al., "Deep learning to achieve clinically applicable segmentation of head and neck
    anatomy for radiotherapy", arXiv:1809.04430 (2018); here surfaces are counted in voxels.

    Parameters
    ----------
    distances
        Of one class.
    tolerance
        Deviation that is acceptable, in the unit of the spacing.

    Returns
    -------
    float
        From 0 to 1, higher is better. NaN if both surfaces are empty, 0 if one is.

    Raises
    ------
    BadInputError
        A tolerance that is negative or not finite.
    """
    if not (np.isfinite(tolerance) and tolerance >= 0):
        raise BadInputError(f"expected a tolerance of 0 or more, found {tolerance}")
    pooled = distances.pooled
    return float(np.mean(pooled <= tolerance * (1 + _ROUNDING))) if pooled.size else float("nan")


def surface_distances(
    prediction: NDArray[np.bool_],
    truth: NDArray[np.bool_],
    spacing: Sequence[float] | None = None,
    *,
    counts: NDArray[np.bool_] | None = None,
) -> SurfaceDistances:
    """Measure the distances between the surfaces of two masks.

    Parameters
    ----------
    prediction, truth
        Boolean masks of one shape, 2-D or 3-D.
    spacing
        Distance between voxel centres per axis; 1 if ``None``.
    counts
        Boolean array of the same shape: where the annotation counts. A surface is then taken only
        where both its sides count, so that the border of the annotated region is nobody's surface.
        A surface that lies outside is not seen: near that border distances may come out too large.

    Returns
    -------
    SurfaceDistances
        In both directions.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        A mask that is not boolean, or a bad spacing.
    """
    check_shapes(prediction, truth, counts)
    if prediction.dtype != np.bool_ or truth.dtype != np.bool_:
        raise BadInputError(
            f"expected boolean masks, found {prediction.dtype} and {truth.dtype}",
            remedy="Compare label arrays class by class with surface_distances_per_class.",
        )
    ((_, distances),) = surface_distances_per_class(prediction, truth, (1,), spacing, counts=counts)
    return distances


def surface_distances_per_class(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    classes: Sequence[int],
    spacing: Sequence[float] | None = None,
    *,
    counts: NDArray[np.bool_] | None = None,
) -> Iterator[tuple[int, SurfaceDistances]]:
    """Measure the distances between surfaces for each class of two label arrays.

    One pass finds the boxes of all classes; each class is then measured within the box that holds it
    in both arrays.

    Parameters
    ----------
    prediction, truth
        Label arrays of one shape, 2-D or 3-D.
    classes
        The label values to measure.
    spacing, counts
        As in `surface_distances`.

    Yields
    ------
    tuple[int, SurfaceDistances]
        Class value and its distances, in the order of `classes`.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        Labels that are not whole numbers, classes listed twice, or a bad spacing.
    """
    check_shapes(prediction, truth, counts)
    scale = np.array(check_spacing(spacing, truth.ndim))
    codes = ClassCodes(tuple(classes))
    coded = codes.encode_all(prediction), codes.encode_all(truth)
    boxes = [ndimage.find_objects(array, max_label=len(codes.classes)) for array in coded]
    for code, value in enumerate(codes.classes, start=1):
        box = _joint_box(boxes[0][code - 1], boxes[1][code - 1])
        if box is None:
            yield value, SurfaceDistances(np.empty(0), np.empty(0))
            continue
        known = None if counts is None else _padded(counts, box, beyond=True)
        surfaces = [_surface(_padded(array, box) == code, known) for array in coded]
        yield value, _between(surfaces[0], surfaces[1], scale)


_Box = tuple[slice, ...]


def _joint_box(first: _Box | None, second: _Box | None) -> _Box | None:
    """Smallest box around both."""
    if first is None or second is None:
        return first or second
    return tuple(
        slice(min(a.start, b.start), max(a.stop, b.stop))
        for a, b in zip(first, second, strict=True)
    )


def _padded(array: NDArray[np.bool_], box: _Box, *, beyond: bool = False) -> NDArray[np.bool_]:
    """Cut the box with a margin of one voxel, filled with `beyond` where it leaves the image."""
    inside = tuple(
        slice(max(s.start - 1, 0), min(s.stop + 1, length))
        for s, length in zip(box, array.shape, strict=True)
    )
    missing = [
        (max(1 - s.start, 0), max(s.stop + 1 - length, 0))
        for s, length in zip(box, array.shape, strict=True)
    ]
    return np.pad(np.asarray(array[inside]), missing, constant_values=beyond)


def _surface(mask: NDArray[np.bool_], known: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Voxels of the mask with a face neighbour outside it; both sides known."""
    if known is None:
        inner: NDArray[np.bool_] = ndimage.binary_erosion(mask)
        return mask & ~inner
    beside: NDArray[np.bool_] = ndimage.binary_dilation(~mask & known)
    return mask & known & beside


def _between(
    prediction: NDArray[np.bool_], truth: NDArray[np.bool_], scale: NDArray[np.float64]
) -> SurfaceDistances:
    return SurfaceDistances(
        _directed(prediction, truth, scale), _directed(truth, prediction, scale)
    )


def _directed(
    source: NDArray[np.bool_], target: NDArray[np.bool_], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance from each voxel of `source` to the nearest of `target`."""
    points = np.argwhere(source)
    if not target.any():
        return np.full(len(points), np.inf)
    distances = np.zeros(len(points))
    # Good predictions share most of the surface: only the rest is worth a search.
    apart = ~target[source]
    if apart.any():
        tree = KDTree(np.argwhere(target) * scale, leafsize=32)
        distances[apart] = tree.query(points[apart] * scale)[0]
    return distances
