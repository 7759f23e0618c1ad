"""Files in and out: one module per format, found by the registry."""

from __future__ import annotations

from ._atomic import make_folder
from ._deidentify import DeidentifyReport, deidentify, deidentify_job, without_patient
from ._format import Format, Series, SeriesFormat, WritableFormat
from ._listing import list_images, pair, stem
from ._onto import labels_onto
from ._open import (
    describe,
    format_of,
    labels_in,
    labels_like,
    list_series,
    open_labels,
    open_volume,
    open_volumes,
    save,
    synthetic_mark,
)
from ._places import (
    PLACE_SUFFIXES,
    PlaceTable,
    is_place_file,
    place_axes,
    read_places,
    save_places,
)
from ._registry import FORMATS
from ._series import place_of
from ._tables import (
    TABLE_SUFFIXES,
    check_table_path,
    column_named,
    read_rows,
    save_json,
    save_table,
    save_text,
)

__all__ = [
    "FORMATS",
    "PLACE_SUFFIXES",
    "TABLE_SUFFIXES",
    "DeidentifyReport",
    "Format",
    "PlaceTable",
    "Series",
    "SeriesFormat",
    "WritableFormat",
    "check_table_path",
    "column_named",
    "deidentify",
    "deidentify_job",
    "describe",
    "format_of",
    "is_place_file",
    "labels_in",
    "labels_like",
    "labels_onto",
    "list_images",
    "list_series",
    "make_folder",
    "open_labels",
    "open_volume",
    "open_volumes",
    "pair",
    "place_axes",
    "place_of",
    "read_places",
    "read_rows",
    "save",
    "save_json",
    "save_places",
    "save_table",
    "save_text",
    "stem",
    "synthetic_mark",
    "without_patient",
]
