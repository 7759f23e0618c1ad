"""Smoothing without learning, beside which restored images are held: Gaussian, non-local means, total variation."""

from __future__ import annotations

import time as clock
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.core.spec import FilterSpec
from napari_apprentice.measure.noise import noise_deviation

from .filters import filtering
from .prepare import finite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume

__all__ = ["BASELINES", "Baseline", "SmoothConfig", "smooth"]


class SmoothConfig(BaseModel):
    """How strongly a baseline smooths."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(
        1.0,
        gt=0,
        le=5,
        title="Strength",
        description="1 fits the noise that is measured in the image (Gaussian: a deviation of 1.3 voxels); more smooths more",
    )


@dataclass(frozen=True)
class Baseline:
    """A filter with one knob.

    Parameters
    ----------
    title
        As people know it.
    filter
        Name of the filter.
    knob, factor
        Its argument that says how strongly, and that argument at strength 1.
    args
        Its other arguments.
    """

    title: str
    filter: str
    knob: str
    factor: float
    args: Mapping[str, Any] = field(default_factory=dict)

    def step(self, strength: float) -> FilterSpec:
        """The filter at some strength."""
        return FilterSpec(name=self.filter, args={**self.args, self.knob: self.factor * strength})


BASELINES = {
    "gaussian": Baseline("Gaussian", "gaussian", "sigma", 1.3),
    "nl_means": Baseline(
        "Non-local means", "non_local_means", "strength", 1.8, {"patch": 5, "distance": 7}
    ),
    "total_variation": Baseline(
        "Total variation", "total_variation", "strength", 2.0, {"steps": 200}
    ),
}
"""By name. Their factors at strength 1 are those that did best on fluorescence nuclei with shot noise."""


def smooth(volume: Volume, method: str, config: SmoothConfig | None = None) -> Job[Prediction]:
    """Smooth an image; channels and time points each by themselves.

    Parameters
    ----------
    volume
        Read into memory one time point at a time.
    method
        A name in `BASELINES`.

    Yields
    ------
    Progress
        Before each part of the image.

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
    grid, steps = volume.grid.spatial, (chosen.step(config.strength),)
    frames: list[NDArray[Any]] = []
    levels: list[float] = []
    for number in range(count):
        data, _ = finite(np.asarray(volume.frame(number).channel_first(), np.float32))
        levels += [noise_deviation(channel) for channel in data]
        clean = yield from filtering(data, steps, ndim=grid.ndim, spacing=grid.spacing)
        result = _as_kind(clean, dtype)
        frames.append(result if "C" in volume.grid.axes else result[0])
    image = np.stack(frames) if "T" in volume.grid.axes else frames[0]
    made = Provenance(
        chosen.title, "", "cpu", clock.perf_counter() - began, config.model_dump(mode="json")
    )
    text = f"{chosen.title}, noise {np.mean(levels):.3g}"
    return Prediction(volume.grid, image=image, summary=text, provenance=made)


def _as_kind(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max).astype(dtype)
