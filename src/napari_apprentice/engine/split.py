"""What a network learns from, and what is kept to check it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from napari_apprentice.core.annotation import Extent
from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.volume import Volume

    from .config import TrainConfig

__all__ = [
    "Split",
    "TrainItem",
    "beside_synthetic",
    "check_items",
    "lasting_order",
    "measured",
    "plan_split",
]

# With fewer finished slices, one of them tells little about the model, and all of them are needed to learn from.
_FEWEST_ROWS = 8
_FEWEST_OBJECTS = 10


@dataclass(frozen=True, eq=False)
class TrainItem:
    """One annotated volume.

    Parameters
    ----------
    name
        Shown to the user.
    volume
        One time point.
    annotation
        On the volume's spatial grid.
    group
        Items of one group (one patient, one field of view) are never divided between both sides of the split.
    weight
        How often patches are drawn from it, relative to the others.
    """

    name: str
    volume: Volume
    annotation: Annotation
    group: str | None = None
    weight: float = 1.0

    @property
    def is_synthetic(self) -> bool:
        """Whether the image was made up: such images are learned from, and nothing is ever checked on them."""
        return self.volume.synthetic is not None


@dataclass(frozen=True, eq=False)
class Split:
    """Both sides of the split, and a sentence that says what was done.

    For one single volume both sides hold the same volume with annotations that count in different places.
    """

    train: tuple[TrainItem, ...]
    held_out: tuple[TrainItem, ...]
    note: str


def measured(items: Sequence[TrainItem]) -> tuple[TrainItem, ...]:
    """The items whose images were not made up."""
    return tuple(item for item in items if not item.is_synthetic)


def beside_synthetic(
    items: Sequence[TrainItem], plan: Callable[[Sequence[TrainItem]], Split]
) -> Split:
    """Divide the measured images by a plan; made-up ones are learned from, and the note counts them."""
    real = measured(items)
    made = tuple(item for item in items if item.is_synthetic)
    if not made:
        return plan(items)
    count = f"{len(made)} made-up image{'s' if len(made) > 1 else ''} only learned from"
    if not real:
        return Split(tuple(items), (), f"no measured image: nothing held out; {count}")
    split = plan(real)
    return replace(split, train=(*split.train, *made), note=f"{split.note}; {count}")


def check_items(items: Sequence[TrainItem]) -> None:
    """Refuse what cannot be learned from before any work is done.

    Raises
    ------
    BadInputError
        No items, labels on another grid than their image, nothing marked as finished, or no labelled voxel at all.
    """
    if not items:
        raise BadInputError(
            "expected at least one annotated image, found none",
            remedy="Correct a prediction or paint a few slices first.",
        )
    labelled = False
    for item in items:
        grid = item.volume.grid.spatial
        if item.annotation.grid.shape != grid.shape:
            raise BadInputError(
                f"expected labels of {grid.shape}, found {item.annotation.grid.shape}",
                path=item.name,
                remedy="Labels must lie on the image's own grid.",
            )
        counts = item.annotation.counts()
        if not counts.any():
            raise BadInputError(
                "nothing in this annotation is marked as finished",
                path=item.name,
                remedy="Finish a slice, a box or the whole image, or count the strokes.",
            )
        labelled = labelled or bool((item.annotation.marked() & counts).any())
    if not labelled:
        raise BadInputError(
            "expected labelled voxels where the annotation counts, found only background",
            path=items[0].name,
            remedy="Label at least one voxel of one class.",
        )


def plan_split(
    items: Sequence[TrainItem],
    config: TrainConfig,
    *,
    labelled: bool = True,
    numbered: bool = False,
) -> Split:
    """Divide the items: whole groups where there are several, else slabs or objects of the single volume.

    Deterministic for a seed. The rule is quick, so that the split can be shown before learning starts.

    Parameters
    ----------
    items
        What there is to learn from.
    config
        How much is held out.
    labelled
        Whether only what has labels can be checked on.
    numbered
        Whether labels number objects: where single ones are finished, whole ones are held out.
    """
    how = {"labelled": labelled, "numbered": numbered}
    return beside_synthetic(items, lambda real: _planned(real, config, **how))


def _planned(
    items: Sequence[TrainItem], config: TrainConfig, *, labelled: bool, numbered: bool
) -> Split:
    if config.held_out == 0:
        return Split(tuple(items), (), "nothing held out: scores are on what was learned from")
    groups = list(dict.fromkeys(item.group or item.name for item in items))
    if len(groups) > 1:
        return _by_group(items, groups, config)
    if len(items) == 1:
        extent = items[0].annotation.extent
        if numbered and not extent.whole and not extent.slices:
            return _by_object(items[0], config)
        return _by_slab(items[0], config, labelled)
    return Split(tuple(items), (), "all images belong together: nothing held out")


def lasting_order(names: Iterable[str], seed: int) -> list[str]:
    """Shuffle names so that any two keep their order when others are added.

    What was held out stays so when there is more to learn from: else a model that is taught on would be checked on what it
    had learned from before.
    """

    def drawn(name: str) -> bytes:
        return hashlib.sha256(f"{seed} {name}".encode(errors="surrogatepass")).digest()

    return sorted(names, key=drawn)


def _by_group(items: Sequence[TrainItem], groups: list[str], config: TrainConfig) -> Split:
    count = min(len(groups) - 1, max(1, round(config.held_out * len(groups))))
    chosen = set(lasting_order(groups, config.seed)[:count])
    held = tuple(i for i in items if (i.group or i.name) in chosen)
    train = tuple(i for i in items if (i.group or i.name) not in chosen)
    names = ", ".join(i.name for i in held[:3]) + (" …" if len(held) > 3 else "")
    return Split(train, held, f"learns from {len(train)}, held out {len(held)}: {names}")


def _by_slab(item: TrainItem, config: TrainConfig, labelled: bool) -> Split:
    """Hold out finished rows of the first spatial axis: a slab of a dense annotation, or single slices of a sparse one."""
    annotation = item.annotation
    counts = annotation.counts()
    axis = 0
    used = counts.any(axis=tuple(a for a in range(counts.ndim) if a != axis))
    has_labels = _has_labels(annotation, counts, axis)
    # Points are found near where they are, not in the very row: rows that hold none count, too.
    places = annotation.detections
    are_points = places is not None and int(places.in_mask(counts).sum()) >= _FEWEST_ROWS
    rows = np.flatnonzero(used & (has_labels | are_points) if labelled else used)
    if len(rows) < _FEWEST_ROWS:
        note = "too little is finished to hold a part out: scores are on what was learned from"
        return Split((item,), (), note)
    count = max(1, round(config.held_out * len(rows)))
    # The middle has the most to check: at either end an object is only touched.
    start = (len(rows) - count) // 2
    chosen = rows[start : start + count]
    held = np.zeros_like(used)
    held[chosen] = True
    held = held.reshape([-1 if a == axis else 1 for a in range(counts.ndim)])
    word = "slices" if counts.ndim == 3 else "rows"
    where = f"{word if count > 1 else word[:-1]} {_ranges(chosen)}"
    note = f"held out {where} of {item.name}"
    return Split((_restricted(item, counts & ~held),), (_restricted(item, counts & held),), note)


def _by_object(item: TrainItem, config: TrainConfig) -> Split:
    """Hold out some finished objects with the background around each: neighbours in the middle of all of them."""
    counts = item.annotation.counts()
    owner = _nearest_object(item.annotation, counts)
    numbers = np.unique(owner[owner > 0])
    if len(numbers) < _FEWEST_OBJECTS:
        note = "too few objects are finished to hold some out: scores are on what was learned from"
        return Split((item,), (), note)
    count = max(1, round(config.held_out * len(numbers)))
    chosen = numbers[_most_central(owner, numbers, item.annotation.grid.spacing)[:count]]
    held = np.isin(owner, chosen)
    note = f"held out {count} object{'s' if count > 1 else ''} of {item.name}"
    return Split((_restricted(item, counts & ~held),), (_restricted(item, counts & held),), note)


def _nearest_object(annotation: Annotation, counts: NDArray[np.bool_]) -> NDArray[Any]:
    """The number of the finished object nearest to each finished voxel; 0 elsewhere.

    Each piece of what is finished is looked at alone: that costs what is finished, not the image.
    """
    owner = np.where(counts, annotation.labels, 0)
    pieces, _ = ndimage.label(counts)
    for piece, box in enumerate(ndimage.find_objects(pieces), start=1):
        inside = pieces[box] == piece
        objects = np.where(inside, owner[box], 0)
        if objects.any():
            nearest = ndimage.distance_transform_edt(
                objects == 0,
                sampling=annotation.grid.spacing,
                return_distances=False,
                return_indices=True,
            )
            owner[box][inside] = objects[tuple(nearest)][inside]
    return owner


def _most_central(
    owner: NDArray[Any], numbers: NDArray[Any], spacing: Sequence[float]
) -> NDArray[np.intp]:
    """Places in `numbers`, by the distance from the object that lies nearest to the middle of all."""
    middles = np.array(ndimage.center_of_mass(owner > 0, owner, numbers)) * np.array(spacing)
    first = np.linalg.norm(middles - middles.mean(axis=0), axis=1).argmin()
    return np.argsort(np.linalg.norm(middles - middles[first], axis=1), kind="stable")


def _ranges(numbers: NDArray[np.int64]) -> str:
    """Write ``3, 7–9``."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs)


def _has_labels(annotation: Annotation, counts: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    others = tuple(a for a in range(counts.ndim) if a != axis)
    return np.asarray((annotation.marked() & counts).any(axis=others))


def _restricted(item: TrainItem, counts: NDArray[np.bool_]) -> TrainItem:
    """The same item, counting only there."""
    annotation = replace(item.annotation, extent=Extent(strokes=True), painted=counts)
    return replace(item, annotation=annotation)
