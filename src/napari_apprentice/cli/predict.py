"""``predict``: a model applied to images on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_apprentice.engine.config import PredictConfig

from ._console import Listener, print_json, print_lines
from ._inputs import Inputs
from ._interrupt import interruptible
from ._options import Debug, Images, Json, ModelName, SeriesName, with_config
from ._results import check_names, line_of, said_of

if TYPE_CHECKING:
    from napari_apprentice.models.store import Model

__all__ = ["predict"]


@with_config(PredictConfig)
def predict(
    paths: Images,
    model: ModelName,
    out: Annotated[
        Path,
        typer.Option(metavar="PATH|DIR", help="File for the result of one image; else a folder."),
    ],
    config: PredictConfig,
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Channels that the model sees, by name or number from 1; default: all of them.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH|DIR",
            help="Labels of the objects to be classed, under the images' names: for models that class objects.",
        ),
    ] = None,
    series: SeriesName = None,
    json: Json = False,
    debug: Debug = False,
) -> int:
    """Apply a model to images and write one result per image under the image's name; of points and boxes a CSV, or GeoJSON.

    Classes of objects are written as labels whose objects have names, and as a CSV of the same name beside them.

    Classes of whole images become one table: OUT itself where it ends in .csv or .json, else predictions.csv in it.

    A bad image among several is named and left out; the others are done, and the exit code is 1.
    """
    from napari_apprentice.engine.verbs import load_model
    from napari_apprentice.tasks import TASKS, WholeImage

    loaded = load_model(model)
    is_table = isinstance(TASKS[loaded.spec.task], WholeImage)
    inputs = Inputs.find(paths, series, nested=is_table)
    if not is_table:
        check_names(inputs, out)
    blank = {
        "path": None,
        "output": None,
        "model": loaded.spec.name,
        "device": None,
        "seconds": None,
    }
    with interruptible() as stop:
        run = _Run(loaded, config, out, Listener(stop), channels, labels)
        records = [{**blank, **record} for record in inputs.each(run.predict)]
    good = [record for record in records if "error" not in record]
    if is_table:
        _write_table(good, out)
    if json:
        print_json(records[0] if inputs.alone else records)
    else:
        print_lines(line_of(record) for record in good)
    return 0 if len(good) == len(records) else 1


def _write_table(records: list[dict[str, Any]], out: Path) -> None:
    """Write the classes of all images into one table, and note in the records where it is."""
    from napari_apprentice.engine.class_tables import save_said, table_path
    from napari_apprentice.io import make_folder

    target = table_path(out)
    make_folder(target.parent)
    for record in records:
        record["output"] = str(target)
    save_said(records, target)


class _Run:
    """One model applied to one image after the other."""

    def __init__(
        self,
        model: Model,
        config: PredictConfig,
        out: Path,
        listener: Listener,
        channels: str | None = None,
        labels: Path | None = None,
    ) -> None:
        self._labels = labels
        self._model, self._config, self._out = model, config, out
        self._listener, self._channels = listener, channels

    def predict(self, image: Path) -> dict[str, Any]:
        """Predict an image, save the result, and say what became of it."""
        from napari_apprentice.core.jobs import run_to_end
        from napari_apprentice.engine.channels import pick_channels
        from napari_apprentice.engine.files import output_path, result_volume
        from napari_apprentice.engine.place_files import save_prediction_places
        from napari_apprentice.engine.predict import predict as predict_job
        from napari_apprentice.io import make_folder, open_volume, save

        self._listener.name = image.name
        if self._labels is not None:
            return self._classify(image, self._labels)
        volume = open_volume(image)
        try:
            seen = pick_channels(volume, self._channels)
            job = predict_job(seen, self._model, self._config)
            prediction = run_to_end(job, self._listener)
        finally:
            self._listener.clear()
        result = result_volume(prediction, volume)
        target = save_prediction_places(prediction, image, self._out)
        if result is not None:
            target = output_path(image, result, self._out)
            make_folder(target.parent)
            save(result, target)
        output = None if target is None else str(target)
        return {"path": str(image), "output": output, **said_of(prediction)}

    def _classify(self, image: Path, labels: Path) -> dict[str, Any]:
        """Class the objects that the labels number; the labels with names, and a table beside them."""
        from napari_apprentice.engine.files import output_path, result_volume
        from napari_apprentice.engine.object_files import classify_file, save_objects
        from napari_apprentice.io import make_folder, open_volume, save, stem

        try:
            prediction = classify_file(
                image,
                labels,
                self._model,
                self._config,
                channels=self._channels,
                listen=self._listener,
            )
        finally:
            self._listener.clear()
        table = self._out
        if table.suffix.lower() != ".csv":
            result = result_volume(prediction, open_volume(image))
            target = output_path(image, result, self._out) if result is not None else self._out
            make_folder(target.parent)
            if result is not None:
                save(result, target)
            table = target.with_name(stem(target) + ".csv")
        make_folder(table.parent)
        save_objects(prediction, table)
        return {"path": str(image), "output": str(table), **said_of(prediction)}
