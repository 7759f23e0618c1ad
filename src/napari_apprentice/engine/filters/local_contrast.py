"""Local contrast: dim and bright regions show their details equally well (CLAHE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from napari_apprentice.core.jobs import Progress

from ._filter import FilterArgs, parse

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["FILTER", "LocalContrastArgs", "LocalContrastFilter"]


class LocalContrastArgs(FilterArgs):
    """How local, and how much."""

    size: int = Field(
        64,
        ge=4,
        le=2048,
        title="Size",
        description="Width of the regions whose histograms are made even, in voxels",
    )
    clip: float = Field(
        0.01,
        gt=0,
        le=1,
        title="Limit",
        description="Largest share of a histogram's bin: the smaller, the less noise is amplified",
    )


class LocalContrastFilter:
    """Contrast limited adaptive histogram equalisation, plane by plane, within each plane's own range (scikit-image).

    Pizer et al., "Adaptive histogram equalization and its variations", Comput. Vis. Graph. Image Process. 39, 1987;
    Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.
    """

    title = "Local contrast"
    Args = LocalContrastArgs

    def run(
        self, data: NDArray[np.float32], spacing: Sequence[float], args: Mapping[str, Any]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Equalise every plane; see `Filter.run`."""
        checked = parse(LocalContrastArgs, args)
        result = np.empty_like(data)
        planes = data.reshape(-1, *data.shape[-2:])
        for plane, out in zip(planes, result.reshape(planes.shape), strict=True):
            yield Progress("filtering")
            out[...] = _equalised(plane, checked)
        return result


def _equalised(plane: NDArray[np.float32], args: LocalContrastArgs) -> NDArray[Any]:
    from skimage.exposure import equalize_adapthist

    low, high = float(plane.min()), float(plane.max())
    if high <= low:
        return plane
    share = (plane.astype(np.float64) - low) / (high - low)
    size = [min(args.size, length) for length in plane.shape]
    even: NDArray[Any] = equalize_adapthist(share, kernel_size=size, clip_limit=args.clip)
    return low + (high - low) * even


FILTER = LocalContrastFilter()
