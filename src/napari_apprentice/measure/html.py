"""A report as one HTML page that stands for itself: figures inside, no script, nothing fetched, no folder named.

Names of files and classes come from anywhere: everything is escaped, and the page forbids itself to load or run anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .figures import Matrix
from .svg import as_text, svg
from .texts import file_name, interval_text, number_text, title_and_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .bootstrap import Interval
    from .report import CaseScores, Comparison, Report

__all__ = ["page"]

_MOST_CASES = 2000
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.facts { opacity: .75; margin-top: .2rem; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } td.fact { text-align: left; }
tbody tr:nth-child(even) { background: var(--soft); }
div.figures { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; } figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { max-width: 100%; height: auto; } svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
td.clear { font-weight: 600; }
@media print { body { margin: 0; } }
"""


def page(
    report: Report | Comparison, *, title: str = "Evaluation", facts: Sequence[str] = ()
) -> str:
    """Write a report, or the comparison of two, as HTML.

    Parameters
    ----------
    report
        What was found.
    title
        Of the page.
    facts
        Lines below it: the task, the versions, the day.

    Returns
    -------
    str
        A whole document.
    """
    from .report import Comparison

    if isinstance(report, Comparison):
        body = [*_differences(report), *_of_two(report)]
        first = report.first
    else:
        body, first = _report(report), report
    count = len(first.cases)
    lines = [*facts, f"{count} case{'s' if count != 1 else ''}"]
    if first.uncertainty is not None:
        lines.append(first.uncertainty.describe())
    elif count < 2:
        lines.append("one case says nothing about others: there are no intervals")
    return _document(title, lines, body)


def _document(title: str, facts: Iterable[str], body: Iterable[str]) -> str:
    said = "<br>".join(as_text(fact) for fact in facts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f"<title>{as_text(title)}</title><style>{_STYLE}</style></head><body>\n"
        f'<h1>{as_text(title)}</h1><p class="facts">{said}</p>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _report(report: Report, heading: str = "") -> list[str]:
    return [*_scores(report, heading), *_figures(report, heading), *_cases(report, heading)]


def _of_two(report: Comparison) -> list[str]:
    parts = []
    for side, name in ((report.first, report.names[0]), (report.second, report.names[1])):
        parts += _report(side, file_name(name))
    return parts


def _heading(text: str, of: str) -> str:
    return f"<h2>{as_text(f'{text}: {of}' if of else text)}</h2>"


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    cells = "".join(f"<th>{as_text(text)}</th>" for text in head)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _row(cells: Iterable[str], marked: str = "") -> str:
    inside = "".join(f"<td{marked}>{as_text(cell)}</td>" for cell in cells)
    return f"<tr>{inside}</tr>"


# -- scores -------------------------------------------------------------------------------


def _scores(report: Report, of: str) -> list[str]:
    """Every score of the set, with its interval."""
    known = report.uncertainty
    level = "" if known is None else f"{100 * known.level:g} % interval"
    head = ["score", "unit", "set" if report.confusion else "mean"]
    head += [level] if level else []
    head += ["all objects pooled"] if report.pooled else []
    head += [level] if report.pooled and level else []
    rows = []
    for name, value in report.mean.items():
        cells = [*title_and_unit(name), number_text(value)]
        cells += [interval_text(known.mean.get(name))] if known else []
        if report.pooled:
            cells.append(number_text(report.pooled.get(name, np.nan)))
            cells += [interval_text(known.pooled.get(name))] if known else []
        rows.append(_row(cells))
    return [_heading("Scores", of), _table(head, rows)]


def _differences(report: Comparison) -> list[str]:
    """Both sides of every score, and how much they differ."""
    first, second = (file_name(name) for name in report.names)
    head = ["score", "unit", first, second, "difference", "interval of the difference"]
    rows = []
    for name, value in report.differences.items():
        rows.append(_difference(report, name, value, report.intervals.get(name)))
    says = (
        "Both predicted the same cases, and the intervals come from drawing the same ones of both. "
        "Bold: the interval leaves out zero. Many scores are looked at: some do so by chance."
    )
    heading = _heading(f"{first} against {second}", "")
    return [heading, _table(head, rows), f"<p>{says}</p>"]


def _difference(report: Comparison, name: str, value: float, pair: Interval | None) -> str:
    plain, is_pooled = name.removesuffix(" (pooled)"), name.endswith(" (pooled)")
    sides = [(r.pooled if is_pooled else r.mean)[plain] for r in (report.first, report.second)]
    title, unit = title_and_unit(plain)
    shown = f"{title}, pooled" if is_pooled else title
    cells = [
        shown,
        unit,
        *(number_text(v) for v in sides),
        f"{value:+.4g}" if np.isfinite(value) else "–",
    ]
    return _row([*cells, interval_text(pair)], ' class="clear"' if report.is_clear(name) else "")


# -- figures and cases --------------------------------------------------------------------


def _figures(report: Report, of: str) -> list[str]:
    drawn = [
        f"<figure><figcaption>{as_text(figure.title)}</figcaption>{svg(figure)}</figure>"
        for figure in sorted(report.figures, key=lambda figure: isinstance(figure, Matrix))
    ]
    return (
        [_heading("Figures", of), f'<div class="figures">{"".join(drawn)}</div>'] if drawn else []
    )


def _cases(report: Report, of: str) -> list[str]:
    """Every case: its file, what was compared, its scores."""
    shown = report.cases[:_MOST_CASES]
    facts = list(dict.fromkeys(fact for case in shown for fact in case.facts))
    names = list(dict.fromkeys(name for case in shown for name in case.scores))
    head = ["file", *facts, *(_head(name) for name in names)]
    rows = [_case(case, facts, names) for case in shown]
    parts = [_heading("Cases", of), _table(head, rows)]
    if len(report.cases) > len(shown):
        parts.append(f"<p>The first {len(shown)} of {len(report.cases)}; the CSV has all.</p>")
    return parts


def _head(name: str) -> str:
    title, unit = title_and_unit(name)
    return f"{title} ({unit})" if unit else title


def _case(case: CaseScores, facts: Sequence[str], names: Sequence[str]) -> str:
    said: Mapping[str, str] = case.facts
    cells = [f"<td>{as_text(file_name(case.name))}</td>"]
    cells += [f'<td class="fact">{as_text(said.get(fact, ""))}</td>' for fact in facts]
    cells += [f"<td>{number_text(case.scores.get(name, np.nan))}</td>" for name in names]
    return f"<tr>{''.join(cells)}</tr>"
