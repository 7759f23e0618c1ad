"""``synthesise``: made-up images of a model, as files that say what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_apprentice.engine.synthesise import SynthesisConfig

from ._console import Listener, print_json, print_lines
from ._interrupt import interruptible
from ._options import Debug, Json, with_config

__all__ = ["synthesise"]


@with_config(SynthesisConfig)
def synthesise(
    model: Annotated[
        str,
        typer.Argument(
            metavar="NAME|DIR", help="Name of a model that makes images up, or its folder."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder for the images; a model of several classes writes into a folder for each in it.",
        ),
    ],
    config: SynthesisConfig,
    image_class: Annotated[
        str | None,
        typer.Option("--class", metavar="NAME", help="Class of the images; default: all of them."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Make images up and write them as files that say so, in their names and in themselves.

    Trainings learn from such images but never hold them out, and evaluations leave them out. No file is written over.
    """
    from napari_apprentice.core.jobs import run_to_end
    from napari_apprentice.engine.synthesise import add_images
    from napari_apprentice.engine.verbs import load_model

    loaded = load_model(model)
    with interruptible() as stop:
        listener = Listener(stop)
        added = run_to_end(add_images(loaded, out, config, image_class), listener)
        listener.clear()
    if json:
        files = [str(path) for path in added.files]
        print_json({"model": loaded.spec.name, "files": files, "classes": added.by_class})
    else:
        print_lines([f"{out}: {added.describe()}"])
    return 0
