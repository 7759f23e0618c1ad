"""``info`` and ``convert``: what an image is, and the same image in another format."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_apprentice.core.errors import BadInputError

from ._console import Listener, note, print_json, print_lines
from ._inputs import Inputs
from ._interrupt import interruptible
from ._options import Debug, Json, SeriesName

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["convert", "info"]


class Dates(StrEnum):
    """What becomes of dates."""

    REMOVE = "remove"
    SHIFT = "shift"


def info(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH", help="Images, or folders of images.")
    ],
    series: SeriesName = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Say what an image is: shape, axes, spacing, unit, affine, channels, dtype, format."""
    from napari_apprentice.engine.verbs import info as describe

    inputs = Inputs.find(paths, series)
    records = inputs.each(describe)
    good = [record for record in records if "error" not in record]
    if json:
        print_json(records[0] if inputs.alone else records)
    else:
        print_lines(line for record in good for line in _lines(record))
    return 0 if len(good) == len(records) else 1


def _lines(facts: Mapping[str, Any]) -> list[str]:
    axes = zip(facts["axes"], facts["shape"], strict=True)
    unit = "µm" if facts["unit"] == "um" else facts["unit"]
    spacing = " × ".join(f"{value:g}" for value in facts["spacing"])
    lines = [
        str(facts["path"]),
        f"  format    {facts['format']}",
        f"  shape     {' × '.join(f'{axis} {length}' for axis, length in axes)}",
        f"  dtype     {facts['dtype']}",
        f"  spacing   {spacing} {unit}" if unit != "pixel" else "  spacing   not known (pixels)",
        f"  channels  {', '.join(facts['channels'])}",
    ]
    if facts.get("orientation"):
        lines.append(f"  axes point to {facts['orientation']} (patient, LPS)")
    if facts.get("classes"):
        names = ", ".join(f"{value} {name}" for value, name in facts["classes"].items())
        lines.append(f"  classes   {names}")
    return [*lines, *(f"  warning   {text}" for text in facts.get("warnings", ()))]


def convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Image to read.")],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="DST",
            help="File to write; its suffix says the format. A folder for de-identified DICOM.",
        ),
    ],
    series: SeriesName = None,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="The image holds labels, whether or not its file says so."),
    ] = False,
    deidentify: Annotated[
        bool,
        typer.Option(
            "--deidentify",
            help="Leave out who the patient is: DICOM copies after PS3.15, or another format without names.",
        ),
    ] = False,
    dates: Annotated[
        Dates,
        typer.Option(help="What becomes of dates in de-identified DICOM."),
    ] = Dates.REMOVE,
    pixels_checked: Annotated[
        bool,
        typer.Option(
            "--pixels-checked", help="You have looked: no text in the pixels names the patient."
        ),
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what was done to each element there (.json or .csv); it names the source files.",
        ),
    ] = None,
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
