"""The contract every filter keeps, and what filters share."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict

from napari_apprentice.core.args import parse_args
from napari_apprentice.core.jobs import Progress
from napari_apprentice.engine._resample import slabs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["Filter", "FilterArgs", "by_axes", "by_blocks", "lengths", "parse", "widths"]

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


def by_blocks(
    data: NDArray[np.float32],
    halo: Sequence[int],
    voxels: int,
    change: Callable[[NDArray[np.float32]], NDArray[Any]],
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Change an image block by block, each with the neighbours that it depends on.

    Parameters
    ----------
    halo
        Voxels along each axis on which a voxel of the result depends, to both sides.
    voxels
        About how many, halo included, take a tenth of a second.
    change
        Keeps the shape.
    """
    result = np.empty(data.shape, np.float32)
    edge = round(voxels ** (1 / data.ndim))
    # Thinner blocks would mostly be halo.
    sizes = [max(2 * h, edge - 2 * h, 1) for h in halo]
    starts = [range(0, n, size) for n, size in zip(data.shape, sizes, strict=True)]
    total = math.prod(map(len, starts))
    for number, start in enumerate(itertools.product(*starts)):
        yield Progress("filtering", number, total, "block")
        wide, inner, place = [], [], []
        for first, size, reach, length in zip(start, sizes, halo, data.shape, strict=True):
            low, last = max(0, first - reach), min(first + size, length)
            wide.append(slice(low, min(length, last + reach)))
            inner.append(slice(first - low, last - low))
            place.append(slice(first, last))
        result[tuple(place)] = change(data[tuple(wide)])[tuple(inner)]
    return result


def by_axes(
    data: NDArray[np.float32],
    passes: Sequence[Callable[[NDArray[np.float32], int], NDArray[Any]]],
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Apply filters along lines to every axis, one filter after the other, some lines at a time.

    Parameters
    ----------
    passes
        Each takes a part of the image with whole lines, and the axis along which they run.
    """
    for change in passes:
        for axis in range(data.ndim):
            result = np.empty(data.shape, np.float32)
            across = 0 if axis else data.ndim - 1
            for part in slabs(data.shape[across], 4 * data.size // data.shape[across]):
                yield Progress("filtering")
                place = (*(slice(None),) * across, part)
                result[place] = change(data[place], axis)
            data = result
    return data
