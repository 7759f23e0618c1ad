"""Scores of one case and of a set of cases, and how they are written down."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.cells import inert
from napari_apprentice.core.errors import BadInputError

from ._flat import nan_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path
    from typing import TextIO

    from .bootstrap import Interval, Uncertainty
    from .figures import Figure

__all__ = ["CaseScores", "Comparison", "Report"]


@dataclass(frozen=True)
class CaseScores:
    """The scores of one case under flat names.

    Parameters
    ----------
    name
        The case, usually the path of its file.
    scores
        Name and value; NaN where a score does not apply.
    facts
        What was compared, where that can be said in a word: the true and the predicted class.
    """

    name: str
    scores: dict[str, float]
    facts: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{path, …facts, …scores}``; NaN and infinity, which JSON lacks, become None."""
        return {"path": self.name, **self.facts, **_for_json(self.scores)}


@dataclass(frozen=True)
class Report:
    """The scores of a set of cases.

    Parameters
    ----------
    cases
        One entry per case, in the order given.
    mean
        Mean of each score over the cases to which it applies; rates of the set where a case alone has none.
    pooled
        Scores of all cases taken together, where a task has them: every object weighs the same.
    confusion
        Class names, and how often each of them (rows) was taken for each (columns), where cases are of classes.
    uncertainty
        Bootstrap intervals of ``mean`` and ``pooled``; None where there are too few cases, or nobody asked.
    figures
        Curves and matrices of the set.
    """

    cases: tuple[CaseScores, ...]
    mean: dict[str, float]
    pooled: dict[str, float] = field(default_factory=dict)
    confusion: tuple[tuple[str, ...], list[list[int]]] | None = None
    uncertainty: Uncertainty | None = None
    figures: tuple[Figure, ...] = ()

    @classmethod
    def from_cases(
        cls, cases: Iterable[CaseScores], pooled: dict[str, float] | None = None
    ) -> Report:
        """Gather cases and average each score over those where it is not NaN."""
        gathered = tuple(cases)
        names = dict.fromkeys(name for case in gathered for name in case.scores)
        mean = {name: nan_mean(_column(gathered, name)) for name in names}
        return cls(gathered, mean, pooled or {})

    def to_dict(self) -> dict[str, Any]:
        """Return ``{cases: [{path, …scores}], mean: {…}}`` for JSON, see `CaseScores.to_dict`.

        Also ``pooled``, ``confusion: {classes: […], matrix: [[…]]}`` and ``intervals``, where there are.
        """
        plain: dict[str, Any] = {
            "cases": [case.to_dict() for case in self.cases],
            "mean": _for_json(self.mean),
        }
        if self.pooled:
            plain["pooled"] = _for_json(self.pooled)
        if self.confusion is not None:
            plain["confusion"] = {"classes": list(self.confusion[0]), "matrix": self.confusion[1]}
        if self.uncertainty is not None:
            plain["intervals"] = self.uncertainty.to_dict()
        return plain

    def to_csv(self, path: Path) -> None:
        """Write one row per case, a row ``mean`` and where there is a row ``pooled``; what does not apply stays empty.

        The file appears whole or not at all.

        Raises
        ------
        BadInputError
            The folder does not exist or cannot be written.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", newline="", encoding="utf-8") as stream:
                self._write_rows(stream)
            temporary.replace(path)
        except OSError as error:
            raise BadInputError(
                f"cannot write the scores ({error.strerror})",
                path=path,
                remedy="Choose a folder that exists and that you may write to.",
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _write_rows(self, stream: TextIO) -> None:
        writer = csv.writer(stream, lineterminator="\n")
        facts = list(dict.fromkeys(fact for case in self.cases for fact in case.facts))
        keys = list(dict.fromkeys([*self.mean, *(k for case in self.cases for k in case.scores)]))
        writer.writerow([inert(head) for head in ("path", *facts, *keys)])
        rows = [*self.cases, CaseScores("mean", self.mean)]
        for row in rows + ([CaseScores("pooled", self.pooled)] if self.pooled else []):
            values = (row.scores.get(key, float("nan")) for key in keys)
            texts = ("" if np.isnan(v) else repr(float(v)) for v in values)
            told = (row.name, *(row.facts.get(fact, "") for fact in facts))
            writer.writerow([*map(inert, told), *texts])


@dataclass(frozen=True)
class Comparison:
    """Two sets of predictions of the same cases.

    Parameters
    ----------
    first, second
        Their reports, with the same cases in the same order.
    names
        What the two are called.
    differences
        First minus second of each score of the set, the mean and where there is one the pooled score: ``"dice"``,
        ``"ap (pooled)"``.
    intervals
        Interval of each difference, from drawing the same cases of both (paired); empty where there are too few.
    """

    first: Report
    second: Report
    names: tuple[str, str]
    differences: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def is_clear(self, name: str) -> bool:
        """Whether the interval of a difference leaves out zero."""
        pair = self.intervals.get(name)
        return pair is not None and (pair[0] > 0 or pair[1] < 0)

    def to_dict(self) -> dict[str, Any]:
        """The first report, with the second as ``against`` and ``differences: {score: {difference, low, high}}``."""
        rows = {}
        for name, value in _for_json(dict(self.differences)).items():
            low, high = self.intervals.get(name, (None, None))
            rows[name] = {"difference": value, "low": low, "high": high}
        return {**self.first.to_dict(), "against": self.second.to_dict(), "differences": rows}


def _column(cases: Iterable[CaseScores], name: str) -> list[float]:
    return [case.scores.get(name, float("nan")) for case in cases]


def _for_json(scores: dict[str, float]) -> dict[str, float | None]:
    return {name: float(v) if np.isfinite(v) else None for name, v in scores.items()}
