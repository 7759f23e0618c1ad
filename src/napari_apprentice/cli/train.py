"""``train``: a model from images and labels on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_apprentice.engine.config import TrainConfig

from ._console import Listener, note, print_json, print_lines, seconds_text
from ._interrupt import interruptible
from ._options import Debug, Json, with_config

if TYPE_CHECKING:
    from napari_apprentice.engine.train_files import Trained

__all__ = ["train"]


Images = Annotated[Path, typer.Option(metavar="DIR", help="Folder of images, or one image.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Their labels under the same names, or one file; of points and boxes a CSV or GeoJSON each. For "
        "classes of objects labels that number them, with a CSV (columns label and class) beside each, or with named objects. For "
        "classes of whole images a CSV with the columns "
        "file and class, or none where the images lie in one folder per class. For restoration the clean images, or none: then "
        "it is learned from the noisy ones alone. For made-up images none: class folders, or one folder.",
    ),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder for the model and its checkpoints.")]
TaskName = Annotated[str, typer.Option(metavar="TASK", help="What is asked of the network.")]
Init = Annotated[
    str | None,
    typer.Option(metavar="NAME|DIR", help="Model to start from; without it from nothing."),
]
Classes = Annotated[str, typer.Option(help='What the values mean: "1=anterior,2=posterior".')]
Groups = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Columns name and group: images of one group are never divided between learning and checking.",
    ),
]
Backbone = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Safetensors with weights of such a network, to start from where they fit.",
    ),
]
Channels = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,…",
        help="Channels that are learned from, by name or number from 1; default: all of them.",
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the checkpoint in the folder of --out.")
]


@with_config(TrainConfig)
def train(
    images: Images,
    out: Out,
    config: TrainConfig,
    labels: Labels = None,
    task: TaskName = "semantic",
    init: Init = None,
    classes: Classes = "",
    groups: Groups = None,
    backbone: Backbone = None,
    channels: Channels = None,
    resume: Resume = False,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Teach a model from images and labels that pair by file name, or from images of one class each.

    Ctrl-C stops it; the last checkpoint is valid and --resume goes on from it.
    """
    from napari_apprentice.engine.groups import read_groups
    from napari_apprentice.engine.train_files import train_files
    from napari_apprentice.engine.verbs import load_model

    start = None if init is None else load_model(init)
    with interruptible() as stop:
        listener = Listener(stop)
        try:
            trained = train_files(
                images,
                labels,
                out=out,
                task=task,
                init=start,
                classes=classes,
                groups=None if groups is None else read_groups(groups),
                backbone=backbone,
                channels=channels,
                resume=resume,
                listen=listener,
                config=config,
            )
        except KeyboardInterrupt:
            listener.clear()
            note(
                f"stopped; to go on, run the same command with --resume (checkpoints are in {out})"
            )
            raise
        listener.clear()
    if json:
        print_json(_record(trained, out))
    else:
        print_lines(_lines(trained, out))
    return 0


def _record(trained: Trained, out: Path) -> dict[str, Any]:
    result = trained.result
    return {
        "model": str(out),
        "name": trained.model.spec.name,
        "scores": dict(result.after),
        "before": None if result.before is None else dict(result.before),
        "split": {
            "train": [item.name for item in result.split.train],
            "held_out": [item.name for item in result.split.held_out],
            "note": result.split.note,
        },
        "seconds": round(result.seconds, 1),
        "steps": result.steps,
    }


def _lines(trained: Trained, out: Path) -> list[str]:
    from napari_apprentice.engine.check import curve_name
    from napari_apprentice.models.card import is_held_out
    from napari_apprentice.tasks import TASKS, primary_of

    result = trained.result
    primary = primary_of(TASKS[trained.model.spec.task], result.after)
    after = f"{result.after.get(primary, float('nan')):.3f}"
    before = "" if result.before is None else f"{result.before.get(primary, float('nan')):.3f} → "
    return [
        f"{out}: {curve_name(primary, is_held_out=is_held_out(trained.model.spec))} {before}{after}",
        f"{result.steps} steps in {seconds_text(result.seconds)}; {result.split.note}",
    ]
