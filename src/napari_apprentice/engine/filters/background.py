"""Background: takes away what changes slowly, such as uneven light or out-of-focus haze."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, minimum_filter1d

from ._filter import FilterArgs, by_axes, lengths, parse, widths

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress

__all__ = ["FILTER", "BackgroundArgs", "BackgroundFilter"]


class BackgroundArgs(FilterArgs):
    """What is too large to be an object."""

    radius: float = Field(
        25.0,
        ge=1,
        le=500,
        title="Radius",
        description="In voxels; what is wider than twice as much is background",
    )
    objects: Literal["bright", "dark"] = Field(
        "bright",
        title="Objects",
        description="Whether objects are brighter or darker than what is around them",
    )


class BackgroundFilter:
    """Subtracts a morphological opening (closing, for dark objects) that was smoothed by a Gaussian of half its radius.

    The smoothed white top-hat of Serra, "Image analysis and mathematical morphology", 1982, in the place of
    Sternberg's rolling ball.
    """

    title = "Subtract background"
    Args = BackgroundArgs

    def run(
        self, data: NDArray[np.float32], spacing: Sequence[float], args: Mapping[str, Any]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Subtract the background; see `Filter.run`."""
        checked = parse(BackgroundArgs, args)
        size = widths(checked.radius, spacing)
        sigma = lengths(checked.radius / 2, spacing)
        ends = [minimum_filter1d, maximum_filter1d]
        first, second = ends if checked.objects == "bright" else ends[::-1]
        # Opening and closing by a box, and a Gaussian, are the same axis by axis.
        surface = yield from by_axes(
            data,
            [
                lambda part, axis: first(part, size[axis], axis, mode="nearest"),
                lambda part, axis: second(part, size[axis], axis, mode="nearest"),
                lambda part, axis: gaussian_filter1d(part, sigma[axis], axis, mode="nearest"),
            ],
        )
        return data - surface


FILTER = BackgroundFilter()
