"""What *Measure* says of objects, as a network that classes them is told it: the same columns wherever it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import ModelError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.units import unit_text
from napari_apprentice.core.volume import Volume
from napari_apprentice.measure.feature_config import FeatureConfig
from napari_apprentice.measure.features import COLUMNS, measure_objects
from napari_apprentice.models.networks import NETWORKS, SeesMeasures

from .prepare import has_spacing, metres

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.measure.features import Column

__all__ = ["measuring", "with_measures"]

_KEY = "measures"
_GROUPS = ("size", "shape", "intensity", "texture", "color")
"""Not where an object lies, and which others are near: that is a matter of the image."""
_ANGLE = "hue"


def with_measures(spec: ModelSpec, *, has_colors: bool) -> ModelSpec:
    """The description with what is measured of each object, where the network takes that and nothing is said yet.

    Parameters
    ----------
    has_colors
        Whether the channels are those of colour pictures.
    """
    if not isinstance(NETWORKS[spec.network], SeesMeasures) or _KEY in spec.task_args:
        return spec
    names = [
        name
        for column in COLUMNS
        if column.ndim in (None, spec.ndim) and column.group in _GROUPS
        if column.group != "color" or has_colors
        for name in _names(column, spec.channels)
    ]
    return spec.model_copy(
        update={
            "task_args": {**spec.task_args, _KEY: names},
            "network_args": {**spec.network_args, _KEY: len(names)},
        }
    )


def _names(column: Column, channels: Sequence[str]) -> list[str]:
    plain = _plain(column.name, "{u}")
    if plain == _ANGLE:
        return [f"{plain} cos", f"{plain} sin"]
    if not column.per_channel or len(channels) == 1:
        return [plain]
    return [f"{plain} {n}" for n in range(1, len(channels) + 1)]


def _plain(name: str, unit: str) -> str:
    """Name of a column without its unit: that is the model's, whatever the image's is."""
    for power in ("", "²", "³"):
        name = name.removesuffix(f" ({unit}{power})")
    return name.removesuffix(" (°)")


def measuring(
    volume: Volume, labels: NDArray[np.integer], spec: ModelSpec, numbers: Sequence[int]
) -> Generator[Event, None, NDArray[np.float32]]:
    """Measure objects in the unit of a model, or in voxels where that has none.

    Parameters
    ----------
    volume
        One time point, with the channels that the model sees.
    labels
        Numbers of all objects, on the spatial grid of `volume`.
    spec
        Of a network that `SeesMeasures`; of another one there is nothing to measure.
    numbers
        Which objects.

    Returns
    -------
    ndarray
        ``(N, M)`` float32, a row per object of `numbers`; NaN where something does not apply.

    Raises
    ------
    ModelError
        The description does not say what its network wants to know.
    """
    names = _measured_names(spec)
    if not names or not len(numbers):
        return np.zeros((len(numbers), len(names)), np.float32)
    grid = _measuring_grid(volume.grid.without("C").spatial, spec)
    config = FeatureConfig.of_groups(_GROUPS)
    job = measure_objects(
        Volume(labels, grid, name=volume.name, is_labels=True),
        _as_channels(volume, spec, grid, is_color=any(n.startswith(_ANGLE) for n in names)),
        config,
        numbers=numbers,
    )
    found = yield from job
    table = _with_angles(found.table.set_index("label"), unit_text(grid.unit))
    wanted = table.reindex(index=list(numbers), columns=names)
    return np.asarray(wanted, np.float32)


def _measured_names(spec: ModelSpec) -> list[str]:
    """What a model wants to know; a description may have been written by anyone.

    Raises
    ------
    ModelError
        Not the names of as many numbers as its network takes.
    """
    names = spec.task_args.get(_KEY, [])
    count = int(spec.network_args.get(_KEY, 0))
    if not isinstance(names, list) or len(names) != count or not all(map(_is_text, names)):
        raise ModelError(
            f"expected the names of {count} measures in {spec.name}, found {str(names)[:60]}",
            remedy="Copy the whole model folder again, or teach it anew.",
        )
    return names


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _as_channels(volume: Volume, spec: ModelSpec, grid: Grid, *, is_color: bool) -> Volume:
    """The image with channels that are called by their position; a grey one as all that the model expects."""
    count = len(spec.channels)
    array = volume.channel_first()
    if len(array) != count:
        array = np.broadcast_to(array, (count, *array.shape[1:]))
    names = tuple(str(n) for n in range(1, count + 1))
    return Volume(array, grid.with_channels(count), channels=names, rgb=is_color, name=volume.name)


def _measuring_grid(grid: Grid, spec: ModelSpec) -> Grid:
    """Voxel sizes in the model's unit; where either does not know its own, as `working_grid` takes them."""
    spacing = np.array(grid.spacing)
    if spec.spacing is None:
        return Grid.regular(grid.axes, grid.shape, tuple(spacing / spacing[-1]))
    if has_spacing(grid, spec):
        spacing = spacing * metres(grid.unit) / metres(spec.unit)
    elif grid.unit != spec.unit:
        spacing = np.array(spec.spacing)
    return Grid.regular(grid.axes, grid.shape, tuple(spacing), unit=spec.unit)


def _with_angles(table: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Columns under the names that models know; an angle as the direction it points in."""
    plain = table.rename(columns=lambda name: _position(_plain(name, unit)))
    if _ANGLE in plain:
        angle = np.radians(plain[_ANGLE].astype(float))
        plain[f"{_ANGLE} cos"], plain[f"{_ANGLE} sin"] = np.cos(angle), np.sin(angle)
    return plain


def _position(name: str) -> str:
    """``"intensity mean [2]"`` → ``"intensity mean 2"``."""
    return name.replace(" [", " ").removesuffix("]")
