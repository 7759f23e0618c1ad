"""``explain``: why a model says so, or where it is unsure, as maps beside the images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_apprentice.explain import ExplainConfig

from ._console import Listener, print_json, print_lines
from ._inputs import Inputs
from ._interrupt import interruptible
from ._options import Debug, Images, Json, ModelName, SeriesName, with_config
from ._results import check_names, said_of

if TYPE_CHECKING:
    from napari_apprentice.models.store import Model

__all__ = ["explain"]


@with_config(ExplainConfig)
def explain(
    paths: Images,
    model: ModelName,
    out: Annotated[
        Path,
        typer.Option(metavar="PATH|DIR", help="File for the map of one image; else a folder."),
    ],
    config: ExplainConfig,
    way: Annotated[
        str, typer.Option(metavar="NAME", help="gradcam, occlusion or uncertainty.")
    ] = "gradcam",
    image_class: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="Class that is asked for; default: the one that the model finds most of.",
        ),
    ] = None,
    time: Annotated[int, typer.Option(help="Time point, from 0.")] = 0,
    channels: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Channels that the model sees, as of `predict`."),
    ] = None,
    series: SeriesName = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Map where in images a model saw evidence for a class, or where it is unsure: 0 to 1, on the image's own grid.

    A bad image among several is named and left out; the others are done, and the exit code is 1.
    """
    from napari_apprentice.engine.verbs import load_model

    loaded = load_model(model)
    inputs = Inputs.find(paths, series)
    check_names(inputs, out)
    with interruptible() as stop:
        asked = {"way": way, "image_class": image_class, "time": time, "channels": channels}
        settings = config.model_dump(exclude_unset=True)
        work = partial(_explain, loaded, out, Listener(stop), asked | settings)
        records = inputs.each(work)
    good = [record for record in records if "error" not in record]
    if json:
        print_json(records[0] if inputs.alone else records)
    else:
        print_lines(
            f"{r['output']}: {r['summary']} ({r['seconds']} s on {r['device']})" for r in good
        )
    return 0 if len(good) == len(records) else 1


def _explain(
    model: Model, out: Path, listener: Listener, asked: dict[str, Any], image: Path
) -> dict[str, Any]:
    """Explain one image, save the map, and say what became of it."""
    from napari_apprentice.engine.files import output_path, result_volume
    from napari_apprentice.explain._ask import explanation
    from napari_apprentice.io import make_folder, open_volume, save

    listener.name = image.name
    volume = open_volume(image)
    try:
        answer = explanation(volume, model, listen=listener, **asked)
    finally:
        listener.clear()
    result = result_volume(answer, volume)
    assert result is not None  # noqa: S101  # an explanation is an image
    target = output_path(image, result, out)
    make_folder(target.parent)
    save(result, target)
    said = {key: value for key, value in said_of(answer).items() if key != "unsure"}
    record = {"path": str(image), "output": str(target), "model": model.spec.name}
    return {**record, "way": asked["way"], **said}
