"""Smoothing without learning, beside which restored images are held: Gaussian, non-local means, total variation."""

from __future__ import annotations

import itertools
import time as clock
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Progress
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.measure.noise import noise_deviation

from .prepare import finite

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume

    Smooth = Callable[[NDArray[np.float32], float, float], NDArray[Any]]

__all__ = ["BASELINES", "Baseline", "SmoothConfig", "smooth"]

_BLOCK = {2: (128, 128), 3: (16, 64, 64)}


class SmoothConfig(BaseModel):
    """How strongly a baseline smooths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(
        1.0,
        gt=0,
        le=20,
        title="Strength",
        description="1 fits the noise that is measured in the image (Gaussian: a deviation of 1.3 voxels); more smooths more",
    )


@dataclass(frozen=True)
class Baseline:
    """One way to smooth.

    Parameters
    ----------
    title
        As people know it.
    margin
        Voxels around a block that its answer depends on (for total variation: beyond which it hardly does).
    run
        Smooths a block, given the deviation of the noise and the strength.
    """

    title: str
    margin: int
    run: Smooth


def _gaussian(block: NDArray[np.float32], noise: float, strength: float) -> NDArray[Any]:
    from scipy.ndimage import gaussian_filter

    return np.asarray(gaussian_filter(block, 1.3 * strength))


def _nl_means(block: NDArray[np.float32], noise: float, strength: float) -> NDArray[Any]:
    """Buades et al., "A non-local algorithm for image denoising", CVPR 2005."""
    from skimage.restoration import denoise_nl_means

    flat = block.ndim == 2
    return np.asarray(
        denoise_nl_means(
            block,
            patch_size=5 if flat else 3,
            patch_distance=7 if flat else 3,
            h=1.8 * strength * noise,
            sigma=noise,
            fast_mode=True,
        )
    )


def _total_variation(block: NDArray[np.float32], noise: float, strength: float) -> NDArray[Any]:
    """Chambolle, "An algorithm for total variation minimization", J. Math. Imaging Vis. 20 (2004)."""
    from skimage.restoration import denoise_tv_chambolle

    return np.asarray(denoise_tv_chambolle(block, weight=2.0 * strength * noise))


BASELINES = {
    "gaussian": Baseline("Gaussian", 12, _gaussian),
    "nl_means": Baseline("Non-local means", 10, _nl_means),
    "total_variation": Baseline("Total variation", 16, _total_variation),
}
"""By name. Their factors at strength 1 are those that did best on fluorescence nuclei with shot noise."""


def smooth(volume: Volume, method: str, config: SmoothConfig | None = None) -> Job[Prediction]:
    """Smooth an image, block by block; channels and time points each by themselves.

    Parameters
    ----------
    volume
        Read into memory one time point at a time.
    method
        A name in `BASELINES`.

    Yields
    ------
    Progress
        One per block.

    Returns
    -------
    Prediction
        ``image`` on the grid of `volume` with its channels, in its units; of its number type where that is of integers,
        else float32.

    Raises
    ------
    BadInputError
        No such method, or voxels that are no real numbers.
    """
    chosen, config = BASELINES.get(method), config or SmoothConfig()
    if chosen is None:
        raise BadInputError(f"no method named {method!r}", remedy=f"Known: {', '.join(BASELINES)}.")
    if volume.dtype.kind not in "biuf":
        raise BadInputError(f"expected numbers, found {volume.dtype}", path=volume.name)
    began = clock.perf_counter()
    dtype = volume.dtype if volume.dtype.kind in "iu" else np.dtype(np.float32)
    count = volume.grid.length("T")
    frames, levels = [], []
    for number in range(count):
        data, _ = finite(np.asarray(volume.frame(number).channel_first(), np.float32))
        result = np.empty(data.shape, dtype)
        for channel, out in zip(data, result, strict=True):
            levels.append(noise_deviation(channel))
            yield from _blocks(channel, chosen, levels[-1], config.strength, out)
        frames.append(result if "C" in volume.grid.axes else result[0])
    image = np.stack(frames) if "T" in volume.grid.axes else frames[0]
    made = Provenance(
        chosen.title, "", "cpu", clock.perf_counter() - began, config.model_dump(mode="json")
    )
    text = f"{chosen.title}, noise {np.mean(levels):.3g}"
    return Prediction(volume.grid, image=image, summary=text, provenance=made)


def _blocks(
    channel: NDArray[np.float32],
    method: Baseline,
    noise: float,
    strength: float,
    out: NDArray[Any],
) -> Generator[Progress, None, None]:
    """Smooth a channel in blocks that see a margin around them."""
    size = _BLOCK[channel.ndim]
    starts = list(
        itertools.product(*(range(0, n, s) for n, s in zip(channel.shape, size, strict=True)))
    )
    for number, start in enumerate(starts):
        yield Progress(f"smoothing ({method.title})", number, len(starts), "block")
        wide, inner, place = _cuts(start, size, channel.shape, method.margin)
        block = channel[wide]
        # Where no noise can be measured there is none to take away: weights would divide by it.
        done = method.run(block, noise, strength) if noise > 0 else block
        out[place] = _as_kind(done[inner], out.dtype)


def _cuts(
    start: Sequence[int], size: Sequence[int], shape: Sequence[int], margin: int
) -> tuple[tuple[slice, ...], tuple[slice, ...], tuple[slice, ...]]:
    """Where a block is read with its margin, which part of that is its own, and where that goes."""
    wide, inner, place = [], [], []
    for first, length, whole in zip(start, size, shape, strict=True):
        last = min(first + length, whole)
        low, high = max(0, first - margin), min(whole, last + margin)
        wide.append(slice(low, high))
        inner.append(slice(first - low, last - low))
        place.append(slice(first, last))
    return tuple(wide), tuple(inner), tuple(place)


def _as_kind(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(dtype)
