"""Objects of a layer measured, chosen by their features, and written to a file. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.jobs import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.measure.feature_config import FeatureConfig
    from napari_apprentice.measure.features import ObjectTable

__all__ = ["Measured", "by_number", "inside", "measure_job", "save_table_job", "with_known"]

_NOT_PLOTTED = ("label", "class", "touches border")
_FIRST = ("area", "volume", "intensity mean", "circularity", "sphericity")
_WORDS = ("class", "by", "class by")
_SPARSE = 10
_FEW = 10_000


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured, and how it is asked for.

    Parameters
    ----------
    objects
        The table, and the labels it speaks of.
    is_new
        Whether those labels are connected components that no layer shows yet.
    """

    objects: ObjectTable
    is_new: bool

    @property
    def table(self) -> pd.DataFrame:
        """One row per object."""
        return self.objects.table

    @property
    def summary(self) -> str:
        """How many, and how big they usually are: ``"143 objects · median area 21.4 µm²"``."""
        count = len(self.table)
        text = f"{count} object{'s' if count != 1 else ''}"
        for name in self.table:
            if name.startswith(("area", "volume")):
                size, _, unit = name.rstrip(")").partition(" (")
                return f"{text} · median {size} {self.table[name].median():.4g} {unit}"
        return text

    def columns(self) -> list[str]:
        """Columns that can be plotted, those that are looked at first at the top."""
        names = [name for name in self.table if name not in _NOT_PLOTTED]
        return sorted(names, key=lambda name: not name.startswith(_FIRST))

    def values(self, column: str) -> NDArray[np.float64]:
        """Values of one column, in the order of the rows."""
        return self.table[column].to_numpy(dtype=float)  # type: ignore[no-any-return]

    def numbers(self, rows: Iterable[int]) -> tuple[int, ...]:
        """Numbers of the objects in these rows."""
        return tuple(int(n) for n in self.table["label"].to_numpy()[list(rows)])

    def rows(self, numbers: Iterable[int]) -> NDArray[np.intp]:
        """Rows of the objects with these numbers; numbers of no object have none."""
        found: NDArray[np.intp] = np.flatnonzero(self.table["label"].isin(list(numbers)))
        return found

    def centres(self, rows: Iterable[int]) -> NDArray[np.float64]:
        """Centroids as spatial indices of the labels, shape ``(rows, n)``."""
        grid = self.objects.grid
        names = [n for n in self.table if n.startswith("centroid ")]
        world = self.table[names].to_numpy(dtype=float)[list(rows)]
        n = grid.ndim
        back = np.linalg.inv(grid.matrix)
        found: NDArray[np.float64] = world @ back[:n, :n].T + back[:n, n]
        return found


def measure_job(labels: Volume, image: Volume | None, config: FeatureConfig) -> Job[Measured]:
    """Measure the labels as they are now; painting may go on meanwhile.

    Raises
    ------
    BadInputError
        The labels cannot be measured, or do not lie on the grid of the image.
    """
    yield Progress("reading")
    from napari_apprentice.measure.features import measure_objects

    still = replace(labels, data=np.array(labels.data))
    found = yield from measure_objects(still, image, config)
    return Measured(found, config.components)


def save_table_job(table: pd.DataFrame, path: Path) -> Job[Path]:
    """Write a table; a complete file, or none.

    Raises
    ------
    BadInputError
        Neither CSV nor Parquet, or the folder cannot be written to.
    MissingDependencyError
        Parquet, and pyarrow is not installed.
    """
    yield Progress("writing")
    from napari_apprentice.io import save_table

    save_table(table, path)
    return path


def with_known(table: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    """Add to measures what else the features of a layer know of the same objects.

    Parameters
    ----------
    table
        With a column ``label``.
    features
        With a column ``index``.
    """
    if "index" not in features:
        return table
    known = features.drop_duplicates("index").set_index("index")
    new = [name for name in known if name not in table]
    return table.join(known[new], on="label")


def by_number(table: pd.DataFrame, others: pd.DataFrame | None = None) -> pd.DataFrame:
    """Arrange a table so that the row with number k is the object k, as napari links rows and labels.

    Numbers without an object, background first of all, get a row in which nothing is said. Where numbers are so
    sparse that most rows would be such, objects only are listed, and the column ``index`` says which.

    Parameters
    ----------
    table
        With a column ``label``.
    others
        Features with a column ``index`` that something else knows about the objects; kept beside the measured ones.
    """
    rows = table.rename(columns={"label": "index"}).set_index("index")
    if others is not None and "index" in others:
        known = others.drop_duplicates("index").set_index("index")
        rows = rows.join(known[[name for name in known if name not in rows]], how="outer")
        if "class" in rows and "class" in known:
            rows["class"] = rows["class"].fillna(known["class"])
    largest = int(rows.index.max())
    if largest < _SPARSE * len(rows) + _FEW:
        rows = rows.reindex(range(largest + 1))
    if "touches border" in rows:
        rows["touches border"] = rows["touches border"].eq(True)
    for name in _WORDS:
        if name in rows:
            rows[name] = rows[name].fillna("")
    return rows.rename_axis("index").reset_index()


def inside(points: NDArray[np.float64], outline: NDArray[Any]) -> NDArray[np.intp]:
    """Which points lie in a closed outline.

    Parameters
    ----------
    points
        Shape ``(n, 2)``; NaN lies nowhere.
    outline
        Corners in their order, shape ``(m, 2)``.
    """
    from skimage.measure import points_in_poly

    if len(outline) < 3:
        return np.empty(0, dtype=np.intp)
    return np.flatnonzero(points_in_poly(np.nan_to_num(points, nan=np.inf), outline))
