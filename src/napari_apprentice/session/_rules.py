"""Pure rules of an annotation: what its extent and its classes become when a person says something."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import OKABE_ITO, Extent, LabelClass
from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LAST_CLASS = 254  # 255 marks "nobody said anything" in training targets

Box = tuple[tuple[int, ...], tuple[int, ...]]
Classes = tuple[LabelClass, ...]


def guarded(before: NDArray[Any], after: NDArray[Any], locked: frozenset[int]) -> NDArray[Any]:
    """Take back what a change does to locked objects: they neither lose voxels nor gain any."""
    if not locked:
        return after
    changed = before != after
    pairs = np.stack([before[changed], after[changed]])
    refused = np.isin(pairs, np.array(sorted(locked))).any(axis=0)
    if not refused.any():
        return after
    kept = after.copy()
    kept[changed] = np.where(refused, before[changed], after[changed])
    return kept


def with_slice(
    extent: Extent, shape: tuple[int, ...], axis: int, index: int, finished: bool
) -> Extent:
    """Finish or reopen one slice; reopening one of a whole image leaves all others finished.

    Raises
    ------
    BadInputError
        Where there is no such slice; a 2-D image has none.
    """
    if len(shape) < 3:
        raise BadInputError(
            "expected a volume, found a 2-D image, which has no slices",
            remedy="Finish a box or the whole image.",
        )
    if not (0 <= axis < len(shape) and 0 <= index < shape[axis]):
        raise BadInputError(f"expected a slice of {shape}, found {index} on axis {axis}")
    slices = set(extent.slices)
    if extent.whole and not finished:
        slices |= {(axis, other) for other in range(shape[axis])}
    slices = slices | {(axis, index)} if finished else slices - {(axis, index)}
    return replace(extent, whole=extent.whole and finished, slices=tuple(sorted(slices)))


def with_box(
    extent: Extent,
    shape: tuple[int, ...],
    start: Sequence[int],
    stop: Sequence[int],
    finished: bool,
) -> Extent:
    """Finish a box, clipped to the image; or reopen those that lie within it.

    Raises
    ------
    BadInputError
        Where nothing of the box lies in the image.
    """
    low = tuple(max(0, int(a)) for a in start)
    high = tuple(min(n, int(b)) for n, b in zip(shape, stop, strict=True))
    if any(b <= a for a, b in zip(low, high, strict=True)):
        raise BadInputError(f"expected a box within {shape}, found {tuple(start)} to {tuple(stop)}")
    boxes = tuple(box for box in extent.boxes if not _within(box, (low, high)))
    return replace(extent, boxes=(*boxes, (low, high)) if finished else boxes)


def _within(box: Box, other: Box) -> bool:
    lower = all(a >= b for a, b in zip(box[0], other[0], strict=True))
    return lower and all(a <= b for a, b in zip(box[1], other[1], strict=True))


def new_class(classes: Classes, largest: int, name: str, color: str) -> LabelClass:
    """Make a class with the next free value.

    Parameters
    ----------
    classes
        Those there are.
    largest
        Largest value the labels can hold.
    name, color
        Of the new class; without a colour it gets one that no other class has, as long as there is one.

    Raises
    ------
    BadInputError
        An empty name, one that exists, or no value left.
    """
    value = max((c.value for c in classes), default=0) + 1
    if value > min(LAST_CLASS, largest):
        raise BadInputError(f"expected at most {min(LAST_CLASS, largest)} classes")
    taken = {c.color.upper() for c in classes}
    own = OKABE_ITO[(value - 1) % len(OKABE_ITO)]
    free = next((c for c in (own, *OKABE_ITO) if c not in taken), own)
    return LabelClass(value, _new_name(classes, name), color or free)


def class_of(classes: Classes, value: int) -> LabelClass:
    """Return the class with a value.

    Raises
    ------
    BadInputError
        No such class.
    """
    for entry in classes:
        if entry.value == value:
            return entry
    raise BadInputError(f"no class has the value {value}")


def renamed(classes: Classes, value: int, name: str) -> Classes:
    """Give one class another name, which no other class has."""
    old = class_of(classes, value)
    others = tuple(c for c in classes if c is not old)
    return _swapped(classes, replace(old, name=_new_name(others, name)))


def recolored(classes: Classes, value: int, color: str) -> Classes:
    """Give one class another colour (``"#RRGGBB"``)."""
    return _swapped(classes, replace(class_of(classes, value), color=color))


def _swapped(classes: Classes, new: LabelClass) -> Classes:
    return tuple(new if c.value == new.value else c for c in classes)


def _new_name(classes: Classes, name: str) -> str:
    name = name.strip()
    if not name:
        raise BadInputError("expected a class name, found an empty one")
    if any(c.name == name for c in classes):
        raise BadInputError(f"expected a new class name, found {name!r}, which exists")
    return name
