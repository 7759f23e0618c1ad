"""Tables of predicted classes: what ``predict`` writes and ``evaluate`` reads, as CSV or JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.io import column_named, read_rows, save_json, save_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["TABLE_NAME", "SaidClass", "is_table", "read_said", "save_said", "table_path"]

TABLE_NAME = "predictions.csv"
_SUFFIXES = (".csv", ".json")
_PROBABILITY = "probability of "


@dataclass(frozen=True)
class SaidClass:
    """What a model said about one image.

    Parameters
    ----------
    path
        As it was given to ``predict``.
    image_class
        The most likely class.
    scores
        Probability of each class; empty where the table has none.
    """

    path: str
    image_class: str
    scores: Mapping[str, float] = field(default_factory=dict)


def is_table(path: Path) -> bool:
    """Whether a name is that of a table of predictions."""
    return path.suffix.lower() in _SUFFIXES


def table_path(out: Path) -> Path:
    """File for the predictions: `out` itself where it names a table, else ``predictions.csv`` in the folder."""
    return out if is_table(out) and not out.is_dir() else out / TABLE_NAME


def save_said(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the records of ``predict``: CSV with a column per class, or JSON as it is printed; a complete file, or none."""
    if path.suffix.lower() == ".json":
        save_json(list(records), path)
        return
    rows = [
        {
            "path": record["path"],
            "class": record["class"],
            "unsure": record["unsure"],
            **{_PROBABILITY + name: share for name, share in record["scores"].items()},
        }
        for record in records
    ]
    save_table(pd.DataFrame(rows, columns=None if rows else ["path", "class", "unsure"]), path)


def read_said(path: Path) -> list[SaidClass]:
    """Read a table of predictions, or the one in a folder; images that could not be predicted are not in it.

    Raises
    ------
    BadInputError
        There is none, or it is something else.
    """
    file = path / TABLE_NAME if path.is_dir() else path
    if not file.is_file():
        raise BadInputError(
            "expected a table of predicted classes, found none",
            path=file,
            remedy="Write it with: napari-apprentice predict … --out TABLE.csv",
        )
    said = _from_json(file) if file.suffix.lower() == ".json" else _from_csv(file)
    if not said:
        raise BadInputError("expected predicted classes, found none", path=file)
    return said


def _from_csv(path: Path) -> list[SaidClass]:
    rows = read_rows(path)
    file = column_named(rows, ("path", "file", "name"), path)
    kind = column_named(rows, ("class", "label"), path)
    heads = [head for head in rows[0] if head.startswith(_PROBABILITY)]
    try:
        return [
            SaidClass(
                row[file],
                row[kind],
                {head.removeprefix(_PROBABILITY): float(row[head]) for head in heads},
            )
            for row in rows
            if row[kind]
        ]
    except ValueError as error:
        raise BadInputError(f"expected probabilities as numbers ({error})", path=path) from error


def _from_json(path: Path) -> list[SaidClass]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        records = document if isinstance(document, list) else [document]
        return [
            SaidClass(
                str(record["path"]),
                str(record["class"]),
                {str(k): float(v) for k, v in (record.get("scores") or {}).items()},
            )
            for record in records
            if record.get("class") is not None
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInputError(
            f"expected the records that predict --json writes, found something else ({error!r})",
            path=path,
        ) from error
