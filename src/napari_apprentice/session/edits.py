"""`AnnotationState`: an annotation while a person works on it, with one history for everything they do."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_apprentice.core.annotation import Annotation, Extent, LabelClass
from napari_apprentice.core.edit import Edit, changed_blocks
from napari_apprentice.core.errors import BadInputError, GridMismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.edit import Author
    from napari_apprentice.core.grid import Grid

__all__ = ["AnnotationState", "Edit"]

MEMORY = 2**30
LAST_CLASS = 254  # 255 marks "nobody said anything" in training targets


class AnnotationState:
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
    n_corrections
        How many corrections are in `labels` already (after a recovery).
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
        n_corrections: int = 0,
        memory: int = MEMORY,
    ) -> None:
        checked = Annotation(grid, labels, classes, extent or Extent(), painted)
        self.name = name
        self.grid = grid
        self._labels = checked.labels
        self._classes = classes
        self._extent = checked.extent
        self._painted = painted
        self._done: deque[Edit] = deque()
        self._undone: list[Edit] = []
        self._memory = memory
        self._n_corrections = n_corrections
        self._lock = threading.RLock()

    # -- what it says ---------------------------------------------------------------------

    @property
    def labels(self) -> NDArray[Any]:
        """The live integer labels, on `grid`."""
        return self._labels

    @property
    def painted(self) -> NDArray[np.bool_]:
        """Boolean array on `grid`: true where a person's stroke went, erasing included."""
        if self._painted is None:
            self._painted = np.zeros(self.grid.shape, dtype=bool)
        return self._painted

    @property
    def has_strokes(self) -> bool:
        """Whether any stroke was ever recorded."""
        return self._painted is not None

    @property
    def classes(self) -> tuple[LabelClass, ...]:
        """The classes, background not among them."""
        return self._classes

    @property
    def extent(self) -> Extent:
        """Where the annotation counts."""
        return self._extent

    @property
    def n_corrections(self) -> int:
        """How many edits of voxels by a person are in effect."""
        return self._n_corrections

    def annotation(self) -> Annotation:
        """Return a copy that later edits do not change, for a training job."""
        with self._lock:
            painted = None if self._painted is None else self._painted.copy()
            return Annotation(self.grid, self._labels.copy(), self._classes, self._extent, painted)

    def describe(self) -> str:
        """Say where it counts, for the chip: ``"slices 12, 13"``."""
        return self._extent.describe()

    def is_finished(self, axis: int, index: int) -> bool:
        """Whether a whole slice counts."""
        return self._extent.whole or (axis, index) in self._extent.slices

    # -- history --------------------------------------------------------------------------

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone edit to do again."""
        return bool(self._undone)

    @property
    def undo_name(self) -> str:
        """What `undo` would undo; empty where nothing is."""
        return self._done[-1].name if self._done else ""

    @property
    def redo_name(self) -> str:
        """What `redo` would do again; empty where nothing is."""
        return self._undone[-1].name if self._undone else ""

    @property
    def history_bytes(self) -> int:
        """Memory that undo and redo take, about."""
        return sum(edit.nbytes for edit in (*self._done, *self._undone))

    def undo(self) -> Edit | None:
        """Take back the last edit, whatever its kind; return what was applied, None where nothing was."""
        if not self._done:
            return None
        edit = self._done.pop()
        inverse = edit.inverse()
        self._enact(inverse, -1)
        self._undone.append(edit)
        self._tell(inverse)
        return inverse

    def redo(self) -> Edit | None:
        """Do the last undone edit again; return it, None where nothing was undone."""
        if not self._undone:
            return None
        edit = self._undone.pop()
        self._enact(edit, 1)
        self._done.append(edit)
        self._tell(edit)
        return edit

    def apply(self, edit: Edit) -> None:
        """Do an edit and remember it; an empty one is left out.

        Raises
        ------
        GridMismatchError
            A block that does not lie within the labels.
        BadInputError
            A label value that the labels' dtype cannot hold.
        """
        if edit.is_empty:
            return
        self._check(edit)
        self._enact(edit, 1)
        self._remember(edit)

    def record(self, edit: Edit) -> None:
        """Remember an edit whose label values are already in `labels` (a layer painted them)."""
        self.apply(edit)

    def _check(self, edit: Edit) -> None:
        info = np.iinfo(self._labels.dtype)
        for block in edit.blocks:
            pairs = zip(block.box, self.grid.shape, strict=False)
            inside = all(part.start >= 0 and part.stop <= length for part, length in pairs)
            if len(block.start) != len(self.grid.shape) or not inside:
                raise GridMismatchError(
                    f"expected an edit within {self.grid.shape}, found one at {block.start} "
                    f"of {block.before.shape}",
                    path=self.name,
                )
            if int(block.after.max()) > info.max or int(block.after.min()) < info.min:
                raise BadInputError(
                    f"expected label values up to {info.max} ({self._labels.dtype}), "
                    f"found {int(block.after.max())}",
                    path=self.name,
                )

    def _enact(self, edit: Edit, count: int) -> None:
        """Write an edit into the arrays; writing values that are there already is harmless."""
        with self._lock:
            for block in edit.blocks:
                self._labels[block.box] = block.after
                if block.painted_after is not None:
                    self.painted[block.box] = block.painted_after
            if edit.extent is not None:
                self._extent = edit.extent[1]
            if edit.classes is not None:
                self._classes = edit.classes[1]
            if edit.is_correction:
                self._n_corrections += count

    def _remember(self, edit: Edit) -> None:
        self._undone.clear()
        self._done.append(edit)
        size = self.history_bytes
        while size > self._memory and len(self._done) > 1:
            size -= self._done.popleft().nbytes
        self._tell(edit)

    def _tell(self, edit: Edit) -> None:
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
        """Remember a person's stroke that is already in `labels`.

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
        painted = self.painted[box]
        blocks = changed_blocks(tuple(start), before, self._labels[box], painted, painted | touched)
        edit = Edit(name, blocks)
        self.apply(edit)
        return edit

    def paint(
        self,
        start: Sequence[int],
        values: NDArray[Any],
        touched: NDArray[np.bool_] | None = None,
        *,
        name: str = "Paint",
        author: Author = "person",
    ) -> Edit:
        """Write a box of label values as one edit.

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
        after = np.where(where, values, before)
        was = self.painted[box] if author == "person" else None
        now = None if was is None else was | where
        blocks = changed_blocks(tuple(start), before, after, was, now)
        edit = Edit(name, blocks, author=author)
        self.apply(edit)
        return edit

    def protected(self) -> NDArray[np.bool_]:
        """Boolean array on `grid`: what a model may not overwrite (finished, or under a stroke)."""
        finished = self._extent.mask(self.grid.shape)
        return finished if self._painted is None else finished | self._painted

    def write_prediction(self, labels: NDArray[Any], name: str = "Prediction") -> Edit:
        """Write a model's labels over everything that nobody finished or painted; one edit, undoable."""
        if tuple(labels.shape) != self.grid.shape:
            raise GridMismatchError(
                f"expected a prediction of {self.grid.shape}, found {tuple(labels.shape)}",
                path=self.name,
            )
        start = (0,) * labels.ndim
        return self.paint(start, labels, ~self.protected(), name=name, author="model")

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
        shape = self.grid.shape
        if len(shape) < 3:
            raise BadInputError(
                "expected a volume, found a 2-D image, which has no slices",
                path=self.name,
                remedy="Finish a box or the whole image.",
            )
        if not (0 <= axis < len(shape) and 0 <= index < shape[axis]):
            raise BadInputError(
                f"expected a slice of {shape}, found {index} on axis {axis}", path=self.name
            )
        slices = set(self._extent.slices)
        if self._extent.whole and not finished:
            slices |= {(axis, other) for other in range(shape[axis])}
        slices = slices | {(axis, index)} if finished else slices - {(axis, index)}
        whole = self._extent.whole and finished
        verb = "Finish" if finished else "Reopen"
        self._set_extent(
            f"{verb} slice {index}",
            replace(self._extent, whole=whole, slices=tuple(sorted(slices))),
        )

    def finish_box(self, start: Sequence[int], stop: Sequence[int], finished: bool = True) -> None:
        """Say that a box is finished; unfinished, the boxes that lie within it count no longer.

        Parameters
        ----------
        start, stop
            First voxel, and one past the last, per axis; clipped to the image.

        Raises
        ------
        BadInputError
            Where nothing of the box lies in the image.
        """
        shape = self.grid.shape
        low = tuple(max(0, int(a)) for a in start)
        high = tuple(min(n, int(b)) for n, b in zip(shape, stop, strict=True))
        if any(b <= a for a, b in zip(low, high, strict=True)):
            raise BadInputError(
                f"expected a box within {shape}, found {tuple(start)} to {tuple(stop)}",
                path=self.name,
            )
        boxes = self._extent.boxes
        if finished:
            boxes = boxes if (low, high) in boxes else (*boxes, (low, high))
        else:
            boxes = tuple(box for box in boxes if not _within(box, (low, high)))
        name = "Finish box" if finished else "Reopen box"
        self._set_extent(name, replace(self._extent, boxes=boxes))

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
        value = max((c.value for c in self._classes), default=0) + 1
        if value > min(LAST_CLASS, int(np.iinfo(self._labels.dtype).max)):
            raise BadInputError(f"expected at most {LAST_CLASS} classes", path=self.name)
        added = LabelClass(value, self._new_name(name), color)
        self._set_classes(f"Add class {added.name}", (*self._classes, added))
        return added

    def rename_class(self, value: int, name: str) -> None:
        """Give a class another name."""
        old = self._class(value)
        if name.strip() != old.name:
            self._swap_class(f"Rename {old.name}", replace(old, name=self._new_name(name)))

    def recolor_class(self, value: int, color: str) -> None:
        """Give a class another colour (``"#RRGGBB"``)."""
        old = self._class(value)
        if color != old.color:
            self._swap_class(f"Recolour {old.name}", replace(old, color=color))

    def _class(self, value: int) -> LabelClass:
        for entry in self._classes:
            if entry.value == value:
                return entry
        raise BadInputError(f"no class has the value {value}", path=self.name)

    def _new_name(self, name: str) -> str:
        name = name.strip()
        if not name or any(c.name == name for c in self._classes):
            found = f"{name!r} twice" if name else "an empty one"
            raise BadInputError(f"expected a new class name, found {found}", path=self.name)
        return name

    def _swap_class(self, name: str, new: LabelClass) -> None:
        classes = tuple(new if c.value == new.value else c for c in self._classes)
        self._set_classes(name, classes)

    def _set_classes(self, name: str, classes: tuple[LabelClass, ...]) -> None:
        self.apply(Edit(name, classes=(self._classes, classes)))


def _within(
    box: tuple[tuple[int, ...], tuple[int, ...]], other: tuple[tuple[int, ...], tuple[int, ...]]
) -> bool:
    lower = all(a >= b for a, b in zip(box[0], other[0], strict=True))
    return lower and all(a <= b for a, b in zip(box[1], other[1], strict=True))
