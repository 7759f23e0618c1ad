"""What an annotation says now: labels, classes, where they count, which objects are locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import Annotation

if TYPE_CHECKING:
    import threading

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Extent, LabelClass
    from napari_apprentice.core.grid import Grid


class Said:
    """The part of an `AnnotationState` that only reads."""

    grid: Grid
    _labels: NDArray[Any]
    _classes: tuple[LabelClass, ...]
    _extent: Extent
    _painted: NDArray[np.bool_] | None
    _locked: frozenset[int]
    _n_corrections: int
    _lock: threading.RLock

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

    @property
    def locked(self) -> frozenset[int]:
        """Numbers of the objects that no tool may change."""
        return self._locked

    def annotation(self) -> Annotation:
        """Return a copy that later edits do not change, for a training job."""
        with self._lock:
            painted = None if self._painted is None else self._painted.copy()
            return Annotation(self.grid, self._labels.copy(), self._classes, self._extent, painted)

    def describe(self) -> str:
        """Where it counts, for the chip: ``"slices 12, 13"``."""
        return self._extent.describe(self.grid.axes)

    def is_finished(self, axis: int, index: int) -> bool:
        """Whether a whole slice counts."""
        return self._extent.whole or (axis, index) in self._extent.slices
