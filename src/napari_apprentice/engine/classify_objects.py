"""A classifier of objects applied to the numbered objects of an image."""

from __future__ import annotations

import time as clock
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError, JobError
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.prediction import Provenance
from napari_apprentice.measure.pairs import check_instances
from napari_apprentice.tasks import TASKS, ClassesObjects

from .crops import cutting
from .object_measures import measuring

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model

    from .config import PredictConfig
    from .crops import Cutter

__all__ = ["classify_objects"]

_BATCH_VOXELS = 2**17
"""Of crops per step: few enough to hear a cancel, and what is in memory does not grow with the number of objects."""


def classify_objects(
    volume: Volume,
    labels: NDArray[Any],
    model: Model,
    config: PredictConfig,
    *,
    numbers: Sequence[int] | None = None,
) -> Job[Prediction]:
    """Say of which class the objects of an image are.

    Parameters
    ----------
    volume
        One time point, with the channels that the model sees.
    labels
        Numbers of the objects on the spatial grid of `volume`, 0 is background.
    model
        Of a task that `ClassesObjects`.
    config
        Device.
    numbers
        Which objects; None asks about all of them.

    Returns
    -------
    Prediction
        `labels`, and of each object class, score and uncertainty.

    Raises
    ------
    BadInputError
        A model for something else, no objects, labels that do not number objects, or an image that does not fit.
    GridMismatchError
        Labels of another shape than the image.
    """
    began = clock.perf_counter()
    yield Progress("preparing")
    task, spec = TASKS[model.spec.task], model.spec
    if not isinstance(task, ClassesObjects):
        raise BadInputError(
            f"expected a model that classes objects, {spec.name} is for {spec.task}",
            remedy="Choose another model.",
        )
    if volume.grid.ndim > spec.ndim:
        raise BadInputError(
            f"expected flat images, found a volume for {spec.name}",
            path=volume.source or volume.name,
            remedy="Teach a classifier on volumes, or save slices as images of their own.",
        )
    check_instances(labels, volume.name)
    cutter = yield from cutting(volume, labels, task, spec)
    for note in cutter.notes:
        yield Log(note, "warning")
    chosen = cutter.numbers if numbers is None else np.array(sorted(numbers), dtype=np.int64)
    if not len(chosen):
        raise BadInputError(
            "expected numbered objects, found only background",
            path=volume.source or volume.name,
            remedy="Find or paint objects first.",
        )
    measured = yield from measuring(volume, labels, spec, chosen.tolist())
    scores, device = yield from _scores(cutter, chosen, measured, model, config)
    prediction = task.classed(scores, chosen, labels, volume.grid.without("C").spatial, spec)
    made = Provenance(
        model=spec.name,
        fingerprint=model.fingerprint,
        device=device,
        seconds=clock.perf_counter() - began,
        parameters=config.model_dump(mode="json"),
        notes=cutter.notes,
    )
    return replace(prediction, provenance=made)


def _scores(
    cutter: Cutter,
    numbers: NDArray[np.int64],
    measured: NDArray[np.float32],
    model: Model,
    config: PredictConfig,
) -> Generator[Event, None, tuple[NDArray[np.float32], str]]:
    """Scores ``(N, K)``, and where they were computed."""
    import torch

    from .device import choose_device

    device = choose_device(config.device).name
    network = model.network.to(device).eval()
    size = max(1, _BATCH_VOXELS // int(np.prod(cutter.tile)))
    found = []
    for start in range(0, len(numbers), size):
        yield Progress("classifying", start, len(numbers), "object")
        crops = torch.from_numpy(cutter.cut(numbers[start : start + size].tolist()))
        told = torch.from_numpy(measured[start : start + size])
        more = (told.to(device),) if told.shape[1] else ()
        try:
            with torch.inference_mode():
                found.append(network(crops.to(device), *more).float().cpu().numpy())
        except RuntimeError as error:
            reason = str(error).splitlines()[0][:300]
            raise JobError(f"the network of {model.spec.name} failed: {reason}") from error
    yield Progress("classifying", len(numbers), len(numbers), "object")
    return np.concatenate(found), device
