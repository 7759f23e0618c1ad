"""What a training begins with: the description of the network to be, planned for the data or taken from a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.tasks import TASKS, ReadsBoxes

from .adapt import merged_classes
from .feed import feed_of
from .size import planned_spec
from .wishes import with_mirror, with_wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.models.store import Model
    from napari_apprentice.tasks import Task

    from .config import TrainConfig
    from .split import TrainItem

__all__ = ["first_spec"]


def first_spec(
    items: Sequence[TrainItem],
    learned: Sequence[TrainItem],
    *,
    task: str,
    init: Model | ModelSpec | None,
    config: TrainConfig,
    name: str,
) -> ModelSpec:
    """Describe the model that a training makes.

    Parameters
    ----------
    items
        All there is: the classes are theirs.
    learned
        Those that are not held out: network and sizes are planned for them.
    task, init, config, name
        As of `train`.

    Raises
    ------
    BadInputError
        The model to start from is for another task, or a wish cannot be met.
    """
    entry = TASKS[task]
    feed = feed_of(entry)
    classes = merged_classes([i.annotation.classes for i in items])
    if init is None:
        planned = entry.default_spec(name, [i.volume for i in learned], classes)
        wished = with_wishes(planned, entry, _with_network(config, entry, learned))
        return planned_spec(feed.fixed(wished, learned), learned, entry)
    parent = init if isinstance(init, ModelSpec) else init.spec
    if parent.task != task:
        raise BadInputError(
            f"expected a model for {task}, {parent.name} is for {parent.task}",
            remedy="Start from another model, or from nothing.",
        )
    adapted = with_mirror(feed.adapted(parent, classes), config)
    return planned_spec(feed.fixed(adapted, learned), learned, entry)


def _with_network(config: TrainConfig, task: Task, learned: Sequence[TrainItem]) -> TrainConfig:
    """The settings, with the network that suits what is learned from where none is wished."""
    if config.network is not None or not isinstance(task, ReadsBoxes):
        return config
    name = task.network_for([item.annotation for item in learned])
    return config.model_copy(update={"network": name})
