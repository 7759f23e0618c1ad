"""`AnnotationState`: an annotation while a person works on it, with one history for everything they do."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.edit import Block, Edit, changed_blocks
from napari_apprentice.core.errors import GridMismatchError

from . import _rules as rules
from ._credit import credit
from ._history import History
from ._index import Layouts, ObjectIndex
from ._said import Said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.edit import Author
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.notes import Notes

    from ._index import Layout
    from .autosave import Autosave

__all__ = ["AnnotationState", "Edit"]

MEMORY = 2**30


class AnnotationState(Said):
    """What a person is saying about one volume: labels, classes, where they count, and every edit so far.

    The labels array is shared with whoever shows it (a napari layer paints into it and then calls
    `record_stroke`); everybody else changes it through the verbs below, so that each change is one `Edit`
    that can be undone and is written to the journal.

    Parameters
    ----------
    name
        Name of the annotated image.
    grid
        Spatial grid (no time, no channels) of the labels.
    labels
        Integer array on `grid`; shared, not copied.
    classes
        The classes the labels may take.
    extent
        Where the annotation counts.
    painted
        Boolean array on `grid`, true under strokes; made when the first stroke comes.
    objects
        Whether values number objects (instances) rather than name classes.
    locked
        Numbers of objects that no tool may change.
    notes
        What is known of the objects.
    n_corrections
        How many corrections are in `labels` already (after a recovery).
    places
        Points and boxes in voxels of `grid`, where those are annotated and not voxels.
    memory
        Bytes the history may take; beyond it the oldest edits can no longer be undone.

    Raises
    ------
    GridMismatchError, BadInputError
        Labels that do not lie on the grid, or are not integers.
    """

    edited = Signal(Edit)
    """One edit was done, undone (its inverse) or redone."""
    changed = Signal()
    """Anything changed."""

    def __init__(
        self,
        name: str,
        grid: Grid,
        labels: NDArray[Any],
        classes: tuple[LabelClass, ...],
        extent: Extent | None = None,
        *,
        painted: NDArray[np.bool_] | None = None,
        objects: bool = False,
        locked: frozenset[int] = frozenset(),
        notes: Notes | None = None,
        n_corrections: int = 0,
        places: Detections | None = None,
        memory: int = MEMORY,
    ) -> None:
        checked = Annotation(grid, labels, classes, extent or Extent(), painted, detections=places)
        self.name = name
        self.grid = grid
        self.objects = objects
        self.autosave: Autosave | None = None
        self._labels = checked.labels
        self._classes = classes
        self._extent = checked.extent
        self._painted = painted
        self._locked = locked
        self._notes = dict(notes or {})
        self._places = places
        self.index = ObjectIndex(checked.labels)
        self._history = History(memory)
        self._layouts = Layouts(self.index)
        self._n_corrections = n_corrections
        self._lock = threading.RLock()

    # -- history --------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return self._history.last_done is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone edit to do again."""
        return self._history.last_undone is not None

    @property
    def undo_name(self) -> str:
        """What `undo` would take back; empty where there is nothing."""
        return "" if self._history.last_done is None else self._history.last_done.name

    @property
    def redo_name(self) -> str:
        """What `redo` would do again; empty where there is nothing."""
        return "" if self._history.last_undone is None else self._history.last_undone.name

    def undo(self) -> Edit | None:
        """Take back the last edit, whatever its kind; return what was applied, None where nothing was."""
        edit = self._history.last_done
        if edit is None:
            return None
        inverse = edit.inverse()
        self._enact(inverse, -1)
        self._layouts.undone(edit)
        self._history.step_back()
        self._tell(inverse)
        return inverse

    def redo(self) -> Edit | None:
        """Do the last undone edit again; return it, None where nothing was undone."""
        edit = self._history.last_undone
        if edit is None:
            return None
        self._enact(edit, 1)
        self._layouts.redone(edit)
        self._history.step_forward()
        self._tell(edit)
        return edit

    def apply(self, edit: Edit, layout: Layout | None = None) -> None:
        """Do an edit and remember it; an empty one is left out.

        Parameters
        ----------
        layout
            Where every object lies afterwards, if that is known: spares a look through all voxels.

        Raises
        ------
        GridMismatchError
            A block that does not lie within the labels.
        BadInputError
            A label value that the labels' dtype cannot hold.
        """
        if edit.is_empty:
            return
        edit.check(self.grid.shape, self._labels.dtype)
        self._enact(edit, 1)
        self._remember(edit, layout)

    def _remember(self, edit: Edit, layout: Layout | None = None) -> None:
        self._layouts.done(edit)
        if layout is not None:
            self.index.know(layout)
        self._history.push(edit)
        self._tell(edit)

    def record(self, edit: Edit) -> None:
        """Remember an edit whose label values are already in `labels` (a layer painted them)."""
        self.apply(edit)

    def _enact(self, edit: Edit, count: int) -> None:
        with self._lock:
            self._write(edit.blocks)
            self._note(edit, count)

    def _note(self, edit: Edit, count: int) -> None:
        """Take over what an edit says beside the voxels."""
        with self._lock:
            if edit.extent is not None:
                self._extent = edit.extent[1]
            if edit.classes is not None:
                self._classes = edit.classes[1]
            if edit.places is not None:
                self._places = edit.places[1]
            self._locked = (self._locked - edit.unlocks) | edit.locks
            for number, (_, note) in edit.notes.items():
                if note is None:
                    self._notes.pop(number, None)
                else:
                    self._notes[number] = note
            if edit.is_correction:
                self._n_corrections += count

    def _write(self, blocks: tuple[Block, ...]) -> None:
        """Write an edit into the arrays; writing values that are there already is harmless."""
        with self._lock:
            for block in blocks:
                self._labels[block.box] = block.after
                if block.painted_after is not None:
                    self.painted[block.box] = block.painted_after
            self.index.follow(blocks)

    def _tell(self, edit: Edit) -> None:
        self._revision += 1
        self.edited.emit(edit)
        self.changed.emit()

    # -- voxels ---------------------------------------------------------------------------

    def record_stroke(
        self,
        start: Sequence[int],
        before: NDArray[Any],
        touched: NDArray[np.bool_],
        name: str = "Brush",
    ) -> Edit:
        """Remember a person's stroke that is already in `labels`; locked objects get their voxels back.

        Parameters
        ----------
        start
            First voxel of the box around the stroke.
        before
            Labels of that box as they were.
        touched
            Boolean array of that box: where the stroke went, also where it changed no value.
        name
            What was done, for the *Undo* button.
        """
        box = tuple(slice(a, a + n) for a, n in zip(start, before.shape, strict=True))
        self._labels[box] = rules.guarded(before, self._labels[box], self._locked)
        painted = self.painted[box]
        blocks = changed_blocks(tuple(start), before, self._labels[box], painted, painted | touched)
        return self._change(name, blocks, "person")

    def paint(
        self,
        start: Sequence[int],
        values: NDArray[Any],
        touched: NDArray[np.bool_] | None = None,
        *,
        name: str = "Paint",
        author: Author = "person",
    ) -> Edit:
        """Write a box of label values as one edit; locked objects keep their voxels.

        Parameters
        ----------
        start
            First voxel of the box.
        values
            Integer array of the box.
        touched
            Boolean array of the box: where to write; everywhere if not given.
        name
            What was done, for the *Undo* button.
        author
            ``"person"`` marks the voxels as painted, ``"model"`` does not.
        """
        box = tuple(slice(a, a + n) for a, n in zip(start, values.shape, strict=True))
        before = self._labels[box]
        if before.shape != values.shape:
            raise GridMismatchError(
                f"expected a box within {self.grid.shape}, found {values.shape} at {tuple(start)}",
                path=self.name,
            )
        where = np.ones(values.shape, dtype=bool) if touched is None else touched
        after = rules.guarded(before, np.where(where, values, before), self._locked)
        was = self.painted[box] if author == "person" else None
        now = None if was is None else was | where
        blocks = changed_blocks(tuple(start), before, after, was, now)
        return self._change(name, blocks, author)

    def _change(self, name: str, blocks: tuple[Block, ...], author: Author) -> Edit:
        """Do an edit of voxels; objects that a person touches are that person's from then on."""
        edit = Edit(name, blocks, author=author)
        if not (self.objects and edit.is_correction):
            self.apply(edit)
            return edit
        edit.check(self.grid.shape, self._labels.dtype)
        self._write(blocks)
        edit = replace(edit, notes=credit(blocks, self._notes, self.index))
        self._note(edit, 1)
        self._remember(edit)
        return edit

    def set_places(self, places: Detections, name: str, author: Author = "person") -> None:
        """Put points and boxes in place of those there are; one edit, undoable."""
        if self._places is not None:
            self.apply(Edit(name, places=(self._places, places), author=author))

    # -- where it counts ------------------------------------------------------------------

    def finish_slice(self, axis: int, index: int, finished: bool = True) -> None:
        """Say that a slice is finished (or not yet).

        Parameters
        ----------
        axis
            Number of the spatial axis the slice is perpendicular to.
        index
            Position along it.

        Raises
        ------
        BadInputError
            Where there is no such slice; a 2-D image has none.
        """
        extent = rules.with_slice(self._extent, self.grid.shape, axis, index, finished)
        self._set_extent(f"{'Finish' if finished else 'Reopen'} slice {index}", extent)

    def finish_box(self, start: Sequence[int], stop: Sequence[int], finished: bool = True) -> None:
        """Say that a box is finished; or with `finished` false that the boxes within it are not.

        Parameters
        ----------
        start, stop
            First voxel, and one past the last, per axis; clipped to the image.

        Raises
        ------
        BadInputError
            Where nothing of the box lies in the image.
        """
        extent = rules.with_box(self._extent, self.grid.shape, start, stop, finished)
        self._set_extent(f"{'Finish' if finished else 'Reopen'} {self.part}", extent)

    def finish_all(self, finished: bool = True) -> None:
        """Say that the whole image is finished (or not: then slices and boxes count as before)."""
        name = "Finish image" if finished else "Reopen image"
        self._set_extent(name, replace(self._extent, whole=finished))

    def count_strokes(self, count: bool = True) -> None:
        """Say whether the voxels under strokes count too."""
        name = "Count strokes" if count else "Do not count strokes"
        self._set_extent(name, replace(self._extent, strokes=count))

    def _set_extent(self, name: str, extent: Extent) -> None:
        if extent != self._extent:
            self.apply(Edit(name, extent=(self._extent, extent)))

    # -- classes --------------------------------------------------------------------------

    def add_class(self, name: str, color: str = "") -> LabelClass:
        """Add a class with the next free value and return it.

        Raises
        ------
        BadInputError
            An empty name, one that exists, or no value left.
        """
        largest = int(np.iinfo(self._labels.dtype).max)
        added = rules.new_class(self._classes, largest, name, color)
        self._set_classes(f"Add class {added.name}", (*self._classes, added))
        return added

    def rename_class(self, value: int, name: str) -> None:
        """Give a class another name.

        Raises
        ------
        BadInputError
            No such class, an empty name, or one that another class has.
        """
        self._set_classes("Rename class", rules.renamed(self._classes, value, name))

    def recolor_class(self, value: int, color: str) -> None:
        """Give a class another colour (``"#RRGGBB"``)."""
        self._set_classes("Recolour class", rules.recolored(self._classes, value, color))

    def _set_classes(self, name: str, classes: tuple[LabelClass, ...]) -> None:
        if classes != self._classes:
            self.apply(Edit(name, classes=(self._classes, classes)))
