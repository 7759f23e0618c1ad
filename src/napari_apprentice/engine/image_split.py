"""Which images of each class are learned from, and which are kept to check the result."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Log

from .split import Split, beside_synthetic, lasting_order

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from .config import TrainConfig
    from .images import ImageArray
    from .split import TrainItem

__all__ = ["check_images", "find_leaks", "plan_image_split"]

_NAMED = 3


def check_images(items: Sequence[TrainItem]) -> None:
    """Refuse what no classifier can be learned from, before any work is done.

    Raises
    ------
    BadInputError
        No images, one without a class, or all of one class.
    """
    for item in items:
        if item.annotation.image_class is None:
            raise BadInputError(
                "expected the class of the whole image, found none",
                path=item.name,
                remedy="Give the image a class, or choose another task.",
            )
    found = sorted({_class_of(item) for item in items})
    if len(found) < 2:
        raise BadInputError(
            f"expected images of two classes or more, found {len(items)} of "
            + (f"the one class {found[0]!r}" if found else "none"),
            remedy="Give images of another class, too.",
        )


def plan_image_split(items: Sequence[TrainItem], config: TrainConfig) -> Split:
    """Hold out the wanted share of every class; groups stay together.

    A class with images of a single group is only learned from, and so are made-up images. Deterministic for a seed.
    """
    return beside_synthetic(items, lambda real: _planned(real, config))


def _planned(items: Sequence[TrainItem], config: TrainConfig) -> Split:
    if config.held_out == 0:
        return Split(tuple(items), (), "nothing held out: scores are on what was learned from")
    groups: dict[str, list[TrainItem]] = {}
    for item in items:
        groups.setdefault(item.group or item.name, []).append(item)
    by_class: dict[str, list[str]] = {}
    for name, members in groups.items():
        most = Counter(_class_of(item) for item in members).most_common(1)[0][0]
        by_class.setdefault(most, []).append(name)
    chosen = _chosen(by_class, config)
    if not chosen:
        note = "too few images to hold any out: scores are on what was learned from"
        return Split(tuple(items), (), note)
    train = tuple(i for i in items if (i.group or i.name) not in chosen)
    held = tuple(i for i in items if (i.group or i.name) in chosen)
    counts = Counter(_class_of(item) for item in held)
    each = ", ".join(f"{counts[name]} {name}" for name in list(by_class)[:6])
    more = " …" if len(by_class) > 6 else ""
    note = f"learns from {len(train)} images, held out {len(held)}: {each}{more}"
    return Split(train, held, note)


def _class_of(item: TrainItem) -> str:
    return item.annotation.image_class or ""


def _chosen(by_class: Mapping[str, Sequence[str]], config: TrainConfig) -> set[str]:
    chosen: set[str] = set()
    for names in by_class.values():
        count = min(len(names) - 1, max(1, round(config.held_out * len(names))))
        chosen.update(lasting_order(names, config.seed)[:count])
    return chosen


def find_leaks(
    train: Sequence[ImageArray], held_out: Sequence[ImageArray]
) -> Generator[Log, None, None]:
    """Warn of pictures with the same voxels on both sides of the split, or in two classes; empty ones are all alike and no leak."""
    known: dict[str, ImageArray] = {}
    doubles = []
    for array in (a for a in train if not _is_flat(a)):
        first = known.setdefault(array.digest, array)
        if first.target != array.target:
            doubles.append(f"{first.name} and {array.name}")
    if doubles:
        yield Log(f"the same picture is in two classes: {_named(doubles)}", "warning")
    leaks = [f"{a.name} as {known[a.digest].name}" for a in held_out if a.digest in known]
    if leaks:
        yield Log(
            f"{len(leaks)} held-out pictures are also learned from, so scores look too good: "
            f"{_named(leaks)}",
            "warning",
        )


def _is_flat(array: ImageArray) -> bool:
    return bool(np.ptp(array.data) == 0)


def _named(texts: Sequence[str]) -> str:
    return ", ".join(texts[:_NAMED]) + (f" … ({len(texts)})" if len(texts) > _NAMED else "")
