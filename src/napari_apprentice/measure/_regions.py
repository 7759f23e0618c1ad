"""Labels become regions: one object each, cut out by its bounding box."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.measure import label as connected

from napari_apprentice.core.errors import BadInputError

from .boxes import object_boxes

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    from numpy.typing import NDArray

    from napari_apprentice.core.volume import Volume

__all__ = ["Region", "Regions", "check_numbers", "class_names", "components", "find_regions"]


@dataclass(frozen=True, eq=False)
class Region:
    """One object.

    Parameters
    ----------
    label
        Its number.
    box
        Where its mask lies in the whole array.
    mask
        Boolean, of the box' shape: which voxels of the box belong to it.
    spacing
        Distance between voxel centres per axis.
    """

    label: int
    box: tuple[slice, ...]
    mask: NDArray[np.bool_]
    spacing: tuple[float, ...]

    @cached_property
    def inside(self) -> tuple[NDArray[np.intp], ...]:
        """Where in the box its voxels are, an index array per axis."""
        return np.nonzero(self.mask)


@dataclass(frozen=True, eq=False)
class Regions:
    """All objects of a label array; iterating cuts out one after the other.

    Parameters
    ----------
    labels
        Whole numbers of the objects.
    boxes
        Number of each object and its box.
    spacing
        Distance between voxel centres per axis.
    """

    labels: NDArray[Any]
    boxes: tuple[tuple[int, tuple[slice, ...]], ...]
    spacing: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def __iter__(self) -> Generator[Region]:
        for label, box in self.boxes:
            yield Region(label, box, self.labels[box] == label, self.spacing)

    def only(self, numbers: Collection[int]) -> Regions:
        """Those with these numbers, in their order here; numbers of no object are left out."""
        wanted = set(numbers)
        return replace(self, boxes=tuple(entry for entry in self.boxes if entry[0] in wanted))


def find_regions(labels: NDArray[Any], spacing: tuple[float, ...], name: str) -> Regions:
    """Find the objects of a label array.

    Parameters
    ----------
    labels
        Whole numbers, 0 is background; numbers may be missing.
    spacing
        Distance between voxel centres per axis.
    name
        Of the layer or file, for errors.

    Raises
    ------
    BadInputError
        No objects, or values that are not numbers of objects.
    """
    check_numbers(labels, name)
    if int(labels.max(initial=0)) == 0:
        raise BadInputError(
            "expected labelled objects, found only background",
            path=name,
            remedy="Choose labels in which something is labelled.",
        )
    return Regions(labels, tuple(object_boxes(labels).items()), spacing)


def check_numbers(labels: NDArray[Any], name: str, *, allow_mask: bool = False) -> None:
    """Refuse arrays whose values cannot be numbers of objects.

    Raises
    ------
    BadInputError
        A boolean mask (unless allowed), real numbers, or negative ones.
    """
    kind = labels.dtype.kind
    if kind == "b" and not allow_mask:
        raise BadInputError(
            "expected numbered objects, found a mask of true and false",
            path=name,
            remedy="Measure its connected components, so that each piece is an object.",
        )
    if kind not in "biu":
        raise BadInputError(
            f"expected labels that are whole numbers, found {labels.dtype}",
            path=name,
            remedy="Choose labels; probabilities must be turned into labels first.",
        )
    if kind == "i" and int(labels.min(initial=0)) < 0:
        raise BadInputError(
            f"expected labels of 0 (background) and above, found {int(labels.min())}",
            path=name,
            remedy="Give what is to be measured positive numbers.",
        )


def components(labels: NDArray[Any], name: str) -> tuple[NDArray[Any], dict[int, int]]:
    """Number the connected pieces of each value; voxels that touch at a corner belong together.

    Returns
    -------
    tuple[NDArray, dict[int, int]]
        Numbers 1, 2, … of the pieces, and the value that each piece had.
    """
    check_numbers(labels, name, allow_mask=True)
    pieces: NDArray[Any] = connected(labels, background=0, connectivity=labels.ndim)
    flat, values = pieces.ravel(), labels.ravel()
    count = int(flat.max(initial=0))
    first = np.zeros(count + 1, dtype=labels.dtype)
    first[flat] = values
    return pieces, {piece: int(first[piece]) for piece in range(1, count + 1)}


def class_names(labels: Volume, values: dict[int, int] | None, numbers: list[int]) -> list[str]:
    """Name the class of each object; empty where the labels are numbered objects.

    Parameters
    ----------
    labels
        As given, with the names of classes that its file or layer knows.
    values
        Object → class value, where objects are connected components.
    numbers
        The objects.
    """
    if values is not None:
        return [labels.classes.get(values[n], f"class {values[n]}") for n in numbers]
    if labels.classes and set(numbers) <= set(labels.classes):
        return [labels.classes[n] for n in numbers]
    return []
