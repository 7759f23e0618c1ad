"""`Note`: what is known of one numbered object besides its voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["Author", "Note", "NoteChanges", "Notes"]

Author = Literal["person", "model"]


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of one numbered object besides its voxels.

    Parameters
    ----------
    by
        Who said it last: a model that found it, or a person who drew, changed or confirmed it.
    score
        How sure the model was, 0 doubtful … 1 sure; None where no model found it.
    kind
        Value of its class; 0 where it has none.
    kind_by
        Who said the class; None where nobody did (or in records of old, where `by` tells).
    kind_score
        Probability of the class, where a model said it.
    doubt
        How much other classes compete with it, 0 not at all … 1 as much as they can, where a model said that.
    """

    by: Author = "model"
    score: float | None = None
    kind: int = 0
    kind_by: Author | None = None
    kind_score: float | None = None
    doubt: float | None = None

    @property
    def is_told(self) -> bool:
        """Whether a person said of which class it is."""
        return bool(self.kind) and (self.kind_by or self.by) == "person"


Notes = Mapping[int, Note]
NoteChanges = Mapping[int, tuple[Note | None, Note | None]]
"""Number of an object → its note before and after; None where there is no such object."""
