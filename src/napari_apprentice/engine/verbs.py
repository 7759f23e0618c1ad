"""The verbs as plain functions: what a script calls, and the command line too.

Nothing here knows a parameter: keywords are the fields of `PredictConfig` and `TrainConfig`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import run_to_end
from napari_apprentice.core.volume import Volume
from napari_apprentice.io import describe, open_labels, open_volume
from napari_apprentice.models.store import Model, ModelStore

from .channels import pick_channels
from .classify_objects import classify_objects
from .config import EvaluateConfig, PredictConfig, TrainConfig
from .evaluate import compare as compare_job
from .evaluate import evaluate_files
from .files import parse_classes
from .predict import predict as predict_job
from .train_files import train_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.measure.report import Comparison, Report

    from .evaluate import Evaluated

__all__ = [
    "compare",
    "config_of",
    "evaluate",
    "info",
    "list_models",
    "load_model",
    "predict",
    "train",
]

_Config = TypeVar("_Config", bound=BaseModel)


def info(path: os.PathLike[str] | str) -> dict[str, Any]:
    """Say what an image file is: shape, axes, spacing, unit, affine, channels, dtype, format.

    No voxel is read where the format allows it.

    Parameters
    ----------
    path
        File, or a folder that is one image (a DICOM series, a Zarr store).

    Returns
    -------
    dict
        Plain values; ``spacing`` belongs to the spatial axes, in the order of ``axes``.

    Raises
    ------
    BadInputError
        The file cannot be read.

    Examples
    --------
    >>> facts = info("brain.nii.gz")
    >>> facts["axes"], facts["unit"]
    ('ZYX', 'mm')
    """
    return describe(open_volume(path))


def list_models() -> dict[str, ModelSpec]:
    """Descriptions of the models at hand by name: the starters and the user's own.

    Examples
    --------
    >>> all(spec.task for spec in list_models().values())
    True
    """
    return ModelStore().specs()


def load_model(name: os.PathLike[str] | str) -> Model:
    """Load a model by its name or from its folder.

    Raises
    ------
    ModelError
        There is none, or it is broken.

    Examples
    --------
    >>> load_model("tiny model").spec.task
    'semantic'
    """
    return ModelStore().load(os.fspath(name))


def predict(
    image: Volume | os.PathLike[str] | str,
    model: Model | os.PathLike[str] | str = "nuclei",
    *,
    labels: Volume | os.PathLike[str] | str | None = None,
    time: int | None = None,
    channels: str | None = None,
    listen: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Prediction:
    """Apply a model to an image.

    Parameters
    ----------
    image
        A volume, or the path of one.
    model
        A model, its name, or its folder.
    labels
        Objects, for a model that says of which class they are.
    time
        Time point; None predicts all of them.
    channels
        Which channels the model sees, by name or number from 1: ``"DAPI"``, ``"2,1"``; None shows it all of them.
    listen
        Called with every event of the job (`Progress`, `Log`).
    **settings
        Fields of `PredictConfig`: ``device``, ``overlap``, ``mirror``, …

    Returns
    -------
    Prediction
        Labels, or points and boxes, on the image's own grid.

    Raises
    ------
    BadInputError
        Image, model or settings cannot be used.
    JobError
        The network failed, or memory ran out after everything smaller was tried.

    Examples
    --------
    >>> prediction = predict("brain.nii.gz", "tiny model", device="cpu")
    >>> prediction.labels.shape == open_volume("brain.nii.gz").grid.shape
    True
    """
    volume = image if isinstance(image, Volume) else open_volume(image)
    volume = pick_channels(volume, channels)
    loaded = model if isinstance(model, Model) else load_model(model)
    config = config_of(PredictConfig, settings)
    if labels is not None:
        said = labels if isinstance(labels, Volume) else open_labels(labels)
        frame = volume.frame(time or 0)
        return run_to_end(classify_objects(frame, said.numpy(), loaded, config), listen)
    return run_to_end(predict_job(volume, loaded, config, time=time), listen)


def train(
    images: os.PathLike[str] | str,
    labels: os.PathLike[str] | str | None = None,
    *,
    out: os.PathLike[str] | str | None = None,
    task: str = "semantic",
    init: Model | os.PathLike[str] | str | None = None,
    classes: str = "",
    groups: Mapping[str, str] | None = None,
    backbone: os.PathLike[str] | str | None = None,
    channels: str | None = None,
    resume: bool = False,
    listen: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Model:
    """Teach a model from images and labels that pair by file name.

    Parameters
    ----------
    images, labels
        Two files or two folders. For classes of whole images: a folder of class folders alone, or the folder of images
        and a CSV with the columns file, class and, if wanted, group. For restoration the noisy and the clean images; noisy
        ones alone are enough. For images to be made up a folder of class folders, or of images of one kind. For classes of
        objects labels that number them, with a CSV (columns label and class) beside each, or with named objects.
    out
        Folder for the model and its checkpoints; None keeps the model in memory only.
    task
        Registry name of the task.
    init
        Model to start from; None starts from nothing.
    classes
        ``"1=anterior,2=posterior"``; by default found in the labels.
    groups
        File name without suffixes → group; a group is never divided between learning and checking.
    backbone
        File of safetensors with weights of a network of the same kind, to start from where they fit.
    channels
        Which channels are learned from, by name or number from 1, as of `predict`; None: all of them.
    resume
        Go on from the checkpoint in `out`.
    listen
        Called with every event of the job (`Progress`, `Metric`, `Preview`, `Log`).
    **settings
        Fields of `TrainConfig`: ``minutes``, ``steps``, ``device``, ``seed``, …

    Returns
    -------
    Model
        The best weights; ``model.spec.scores`` are its scores on what was held out.

    Raises
    ------
    BadInputError
        Files, classes or settings cannot be used; nothing is written then.
    JobError
        The training failed; its last checkpoint is valid.

    Examples
    --------
    >>> model = train("images", "labels", init="tiny model", steps=1, device="cpu")
    >>> model.spec.parent
    'tiny model'
    """
    start = init if init is None or isinstance(init, Model) else load_model(init)
    trained = train_files(
        Path(images),
        None if labels is None else Path(labels),
        out=None if out is None else Path(out),
        task=task,
        init=start,
        classes=classes,
        groups=groups,
        backbone=None if backbone is None else Path(backbone),
        channels=channels,
        resume=resume,
        listen=listen,
        config=config_of(TrainConfig, settings),
    )
    return trained.model


def evaluate(
    truth: os.PathLike[str] | str,
    prediction: os.PathLike[str] | str,
    *,
    task: str = "semantic",
    classes: str = "",
    instances: bool = False,
    groups: Mapping[str, str] | None = None,
    listen: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Report:
    """Score predictions against the truth; files pair by name.

    Parameters
    ----------
    truth, prediction
        Two files or two folders. For classes of whole images: a folder of class folders or a CSV with the columns file
        and class, and the table that ``predict`` wrote. For restoration the clean and the restored images.
    task
        Registry name of the task whose scores are wanted.
    classes
        ``"1=anterior,2=posterior"``; by default found in the files.
    instances
        Short for ``task="instance"``: the values number objects; AP, F1, panoptic quality and counts are wanted.
    groups
        File name without suffixes → group (a patient); the intervals then draw whole groups.
    listen
        Called with every event of the job.
    **settings
        Fields of `EvaluateConfig`: ``resamples``, ``level``, ``seed``, ``distance``.

    Returns
    -------
    Report
        Scores of each case and their means, with intervals and figures; ``report.to_dict()`` is plain data.

    Raises
    ------
    BadInputError
        A file without a partner, files that cannot be read, or that do not lie on one grid.

    Examples
    --------
    >>> report = evaluate("labels", "labels")
    >>> report.mean["dice"]
    1.0
    """
    chosen = "instance" if instances else task
    config = config_of(EvaluateConfig, settings)
    return _evaluated(truth, prediction, chosen, classes, groups, config, listen).report


def compare(
    truth: os.PathLike[str] | str,
    prediction: os.PathLike[str] | str,
    against: os.PathLike[str] | str,
    *,
    task: str = "semantic",
    classes: str = "",
    groups: Mapping[str, str] | None = None,
    listen: Callable[[Event], None] | None = None,
    **settings: Any,
) -> Comparison:
    """Score two sets of predictions of the same images, and their differences.

    Parameters
    ----------
    truth, prediction, task, classes, groups, listen, **settings
        As of `evaluate`.
    against
        The other predictions.

    Returns
    -------
    Comparison
        Both reports; ``differences`` are those of `prediction` minus those of `against`, with paired intervals.

    Raises
    ------
    BadInputError
        What `evaluate` refuses, or no image that both have.

    Examples
    --------
    >>> comparison = compare("labels", "labels", "labels")
    >>> comparison.differences["dice"]
    0.0
    """
    config = config_of(EvaluateConfig, settings)
    without = config.model_copy(update={"resamples": 0})
    sides = [
        _evaluated(truth, side, task, classes, groups, without, listen)
        for side in (prediction, against)
    ]
    names = _names(Path(prediction), Path(against))
    return run_to_end(compare_job(sides[0], sides[1], names, config), listen)


def _evaluated(
    truth: os.PathLike[str] | str,
    prediction: os.PathLike[str] | str,
    task: str,
    classes: str,
    groups: Mapping[str, str] | None,
    config: EvaluateConfig,
    listen: Callable[[Event], None] | None,
) -> Evaluated:
    job = evaluate_files(
        Path(truth),
        Path(prediction),
        task=task,
        classes=parse_classes(classes),
        groups=groups,
        config=config,
    )
    return run_to_end(job, listen)


def _names(first: Path, second: Path) -> tuple[str, str]:
    """Names of two paths; with the folder where they are alike, with numbers where that is alike, too."""
    for names in (
        (first.name, second.name),
        ("/".join(first.parts[-2:]), "/".join(second.parts[-2:])),
    ):
        if names[0] != names[1] and all(names):
            return names
    return "first", "second"


def config_of(kind: type[_Config], settings: Mapping[str, Any]) -> _Config:
    """Make a config of keywords.

    Raises
    ------
    BadInputError
        A keyword that it does not know, or a value that it refuses.
    """
    try:
        return kind.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "settings"
        raise BadInputError(
            f"{name}: {first['msg']}, found {first['input']!r}",
            remedy=f"Known settings: {', '.join(kind.model_fields)}.",
        ) from error
