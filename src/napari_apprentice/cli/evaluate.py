"""``evaluate``: predictions on disk against the truth on disk."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._console import Listener, print_json, print_lines, table
from ._interrupt import interruptible
from ._options import Debug, Json

if TYPE_CHECKING:
    from napari_apprentice.measure.report import Report

__all__ = ["evaluate"]

_UNIT = re.compile(r"_(?P<unit>px|um|mm|nm|m)(?P<power>[23]?)(?=_|$)")


def evaluate(
    truth: Annotated[
        Path,
        typer.Option(
            metavar="PATH|DIR",
            help="Labels a person made; for classes of whole images class folders, or a CSV with file and class.",
        ),
    ],
    prediction: Annotated[
        Path,
        typer.Option(
            metavar="PATH|DIR",
            help="Labels a model made, or the table of classes that predict wrote; names pair with the truth's.",
        ),
    ],
    task: Annotated[
        str, typer.Option(metavar="TASK", help="Whose scores are wanted.")
    ] = "semantic",
    classes: Annotated[
        str, typer.Option(help='What the values mean: "1=anterior,2=posterior".')
    ] = "",
    instances: Annotated[
        bool,
        typer.Option(
            "--instances",
            help="The values number objects: AP, F1, panoptic quality, counts (short for --task instance).",
        ),
    ] = False,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table there too.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Score predictions against the truth, case by case and on average."""
    from napari_apprentice.engine.verbs import evaluate as score

    with interruptible() as stop:
        listener = Listener(stop)
        report = score(
            truth, prediction, task=task, classes=classes, instances=instances, listen=listener
        )
        listener.clear()
    if csv is not None:
        report.to_csv(csv)
    if json:
        print_json(report.to_dict())
    else:
        print_lines([*_lines(report), *_confusion(report)])
    return 0


def _lines(report: Report) -> list[str]:
    """One row per score with its unit, one column per case up to three, and the mean; rates of a set have no cases."""
    is_set = report.confusion is not None
    shown = report.cases[:3] if len(report.cases) <= 3 and not is_set else ()
    head = ["score", "unit", *(Path(case.name).name for case in shown)]
    many = len(report.cases) > 1 or is_set
    head += [f"{'of' if is_set else 'mean of'} {len(report.cases)}"] if many else []
    pooled = many and bool(report.pooled)
    head += ["pooled"] if pooled else []
    rows = []
    for name, mean in report.mean.items():
        text, unit = _split_unit(name)
        values = [case.scores.get(name, float("nan")) for case in shown] + ([mean] if many else [])
        values += [report.pooled[name]] if pooled else []
        rows.append([text, unit, *(_number(value) for value in values)])
    return table(rows, head)


def _confusion(report: Report) -> list[str]:
    """The confusion matrix: a row per true class, a column per predicted one."""
    if report.confusion is None:
        return []
    names, matrix = report.confusion
    rows = [[name, *map(str, row)] for name, row in zip(names, matrix, strict=True)]
    return ["", *table(rows, ["truth ↓ / predicted →", *names])]


def _split_unit(name: str) -> tuple[str, str]:
    """Take the unit out of a flat name: ``"hd95_mm_tumour"`` → ``"hd95 tumour"``, ``"mm"``."""
    found = _UNIT.search(name)
    if found is None:
        return name.replace("_", " "), ""
    unit = found["unit"].replace("um", "µm") + {"2": "²", "3": "³", "": ""}[found["power"]]
    return (name[: found.start()] + name[found.end() :]).replace("_", " "), unit


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace(",", " ")
