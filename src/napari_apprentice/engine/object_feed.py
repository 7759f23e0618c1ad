"""What a network that classes objects is fed while it learns: crops around the objects whose class is known."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError, GridMismatchError, naming
from napari_apprentice.core.jobs import Log, Progress

from .crops import cutting
from .images import ImageArray
from .object_measures import measuring
from .split import Split, lasting_order, plan_split

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import ClassesObjects

    from .config import TrainConfig
    from .split import TrainItem

__all__ = ["check_objects", "plan_object_split", "prepare_objects"]

_FEWEST = 5
"""Objects of a class below which none of it is held out."""


def check_objects(items: Sequence[TrainItem]) -> None:
    """Refuse what no classifier of objects can be learned from, before any work is done.

    Raises
    ------
    BadInputError
        No object of known class, or all of one class.
    GridMismatchError
        Labels that do not lie on the grid of their image.
    """
    for item in items:
        shape = item.volume.grid.spatial.shape
        if item.annotation.grid.shape != shape:
            raise GridMismatchError(
                f"expected labels of {shape}, found {item.annotation.grid.shape}",
                path=item.name,
                remedy="Labels must lie on the image's own grid.",
            )
    counts = Counter(name for item in items for name in _names(item.annotation).values())
    if len(counts) < 2:
        found = (
            f"{sum(counts.values())} of the one class {next(iter(counts))!r}" if counts else "none"
        )
        raise BadInputError(
            f"expected objects of two classes or more, found {found}",
            remedy="Say of some objects that they are of another class.",
        )


def _names(annotation: Annotation) -> Mapping[int, str]:
    """Number → name of the class, of each object that has one."""
    names = {c.value: c.name for c in annotation.classes}
    return {n: names[v] for n, v in annotation.object_classes.items() if v in names}


def plan_object_split(items: Sequence[TrainItem], config: TrainConfig) -> Split:
    """Hold out whole images where there are several, else some objects of every class. Deterministic for a seed."""
    groups = {item.group or item.name for item in items}
    if config.held_out == 0 or len(groups) > 1:
        return plan_split(items, config)
    held: set[tuple[int, int]] = set()
    for members in _by_class(items).values():
        if len(members) >= _FEWEST:
            count = max(1, round(config.held_out * len(members)))
            named = {f"{at} {number}": (at, number) for at, number in members}
            held |= {named[name] for name in lasting_order(named, config.seed)[:count]}
    if not held:
        note = "too few objects to hold any out: scores are on what was learned from"
        return Split(tuple(items), (), note)
    train, checked = (
        tuple(_only(item, n, held, inside=inside) for n, item in enumerate(items))
        for inside in (False, True)
    )
    total = sum(len(_names(item.annotation)) for item in items)
    note = f"learns from {total - len(held)} objects, held out {len(held)} of {items[0].name}"
    return Split(train, checked, note)


def _by_class(items: Sequence[TrainItem]) -> dict[str, list[tuple[int, int]]]:
    """Name of the class → item and number of each of its objects."""
    found: dict[str, list[tuple[int, int]]] = {}
    for at, item in enumerate(items):
        for number, name in sorted(_names(item.annotation).items()):
            found.setdefault(name, []).append((at, number))
    return found


def _only(item: TrainItem, at: int, held: set[tuple[int, int]], *, inside: bool) -> TrainItem:
    """The item with the classes of objects on one side of the split."""
    said = item.annotation.object_classes
    chosen = {n: kind for n, kind in said.items() if ((at, n) in held) is inside}
    return replace(item, annotation=replace(item.annotation, object_classes=chosen))


def prepare_objects(
    items: Sequence[TrainItem], task: ClassesObjects, spec: ModelSpec
) -> Generator[Event, None, tuple[list[ImageArray], str]]:
    """Cut out every object of known class.

    Returns
    -------
    list of ImageArray
        Ready for an `ImageSampler`.
    str
        SHA-256 over everything that is learned from.

    Raises
    ------
    BadInputError
        An image does not fit the model, or no object is left; the message names it.
    """
    arrays: list[ImageArray] = []
    digest = hashlib.sha256()
    for number, item in enumerate(items):
        yield Progress("preparing", number, len(items), "image")
        with naming(item.name):
            numbers, kinds = task.known_objects(item.annotation, spec)
            cutter = yield from cutting(item.volume, item.annotation.labels, task, spec)
            chosen = numbers.tolist()
            measured = yield from measuring(item.volume, item.annotation.labels, spec, chosen)
        for note in cutter.notes:
            yield Log(f"{item.name}: {note}", "warning")
        for one, kind, row in zip(chosen, kinds.tolist(), measured, strict=True):
            crop = cutter.cut([one])[0]
            own = hashlib.sha256(crop.tobytes()).hexdigest()
            arrays.append(ImageArray(item.name, crop, kind, own, row if row.size else None))
            digest.update(f"{own} {kind}".encode())
    if not arrays:
        raise BadInputError("expected objects of known class in the images, found none")
    return arrays, digest.hexdigest()
