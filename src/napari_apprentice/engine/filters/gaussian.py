"""Gaussian: blurs; the plainest way to less noise, at the price of edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from scipy.ndimage import gaussian_filter1d

from ._filter import FilterArgs, by_axes, lengths, parse

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress

__all__ = ["FILTER", "GaussianArgs", "GaussianFilter"]


class GaussianArgs(FilterArgs):
    """How wide the blur is."""

    sigma: float = Field(
        1.0, gt=0, le=100, title="Sigma", description="Standard deviation of the blur in voxels"
    )


class GaussianFilter:
    """Convolution with a Gaussian (SciPy)."""

    title = "Gaussian blur"
    Args = GaussianArgs

    def run(
        self, data: NDArray[np.float32], spacing: Sequence[float], args: Mapping[str, Any]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Blur; see `Filter.run`."""
        sigma = lengths(parse(GaussianArgs, args).sigma, spacing)
        return by_axes(
            data,
            [lambda part, axis: gaussian_filter1d(part, sigma[axis], axis, mode="nearest")],
        )


FILTER = GaussianFilter()
