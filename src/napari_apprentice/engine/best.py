"""The best check of a training so far, and what a check says against going on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import TrainingDivergedError
from napari_apprentice.tasks import HasOwnStep, primary_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_apprentice.tasks import Task

__all__ = ["Best", "mark_of", "reason_to_stop", "score_of"]


@dataclass(eq=False)
class Best:
    """What the best check found, when, and how many have come since; of scores of which less is more the negative."""

    score: float = -math.inf
    step: int = 0
    checks_since: int = 0
    tie: float = 0.0

    @classmethod
    def read(cls, values: Sequence[Any]) -> Best:
        """Make of what `plain` returned."""
        score, step, since, *tie = values
        return cls(float(score), int(step), int(since), float(tie[0]) if tie else 0.0)

    def plain(self) -> list[float]:
        """Numbers for a checkpoint."""
        return [self.score, self.step, self.checks_since, self.tie]


def score_of(task: Task, scores: Mapping[str, float]) -> float:
    """The main score; the worst there is where it is missing."""
    worst = math.inf if _is_turned(task) else 0.0
    return scores.get(primary_of(task, scores), worst)


def mark_of(task: Task, scores: Mapping[str, float]) -> float:
    """The main score, turned so that more is better."""
    score = score_of(task, scores)
    return -score if _is_turned(task) else score


def _is_turned(task: Task) -> bool:
    return bool(getattr(task, "lower_is_better", False))


def reason_to_stop(
    task: Task, scores: Mapping[str, float], before: float, best: Best, fraction: float
) -> str:
    """What a check says against going on, or an empty text.

    Parameters
    ----------
    task, scores
        Of the check.
    before
        The best mark before it.
    best
        As it is after it.
    fraction
        How much of the training is over.

    Raises
    ------
    TrainingDivergedError
        Something is wrong, and there is nothing good to end with.
    """
    trouble = task.trouble(scores, -before, fraction) if isinstance(task, HasOwnStep) else ""
    if trouble and not math.isfinite(best.score):
        raise TrainingDivergedError(trouble, remedy="Try a lower learning rate.")
    return f"{trouble}; the best so far is kept" if trouble else ""
