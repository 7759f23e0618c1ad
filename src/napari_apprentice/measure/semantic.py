"""The scores of a semantic segmentation under flat names, for a report or a live curve."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError

from ._arrays import check_spacing
from ._flat import class_keys, flatten, key_of
from .overlap import overlap_scores
from .surface import (
    average_surface_distance,
    hausdorff_distance,
    surface_dice,
    surface_distances_per_class,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["semantic_scores"]

_OVERLAP = ("dice", "iou", "precision", "recall", "specificity")


def semantic_scores(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    class_names: Mapping[int, str],
    spacing: Sequence[float] | None = None,
    unit: str = "pixel",
    *,
    tolerance: float | None = None,
    counts: NDArray[np.bool_] | None = None,
    surfaces: bool = True,
) -> dict[str, float]:
    """Score a semantic segmentation against the truth.

    Each score comes once per class, ``dice_<class>``, and once as the mean over the foreground
    classes, ``dice``:

    - ``dice``, ``iou``, ``precision``, ``recall``, ``specificity``: see `OverlapScores`;
    - ``hd95_<unit>``, ``assd_<unit>``, ``surface_dice_<tolerance><unit>``: see
      `hausdorff_distance`, `average_surface_distance`, `surface_dice`;
    - ``volume_<unit>3`` of the prediction and ``truth_volume_<unit>3`` (``area_<unit>2`` in 2-D),
      per class only.

    A class that occurs in neither array is NaN (its volumes are 0) and left out of the means. One
    that occurs in only one of them scores 0 in overlap and surface Dice; its distances, infinite by
    definition, are set to the diagonal of the image, which none can exceed, so that a missed object
    costs dearly and a mean stays finite.

    Parameters
    ----------
    prediction, truth
        Label arrays of one shape, 2-D or 3-D, 0 = background.
    class_names
        Name of each label value. The background, value 0, is never scored and may be listed or not.
    spacing
        Distance between voxel centres per axis, in `unit`.
    unit
        ``"mm"``, ``"um"``, …; ``"pixel"`` becomes ``px`` in the names.
    tolerance
        Of the surface Dice, in `unit`. By default the smallest spacing: a disagreement of one voxel
        along the finest axis is forgiven, no more.
    counts
        Boolean array: where the annotation counts. Surface scores need regions: with strokes only,
        hardly any surface is known and overlap is what to read.
    surfaces
        Whether to measure surfaces, which takes most of the time.

    Returns
    -------
    dict[str, float]
        Flat names and values.

    Raises
    ------
    GridMismatchError
        The shapes differ.
    BadInputError
        No foreground class, labels that are not whole numbers, a bad spacing or tolerance.
    """
    keys = class_keys({value: name for value, name in class_names.items() if value != 0})
    if not keys:
        raise BadInputError(f"expected at least one foreground class, found {dict(class_names)}")
    steps = check_spacing(spacing, truth.ndim)
    suffix = "px" if unit == "pixel" else key_of(unit)
    overlap = overlap_scores(prediction, truth, tuple(keys), counts=counts, spacing=steps)
    scores = dict(
        chain.from_iterable(
            flatten(name, getattr(overlap, name), keys.values()).items() for name in _OVERLAP
        )
    )
    if surfaces:
        accepted = min(steps) if tolerance is None else tolerance
        scores |= _surface_scores(prediction, truth, keys, steps, suffix, accepted, counts)
    size = {2: "area", 3: "volume"}.get(truth.ndim, "size")
    for prefix, volumes in (("", overlap.volume), ("truth_", overlap.truth_volume)):
        for key, volume in zip(keys.values(), volumes, strict=True):
            scores[f"{prefix}{size}_{suffix}{truth.ndim}_{key}"] = float(volume)
    return scores


def _surface_scores(
    prediction: NDArray[Any],
    truth: NDArray[Any],
    keys: Mapping[int, str],
    spacing: tuple[float, ...],
    suffix: str,
    tolerance: float,
    counts: NDArray[np.bool_] | None,
) -> dict[str, float]:
    diagonal = float(np.linalg.norm(np.array(truth.shape) * np.array(spacing)))
    far, mean, within = [], [], []
    for _, distances in surface_distances_per_class(
        prediction, truth, tuple(keys), spacing, counts=counts
    ):
        # NaN compares false, so what does not apply stays NaN.
        far.append(_at_most(hausdorff_distance(distances), diagonal))
        mean.append(_at_most(average_surface_distance(distances), diagonal))
        within.append(surface_dice(distances, tolerance))
    return {
        **flatten(f"hd95_{suffix}", far, keys.values()),
        **flatten(f"assd_{suffix}", mean, keys.values()),
        **flatten(f"surface_dice_{tolerance:g}{suffix}", within, keys.values()),
    }


def _at_most(distance: float, bound: float) -> float:
    return bound if distance > bound else distance
