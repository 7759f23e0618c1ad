"""Training from files on disk to a model on disk."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.models.store import Model, ModelStore, save_model
from napari_apprentice.models.weights import read_weights
from napari_apprentice.tasks import ONE_KIND, TASKS, AnswersWithImage, MakesImages, WholeImage

from .channels import pick_channels
from .checkpoints import LAST
from .class_files import list_classes, list_kinds, open_classes
from .files import parse_classes, read_images, read_items
from .prepare import fits
from .train import train
from .wishes import check_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.jobs import Event, Job

    from .config import TrainConfig
    from .train import TrainItem, TrainResult

__all__ = ["CHECKPOINTS", "Trained", "train_files"]

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, eq=False)
class Trained:
    """A saved model and how it came to be."""

    model: Model
    result: TrainResult


def train_files(
    images: Path,
    labels: Path | None = None,
    *,
    config: TrainConfig,
    out: Path | None = None,
    task: str = "semantic",
    init: Model | None = None,
    classes: str = "",
    groups: Mapping[str, str] | None = None,
    backbone: Path | None = None,
    channels: str | None = None,
    resume: bool = False,
    listen: Callable[[Event], None] | None = None,
) -> Trained:
    """Train and save; see `napari_apprentice.train`. Checkpoints lie in ``out/checkpoints`` meanwhile and afterwards."""
    if resume and out is None:
        raise BadInputError("expected a folder to resume from, found none", remedy="Give out.")
    if out is not None:
        _check_out(out, resume=resume)
    if config.network is not None:
        check_network(config.network, TASKS[task])
    state = None if backbone is None else read_weights(backbone)
    known = () if init is None else init.spec.label_classes
    items = _items(images, labels, task, classes, groups, known, listen)
    items = [_with_channels(item, channels) for item in items]
    _check_fit(items, init)
    with ExitStack() as stack:
        if out is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            folder = out / CHECKPOINTS
        job = train(
            items,
            task=task,
            init=init,
            config=config,
            folder=folder,
            name=ModelStore().unique_name(out.resolve().name if out is not None else "my model"),
            resume=resume,
            backbone=state,
        )
        result = run_to_end(job, listen)
    if out is None:
        return Trained(Model(result.spec, result.state), result)
    return Trained(save_model(result.spec, result.state, out), result)


def _items(
    images: Path,
    labels: Path | None,
    task: str,
    classes: str,
    groups: Mapping[str, str] | None,
    known: Sequence[LabelClass],
    listen: Callable[[Event], None] | None,
) -> list[TrainItem]:
    """Open what is to be learned from: images with labels, with one class each, with clean counterparts, or alone."""
    if isinstance(TASKS[task], WholeImage | MakesImages):
        if classes:
            raise BadInputError(
                "expected no label values where images as a whole have classes, found some",
                remedy="Leave out the classes: folders or the table name them.",
            )
        job = _pictures if isinstance(TASKS[task], MakesImages) else _classed
        return run_to_end(job(images, labels, groups, known), listen)
    if isinstance(TASKS[task], AnswersWithImage):
        return run_to_end(read_images(images, labels, groups), listen)
    if labels is None:
        raise BadInputError(
            f"expected labels to learn {task} from, found none", remedy="Give a folder of labels."
        )
    named = parse_classes(classes)
    return read_items(images, labels, classes=named, known=known, groups=groups, task=task)


def _with_channels(item: TrainItem, channels: str | None) -> TrainItem:
    """The item with the channels that are learned from."""
    if channels is None:
        return item
    if item.annotation.clean is not None:
        raise BadInputError(
            "expected all channels where clean images are learned from, found a choice",
            path=item.name,
            remedy="Save the wanted channels of both as files of their own.",
        )
    return replace(item, volume=pick_channels(item.volume, channels))


def _check_fit(items: Sequence[TrainItem], init: Model | None) -> None:
    """Refuse images that the model to start from cannot take, and say how it could.

    Raises
    ------
    BadInputError
        The first that does not fit.
    """
    if init is None:
        return
    for item in items:
        reason = fits(item.volume, init.spec)
        if reason is None:
            continue
        several = item.volume.grid.length("C") > 1
        choose = "Choose the channels that it sees (--channels), or s" if several else "S"
        raise BadInputError(
            f"the model {init.spec.name} {reason}",
            path=item.name,
            remedy=f"{choose}tart from another model, or from nothing.",
        )


def _classed(
    images: Path,
    table: Path | None,
    groups: Mapping[str, str] | None,
    known: Sequence[LabelClass],
) -> Job[list[TrainItem]]:
    files = yield from list_classes(images, table, groups)
    return (yield from open_classes(files, known=known))


def _pictures(
    images: Path,
    table: Path | None,
    groups: Mapping[str, str] | None,
    known: Sequence[LabelClass],
) -> Job[list[TrainItem]]:
    files = yield from list_kinds(images, table, groups, only=ONE_KIND.name)
    return (yield from open_classes(files, known=known))


def _check_out(out: Path, *, resume: bool) -> None:
    """Refuse a folder that could not take the model before any time is spent.

    Raises
    ------
    BadInputError
        A file, a folder that is used for something else or may not be written to, or an interrupted training.
    """
    elsewhere = "Choose another folder for the model."
    if (out / "README.md").exists() and not (out / "model.json").exists():
        raise BadInputError(
            "expected a new or model folder, found one in use", path=out, remedy=elsewhere
        )
    interrupted = (out / CHECKPOINTS / LAST).exists() and not (out / "model.json").exists()
    if interrupted and not resume:
        raise BadInputError(
            "this folder holds an interrupted training",
            path=out,
            remedy="Add --resume to go on with it, or choose another folder.",
        )
    try:
        (out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out / CHECKPOINTS):
            pass
    except OSError as error:
        raise BadInputError(
            f"the folder cannot be written to ({error.strerror or error})",
            path=out,
            remedy=elsewhere,
        ) from error
