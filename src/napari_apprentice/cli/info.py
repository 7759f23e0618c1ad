"""``info``: what an image is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ._console import print_json, print_lines
from ._inputs import Inputs
from ._options import Debug, Json, SeriesName

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["info"]


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
