"""The contract of a scorer; evaluation, its report and its dock know a task's scores only through it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.jobs import Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.measure.bootstrap import Statistic
    from napari_apprentice.measure.figures import Figure

__all__ = ["Case", "Compared", "Judged", "Pooled", "Scorer"]


@dataclass(frozen=True, eq=False)
class Compared:
    """One image's prediction and truth, on one grid.

    Parameters
    ----------
    prediction, annotation
        What is compared.
    note
        What the user should know about how they were brought together.
    """

    prediction: Prediction
    annotation: Annotation
    note: str = ""


@dataclass(frozen=True, eq=False)
class Case:
    """One image to be scored; opened when its turn comes, and again when a person wants to see it.

    Parameters
    ----------
    name
        What the report calls it: the path of the prediction.
    key
        The same for every prediction of this image: by it two sets of predictions are brought together.
    open
        Reads truth and prediction.
    image
        File of the image itself, where that is known.
    group
        Cases of one group (one patient) say less than as many of several.
    """

    name: str
    key: str
    open: Callable[[], Compared]
    image: Path | None = None
    group: str | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """What was found in one case.

    Parameters
    ----------
    scores
        Flat names and numbers; NaN where one does not apply.
    facts
        What was compared, where that can be said in a word.
    evidence
        What `Scorer.pool` needs of this case; small, since those of all cases are kept.
    """

    scores: Mapping[str, float]
    facts: Mapping[str, str] = field(default_factory=dict)
    evidence: Any = None


@dataclass(frozen=True, eq=False)
class Pooled:
    """What can be said of a set of cases together.

    Parameters
    ----------
    scores
        Scores of the cases taken together, from how often each counts; None where means say all.
    replaces_mean
        Whether these are the scores of the set and means over cases are none (accuracy of a classifier).
    figures
        Curves and matrices.
    confusion
        Class names and counts; see `Report`.
    """

    scores: Statistic | None = None
    replaces_mean: bool = False
    figures: tuple[Figure, ...] = ()
    confusion: tuple[tuple[str, ...], list[list[int]]] | None = None


class Scorer(Protocol):
    """How one task's answers are scored.

    Contract
    --------
    - ``cases`` pairs files by name and opens none that it need not; ``judge`` works on what is in memory, so that
      files, layers on screen and fresh predictions are scored alike.
    - ``pool`` gets the cases in order and returns a statistic that is fast: it is computed a thousand times.
    """

    def cases(
        self, truth: Path, prediction: Path, classes: Sequence[LabelClass] = ()
    ) -> Job[list[Case]]:
        """Pair files of the truth with those of predictions.

        Raises
        ------
        BadInputError
            Files without a partner, or that cannot be read.
        """
        ...

    def judge(self, prediction: Prediction, annotation: Annotation) -> Judged:
        """Score one case where the annotation counts."""
        ...

    def pool(self, cases: Sequence[Judged]) -> Pooled:
        """Take all cases together; there is at least one."""
        ...

    def errors(self, prediction: Prediction, annotation: Annotation) -> Prediction | None:
        """Show where the prediction is wrong, as labels whose classes are kinds of error; None where that makes no sense.

        ``summary`` says how much of each there is.
        """
        ...
