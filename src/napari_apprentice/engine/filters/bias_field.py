"""Bias field: takes out the slow change of brightness that the coils of an MR scanner leave in an image (N4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.optional import require
from napari_apprentice.engine._resample import resample

from ._filter import FilterArgs, parse

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["FILTER", "BiasFieldArgs", "BiasFieldFilter"]

_ORDER = 3
_SETTLED = 1e-3


class BiasFieldArgs(FilterArgs):
    """How fine the field, and how long it is looked for."""

    levels: int = Field(
        3,
        ge=1,
        le=6,
        title="Levels",
        description="Each level halves the distance over which the field may change, from the whole image on",
    )
    steps: int = Field(20, ge=1, le=200, title="Steps", description="Most iterations of each level")
    longest: int = Field(
        40,
        ge=8,
        le=256,
        title="Longest side",
        description="The field is looked for on a copy of the image with so many voxels along its longest side",
    )


class BiasFieldFilter:
    """N4 (SimpleITK, the extra ``mri``) on a small copy of the image, in whose foreground (Otsu) the field is estimated.

    Tustison et al., "N4ITK: improved N3 bias correction", IEEE Trans. Med. Imaging 29(6), 2010. The image is divided by the
    field, whose mean over the foreground is 1. Voxels must be positive where they count: not for CT.
    """

    title = "MR bias field"
    Args = BiasFieldArgs

    def run(
        self, data: NDArray[np.float32], spacing: Sequence[float], args: Mapping[str, Any]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Divide by the field; see `Filter.run`."""
        checked = parse(BiasFieldArgs, args)
        sitk = require("SimpleITK", extra="mri", purpose="correct the bias field of MR images")
        small = yield from resample(data[np.newaxis], _small(data.shape, spacing, checked.longest))
        mask = _foreground(small[0])
        if mask is None:
            return data.copy()
        field = yield from _log_field(sitk, small[0], mask, checked)
        field -= field[mask].mean()
        whole = yield from resample(field[np.newaxis], data.shape)
        corrected: NDArray[np.float32] = data / np.exp(whole[0])
        return corrected


def _small(shape: Sequence[int], spacing: Sequence[float], longest: int) -> list[int]:
    """Shape of the copy: voxels about as long along all axes, no more of them than the image has."""
    extent = np.multiply(shape, spacing)
    step = float(extent.max()) / longest
    # A spline of the field's kind wants a few voxels along every axis there is.
    return [
        min(n, max(_ORDER + 1, round(length / step)))
        for n, length in zip(shape, extent, strict=True)
    ]


def _foreground(small: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Where there is something; None where there is no telling."""
    from skimage.filters import threshold_otsu

    if min(small.shape) < 2 or small.max() <= max(0.0, small.min()):
        return None
    mask: NDArray[np.bool_] = (small > threshold_otsu(small)) & (small > 0)
    return mask


def _log_field(
    sitk: Any, small: NDArray[np.float32], mask: NDArray[np.bool_], args: BiasFieldArgs
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Logarithm of the field, an iteration at a time.

    An iteration of N4 sees only the image as corrected so far and adds a spline to the field: running them one by one
    comes to the same, and can be cancelled.
    """
    total = np.zeros(small.shape, np.float32)
    inside = sitk.GetImageFromArray(mask.astype(np.uint8))
    for level in range(args.levels):
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations([1])
        n4.SetNumberOfControlPoints(_ORDER + 2**level)
        for step in range(args.steps):
            yield Progress(
                "looking for the bias field",
                level * args.steps + step,
                args.levels * args.steps,
                "step",
            )
            image = sitk.GetImageFromArray(small / np.exp(total))
            n4.Execute(image, inside)
            change = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))
            total += change
            factor = np.exp(change[mask])
            if factor.std() < _SETTLED * factor.mean():
                break
    return total


FILTER = BiasFieldFilter()
