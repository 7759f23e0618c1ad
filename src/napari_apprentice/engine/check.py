"""Scoring a network on what was held out, on the working grid, while it learns."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import Extent
from napari_apprentice.core.jobs import Preview, Progress, retold, run_to_end
from napari_apprentice.tasks import ReducesOutput

from .arrays import prepare_item
from .cost import tile_count

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from torch import Tensor, nn

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import Task

    from .prepare import Prepared
    from .split import TrainItem

__all__ = ["CheckResult", "Checker", "answer_to", "box_of", "curve_name", "mean_scores"]


def curve_name(score: str, *, is_held_out: bool) -> str:
    """Name of a score's curve, or of a preview: ``"held-out dice"``."""
    return f"held-out {score}" if is_held_out else f"{score} on what it learned from"


@dataclass(frozen=True, eq=False)
class _Case:
    name: str
    prepared: Prepared
    annotation: Annotation


@dataclass(frozen=True, eq=False)
class CheckResult:
    """Mean scores over the cases, and the first case's labels to look at; `tie` decides between equal scores."""

    scores: dict[str, float]
    preview: Preview | None
    seconds: float
    tie: float = 0.0


class Checker:
    """The held-out cases, prepared once and cropped to what counts.

    Scores are taken on the working grid: what is learned is what is checked; `evaluate` scores files on their own grids.

    Parameters
    ----------
    items
        Held-out items; where there are none, pass the training items and say so.
    task, spec
        How to read and mark an answer.
    is_held_out
        Whether the items are strangers to the network: what scores and previews are called.
    """

    def __init__(
        self, items: Sequence[TrainItem], task: Task, spec: ModelSpec, *, is_held_out: bool
    ) -> None:
        self._task, self._spec = task, spec
        self._cases = [_case(item, task, spec) for item in items]
        self._is_held_out = is_held_out

    @property
    def metric(self) -> str:
        """Name of the curve."""
        return curve_name(self._task.primary, is_held_out=self._is_held_out)

    def __len__(self) -> int:
        return len(self._cases)

    def run(
        self, network: nn.Module, device: str, *, most: int | None = None
    ) -> Generator[Progress, None, CheckResult]:
        """Predict and score the cases (at most `most`); one event per tile.

        Parameters
        ----------
        network
            Left in evaluation mode.
        device
            Torch device name.
        """
        began = time.perf_counter()
        chosen = self._cases[:most]
        rows: list[dict[str, float]] = []
        preview: Preview | None = None
        for number, case in enumerate(chosen):
            now = Progress("checking", number, len(chosen), "image")
            labels = yield from answer_to(
                case.prepared, network, device, self._spec, self._reduce, now
            )
            prediction = self._task.decode(labels, case.prepared.grid, self._spec)
            rows.append(dict(self._task.score(prediction, case.annotation)))
            if preview is None and prediction.labels is not None:
                name = curve_name("preview", is_held_out=self._is_held_out)
                preview = Preview(name, prediction.labels, case.prepared.grid, of=case.name)
        return CheckResult(mean_scores(rows), preview, time.perf_counter() - began)

    def calibrated(self, spec: ModelSpec) -> ModelSpec:
        """Nothing to add: labels are what they are."""
        return spec

    @property
    def _reduce(self) -> Callable[[Tensor], Tensor] | None:
        task, spec = self._task, self._spec
        return (lambda s: task.reduce(s, spec)) if isinstance(task, ReducesOutput) else None


def answer_to(
    prepared: Prepared,
    network: nn.Module,
    device: str,
    spec: ModelSpec,
    reduce: Callable[[Tensor], Tensor] | None,
    now: Progress,
) -> Generator[Progress, None, Any]:
    """What a network answers to a case, reduced; tells `now` for each tile."""
    from ._rows import runner_for
    from ._sliding import Clock, Plan

    plan = Plan(device=device, stitch=device, batch=1, tile=spec.tile, overlap=0.25)
    total = tile_count(prepared.grid.shape, spec.tile, plan.overlap)
    job = runner_for(network, plan, reduce, spec).run(prepared, Clock(total))
    return (yield from retold(job, lambda _: now))


def _case(item: TrainItem, task: Task, spec: ModelSpec) -> _Case:
    """Prepare an item and crop it to the box where it counts plus half a tile."""
    prepared, annotation = run_to_end(prepare_item(item, task, spec))
    counts = annotation.counts()
    start, stop = box_of(counts, spec)
    crop = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    grid = prepared.grid.crop(start, stop)
    part = prepared.alone(np.ascontiguousarray(prepared.data[(slice(None), *crop)]), grid)
    inside = counts[crop]
    places = annotation.detections
    cropped = replace(
        annotation,
        grid=grid,
        labels=np.ascontiguousarray(annotation.labels[crop]),
        classes=spec.label_classes,
        detections=None if places is None else places.shifted([-a for a in start]),
        extent=Extent(whole=True) if inside.all() else Extent(strokes=True),
        painted=inside,
    )
    return _Case(item.name, part, cropped)


def box_of(counts: Any, spec: ModelSpec) -> tuple[list[int], list[int]]:
    """Start and stop of the box where an annotation counts, and half a tile around it."""
    lead = counts.ndim - spec.ndim
    margins = [0] * lead + [t // 2 for t in spec.tile]
    start, stop = [], []
    for axis, margin in enumerate(margins):
        others = tuple(a for a in range(counts.ndim) if a != axis)
        used = np.flatnonzero(counts.any(axis=others))
        first, last = (int(used[0]), int(used[-1])) if len(used) else (0, counts.shape[axis] - 1)
        start.append(max(0, first - margin))
        stop.append(min(counts.shape[axis], last + 1 + margin))
    return start, stop


def mean_scores(rows: Sequence[dict[str, float]], most: float = np.inf) -> dict[str, float]:
    """Mean of each score over the cases that have it (NaN: the class is nowhere); more than `most` counts as that."""
    names = dict.fromkeys(name for row in rows for name in row)
    mean = {}
    for name in names:
        values = np.minimum([row.get(name, np.nan) for row in rows], most)
        known = values[np.isfinite(values)]
        if known.size:
            mean[name] = float(known.mean())
    return mean
