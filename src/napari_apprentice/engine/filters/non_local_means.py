"""Non-local means: averages what looks alike nearby; keeps texture and edges, needs time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from napari_apprentice.measure.noise import noise_deviation

from ._filter import FilterArgs, by_blocks, parse

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress

__all__ = ["FILTER", "NonLocalMeansArgs", "NonLocalMeansFilter"]

_COMPARISONS = 20_000_000


class NonLocalMeansArgs(FilterArgs):
    """How much alike, how large, how far away."""

    strength: float = Field(
        0.6,
        gt=0,
        le=10,
        title="Strength",
        description="How different patches may be, in multiples of the noise, which is estimated from the image",
    )
    patch: int = Field(
        5,
        ge=3,
        le=15,
        title="Patch",
        description="Size of the patches that are compared, in voxels",
    )
    distance: int = Field(
        6,
        ge=1,
        le=20,
        title="Distance",
        description="How far away patches are looked for, in voxels",
    )


class NonLocalMeansFilter:
    """Non-local means with integral images (scikit-image).

    Buades, Coll & Morel, "A non-local algorithm for image denoising", CVPR 2005; Darbon et al., "Fast nonlocal filtering applied
    to electron cryomicroscopy", ISBI 2008. The noise is that of `noise_deviation`. In volumes patch and distance are half as
    large, for a cube holds many more voxels, and the same along all axes, however thick slices are.
    """

    title = "Non-local means"
    Args = NonLocalMeansArgs

    def run(
        self, data: NDArray[np.float32], spacing: Sequence[float], args: Mapping[str, Any]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Average what is alike; see `Filter.run`."""
        from skimage.restoration import denoise_nl_means

        checked = parse(NonLocalMeansArgs, args)
        noise = noise_deviation(data)
        patch, distance = checked.patch, checked.distance
        if data.ndim == 3:
            patch, distance = max(3, patch // 2 | 1), max(1, distance // 2)

        def change(part: NDArray[np.float32]) -> NDArray[Any]:
            if noise == 0.0:
                return part
            cleaned: NDArray[Any] = denoise_nl_means(
                part,
                patch_size=patch,
                patch_distance=distance,
                h=checked.strength * noise,
                sigma=noise,
                fast_mode=True,
            )
            # scikit-image drops axes of one voxel.
            return cleaned.reshape(part.shape)

        compared = (2 * distance + 1) ** data.ndim
        return by_blocks(
            data, [distance + patch // 2 + 1] * data.ndim, _COMPARISONS // compared, change
        )


FILTER = NonLocalMeansFilter()
