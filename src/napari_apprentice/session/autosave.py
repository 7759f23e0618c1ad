"""`Autosave`: writes every edit of an annotation to its journal, in the background and in order."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.project.journal import (
    Journal,
    Snapshot,
    Summary,
    free_slot,
    journals_of,
    prune_journals,
)

from .edits import AnnotationState

if TYPE_CHECKING:
    from pathlib import Path

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.edit import Edit
    from napari_apprentice.core.grid import Grid

__all__ = ["Autosave", "restorable", "restore"]

_RETRY_SECONDS = 30.0
_COMPACT_BYTES = 2**27


class Autosave:
    """Keeps the journal of one annotation until `close`.

    Compressing and ``fsync`` happen in one thread of its own: a stroke never waits for the disk. When writing fails
    `failed` says so once, and a later edit tries again with the whole annotation.

    Parameters
    ----------
    state
        The annotation.
    key
        What the image is known by from one session to the next, for example its path.
    folder
        Where to write; a restored annotation goes on in its own folder.
    base
        A copy of the annotation, where there is one already.
    retry
        Seconds to wait before a failed journal is tried again.
    """

    failed = Signal(str)
    """Writing failed; with a sentence for the user. Emitted in the writing thread."""
    recovered = Signal()
    """Writing works again."""

    def __init__(
        self,
        state: AnnotationState,
        key: str,
        folder: Path | None = None,
        base: Annotation | None = None,
        *,
        retry: float = _RETRY_SECONDS,
    ) -> None:
        self._state = state
        self._key = key
        self._folder = folder
        self._retry = retry
        self._journal: Journal | None = None
        self._failed_at: float | None = None
        self._last_size = 0
        self._thread = ThreadPoolExecutor(1, "apprentice-autosave")
        self.problem = ""
        self._is_closed = False
        self._thread.submit(self._begin, self._snapshot(base))
        self._thread.submit(self._prune)
        state.edited.connect(self._on_state_edited)

    def close(self, *, discard: bool = False) -> None:
        """Write what is left and stop; remove the journal where nothing was corrected or `discard` says so.

        A second call does nothing.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self._state.edited.disconnect(self._on_state_edited)
        # A new annotation counts strokes before there is any.
        said = replace(self._state.extent, strokes=False)
        empty = self._state.n_corrections == 0 and said.is_empty and not self._state.locked
        self._thread.submit(self._end, discard or empty)
        self._thread.shutdown(wait=True)

    def flush(self) -> None:
        """Wait until everything so far is on the disk (for tests and for closing a window)."""
        self._thread.submit(lambda: None).result()

    def _on_state_edited(self, edit: Edit) -> None:
        failed_at = self._failed_at
        if failed_at is None:
            self._thread.submit(self._append, edit, self._state.n_corrections)
        elif time.monotonic() - failed_at >= self._retry:
            self._thread.submit(self._begin, self._snapshot())

    def _snapshot(self, base: Annotation | None = None) -> Snapshot:
        state = self._state
        said = state.annotation() if base is None else base
        notes = dict(state.notes)
        return Snapshot(state.name, said, state.n_corrections, state.objects, state.locked, notes)

    # -- in the writing thread ------------------------------------------------------------

    def _begin(self, snapshot: Snapshot) -> None:
        try:
            if self._journal is None:
                folder = self._folder or free_slot(self._key)
                self._journal = Journal.create(folder, snapshot)
            else:
                self._journal.rewrite(snapshot)
        except Exception as error:  # noqa: BLE001 - nobody asks this thread how it went
            self._fail(error)
            return
        self._last_size = self._journal.size
        if self._failed_at is not None:
            self._failed_at, self.problem = None, ""
            self.recovered.emit()

    @staticmethod
    def _prune() -> None:
        """Let go of journals that nobody came back for; not being able to is no reason to disturb."""
        with suppress(OSError):
            prune_journals()

    def _append(self, edit: Edit, n_corrections: int) -> None:
        if self._journal is None:
            return
        try:
            self._journal.append(edit, n_corrections)
            if self._journal.size > 4 * self._last_size + _COMPACT_BYTES:
                self._journal.compact()
                self._last_size = self._journal.size
        except Exception as error:  # noqa: BLE001 - nobody asks this thread how it went
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        first = self._failed_at is None
        is_known = isinstance(error, ApprenticeError)
        unknown = f"expected to keep a recovery copy of the corrections, found: {error!r}"
        self._failed_at, self.problem = time.monotonic(), str(error) if is_known else unknown
        if first:
            self.failed.emit(self.problem)

    def _end(self, discard: bool) -> None:
        if self._failed_at is not None and not discard:
            self._begin(self._snapshot())  # the last chance: there may be room on the disk by now
        if self._journal is None:
            return
        if discard:
            self._journal.discard()
        else:
            self._journal.close()


def restorable(key: str, grid: Grid) -> Summary | None:
    """Return the newest journal of an image that holds edits and fits its grid; None where there is none."""
    for folder in journals_of(key):
        try:
            summary = Journal.peek(folder)
        except ApprenticeError:
            continue
        if summary.edits and summary.grid == grid:
            return summary
    return None


def restore(folder: Path) -> AnnotationState:
    """Rebuild an annotation from its journal.

    Raises
    ------
    FormatError
        A journal that cannot be read.
    """
    found = Journal.recover(folder).snapshot
    said = found.annotation
    return AnnotationState(
        found.name,
        said.grid,
        said.labels,
        said.classes,
        said.extent,
        painted=said.painted,
        objects=found.objects,
        locked=found.locked,
        notes=found.notes,
        n_corrections=found.n_corrections,
        places=said.detections,
    )
