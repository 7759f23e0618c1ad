"""How the answers of a task are scored against the truth: one file per task, under the task's name."""

from __future__ import annotations

from napari_apprentice.core.registry import Registry

from ._labels import LabelScorer
from ._scorer import Case, Compared, Judged, Pooled, Scorer

__all__ = ["SCORERS", "Case", "Compared", "Judged", "Pooled", "Scorer", "scorer_of"]

SCORERS: Registry[Scorer] = Registry("scorer", "napari_apprentice.engine.scorers", "SCORER")


def scorer_of(task: str) -> Scorer:
    """The scorer of a task; of one that has none of its own, what every task with labels can be asked.

    Raises
    ------
    BadInputError
        There is no such task.
    """
    from napari_apprentice.tasks import TASKS

    return SCORERS[task] if task in SCORERS else LabelScorer(TASKS[task])
