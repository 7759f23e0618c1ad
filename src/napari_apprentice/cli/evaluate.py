"""``evaluate``: predictions on disk against the truth on disk, and against other predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_apprentice.engine.config import EvaluateConfig
from napari_apprentice.measure.texts import interval_text, number_text, title_and_unit

from ._console import Listener, print_json, print_lines, table
from ._interrupt import interruptible
from ._options import Debug, Json, with_config

if TYPE_CHECKING:
    from napari_apprentice.measure.report import Comparison, Report

__all__ = ["evaluate"]


@with_config(EvaluateConfig)
def evaluate(
    truth: Annotated[
        Path,
        typer.Option(
            metavar="PATH|DIR",
            help="Labels a person made; of points and boxes a CSV or GeoJSON; for classes of whole images class folders, or "
            "a CSV with file and class; for restoration clean images.",
        ),
    ],
    prediction: Annotated[
        Path,
        typer.Option(
            metavar="PATH|DIR",
            help="Labels a model made, or the table of classes that predict wrote; names pair with the truth's.",
        ),
    ],
    config: EvaluateConfig,
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
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH|DIR",
            help="Other predictions of the same images: scores of both, and their differences.",
        ),
    ] = None,
    groups: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Columns name and group: intervals draw whole groups (patients) instead of images.",
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the table there too.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write scores, curves and cases there as one HTML page that loads nothing.",
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Score predictions against the truth, case by case and on average, with bootstrap intervals."""
    from napari_apprentice.engine import verbs
    from napari_apprentice.engine.groups import read_groups
    from napari_apprentice.engine.reporting import check_report_path, save_html

    if report is not None:
        check_report_path(report)
    chosen = "instance" if instances else task
    with interruptible() as stop:
        listener = Listener(stop)
        known = None if groups is None else read_groups(groups)
        how: dict[str, Any] = {
            "task": chosen,
            "classes": classes,
            "groups": known,
            "listen": listener,
        }
        settings = config.model_dump()
        found: Report | Comparison = (
            verbs.evaluate(truth, prediction, **how, **settings)
            if against is None
            else verbs.compare(truth, prediction, against, **how, **settings)
        )
        listener.clear()
    if csv is not None:
        _first(found).to_csv(csv)
    if report is not None:
        save_html(found, report, task=chosen)
    if json:
        print_json(found.to_dict())
    else:
        print_lines([*_lines(_first(found)), *_confusion(_first(found)), *_differences(found)])
    return 0


def _first(found: Report | Comparison) -> Report:
    from napari_apprentice.measure.report import Comparison

    return found.first if isinstance(found, Comparison) else found


def _lines(report: Report) -> list[str]:
    """One row per score with its unit, one column per case up to three, and the mean; rates of a set have no cases."""
    is_set = report.confusion is not None
    shown = report.cases[:3] if len(report.cases) <= 3 and not is_set else ()
    many = len(report.cases) > 1 or is_set
    # Where there is a column per case, intervals would say little and hide much.
    known = None if shown else report.uncertainty
    pooled = many and bool(report.pooled)
    head = ["score", "unit", *(Path(case.name).name for case in shown)]
    head += [f"{'of' if is_set else 'mean of'} {len(report.cases)}"] if many else []
    head += ["pooled"] if pooled else []
    intervals = () if known is None else (known.mean, known.pooled)[: 2 if pooled else 1]
    level = "" if known is None else f"{100 * known.level:g} %"
    head += [level, f"{level} pooled"][: len(intervals)]
    rows = []
    nothing = float("nan")
    for name in dict.fromkeys([*report.mean, *(report.pooled if pooled else ())]):
        values = [case.scores.get(name, nothing) for case in shown]
        values += [report.mean.get(name, nothing)] if many else []
        values += [report.pooled.get(name, nothing)] if pooled else []
        numbers = (number_text(value) for value in values)
        row = [*title_and_unit(name, plain=True), *numbers]
        row += [interval_text(found.get(name)) for found in intervals]
        rows.append(row)
    lines = table(rows, head)
    return lines if known is None else [*lines, known.describe()]


def _confusion(report: Report) -> list[str]:
    """The confusion matrix: a row per true class, a column per predicted one."""
    if report.confusion is None:
        return []
    names, matrix = report.confusion
    rows = [[name, *map(str, row)] for name, row in zip(names, matrix, strict=True)]
    return ["", *table(rows, ["truth ↓ / predicted →", *names])]


def _differences(found: Report | Comparison) -> list[str]:
    """Scores of both sides, their difference, and its interval; a star where that leaves out zero."""
    from napari_apprentice.measure.report import Comparison

    if not isinstance(found, Comparison):
        return []
    rows = []
    for name, value in found.differences.items():
        plain = name.removesuffix(" (pooled)")
        sides = [r.mean if plain == name else r.pooled for r in (found.first, found.second)]
        title, unit = title_and_unit(plain, plain=True)
        shown = title if plain == name else f"{title}, pooled"
        star = "*" if found.is_clear(name) else ""
        numbers = [number_text(side[plain]) for side in sides]
        pair = interval_text(found.intervals.get(name))
        rows.append([shown, unit, *numbers, f"{value:+.4g}", pair, star])
    head = ["difference", "unit", *found.names, "first minus second", "interval", ""]
    return ["", *table(rows, head)]
