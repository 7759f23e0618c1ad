"""Prediction: from a volume to labels on its own grid, tile by tile, in bounded memory.

Torch is loaded when a prediction starts, not when this module is imported.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_apprentice.core.errors import BadInputError, JobError, OutOfMemoryError
from napari_apprentice.core.jobs import Log, Progress
from napari_apprentice.core.prediction import Prediction, Provenance
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import (
    TASKS,
    AnswersWithImage,
    ClassesObjects,
    FindsPlaces,
    MakesImages,
    WholeImage,
)

from ._frames import frames_of, joined_frames
from .cost import Cost, estimate, overlap_for, remember_speed, spec_for, tile_count, tile_for
from .prepare import Prepared, fits, places_from_working, preparing, restore
from .restore import finished_image
from .size import known_zoom, read_on

if TYPE_CHECKING:
    from collections.abc import Generator

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.models.store import Model
    from napari_apprentice.tasks import Task

    from ._sliding import Clock, Plan
    from .config import PredictConfig

__all__ = ["Cost", "Decode", "estimate", "predict"]

Decode = Callable[["NDArray[Any]", "Grid", "ModelSpec"], Prediction]
# Tiles per pass. On the CPU a second tile pays only where tiles are small (measured: 48³ 15 % faster, 256² 5 %,
# 64³ and more not worth the memory); a GPU wants to be filled.
_BATCH_VOXELS = {"cpu": 2**18, "gpu": 2**21}
_LARGEST_BATCH = {"cpu": 2, "gpu": 16}


def predict(
    volume: Volume,
    model: Model,
    config: PredictConfig,
    *,
    time: int | None = None,
    decode: Decode | None = None,
) -> Job[Prediction]:
    """Apply a model to a volume.

    Parameters
    ----------
    volume
        Image; may be lazy, read one time point at a time.
    model
        The model; its weights are not changed.
    config
        Device, overlap, mirroring.
    time
        Time point to predict; None predicts all of them, and the answer has a time axis where the volume has one.
    decode
        Reads the network's answer in place of the task.

    Yields
    ------
    Progress
        One per tile (and some between, so that a cancel is heard); the first before any work.
    Log
        Warnings, among them each step of the out-of-memory ladder.

    Returns
    -------
    Prediction
        On the spatial grid of the volume, with time where every frame of several was predicted.

    Raises
    ------
    BadInputError
        The volume does not fit the model, or there is no such time point.
    OutOfMemoryError
        Smaller batches and tiles, stitching in main memory and the CPU were all tried.
    """
    asked = TASKS[model.spec.task]
    if isinstance(asked, MakesImages):
        raise BadInputError(
            f"the model {model.spec.name} makes images up and is not applied to one",
            remedy="Ask it for images: napari-apprentice synthesise, or the dock Synthesise.",
        )
    if isinstance(asked, ClassesObjects):
        raise BadInputError(
            f"expected objects for {model.spec.name} to class, found an image alone",
            remedy="Give the labels that number them, too.",
        )
    kind = _PlacePrediction if isinstance(asked, FindsPlaces) else _Prediction
    if isinstance(asked, WholeImage):
        kind = _ImagePrediction
    job = kind(volume, model, config, time)
    job.decode = decode or job.task.decode
    return job.run()


class _Prediction:
    """One prediction from start to end; holds what its steps share."""

    def __init__(
        self, volume: Volume, model: Model, config: PredictConfig, time: int | None
    ) -> None:
        self.volume, self.model, self.config = volume, model, config
        self.spec: ModelSpec = spec_for(model.spec, config)
        self.notes: list[str] = []
        self.task: Task = TASKS[self.spec.task]
        self.decode: Decode = self.task.decode
        self.frames = frames_of(volume, time)
        self.several = time is None and "T" in volume.grid.axes
        self.zoom: float | None = None

    def run(self) -> Job[Prediction]:
        began = clock.perf_counter()
        reason = fits(self.volume, self.spec)
        if reason is not None:
            raise BadInputError(
                f"the model {self.spec.name} {reason}",
                path=self.volume.source or self.volume.name,
                remedy=_other_image(self.volume),
            )
        cost = estimate(self.volume, self.spec, self.config)
        share = len(self.frames) / self.volume.grid.length("T")
        total = max(1, round(cost.tiles * share))
        yield Progress("predicting", 0, total, "tile", cost.seconds * share)

        from ._sliding import Clock

        yield Progress("predicting", 0, total, "tile", cost.seconds * share)
        plan = self._plan()
        ticks = Clock(total, cost.seconds * share)
        predictions = []
        try:
            for frame in self.frames:
                prediction, plan = yield from self._frame(frame, plan, ticks)
                predictions.append(prediction)
        finally:
            self._release()
        return self._finish(predictions, plan, clock.perf_counter() - began)

    def _release(self) -> None:
        from .device import release_cache

        release_cache()

    def _plan(self) -> Plan:
        from ._sliding import Plan
        from .device import choose_device

        device = choose_device(self.config.device)
        if device.note:
            self.notes.append(device.note)
        tile = tile_for(self.spec, self.config)
        kind = "cpu" if device.kind == "cpu" else "gpu"
        batch = min(_LARGEST_BATCH[kind], max(1, _BATCH_VOXELS[kind] // int(np.prod(tile))))
        return Plan(
            device=device.name,
            stitch=device.name,
            batch=batch,
            tile=tile,
            overlap=overlap_for(self.spec, self.config),
            mixed=self.config.mixed_precision and device.kind == "cuda",
            mirror=self.spec.mirror_axes if self.config.mirror else (),
        )

    def _frame(
        self, frame: int, plan: Plan, ticks: Clock
    ) -> Generator[Event, None, tuple[Prediction, Plan]]:
        """Predict one time point; the plan comes back as the out-of-memory ladder left it."""
        prepared = yield from self._prepare(frame, plan)
        self._count_again(frame, prepared, plan, ticks)
        yield ticks.tick()
        dense, plan = yield from self._climb(prepared, plan, ticks)
        yield Progress("reading the answer", ticks.done, ticks.total, "tile")
        try:
            return self._read(dense, prepared), plan
        except MemoryError as error:
            raise _no_memory(self.volume, "reading the network's answer") from error

    def _read(self, dense: NDArray[Any], prepared: Prepared) -> Prediction:
        if isinstance(self.task, AnswersWithImage):
            image = finished_image(dense, prepared, self.task, self.spec, self.volume.dtype)
            return self.decode(image, prepared.source, self.spec)
        dense = np.ascontiguousarray(restore(dense, prepared.order, prepared.flips))
        factor = prepared.turned.shape[-1] / prepared.grid.shape[-1]
        return self.decode(dense, prepared.source, read_on(self.spec, self.task, factor))

    def _prepare(self, frame: int, plan: Plan) -> Generator[Event, None, Prepared]:
        volume = self.volume.frame(frame)
        try:
            if self.zoom is None:
                self.zoom = known_zoom(self.volume.grid, self.spec, self.config)
            prepared = yield from preparing(volume, self.spec, self.zoom or 1.0)
            if self.zoom is None:
                # The first frame decides: objects of a film do not change their size.
                self.zoom = yield from self._find_zoom(prepared, plan)
                if self.zoom != 1.0:
                    prepared = yield from preparing(volume, self.spec, self.zoom)
        except MemoryError as error:
            raise _no_memory(self.volume, "reading the image") from error
        self.notes += [note for note in prepared.notes if note not in self.notes]
        return prepared

    def _find_zoom(self, prepared: Prepared, plan: Plan) -> Generator[Event, None, float]:
        """Ask the network for the size of the objects, and say what it is taken to be."""
        from ._find_size import sizing
        from ._sliding import Runner

        smaller = replace(plan, overlap=0.0, mirror=(), batch=1)
        runner = Runner(self.model.build(), smaller, self._reduce())
        try:
            zoom, note = yield from sizing(prepared, runner, self.task, self.spec)
        except RuntimeError as error:
            raise _failed(self.spec, error) from error
        self.notes.append(note)
        return zoom

    def _count_again(self, frame: int, prepared: Prepared, plan: Plan, ticks: Clock) -> None:
        """Tiles of this and the frames to come, where a zoom has changed their number."""
        each = tile_count(prepared.grid.shape, plan.tile, plan.overlap)
        total = ticks.done + each * (self.frames.stop - frame)
        if self.zoom != 1.0 and total != ticks.total:
            ticks.restart(ticks.done, total)

    def _climb(
        self, prepared: Prepared, plan: Plan, ticks: Clock
    ) -> Generator[Event, None, tuple[NDArray[Any], Plan]]:
        """Run a frame, and again with a smaller plan each time memory runs out."""
        from ._sliding import next_plan
        from .device import is_out_of_memory, release_memory

        divisor = NETWORKS[self.spec.network].divisor(
            ndim=self.spec.ndim, args=self.spec.network_args
        )
        done = ticks.done
        while True:
            try:
                dense = yield from self._attempt(prepared, plan, ticks)
                return dense, plan
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise _failed(self.spec, error) from error
            # Outside the except clause: its traceback would keep the tensors alive.
            release_memory()
            step = next_plan(plan, divisor)
            if step is None:
                raise _no_memory(self.volume, "running the network")
            was = tile_count(prepared.grid.shape, plan.tile, plan.overlap)
            plan, how = step
            now = tile_count(prepared.grid.shape, plan.tile, plan.overlap)
            # Frames still to come take the new tile too; what is done stays done.
            ticks.restart(done, done + round((ticks.total - done) * now / was))
            note = f"memory ran out: continuing with {how}"
            self.notes.append(note)
            yield Log(note, "warning")

    def _attempt(
        self, prepared: Prepared, plan: Plan, ticks: Clock
    ) -> Generator[Event, None, NDArray[Any]]:
        from ._rows import runner_for

        network = self.model.build()
        yield ticks.tick()
        runner = runner_for(network, plan, self._reduce(), self.spec)
        yield ticks.tick()
        began, before = clock.perf_counter(), ticks.done
        dense = yield from runner.run(self._answered_on(prepared), ticks)
        voxels = (ticks.done - before) * int(np.prod(plan.tile)) * 2 ** len(plan.mirror)
        if voxels:
            kind = plan.device.partition(":")[0]
            remember_speed(self.spec, kind, (clock.perf_counter() - began) / voxels)
        return dense

    def _answered_on(self, prepared: Prepared) -> Prepared:
        """Where the answer of the network is to lie: on the source grid, as this says it."""
        return prepared

    def _reduce(self) -> Callable[[torch.Tensor], torch.Tensor] | None:
        if isinstance(self.task, AnswersWithImage):
            return lambda scores: scores  # float32: an image has more levels than half precision
        reduce = getattr(self.task, "reduce", None)
        if reduce is None:
            return None
        return lambda scores: reduce(scores, self.spec)

    def _finish(self, predictions: list[Prediction], plan: Plan, seconds: float) -> Prediction:
        provenance = Provenance(
            model=self.spec.name,
            fingerprint=self.model.fingerprint,
            device=plan.device,
            seconds=seconds,
            parameters=self.config.model_dump(mode="json")
            | {"tile": list(plan.tile), "overlap": plan.overlap},
            notes=tuple(self.notes),
        )
        joined = joined_frames(predictions, self.volume.grid) if self.several else predictions[0]
        return replace(joined, provenance=provenance)


class _PlacePrediction(_Prediction):
    """Places are read where the network worked, and then brought to the source grid."""

    def _answered_on(self, prepared: Prepared) -> Prepared:
        return replace(prepared, turned=prepared.grid)

    def _read(self, dense: NDArray[Any], prepared: Prepared) -> Prediction:
        answer = self.decode(dense, prepared.grid, self.spec)
        if answer.detections is None:
            return answer
        places = places_from_working(answer.detections, prepared)
        return replace(answer, grid=prepared.source, detections=places)


class _ImagePrediction(_Prediction):
    """One answer about the image as a whole."""

    def _release(self) -> None:
        """Keep what little there is: collecting garbage takes longer than the answer."""

    def _frame(
        self, frame: int, plan: Plan, ticks: Clock
    ) -> Generator[Event, None, tuple[Prediction, Plan]]:
        from .image_scores import scores_of_image

        prepared = yield from self._prepare(frame, plan)
        yield ticks.tick()
        try:
            scores = yield from scores_of_image(
                self.model.network, prepared, self.spec, plan.device, plan.mirror
            )
        except (RuntimeError, MemoryError) as error:
            raise _failed(self.spec, error) from error
        yield ticks.tick(len(scores))
        task = cast("WholeImage", self.task)
        unsure = self.config.unsure
        return task.answer(scores, prepared.source, self.spec, unsure=unsure), plan


def _other_image(volume: Volume) -> str:
    """What to do where a model cannot take an image."""
    if volume.grid.length("C") == 1:
        return "Choose another model, or another layer."
    names = ", ".join(name for name in volume.channels if name)
    return f"Choose another model, or channels of the image{f' ({names})' if names else ''}."


def _failed(spec: ModelSpec, error: Exception) -> JobError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
    return JobError(
        f"the network of {spec.name} failed: {reason}",
        remedy="Run 'napari-apprentice models verify' on the model.",
    )


def _no_memory(volume: Volume, stage: str) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"memory ran out while {stage}, after everything smaller was tried",
        path=volume.source or volume.name,
        remedy="Close other programs or images, crop the image, or choose a smaller tile.",
    )
