"""What a network learns from, and what is kept to check it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.annotation import Extent
from napari_apprentice.core.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.volume import Volume

    from .config import TrainConfig

__all__ = ["Split", "TrainItem", "check_items", "plan_split"]

# With fewer finished slices, one of them tells little about the model, and all of them are needed to learn from.
_FEWEST_ROWS = 8


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


@dataclass(frozen=True, eq=False)
class Split:
    """Both sides of the split, and a sentence that says what was done.

    For one single volume both sides hold the same volume with annotations that count in different places.
    """

    train: tuple[TrainItem, ...]
    held_out: tuple[TrainItem, ...]
    note: str


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


def plan_split(items: Sequence[TrainItem], config: TrainConfig, *, labelled: bool = True) -> Split:
    """Divide the items: whole groups where there are several, else slabs of the single volume.

    Deterministic for a seed. The rule is quick, so that the split can be shown before learning starts.

    Parameters
    ----------
    labelled
        Whether only what has labels can be checked on.
    """
    if config.held_out == 0:
        return Split(tuple(items), (), "nothing held out: scores are on what was learned from")
    groups = list(dict.fromkeys(item.group or item.name for item in items))
    if len(groups) > 1:
        return _by_group(items, groups, config)
    if len(items) == 1:
        return _by_slab(items[0], config, labelled)
    return Split(tuple(items), (), "all images belong together: nothing held out")


def _by_group(items: Sequence[TrainItem], groups: list[str], config: TrainConfig) -> Split:
    order = np.random.default_rng(config.seed).permutation(len(groups))
    count = min(len(groups) - 1, max(1, round(config.held_out * len(groups))))
    chosen = {groups[i] for i in order[:count]}
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
    word = "slices" if counts.ndim == 3 else "rows"
    where = f"{word if count > 1 else word[:-1]} {_ranges(chosen)}"
    note = f"held out {where} of {item.name}"
    return Split(
        (_restricted(item, counts, ~held, axis),), (_restricted(item, counts, held, axis),), note
    )


def _ranges(numbers: NDArray[np.int64]) -> str:
    """Write ``3, 7–9``."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(f"{r[0]}–{r[-1]}" if len(r) > 1 else f"{r[0]}" for r in runs)


def _has_labels(annotation: Annotation, counts: NDArray[np.bool_], axis: int) -> NDArray[np.bool_]:
    others = tuple(a for a in range(counts.ndim) if a != axis)
    return np.asarray((annotation.marked() & counts).any(axis=others))


def _restricted(
    item: TrainItem, counts: NDArray[np.bool_], rows: NDArray[np.bool_], axis: int
) -> TrainItem:
    """The same item, counting only in the given rows of `axis`."""
    keep = rows.reshape([-1 if a == axis else 1 for a in range(counts.ndim)])
    annotation = replace(item.annotation, extent=Extent(strokes=True), painted=counts & keep)
    return replace(item, annotation=annotation)
