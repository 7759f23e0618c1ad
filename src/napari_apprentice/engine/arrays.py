"""From annotated volumes to the arrays that patches are cut from."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import naming
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.tasks import FindsPlaces

from .prepare import annotation_to_working, preparing
from .sample import TrainArray, planes
from .size import training_zoom

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import Task

    from .prepare import Prepared
    from .split import TrainItem

__all__ = ["prepare_item", "prepare_items"]


def prepare_item(
    item: TrainItem, task: Task, spec: ModelSpec
) -> Generator[Event, None, tuple[Prepared, Annotation]]:
    """Bring an image and its annotation to the grid that the network works on.

    For tasks whose objects have a size, the image is zoomed so that its own objects meet the model's.
    """
    zoom = training_zoom(item, task, spec)
    prepared = yield from preparing(item.volume, spec, zoom)
    return prepared, annotation_to_working(item.annotation, prepared)


def prepare_items(
    items: Sequence[TrainItem], task: Task, spec: ModelSpec
) -> Generator[Event, None, tuple[list[TrainArray], str]]:
    """Prepare every item; 3-D items of a 2-D model become the planes that count.

    Returns
    -------
    list of TrainArray
        Ready for a `PatchSampler`.
    str
        SHA-256 over everything that is learned from.

    Raises
    ------
    BadInputError
        An item does not fit the model; the message names it.
    """
    arrays: list[TrainArray] = []
    digest = hashlib.sha256()
    for number, item in enumerate(items):
        yield Progress("preparing", number, len(items), "image")
        with naming(item.name):
            prepared, annotation = yield from prepare_item(item, task, spec)
            target = task.targets(annotation, spec)
        digest.update(prepared.data.tobytes())
        digest.update(target.tobytes())
        marks = task.marks(target, spec) if isinstance(task, FindsPlaces) else None
        array = TrainArray(item.name, prepared.data, target, item.weight, marks)
        flat = spec.ndim == 2 and array.marks.ndim == 3
        arrays += planes(array) if flat else [array]
        for note in prepared.notes:
            yield Log(f"{item.name}: {note}", "warning")
    return arrays, digest.hexdigest()
