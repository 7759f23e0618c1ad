"""The contract every filter keeps, and what filters share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_apprentice.core.args import parse_args
from napari_apprentice.core.jobs import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Filter", "FilterArgs", "by_slabs", "lengths", "parse", "widths"]

Args = TypeVar("Args", bound="FilterArgs")


class FilterArgs(BaseModel):
    """Base of every filter's arguments: frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Filter(Protocol):
    """A change of intensities by name.

    Contract
    --------
    - ``Args`` is a frozen pydantic model whose defaults suit most images; each field has a title and a description.
    - ``run`` takes one channel, float32 ``(Y, X)`` or ``(Z, Y, X)``, finite, and returns as much float32; it changes
      nothing it is given, needs no chance, and yields often enough to be cancelled.
    - a constant image stays constant; an image that is brighter by a factor gives the same, brighter by that factor.
    - lengths are in voxels of the finest axis; along coarser axes they span as much of the world, in fewer voxels.
    """

    title: str
    Args: type[BaseModel]

    def run(
        self, data: NDArray[np.float32], spacing: Sequence[float], args: Mapping[str, Any]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Filter one channel; `spacing` has one number per axis."""
        ...


def parse(kind: type[Args], args: Mapping[str, Any]) -> Args:
    """Check a filter's arguments; see `parse_args`."""
    return parse_args(kind, args, what="filter")


def lengths(length: float, spacing: Sequence[float]) -> tuple[float, ...]:
    """A length in voxels of the finest axis, in voxels along each axis."""
    finest = min(spacing)
    return tuple(length * finest / step for step in spacing)


def widths(radius: float, spacing: Sequence[float]) -> tuple[int, ...]:
    """Odd numbers of voxels that reach about a radius to both sides along each axis."""
    return tuple(2 * round(length) + 1 for length in lengths(radius, spacing))


def by_slabs(
    data: NDArray[np.float32],
    halo: int,
    voxels: int,
    change: Callable[[NDArray[np.float32]], NDArray[Any]],
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Change an image some rows or planes at a time, each with the neighbours that it depends on.

    Parameters
    ----------
    halo
        Voxels along the first axis on which a voxel of the result depends, to each side.
    voxels
        About how many are changed at a time: as many as take a tenth of a second.
    change
        Keeps the shape.
    """
    result = np.empty(data.shape, np.float32)
    rows = len(data)
    size = max(1, halo, voxels // max(1, data[0].size))
    for start in range(0, rows, size):
        yield Progress("filtering")
        stop = min(rows, start + size)
        low, high = max(0, start - halo), min(rows, stop + halo)
        result[start:stop] = change(data[low:high])[start - low : stop - low]
    return result
