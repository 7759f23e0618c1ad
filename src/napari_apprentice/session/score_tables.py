"""Scores of an evaluation as tables of text. No Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_apprentice.measure.texts import file_name, interval_text, number_text, title_and_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.measure.report import Comparison, Report

__all__ = ["Table", "case_table", "score_table"]


@dataclass(frozen=True, eq=False)
class Table:
    """Cells as text, and what rows are sorted by.

    Parameters
    ----------
    heads
        Of the columns.
    rows
        Texts.
    keys
        Of each cell what it is sorted by: a number, or its text.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    keys: tuple[tuple[float | str, ...], ...]


def score_table(report: Report, comparison: Comparison | None = None) -> Table:
    """Every score of the set with its interval; of two sets the other's value and the difference as well."""
    if comparison is not None:
        return _differences(comparison)
    known, rows = report.uncertainty, []
    for name, value in report.mean.items():
        rows.append(_score(name, value, interval_text(known.mean.get(name)) if known else ""))
    for name, value in report.pooled.items():
        pair = interval_text(known.pooled.get(name)) if known else ""
        rows.append(_score(name, value, pair, ", pooled"))
    level = f"{100 * known.level:g} % interval" if known else "interval"
    return _plain(("score", "value", level), rows)


def _score(name: str, value: float, pair: str, more: str = "") -> tuple[str, ...]:
    title, unit = title_and_unit(name)
    return f"{title}{more}", f"{number_text(value)} {unit}".strip(), pair


def _differences(found: Comparison) -> Table:
    rows = []
    for name, value in found.differences.items():
        plain = name.removesuffix(" (pooled)")
        sides = [r.mean if plain == name else r.pooled for r in (found.first, found.second)]
        title, unit = title_and_unit(plain)
        shown = title if plain == name else f"{title}, pooled"
        star = " *" if found.is_clear(name) else ""
        numbers = [f"{number_text(side[plain])} {unit}".strip() for side in sides]
        pair = interval_text(found.intervals.get(name))
        rows.append((shown, *numbers, f"{value:+.4g}{star}", pair))
    return _plain(("score", *found.names, "difference", "interval"), rows)


def _plain(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    keys: list[tuple[float | str, ...]] = [(float(n), *row[1:]) for n, row in enumerate(rows)]
    return Table(heads, tuple(rows), tuple(keys))


def case_table(report: Report) -> Table:
    """One row per case: its file, what was compared, its scores."""
    facts = list(dict.fromkeys(fact for case in report.cases for fact in case.facts))
    names = list(dict.fromkeys(name for case in report.cases for name in case.scores))
    units = [title_and_unit(name) for name in names]
    heads = ("file", *facts, *(f"{title} ({unit})" if unit else title for title, unit in units))
    rows: list[tuple[str, ...]] = []
    keys: list[tuple[float | str, ...]] = []
    for case in report.cases:
        said = [file_name(case.name), *(case.facts.get(fact, "") for fact in facts)]
        values = [case.scores.get(name, float("nan")) for name in names]
        rows.append((*said, *(number_text(value) for value in values)))
        keys.append((*said, *values))
    return Table(heads, tuple(rows), tuple(keys))
