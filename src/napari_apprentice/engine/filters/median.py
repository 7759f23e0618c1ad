"""Median: takes out single bright or dark voxels (salt and pepper, hot pixels) and keeps edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field
from scipy.ndimage import median_filter

from ._filter import FilterArgs, by_blocks, parse, widths

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress

__all__ = ["FILTER", "MedianArgs", "MedianFilter"]

_COMPARISONS = 10_000_000


class MedianArgs(FilterArgs):
    """How large the neighbourhood is."""

    radius: int = Field(
        1,
        ge=1,
        le=20,
        title="Radius",
        description="Voxels to each side that the median is taken over",
    )


class MedianFilter:
    """Median over a square or cube around each voxel (SciPy)."""

    title = "Median"
    Args = MedianArgs

    def run(
        self, data: NDArray[np.float32], spacing: Sequence[float], args: Mapping[str, Any]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Take medians; see `Filter.run`."""
        size = widths(parse(MedianArgs, args).radius, spacing)
        return by_blocks(
            data,
            [s // 2 for s in size],
            _COMPARISONS // int(np.prod(size)),
            lambda part: median_filter(part, size, mode="nearest"),
        )


FILTER = MedianFilter()
