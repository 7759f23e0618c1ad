"""What network files share: checked arguments, lengths per axis, and MONAI without its noise."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from napari_apprentice.core.args import parse_args
from napari_apprentice.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = [
    "Channels",
    "NetworkArgs",
    "PerAxis",
    "coarsest_axis",
    "factors",
    "parse",
    "per_axis",
    "quiet_monai",
]

Width = Annotated[int, Field(ge=1, le=2048)]
Channels = Annotated[tuple[Width, ...], Field(min_length=2, max_length=8)]
Step = Annotated[int, Field(ge=1, le=8)]
PerAxis = Step | Annotated[tuple[Step, ...], Field(min_length=2, max_length=3)]

Args = TypeVar("Args", bound="NetworkArgs")


class NetworkArgs(BaseModel):
    """Base of every network's arguments: frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def parse(kind: type[Args], args: Mapping[str, Any]) -> Args:
    """Check arguments as `model.json` holds them.

    Raises
    ------
    ModelError
        Names the first argument at fault and what is wrong with it.
    """
    return parse_args(kind, args, what="network", error=ModelError)


def per_axis(value: int | Sequence[int], ndim: int, name: str) -> tuple[int, ...]:
    """Spread one number over the spatial axes, or check that there is one for each.

    Raises
    ------
    ModelError
        Numbers for another count of axes.
    """
    if isinstance(value, int):
        return (value,) * ndim
    if len(value) != ndim:
        raise ModelError(f"expected {ndim} numbers per level in {name}, found {list(value)}")
    return tuple(value)


def factors(strides: Sequence[int | Sequence[int]], ndim: int) -> tuple[int, ...]:
    """Product of the strides along each axis, so that every level divides evenly.

    Parameters
    ----------
    strides
        One per level.
    ndim
        Number of spatial axes.
    """
    levels = [per_axis(stride, ndim, "strides") for stride in strides]
    return tuple(math.prod(level[axis] for level in levels) for axis in range(ndim))


def coarsest_axis(spacing: Sequence[float]) -> int:
    """The axis along which voxels are longest; the first of equals."""
    return max(range(len(spacing)), key=lambda axis: (spacing[axis], -axis))


@contextlib.contextmanager
def quiet_monai() -> Iterator[None]:
    """Import or build MONAI parts without the warnings and log lines that no user of ours can act on."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
