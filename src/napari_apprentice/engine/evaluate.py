"""Evaluation: predictions against the truth, case by case and together, and two sets of them against each other."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError, naming
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.io import stem
from napari_apprentice.measure.bootstrap import (
    Uncertainty,
    difference,
    interval,
    means_of,
    resample,
)
from napari_apprentice.measure.report import CaseScores, Comparison, Report

from .config import EvaluateConfig
from .groups import check_groups
from .made_up import measured_cases
from .scorers import scorer_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.measure.bootstrap import Interval, Statistic

    from .scorers import Case, Compared, Judged, Pooled, Scorer

__all__ = [
    "Evaluated",
    "compare",
    "evaluate_cases",
    "evaluate_files",
    "evaluate_judged",
    "in_groups",
]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """Cases and what was found in them.

    Parameters
    ----------
    cases, judged
        In one order.
    report
        What is told of them.
    task
        Registry name.
    """

    cases: tuple[Case, ...]
    judged: tuple[Judged, ...]
    report: Report
    task: str

    @property
    def scorer(self) -> Scorer:
        """What scored them."""
        return scorer_of(self.task)


def evaluate_files(
    truth: Path,
    prediction: Path,
    *,
    task: str = "semantic",
    classes: Sequence[LabelClass] = (),
    groups: Mapping[str, str] | None = None,
    config: EvaluateConfig | None = None,
) -> Job[Evaluated]:
    """Score predictions on disk against the truth on disk; files pair by name.

    Parameters
    ----------
    truth, prediction
        As the task's scorer takes them: two files or two folders of labels; class folders or a table of classes, and
        the table that ``predict`` wrote.
    task
        Registry name of the task whose scores are wanted.
    classes
        What label values mean. Without it, the values found in any of the files are the classes, under the names the
        files give them, so that every case is scored on the same ones.
    groups
        File name without suffix → group (a patient); see `Uncertainty`.
    config
        Of the intervals; default: `EvaluateConfig`.

    Yields
    ------
    Progress, Log
        One progress event per case; a log where a file says less about its grid than its partner, or is left out.

    Raises
    ------
    BadInputError
        A file without a partner, files that cannot be read, nothing to score.
    GridMismatchError
        A prediction that does not lie on the grid of its truth.
    """
    found = yield from scorer_of(task).cases(truth, prediction, classes)
    cases = yield from measured_cases(found)
    if config is not None and config.distance is not None:
        cases = [replace(case, open=partial(_reaching, case, config.distance)) for case in cases]
    return (yield from evaluate_cases(in_groups(cases, groups), task=task, config=config))


def _reaching(case: Case, distance: float) -> Compared:
    opened = case.open()
    return replace(opened, annotation=replace(opened.annotation, reach=distance))


def in_groups(cases: Sequence[Case], groups: Mapping[str, str] | None) -> list[Case]:
    """Cases with their groups.

    Raises
    ------
    BadInputError
        A group for an image that there is not.
    """
    if not groups:
        return list(cases)
    grouped, used = [], set()
    for case in cases:
        path = Path(case.key)
        names = (f"{path.parent.name}/{stem(path)}", stem(path))
        known = [name for name in names if name in groups]
        used.update(known)
        grouped.append(replace(case, group=groups[known[0]] if known else case.group))
    check_groups(groups, used)
    return grouped


def evaluate_cases(
    cases: Sequence[Case], *, task: str, config: EvaluateConfig | None = None
) -> Job[Evaluated]:
    """Score cases one after the other, then all together.

    Parameters
    ----------
    cases
        Opened one at a time.
    task, config
        See `evaluate_files`.

    Raises
    ------
    BadInputError
        No case, or one that cannot be scored.
    """
    scorer = scorer_of(task)
    if not cases:
        raise BadInputError("expected at least one case, found none")
    judged = []
    for number, case in enumerate(cases):
        yield Progress("evaluating", number, len(cases), "case")
        opened = case.open()
        if opened.note:
            yield Log(opened.note, "warning")
        with naming(case.name):
            judged.append(scorer.judge(opened.prediction, opened.annotation))
    yield Progress("evaluating", len(cases), len(cases), "case")
    return (yield from evaluate_judged(cases, judged, task=task, config=config))


def evaluate_judged(
    cases: Sequence[Case],
    judged: Sequence[Judged],
    *,
    task: str,
    config: EvaluateConfig | None = None,
) -> Job[Evaluated]:
    """Report what was found in cases: `evaluate_cases` where they have been scored already."""
    wish = config or EvaluateConfig()
    pooled = scorer_of(task).pool(judged)
    both = _statistics(judged, pooled)
    drawn = yield from _drawn(both, cases, wish)
    report = _report(cases, judged, pooled, _uncertainty(drawn, cases, wish))
    return Evaluated(tuple(cases), tuple(judged), report, task)


def compare(
    first: Evaluated,
    second: Evaluated,
    names: tuple[str, str],
    config: EvaluateConfig | None = None,
) -> Job[Comparison]:
    """Compare two sets of predictions on the cases that both have.

    Parameters
    ----------
    first, second
        Of one task.
    names
        What the two are called.
    config
        Of the intervals; all come from the same draws of cases.

    Raises
    ------
    BadInputError
        Two tasks, or no case that both have.
    """
    if first.task != second.task:
        raise BadInputError(f"expected scores of one task, found {first.task} and {second.task}")
    wish = config or EvaluateConfig()
    sides = yield from _shared(first, second, names)
    statistics, reports = [], []
    for side in sides:
        pooled = scorer_of(side.task).pool(side.judged)
        statistics += _statistics(side.judged, pooled)
        reports.append((side, pooled))
    drawn = yield from _drawn(statistics, sides[0].cases, wish)
    halves = (drawn[:2], drawn[2:]) if drawn else ([], [])
    told = [
        _report(side.cases, side.judged, pooled, _uncertainty(half, side.cases, wish))
        for (side, pooled), half in zip(reports, halves, strict=True)
    ]
    return _compared(told[0], told[1], names, drawn, wish.level)


def _shared(
    first: Evaluated, second: Evaluated, names: tuple[str, str]
) -> Job[tuple[Evaluated, Evaluated]]:
    """Both with the same cases in the same order; what only one has is left out, with a warning."""
    for side, name in ((first, names[0]), (second, names[1])):
        if any(number > 1 for number in Counter(c.key for c in side.cases).values()):
            raise BadInputError(f"expected every image once in {name}, found one more often")
    keys = {c.key for c in first.cases} & {c.key for c in second.cases}
    if not keys:
        raise BadInputError(
            f"expected cases that both {names[0]} and {names[1]} have, found none",
            remedy="Predict the same images with both.",
        )
    for side, name in ((first, names[0]), (second, names[1])):
        if len(side.cases) > len(keys):
            lost = len(side.cases) - len(keys)
            yield Log(f"{lost} cases that only {name} has left out of the comparison", "warning")
    order = [case.key for case in first.cases if case.key in keys]
    return _chosen(first, order), _chosen(second, order)


def _chosen(side: Evaluated, keys: Sequence[str]) -> Evaluated:
    at = {case.key: number for number, case in enumerate(side.cases)}
    rows = [at[key] for key in keys]
    return replace(
        side,
        cases=tuple(side.cases[row] for row in rows),
        judged=tuple(side.judged[row] for row in rows),
    )


def _statistics(judged: Sequence[Judged], pooled: Pooled) -> list[Statistic]:
    """Of the mean, and of the pooled scores."""
    means = means_of([case.scores for case in judged])
    own = pooled.scores or (lambda _: {})
    return [own, lambda _: {}] if pooled.replaces_mean else [means, own]


def _drawn(
    statistics: Sequence[Statistic], cases: Sequence[Case], config: EvaluateConfig
) -> Job[list[dict[str, NDArray[np.float64]]]]:
    """Resampled scores; none where too few cases say nothing about others."""
    groups = _groups(cases)
    units = len(cases) if groups is None else len(set(groups))
    if units < 2 or not config.resamples:
        return []
    job = resample(statistics, len(cases), groups, resamples=config.resamples, seed=config.seed)
    return (yield from job)


def _groups(cases: Sequence[Case]) -> list[str] | None:
    """Group of each case; one without is a group of its own."""
    if not any(case.group for case in cases):
        return None
    return [f"g {c.group}" if c.group else f"c {number}" for number, c in enumerate(cases)]


def _uncertainty(
    drawn: Sequence[Mapping[str, NDArray[np.float64]]],
    cases: Sequence[Case],
    config: EvaluateConfig,
) -> Uncertainty | None:
    if not drawn:
        return None
    mean, pooled = (_intervals(values, config.level) for values in drawn)
    groups = _groups(cases)
    units = len(cases) if groups is None else len(set(groups))
    return Uncertainty(
        config.level, config.resamples, config.seed, units, groups is not None, mean, pooled
    )


def _intervals(values: Mapping[str, NDArray[np.float64]], level: float) -> dict[str, Interval]:
    found = {name: interval(each, level) for name, each in values.items()}
    return {name: pair for name, pair in found.items() if pair is not None}


def _report(
    cases: Sequence[Case],
    judged: Sequence[Judged],
    pooled: Pooled,
    uncertainty: Uncertainty | None,
) -> Report:
    once = np.ones(len(cases))
    told = [
        CaseScores(case.name, dict(j.scores), {**j.facts, **_group_fact(case)})
        for case, j in zip(cases, judged, strict=True)
    ]
    scores = dict(pooled.scores(once)) if pooled.scores is not None else {}
    report = Report.from_cases(told, {} if pooled.replaces_mean else scores)
    return replace(
        report,
        mean=scores if pooled.replaces_mean else report.mean,
        confusion=pooled.confusion,
        figures=pooled.figures,
        uncertainty=uncertainty,
    )


def _group_fact(case: Case) -> dict[str, str]:
    return {"group": case.group} if case.group else {}


def _compared(
    first: Report,
    second: Report,
    names: tuple[str, str],
    drawn: Sequence[Mapping[str, NDArray[np.float64]]],
    level: float,
) -> Comparison:
    """Differences of means and of pooled scores, with their intervals."""
    differences: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    for number, (suffix, one, other) in enumerate(
        (("", first.mean, second.mean), (" (pooled)", first.pooled, second.pooled))
    ):
        differences |= {f"{n}{suffix}": one[n] - other[n] for n in one if n in other}
        if drawn:
            found = difference(drawn[number], drawn[number + 2], level)
            intervals |= {f"{name}{suffix}": pair for name, pair in found.items()}
    return Comparison(first, second, names, differences, intervals)
