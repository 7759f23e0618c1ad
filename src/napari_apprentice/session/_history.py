"""`History`: which edits can be undone and redone, within a bound of memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_apprentice.core.edit import Edit


class History:
    """Edits done and undone, oldest first.

    Parameters
    ----------
    memory
        Bytes they may take. Beyond it the oldest are dropped; the newest one always stays.
    """

    def __init__(self, memory: int) -> None:
        self._done: deque[Edit] = deque()
        self._undone: list[Edit] = []
        self._memory = memory
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Memory taken, about."""
        return self._nbytes

    @property
    def last_done(self) -> Edit | None:
        """What `undo` would take back."""
        return self._done[-1] if self._done else None

    @property
    def last_undone(self) -> Edit | None:
        """What `redo` would do again."""
        return self._undone[-1] if self._undone else None

    def push(self, edit: Edit) -> None:
        """Remember a new edit; what was undone before it cannot be redone any more."""
        self._nbytes += edit.nbytes - sum(gone.nbytes for gone in self._undone)
        self._undone.clear()
        self._done.append(edit)
        while self._nbytes > self._memory and len(self._done) > 1:
            self._nbytes -= self._done.popleft().nbytes

    def step_back(self) -> None:
        """Move the last done edit to the undone ones."""
        self._undone.append(self._done.pop())

    def step_forward(self) -> None:
        """Move the last undone edit back to the done ones."""
        self._done.append(self._undone.pop())
