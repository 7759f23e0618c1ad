"""``convert``: an image in another format, or without the patient."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from napari_apprentice.core.errors import BadInputError

from ._console import Listener, note, print_lines
from ._interrupt import interruptible
from ._options import Debug, SeriesName

__all__ = ["convert"]


class Dates(StrEnum):
    """What becomes of dates."""

    REMOVE = "remove"
    SHIFT = "shift"


Source = Annotated[Path, typer.Argument(metavar="SRC", help="Image to read.")]
Target = Annotated[
    Path,
    typer.Argument(
        metavar="DST",
        help="File to write; its suffix says the format. A folder for de-identified DICOM.",
    ),
]
AreLabels = Annotated[
    bool,
    typer.Option("--labels", help="The image holds labels, whether or not its file says so."),
]
Deidentify = Annotated[
    bool,
    typer.Option(
        "--deidentify",
        help="Leave out who the patient is: DICOM copies after PS3.15, or another format without names.",
    ),
]
WhatDates = Annotated[Dates, typer.Option(help="What becomes of dates in de-identified DICOM.")]
PixelsChecked = Annotated[
    bool,
    typer.Option(
        "--pixels-checked", help="You have looked: no text in the pixels names the patient."
    ),
]
ReportFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write what was done to each element there (.json or .csv); it names the source files.",
    ),
]


def convert(
    source: Source,
    target: Target,
    series: SeriesName = None,
    labels: AreLabels = False,
    deidentify: Deidentify = False,
    dates: WhatDates = Dates.REMOVE,
    pixels_checked: PixelsChecked = False,
    report: ReportFile = None,
    debug: Debug = False,
) -> int:
    """Write an image in another format, with its geometry, channels and classes; or without the patient."""
    from napari_apprentice.engine.files import is_file_name
    from napari_apprentice.io import (
        list_images,
        open_labels,
        open_volume,
        save,
        without_patient,
    )

    if target.exists() and source.exists() and target.samefile(source):
        raise BadInputError("source and target are one file", path=target, remedy="Choose another.")
    if deidentify and not is_file_name(target):
        return _copies(source, target, dates, pixels_checked=pixels_checked, report=report)
    if report is not None:
        raise BadInputError("a report is made of de-identified DICOM copies only", path=report)
    place = source if series is None else list_images(source, series=series)[0]
    volume = open_labels(place) if labels else open_volume(place)
    if deidentify:
        volume = without_patient(volume, pixels_checked=pixels_checked)
    save(volume, target)
    print_lines([str(target)])
    return 0


def _copies(
    source: Path, target: Path, dates: Dates, *, pixels_checked: bool, report: Path | None
) -> int:
    """De-identified copies of DICOM files in a folder; every file of the source, whatever its series."""
    from napari_apprentice.io import deidentify

    with interruptible() as stop:
        listener = Listener(stop)
        done = deidentify(
            source, target, dates=dates.value, pixels_checked=pixels_checked, listen=listener
        )
        listener.clear()
    if report is not None:
        done.save(report)
    for warning in done.warnings:
        note(f"napari-apprentice: {warning}")
    for entry in done.skipped:
        note(f"napari-apprentice: skipped: {entry['source']}: {entry['reason']}")
    print_lines([f"{target}: {len(done.files)} files, {len(done.actions)} kinds of change"])
    return 1 if done.skipped else 0
