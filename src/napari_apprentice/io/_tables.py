"""Tables: CSV in and out, Parquet out where pyarrow is installed; and plain data as JSON."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.cells import inert, original
from napari_apprentice.core.errors import BadInputError, FormatError, MissingDependencyError

from ._atomic import writing

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    import pandas as pd

__all__ = [
    "TABLE_SUFFIXES",
    "check_table_path",
    "column_named",
    "delimiter_of",
    "heads_and_rows",
    "read_rows",
    "save_json",
    "save_table",
    "save_text",
]

TABLE_SUFFIXES = (".csv", ".parquet")


def check_table_path(path: os.PathLike[str] | str) -> None:
    """Refuse a name under which no table can be written, before any work is done for it.

    Raises
    ------
    BadInputError
        Another ending than those of `TABLE_SUFFIXES`.
    MissingDependencyError
        Parquet, and pyarrow is not installed.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise BadInputError(
            f"expected a file name ending in {' or '.join(TABLE_SUFFIXES)}, found {suffix!r}",
            path=path if isinstance(path, str) else Path(path),
        )
    if suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise MissingDependencyError(
            "pyarrow is needed to write Parquet files and is not installed",
            path=str(path),
            remedy="Run: pip install pyarrow, or choose a name ending in .csv.",
        )


def save_table(table: pd.DataFrame, path: os.PathLike[str] | str) -> None:
    """Write a table; a complete file, or none.

    CSV is UTF-8 with a byte order mark, without which spreadsheets garble the units; what does not apply stays empty.

    Parameters
    ----------
    table
        Its index is left out.
    path
        Ends in ``.csv`` or ``.parquet``.

    Raises
    ------
    BadInputError
        Another ending, or a folder that cannot be written to.
    MissingDependencyError
        Parquet, and pyarrow is not installed.
    """
    check_table_path(path)
    with writing(Path(path)) as temporary:
        if Path(path).suffix.lower() == ".csv":
            safe = table.rename(columns=inert).map(inert)
            safe.to_csv(temporary, index=False, encoding="utf-8-sig", lineterminator="\n")
        else:
            table.to_parquet(temporary, index=False, engine="pyarrow")


def save_json(document: Any, path: os.PathLike[str] | str) -> None:
    """Write plain data as JSON (UTF-8); a complete file, or none.

    Raises
    ------
    BadInputError
        A folder that cannot be written to.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    save_text(f"{text}\n", path)


def read_rows(table: Path) -> list[dict[str, str]]:
    """Rows of a CSV or TSV file; white space around heads is cut off.

    Raises
    ------
    BadInputError
        The file cannot be read or has no rows.
    """
    rows = heads_and_rows(table)[1]
    if not rows:
        raise BadInputError("expected rows in the table, found none", path=table)
    return rows


def heads_and_rows(table: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Heads and rows of a CSV or TSV file, without what stands below no head; both may be empty.

    Raises
    ------
    FormatError
        The file cannot be read.
    """
    delimiter = delimiter_of(table)
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, delimiter=delimiter)
            heads = [original(str(head).strip()) for head in reader.fieldnames or ()]
            reader.fieldnames = heads
            rows = [{k: original(v or "") for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FormatError(f"the table cannot be read ({error})", path=table) from error
    return heads, rows


def delimiter_of(table: Path) -> str:
    """What parts the columns; spreadsheets write a semicolon where the comma is a decimal sign.

    Raises
    ------
    FormatError
        The file cannot be read.
    """
    if table.suffix.lower() == ".tsv":
        return "\t"
    try:
        with table.open(encoding="utf-8-sig") as file:
            heads = file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"the table cannot be read ({error})", path=table) from error
    return ";" if ";" in heads and "," not in heads else ","


def column_named(rows: Sequence[Mapping[str, str]], names: Sequence[str], table: Path) -> str:
    """Head of the column that goes by one of some names, whatever its case.

    Raises
    ------
    BadInputError
        There is none.
    """
    heads = {head.lower(): head for head in rows[0]}
    for name in names:
        if name in heads:
            return heads[name]
    raise BadInputError(
        f"expected a column {' or '.join(names[:2])}, found {', '.join(rows[0])}", path=table
    )


def save_text(text: str, path: os.PathLike[str] | str) -> None:
    """Write text as UTF-8; a complete file, or none.

    Raises
    ------
    BadInputError
        A folder that cannot be written to.
    """
    with writing(Path(path)) as temporary:
        # Names of files may hold bytes that are no text.
        temporary.write_text(text, encoding="utf-8", errors="replace")
