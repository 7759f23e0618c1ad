"""The feature table of labelled objects as a plain function: from files or volumes to a data frame."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import open_labels, open_volume
from napari_apprentice.measure.feature_config import (
    DEFAULT_GROUPS,
    FeatureConfig,
    FeatureSettings,
)
from napari_apprentice.measure.features import measure_objects

from .files import parse_classes
from .verbs import config_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    import pandas as pd

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.measure.features import ObjectTable

__all__ = ["features", "measure_files"]


def features(
    image: Volume | os.PathLike[str] | str | None,
    labels: Volume | os.PathLike[str] | str,
    *,
    groups: Iterable[str] = DEFAULT_GROUPS,
    classes: str = "",
    listen: Callable[[Event], None] | None = None,
    **settings: Any,
) -> pd.DataFrame:
    """Measure labelled objects: one row per object, in the unit of the image.

    Parameters
    ----------
    image
        A volume, or the path of one; None leaves out what needs intensities.
    labels
        Numbered objects on the same grid, or the path of them. 0 is background.
    groups
        Of ``size``, ``shape``, ``intensity``, ``texture``, ``color``, ``neighbours``, or ``all``; by default all but
        texture.
    classes
        ``"1=anterior,2=posterior"`` where labels are classes; by default the names in the file.
    listen
        Called with every event of the job (`Progress`, `Log`).
    **settings
        Fields of `FeatureSettings`: ``components`` (each connected piece of a class is an object),
        ``neighbour_radius``, ``gray_levels``.

    Returns
    -------
    pandas.DataFrame
        Column names carry units, as in ``"volume (mm³)"``.

    Raises
    ------
    BadInputError
        Files, labels, groups or settings cannot be used.

    Examples
    --------
    >>> table = features("brain.nii.gz", "labels/a.nii.gz", groups=["size"])
    >>> float(table["volume (mm³)"].iloc[0])
    100.0
    """
    config = FeatureConfig.of_groups(
        [groups] if isinstance(groups, str) else groups, config_of(FeatureSettings, settings)
    )
    return measure_files(image, labels, config, classes=classes, listen=listen).table


def measure_files(
    image: Volume | os.PathLike[str] | str | None,
    labels: Volume | os.PathLike[str] | str,
    config: FeatureConfig,
    *,
    classes: str = "",
    listen: Callable[[Event], None] | None = None,
) -> ObjectTable:
    """Measure objects, and say which they are; see `features`."""
    opened = labels if isinstance(labels, Volume) else open_labels(labels)
    named = {entry.value: entry.name for entry in parse_classes(classes)}
    if named:
        opened = replace(opened, classes=named)
    shown = image if image is None or isinstance(image, Volume) else open_volume(image)
    return run_to_end(measure_objects(opened, shown, config), listen)
