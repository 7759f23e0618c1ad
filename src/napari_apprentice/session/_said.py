"""What an annotation says now: labels, classes, where they count, which objects are locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from napari_apprentice.core.annotation import Annotation

if TYPE_CHECKING:
    import threading

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Extent, LabelClass
    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.notes import Note, Notes

Kind: TypeAlias = Literal["classes", "objects", "places"]


class Said:
    """The part of an `AnnotationState` that only reads."""

    grid: Grid
    objects: bool
    _labels: NDArray[Any]
    _classes: tuple[LabelClass, ...]
    _extent: Extent
    _painted: NDArray[np.bool_] | None
    _locked: frozenset[int]
    _notes: dict[int, Note]
    _places: Detections | None
    _n_corrections: int
    _revision = 0
    _lock: threading.RLock

    @property
    def labels(self) -> NDArray[Any]:
        """The live integer labels, on `grid`."""
        return self._labels

    @property
    def revision(self) -> int:
        """How many edits were done, undone or redone so far: with the same number it says the same."""
        return self._revision

    @property
    def painted(self) -> NDArray[np.bool_]:
        """Boolean array on `grid`: true where a person's stroke went, erasing included."""
        if self._painted is None:
            self._painted = np.zeros(self.grid.shape, dtype=bool)
        return self._painted

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

    @property
    def locked(self) -> frozenset[int]:
        """Numbers of the objects that no tool may change."""
        return self._locked

    @property
    def notes(self) -> Notes:
        """What is known of the objects, by their numbers; of one that nobody said anything about nothing."""
        return self._notes

    def annotation(self, labels: NDArray[Any] | None = None) -> Annotation:
        """Return a copy that later edits do not change, for a training job.

        Parameters
        ----------
        labels
            A copy of the labels, where there is one already.
        """
        with self._lock:
            painted = None if self._painted is None else self._painted.copy()
            kinds = {number: note.kind for number, note in self._notes.items() if note.kind}
            labels = self._labels.copy() if labels is None else labels
            return Annotation(
                self.grid,
                labels,
                self._classes,
                self._extent,
                painted,
                kinds,
                detections=self._places,
            )

    def protected(self) -> NDArray[np.bool_]:
        """Boolean array on `grid`: what a model may not overwrite (finished, or under a stroke)."""
        finished = self._extent.mask(self.grid.shape)
        return finished if self._painted is None else finished | self._painted

    @property
    def places(self) -> Detections | None:
        """Points and boxes, in voxels of `grid`; None where voxels are annotated."""
        return self._places

    @property
    def kind(self) -> Kind:
        """What it speaks of: classes of voxels, numbered objects, or places."""
        if self._places is not None:
            return "places"
        return "objects" if self.objects else "classes"

    @property
    def part(self) -> str:
        """What a finished part of any shape is called, for people."""
        return "region" if self.kind == "places" else "box"

    @property
    def is_empty(self) -> bool:
        """Whether nothing counts yet."""
        return self._extent.is_empty and not self._finished_objects()

    def _finished_objects(self) -> int:
        return len(self._locked) if self.objects and not self._extent.whole else 0

    def describe(self) -> str:
        """Where it counts, for the chip: ``"slices 12, 13"``, ``"1 box + 4 locked objects"``."""
        said = self._extent.describe(self.grid.axes, self.part)
        count = self._finished_objects()
        if not count:
            return said
        locked = f"{count} locked object{'' if count == 1 else 's'}"
        return locked if self._extent.is_empty else f"{said} + {locked}"

    def is_finished(self, axis: int, index: int) -> bool:
        """Whether a whole slice counts."""
        return self._extent.whole or (axis, index) in self._extent.slices
