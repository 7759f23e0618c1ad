"""Planning a network for volumes: what every task that answers voxel by voxel begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.volume import Volume

__all__ = ["kind_of", "plan_unet", "scale_of", "strides_for"]

_ANISOTROPIC = 2.0


def plan_unet(
    task: str,
    name: str,
    volumes: Sequence[Volume],
    classes: Sequence[LabelClass] | None,
    *,
    channels: Sequence[int],
    first_stride: int,
    normalization: Normalization,
) -> ModelSpec:
    """Plan a residual U-Net for these volumes.

    Working spacing is the median over the volumes, as nnU-Net plans it; the tile covers the median volume up
    to a budget of voxels; along an axis much coarser than the others the network pools less.

    Parameters
    ----------
    classes
        None for tasks that have none.
    channels
        Features of each level, top first.
    first_stride
        2 pools in the very first layer: few operations per step; 1 keeps full resolution on the first level.

    Raises
    ------
    BadInputError
        No volumes, no classes, or volumes that do not agree in dimensions and channels.
    """
    if not volumes or (classes is not None and not classes):
        found = f"{len(volumes)} images" + ("" if classes is None else " and 0 classes")
        raise BadInputError(
            f"expected images and classes, found {found}",
            remedy="Give images." if classes is None else "Annotate at least one class.",
        )
    ndim, seen, mixed = kind_of(volumes)
    grids = [v.grid for v in volumes]
    patient = all(g.world == "LPS" for g in grids)
    known = all(g.unit == grids[0].unit != "pixel" for g in grids)
    spacing = np.median([g.spacing for g in grids], axis=0)
    lengths = np.median([np.array(g.spatial_shape) * g.spacing / spacing for g in grids], axis=0)
    strides = strides_for(spacing, lengths, len(channels) - 1, first_stride)
    return ModelSpec(
        name=name,
        task=task,
        network="unet",
        network_args={"channels": list(channels), "strides": strides, "num_res_units": 1},
        ndim=3 if ndim == 3 else 2,
        channels=seen,
        grey_as_color=mixed,
        spacing=tuple(float(s) for s in spacing) if known else None,
        unit=grids[0].unit if known else "pixel",
        orientation="LPS" if patient and ndim == 3 else None,
        normalization=normalization,
        classes=tuple(ClassSpec(value=c.value, name=c.name, color=c.color) for c in classes or ()),
        tile=_tile(lengths, np.prod(strides, axis=0)),
        mirror_axes=() if patient else tuple(range(ndim)),
    )


def kind_of(volumes: Sequence[Volume]) -> tuple[int, tuple[str, ...], bool]:
    """Dimensions and channels of all volumes, and whether grey pictures are among colour ones."""
    kinds = {(v.grid.ndim, v.grid.length("C")) for v in volumes}
    colours = [v for v in volumes if v.rgb]
    counts = {count for _, count in kinds}
    if colours and len({d for d, _ in kinds}) == 1 and counts == {1, colours[0].grid.length("C")}:
        return colours[0].grid.ndim, colours[0].channels, True
    if len(kinds) > 1:
        raise BadInputError(
            f"expected images of one kind, found (dimensions, channels) {sorted(kinds)}",
            remedy="Learn from images of one kind at a time.",
        )
    return volumes[0].grid.ndim, volumes[0].channels, False


def scale_of(volumes: Sequence[Volume]) -> Normalization:
    """Colours of 8 bits on their own scale, since they mean something by their value; anything else each by its own deviation.

    Grey values of another device, or after another exposure, do not.
    """
    is_colour = any(v.rgb for v in volumes) and all(v.dtype == np.uint8 for v in volumes)
    return Normalization(kind="window", low=0, high=255) if is_colour else Normalization()


def strides_for(
    spacing: NDArray[np.float64], lengths: NDArray[np.float64], levels: int, first: int
) -> list[list[int]]:
    """Pool an axis only while it is not much coarser or shorter than the finest one; `first` is that of the top."""
    current = np.array(spacing, dtype=float)
    left = np.array(lengths, dtype=float)
    strides = []
    for level in range(levels):
        if level == 0 and first == 1:
            strides.append([1] * len(current))
            continue
        pool = (current < _ANISOTROPIC * current.min()) & (left >= 8)
        stride = np.where(pool, 2, 1)
        strides.append([int(s) for s in stride])
        current, left = current * stride, left / stride
    return strides


def _tile(lengths: NDArray[np.float64], pooled: NDArray[np.int64]) -> tuple[int, ...]:
    """Cover the median volume, rounded up to what the network divides by, within a budget of voxels.

    The deepest level gets more than one voxel: a single one cannot be normalised.
    """
    budget = 160_000 if len(lengths) == 3 else 256 * 256
    step = np.array(pooled, dtype=float)
    tile = np.ceil(np.asarray(lengths) / step) * step
    if (tile == step).all():
        tile[-1] *= 2
    while np.prod(tile) > budget and (tile > step).any():
        widest = int(np.argmax(np.where(tile > step, tile, 0)))
        tile[widest] -= step[widest]
    return tuple(int(t) for t in tile)
