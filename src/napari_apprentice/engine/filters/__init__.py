"""Filters: one file per way of changing intensities before a network, or a person, sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.jobs import Progress, run_to_end
from napari_apprentice.core.registry import Registry

from ._filter import Filter

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.spec import FilterSpec

__all__ = ["FILTERS", "Filter", "filtered", "filtering"]

FILTERS: Registry[Filter] = Registry("filter", "napari_apprentice.engine.filters", "FILTER")


def filtered(
    data: NDArray[np.float32],
    steps: Sequence[FilterSpec],
    *,
    ndim: int,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.float32]:
    """Run `filtering` to its end."""
    return run_to_end(filtering(data, steps, ndim=ndim, spacing=spacing))


def filtering(
    data: NDArray[np.float32],
    steps: Sequence[FilterSpec],
    *,
    ndim: int,
    spacing: Sequence[float] | None = None,
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Apply filters one after the other to each channel of an image.

    Parameters
    ----------
    data
        ``(C, *spatial)``, finite; left as it is.
    steps
        Filters by name, in order.
    ndim
        Axes that are filtered together: with 2 the planes of a volume are filtered one by one.
    spacing
        Distance of voxels along the last `ndim` axes, in any unit; none: the same along all.

    Returns
    -------
    ndarray
        float32, of the same shape; `data` itself where there are no steps.

    Raises
    ------
    BadInputError
        A filter that does not exist, or arguments that it refuses.
    MissingDependencyError
        A filter whose library is not installed.
    """
    at = tuple(spacing) if spacing is not None else (1.0,) * ndim
    for step in steps:
        yield Progress(FILTERS[step.name].title.lower())
        data = yield from _step(data, step, ndim, at)
    return data


def _step(
    data: NDArray[np.float32], step: FilterSpec, ndim: int, spacing: tuple[float, ...]
) -> Generator[Progress, None, NDArray[np.float32]]:
    """One filter on every channel, and on every plane where it sees planes."""
    entry = FILTERS[step.name]
    result = np.empty(data.shape, np.float32)
    # Channels, and planes where there are any: what is filtered on its own.
    parts = data.shape[: data.ndim - ndim]
    total = int(np.prod(parts))
    unit = "channel" if len(parts) == 1 else "plane"
    for number, index in enumerate(np.ndindex(*parts)):
        yield Progress(entry.title.lower(), number, total, unit)
        part = np.ascontiguousarray(data[index], np.float32)
        result[index] = yield from entry.run(part, spacing, step.args)
    return result
