"""What a person wants of a new network, against what its task and the network itself allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.models.networks import (
    NETWORKS,
    FitsSpacing,
    RebuildsImages,
    SeesMask,
    answers_per_image,
    finds_boxes,
    makes_pictures,
)
from napari_apprentice.tasks import (
    AnswersWithImage,
    AsksMiddle,
    ClassesObjects,
    MakesImages,
    ReadsBoxes,
    WholeImage,
)

from .recipe import parse_filters, parse_normalization
from .tiles import tile_shape

if TYPE_CHECKING:
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.models.networks import Network
    from napari_apprentice.tasks import Task

    from .config import TrainConfig

__all__ = ["check_network", "networks_for", "with_mirror", "with_wishes"]


def with_mirror(spec: ModelSpec, config: TrainConfig) -> ModelSpec:
    """The description, without mirror axes where mirrored copies are not wanted."""
    return spec if config.mirror else spec.model_copy(update={"mirror_axes": ()})


def with_wishes(planned: ModelSpec, task: Task, config: TrainConfig) -> ModelSpec:
    """Change a planned model to the network, the size and the recipe that are wanted.

    Raises
    ------
    BadInputError
        A network that does not exist or cannot answer the task (see `networks_for`), filters where the answer is the image
        itself, or a size for another number of axes.
    """
    planned = with_mirror(planned, config)
    changes = _recipe(config)
    if config.filters and isinstance(task, AnswersWithImage) and task.keeps_units:
        raise BadInputError(
            f"expected no filters for {task.name}, found {config.filters}: they would change what the network sees, "
            "and not the image that it has to give back",
            remedy="Leave them out, or filter the images first (Prepare, as a new layer).",
        )
    if config.network is not None and config.network != planned.network:
        check_network(config.network, task)
        network = NETWORKS[config.network]
        changes |= {"network": config.network, "network_args": {}}
        if isinstance(network, FitsSpacing) and planned.spacing is not None:
            changes["network_args"] = dict(network.args_for(planned.spacing))
        if isinstance(task, ReadsBoxes):
            boxes = finds_boxes(network)
            changes["task_args"] = task.answered_by_boxes(planned, boxes=boxes).task_args
    if config.tile is not None:
        if len(config.tile) != planned.ndim:
            raise BadInputError(
                f"expected {planned.ndim} lengths, found {' × '.join(map(str, config.tile))}",
                remedy="Give one length per axis of the images.",
            )
        changes["tile"] = config.tile
    if not changes:
        return planned
    spec = planned.model_copy(update=changes)
    divisor = NETWORKS[spec.network].divisor(ndim=spec.ndim, args=spec.network_args)
    tile = tile_shape(spec.tile, divisor, at_least=config.tile is None)
    return spec.model_copy(update={"tile": tile})


def _recipe(config: TrainConfig) -> dict[str, object]:
    """Filters and normalisation, where they are said."""
    changes: dict[str, object] = {}
    if config.filters:
        changes["filters"] = parse_filters(config.filters)
    if config.normalization is not None:
        changes["normalization"] = parse_normalization(config.normalization)
    return changes


def networks_for(task: Task) -> list[str]:
    """Names of the networks that can answer a task."""
    return [name for name, network in NETWORKS.items() if _misfit(network, task) is None]


def check_network(name: str, task: Task) -> None:
    """Refuse a network that there is not, or that cannot answer a task.

    Raises
    ------
    BadInputError
        Saying which networks can.
    """
    remedy = f"Choose one of {', '.join(networks_for(task))}."
    if name not in NETWORKS:
        raise BadInputError(f"expected a network for {task.name}, found {name!r}", remedy=remedy)
    misfit = _misfit(NETWORKS[name], task)
    if misfit is not None:
        raise BadInputError(
            f"expected a network that {misfit} for {task.name}, found {name}", remedy=remedy
        )


def _misfit(network: Network, task: Task) -> str | None:
    """What the task wants of a network and this one does not do; None where it can answer."""
    once = isinstance(task, WholeImage | ClassesObjects)
    wanted = _what(per_image=once, makes=isinstance(task, MakesImages))
    if _what(per_image=answers_per_image(network), makes=makes_pictures(network)) != wanted:
        return wanted
    if finds_boxes(network) and not isinstance(task, ReadsBoxes):
        return wanted
    if isinstance(network, SeesMask) and not isinstance(task, ClassesObjects):
        return "sees the image alone"
    if isinstance(task, AsksMiddle):
        has_middle = isinstance(network, RebuildsImages) and network.has_middle
        return None if has_middle else "leads everything through a narrow middle"
    if isinstance(network, RebuildsImages) and not isinstance(task, AnswersWithImage):
        return "answers with scores, not with an image,"
    return None


def _what(*, per_image: bool, makes: bool) -> str:
    """What a network does, or a task wants of one."""
    if makes:
        return "makes images up"
    return "answers once per image" if per_image else "answers voxel by voxel"
