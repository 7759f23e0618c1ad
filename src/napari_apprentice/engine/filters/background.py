"""Background: takes away what changes slowly, such as uneven light or out-of-focus haze."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field
from scipy.ndimage import gaussian_filter, grey_closing, grey_opening

from ._filter import FilterArgs, by_slabs, lengths, parse, widths

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
        surface = grey_opening if checked.objects == "bright" else grey_closing
        halo = size[0] + math.ceil(4 * sigma[0]) + 1

        def change(part: NDArray[np.float32]) -> NDArray[Any]:
            below = surface(part, size=size, mode="nearest")
            rest: NDArray[Any] = part - gaussian_filter(below, sigma, mode="nearest")
            return rest

        return by_slabs(data, halo, 1_000_000, change)


FILTER = BackgroundFilter()
