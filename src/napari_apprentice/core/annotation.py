"""`Annotation`: what a person said about a volume, and where it counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BadInputError, GridMismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from .detections import Detections
    from .grid import Grid

__all__ = ["IGNORE", "MOST_CLASSES", "OKABE_ITO", "Annotation", "Extent", "LabelClass"]

IGNORE = 255
"""Value of a training target where nobody said anything: losses and scores leave it out."""

MOST_CLASSES = 250
"""How many classes of whole images there may be: more are identifiers taken for classes."""

OKABE_ITO = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#999999",
)
"""Okabe & Ito (2008), "Color Universal Design": eight colours told apart with any colour vision."""


@dataclass(frozen=True)
class LabelClass:
    """One class: the value it has in label arrays, its name and its colour."""

    value: int
    name: str
    color: str = ""

    def __post_init__(self) -> None:
        if not self.color:
            object.__setattr__(self, "color", OKABE_ITO[(self.value - 1) % len(OKABE_ITO)])


@dataclass(frozen=True)
class Extent:
    """Where an annotation counts; everything outside was not said.

    Parameters
    ----------
    whole
        The whole volume is finished.
    slices
        Finished slices as ``(spatial axis number, index)``.
    boxes
        Finished boxes as ``(start, stop)`` in voxels, stop exclusive.
    strokes
        Voxels under the person's own strokes count too (needs ``Annotation.painted``).
    """

    whole: bool = False
    slices: tuple[tuple[int, int], ...] = ()
    boxes: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = ()
    strokes: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing counts at all."""
        return not (self.whole or self.slices or self.boxes or self.strokes)

    def mask(
        self, shape: tuple[int, ...], painted: NDArray[np.bool_] | None = None
    ) -> NDArray[np.bool_]:
        """Boolean array of `shape`: true where the annotation counts."""
        if self.whole:
            return np.ones(shape, dtype=bool)
        mask = np.zeros(shape, dtype=bool)
        for axis, index in self.slices:
            mask[(slice(None),) * axis + (index,)] = True
        for start, stop in self.boxes:
            mask[tuple(slice(max(a, 0), b) for a, b in zip(start, stop, strict=True))] = True
        if self.strokes and painted is not None:
            mask |= painted
        return mask

    def mask_in(self, box: tuple[slice, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Do as `mask` without strokes, for one box of an array of `shape`."""
        starts, stops = ([getattr(part, end) for part in box] for end in ("start", "stop"))
        mask = np.full([b - a for a, b in zip(starts, stops, strict=True)], self.whole)
        for axis, index in self.slices:
            if starts[axis] <= index < stops[axis]:
                mask[(slice(None),) * axis + (index - starts[axis],)] = True
        for low, high in self.boxes:
            spans = zip(low, high, starts, strict=True)
            mask[tuple(slice(max(a - s, 0), max(b - s, 0)) for a, b, s in spans)] = True
        return mask

    def describe(self, axes: str = "", part: str = "box") -> str:
        """Say it in a few words, for the chip in the dock.

        Parameters
        ----------
        axes
            Letters of the spatial axes. With them, slices perpendicular to another axis than the first are named
            after it: ``"slices 12, 13 + X slice 4"``.
        part
            What boxes are called; where boxes are annotated, these need another name.
        """
        if self.whole:
            return "whole image"
        parts = []
        for axis in sorted({axis for axis, _ in self.slices}):
            name = f"{axes[axis]} " if axis and axis < len(axes) else ""
            parts.append(name + _slices_text(sorted(i for a, i in self.slices if a == axis)))
        if self.boxes:
            plural = f"{part}es" if part.endswith("x") else f"{part}s"
            parts.append(f"{len(self.boxes)} {plural if len(self.boxes) > 1 else part}")
        if self.strokes:
            parts.append("strokes" if parts else "strokes only")
        return " + ".join(parts) if parts else "nothing yet"


def _slices_text(indices: Sequence[int]) -> str:
    """Write ``"slices 3, 4"``, no more than four of them."""
    shown = ", ".join(map(str, indices[:4])) + (f" … ({len(indices)})" if len(indices) > 4 else "")
    return f"slice{'s' if len(indices) > 1 else ''} {shown}"


@dataclass(frozen=True, eq=False)
class Annotation:
    """What a person said about one volume.

    Parameters
    ----------
    grid
        Spatial grid (no time, no channels) of the labels.
    labels
        Integer array on `grid`: 0 is background, other values are class values (semantic) or object
        numbers (instances).
    classes
        The classes the labels may take; background is not listed.
    extent
        Where it counts.
    painted
        Boolean array on `grid`, true under the person's own strokes, erasing included.
    object_classes
        Where labels number objects of several classes: object number → class value.
    image_class
        Name of the class (one of `classes`) of the image as a whole; None where nothing was said about it.
    clean
        How the image would look without noise, ``(C, *grid.shape)`` in the image's own units; None where nobody knows.
    detections
        Points and boxes in voxels of `grid`; None where places were not asked for. They count where their middle does.
    reach
        How far from one of `detections` is still there, in the unit of `grid`; None: the radius of each object.
    """

    grid: Grid
    labels: NDArray[Any]
    classes: tuple[LabelClass, ...]
    extent: Extent = Extent(whole=True)
    painted: NDArray[np.bool_] | None = None
    object_classes: Mapping[int, int] = field(default_factory=dict)
    image_class: str | None = None
    clean: NDArray[Any] | None = None
    detections: Detections | None = None
    reach: float | None = None

    @classmethod
    def of_places(
        cls,
        grid: Grid,
        detections: Detections,
        classes: Sequence[LabelClass],
        extent: Extent | None = None,
    ) -> Annotation:
        """Say only where things are in an image.

        Parameters
        ----------
        grid
            Spatial grid of the image.
        detections
            Points and boxes in its voxels.
        classes
            What their `kinds` mean.
        extent
            Where nothing else is than these; default: the whole image.
        """
        said = extent or Extent(whole=True)
        return cls(grid, _nothing(grid), tuple(classes), said, detections=detections)

    @classmethod
    def of_image(cls, grid: Grid, image_class: str, classes: Sequence[LabelClass]) -> Annotation:
        """Say only of which class an image is as a whole.

        Parameters
        ----------
        grid
            Spatial grid of the image.
        image_class
            Name of its class.
        classes
            All classes there are.
        """
        return cls(grid, _nothing(grid), tuple(classes), image_class=image_class)

    @classmethod
    def of_clean(cls, grid: Grid, clean: NDArray[Any] | None = None) -> Annotation:
        """Say how an image would look without noise, or only that it is there to be learned from.

        Parameters
        ----------
        grid
            Spatial grid of the image.
        clean
            ``(C, *grid.shape)``, or None.
        """
        return cls(grid, _nothing(grid), (), clean=clean)

    def __post_init__(self) -> None:
        for name, array in (("labels", self.labels), ("painted", self.painted)):
            if array is not None and tuple(array.shape) != self.grid.shape:
                raise GridMismatchError(
                    f"expected {name} of {self.grid.shape} on axes {self.grid.axes}, "
                    f"found {tuple(array.shape)}"
                )
        if self.clean is not None and tuple(self.clean.shape[1:]) != self.grid.shape:
            raise GridMismatchError(
                f"expected a clean image of {self.grid.shape} per channel, found {tuple(self.clean.shape[1:])}"
            )
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise BadInputError(
                f"expected integer labels, found {self.labels.dtype}",
                remedy="Convert the layer with right click ▸ Convert to Labels.",
            )
        places = self.detections
        if places is not None and places.ndim != self.grid.ndim:
            raise BadInputError(
                f"expected places with {self.grid.ndim} axes, found {places.ndim}",
                remedy="Give one coordinate per axis of the image.",
            )
        names = [entry.name for entry in self.classes]
        if self.image_class is not None and self.image_class not in names:
            raise BadInputError(
                f"expected one of the classes {', '.join(names)}, found {self.image_class!r}"
            )

    def counts(self) -> NDArray[np.bool_]:
        """Boolean array on `grid`: true where the annotation counts."""
        return self.extent.mask(self.grid.shape, self.painted)

    def marked(self) -> NDArray[np.bool_]:
        """Boolean array on `grid`: true where something is, labelled or detected."""
        marked: NDArray[np.bool_] = self.labels != 0
        if self.detections is not None:
            inside = self.detections.select(self.detections.in_image(self.grid.shape))
            marked[tuple(inside.voxels(self.grid.shape).T)] = True
        return marked


def _nothing(grid: Grid) -> NDArray[np.uint8]:
    """One zero that stands for all voxels: thousands of images take no memory for it."""
    return np.broadcast_to(np.zeros((), np.uint8), grid.shape)
