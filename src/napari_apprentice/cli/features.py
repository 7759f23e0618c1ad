"""``features``: a table of labelled objects in physical units."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.measure.feature_config import (
    DEFAULT_GROUPS,
    GROUPS,
    FeatureConfig,
    FeatureSettings,
)

from ._console import Listener, print_json, print_lines
from ._interrupt import interruptible
from ._options import Debug, Json, with_config

if TYPE_CHECKING:
    from napari_apprentice.measure.features import ObjectTable

__all__ = ["features"]

_GROUPS = ",".join(DEFAULT_GROUPS)


@with_config(FeatureSettings)
def features(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The image.")],
    labels: Annotated[
        Path, typer.Argument(metavar="LABELS", help="Its labelled objects, on the same grid.")
    ],
    config: FeatureSettings,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Table to write: .csv or .parquet.")
    ] = None,
    groups: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help=f"Which features, of {', '.join(GROUPS)}, or all (default {_GROUPS}).",
            show_default=False,
        ),
    ] = _GROUPS,
    classes: Annotated[
        str, typer.Option(help='What the values of class labels mean: "1=anterior,2=posterior".')
    ] = "",
    objects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write the labels in which the objects have the numbers of the table.",
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Measure labelled objects, one row per object, in the unit of the image."""
    from napari_apprentice.engine.features import measure_files
    from napari_apprentice.io import check_table_path, save_table

    if out is None and not json:
        raise BadInputError("expected where to write the table", remedy="Add --out FILE or --json.")
    if out is not None:
        check_table_path(out)
    chosen = FeatureConfig.of_groups(groups.split(","), config)
    with interruptible() as stop:
        listener = Listener(stop)
        found = measure_files(image, labels, chosen, classes=classes, listen=listener)
        listener.clear()
    if out is not None:
        save_table(found.table, out)
    if objects is not None:
        _save_objects(found, image, objects)
    _tell(found, image, labels, out, json=json)
    return 0


def _save_objects(found: ObjectTable, image: Path, path: Path) -> None:
    from napari_apprentice.io import labels_like, open_volume, save

    save(replace(labels_like(open_volume(image), found.labels, {}), grid=found.grid), path)


def _tell(found: ObjectTable, image: Path, labels: Path, out: Path | None, *, json: bool) -> None:
    output = None if out is None else str(out)
    if json:
        record: dict[str, Any] = {"image": str(image), "labels": str(labels), "output": output}
        print_json(record | {"count": len(found.table), "objects": found.table.to_dict("records")})
    else:
        count = len(found.table)
        print_lines([f"{output}: {count} object{'s' if count != 1 else ''}"])
