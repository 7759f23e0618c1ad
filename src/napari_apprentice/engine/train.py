"""Training: a network learns from annotations, is checked on what was held out, and can stop and go on at any step."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import (
    ApprenticeError,
    BadInputError,
    OutOfMemoryError,
    TrainingDivergedError,
)
from napari_apprentice.core.jobs import Log, Metric, Progress
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.models.networks import NETWORKS
from napari_apprentice.tasks import TASKS, HasOwnStep, inputs_of

from .adapt import Freezer, gains_classes, head_keys, take_over
from .best import Best, mark_of, reason_to_stop, score_of
from .budget import Budget
from .checkpoints import BEST, LAST, read_checkpoint, write_checkpoint
from .feed import feed_of
from .outcome import TrainResult, learned_spec
from .split import Split, TrainItem, plan_split
from .start import first_spec
from .tiles import halved

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import torch

    from napari_apprentice.core.jobs import Event, Job
    from napari_apprentice.models.store import Model
    from napari_apprentice.tasks import Task

    from .check import CheckResult
    from .config import TrainConfig
    from .feed import AnyChecker, Feed
    from .learner import Learner

    Weights = Mapping[str, torch.Tensor]

__all__ = ["Split", "TrainItem", "TrainResult", "plan_split", "train"]

_CHECKING_SHARE = 0.05
_MIXING_MAY_COST = 0.02
_SECONDS_BETWEEN_CHECKPOINTS = 60.0
_PEAK_FROM_NOTHING = 2e-3
_PEAK_FROM_MODEL = 2e-4


def train(
    items: Sequence[TrainItem],
    *,
    init: Model | ModelSpec | None,
    config: TrainConfig,
    folder: Path,
    task: str = "semantic",
    name: str = "my model",
    resume: bool = False,
    stop: threading.Event | None = None,
    backbone: Weights | None = None,
) -> Job[TrainResult]:
    """Teach a network from annotated volumes.

    Parameters
    ----------
    items
        What to learn from.
    init
        A model to start from, a description to train from nothing, or None: the task plans a network for the data.
    config
        Time, rate, augmentation; with ``steps`` or ``epochs`` a run on the CPU is repeatable bit for bit.
    folder
        Gets ``last.safetensors`` (everything to go on from) and ``best.safetensors`` (weights of the best check).
    name
        Name of the new model.
    resume
        Go on from ``folder/last.safetensors``.
    stop
        When set, training ends early and returns the best weights so far. Closing the generator instead cancels;
        the last checkpoint stays valid either way.
    backbone
        Weights by key to start from where they fit, of a network of the kind that is trained from nothing.

    Yields
    ------
    Progress, Metric, Preview, Log
        Metrics are ``"loss"`` and ``"held-out dice"`` (``"dice on what it learned from"`` where nothing is held out).

    Raises
    ------
    BadInputError
        Items that cannot be learned from, or do not fit the model; nothing is written then.
    TrainingDivergedError
        The loss became NaN; ``best.safetensors`` is the last good state. A task with a step of its own ends with that
        state instead, once there is one, and so where its checks find trouble.
    OutOfMemoryError
        After halving batch and patch as far as the network allows.
    """
    return _Training(items, init, config, folder, task, name, resume, stop, backbone).run()


@dataclass(eq=False)
class _Training:
    """One training from start to end; holds what its steps share."""

    items: Sequence[TrainItem]
    init: Model | ModelSpec | None
    config: TrainConfig
    folder: Path
    task_name: str
    name: str
    resume: bool
    stop: threading.Event | None
    backbone: Weights | None = None
    next_check: float = 0.0
    best: Best = field(default_factory=Best)
    before: dict[str, float] | None = None

    def run(self) -> Job[TrainResult]:
        self.task: Task = TASKS[self.task_name]
        self.feed: Feed = feed_of(self.task)
        self.feed.check(self.items)
        split = self.feed.split(self.items, self.config)
        yield Log(split.note)
        self.spec = first_spec(
            self.items,
            split.train,
            task=self.task_name,
            init=self.init,
            config=self.config,
            name=self.name,
        )
        arrays, self.fingerprint = yield from self.feed.prepare(split.train, self.spec)
        learner = yield from self._learner(arrays)
        checker = yield from self.feed.checker(split, arrays, self.spec)
        self.budget = Budget(self.config, len(arrays), learner.batch_size)
        self.next_check = 1 / self.config.checks
        if self.resume:
            self._restore(learner)
        if not self.resume:
            self.before = yield from self._before(learner, checker)
            if learner.begin():  # steps have to do better than that
                yield from self._try(learner, checker)
        try:
            if learner.needs_steps(is_checked=bool(split.held_out)):
                yield from self._learn(learner, checker)
        except GeneratorExit:
            # A cancel: leave the state of this very step behind.
            self._save_last(learner)
            raise
        return (yield from self._finish(learner, checker, split, self.before))

    def _learner(self, arrays: list[Any]) -> Generator[Event, None, Learner]:
        import torch

        from .blend import Blend, images_told
        from .device import choose_device
        from .learner import Learner, numpy_generator
        from .teacher import teacher_for

        self.device = choose_device(self.config.device)
        torch.manual_seed(self.config.seed)
        network = NETWORKS[self.spec.network].build(
            ndim=self.spec.ndim,
            in_channels=inputs_of(self.task, self.spec),
            out_channels=self.task.output_channels(self.spec),
            args=self.spec.network_args,
        )
        start = yield from take_over(network, self.spec, self.init, self.backbone)
        network = network.to(self.device.name)
        told = images_told(array.target for array in arrays)
        keep = 0.0 if isinstance(self.task, HasOwnStep) else self.config.keep
        self.blend = Blend(network, start, keep, images=told)
        frozen, heads = self.config.freeze, head_keys(self.spec)
        return Learner(
            network=network,
            task=self.task,
            spec=self.spec,
            config=self.config,
            sampler=self.feed.sampler(
                arrays, self.spec, self.config, numpy_generator(self.config.seed)
            ),
            device=torch.device(self.device.name),
            peak=self.config.learning_rate or self._peak(),
            batch_size=self.config.batch_size or self.feed.batch_size,
            freezer=Freezer(network, frozen, self.config.thaw, heads) if frozen else None,
            teacher=teacher_for(self.task, network, self.init, self.spec, self.config, arrays),
        )

    def _peak(self) -> float:
        if (self.init is None or isinstance(self.init, ModelSpec)) and self.backbone is None:
            return self.task.peak if isinstance(self.task, HasOwnStep) else _PEAK_FROM_NOTHING
        return _PEAK_FROM_MODEL

    def _before(
        self, learner: Learner, checker: AnyChecker
    ) -> Generator[Event, None, dict[str, float] | None]:
        """Scores of the starting model; none when starting from nothing."""
        if self.init is None or isinstance(self.init, ModelSpec):
            return None
        state = self.blend.state(learner.average)
        result = yield from self._check(state, checker, most=self.feed.quick)
        if not gains_classes(self.init, self.spec):
            self._keep_if_better(state, learner, result)
        if len(checker) > self._quick(checker):
            result = yield from self._check(state, checker, most=None)
        yield Metric(checker.metric, 0, score_of(self.task, result.scores), 0.0)
        return result.scores

    # -- learning ---------------------------------------------------------------------

    def _learn(self, learner: Learner, checker: AnyChecker) -> Generator[Event, None, None]:
        smooth: float | None = None
        saved = time.perf_counter()
        while (fraction := self.budget.fraction(learner.step_number)) < 1.0:
            if self.stop is not None and self.stop.is_set():
                return
            if fraction >= self.next_check:
                reason = yield from self._check_while_learning(learner, checker, fraction)
                saved = time.perf_counter()
                if reason:
                    yield Log(f"{reason}: stopped")
                    return
            if time.perf_counter() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                self._save_last(learner)
                saved = time.perf_counter()
            yield self.budget.progress(learner.step_number)
            try:
                loss = yield from self._step(learner, fraction)
            except TrainingDivergedError as error:
                if not (isinstance(self.task, HasOwnStep) and math.isfinite(self.best.score)):
                    raise
                yield Log(f"{error.message}: stopped; the best so far is kept", "warning")
                return
            smooth = loss if smooth is None else 0.9 * smooth + 0.1 * loss
            yield Metric("loss", learner.step_number, smooth, self.budget.elapsed)

    def _has_waited_enough(self) -> bool:
        return self.config.patience is not None and self.best.checks_since >= self.config.patience

    def _step(self, learner: Learner, fraction: float) -> Generator[Event, None, float]:
        """One step, with a smaller batch or patch each time memory runs out."""
        from .device import is_out_of_memory, release_memory

        while True:
            try:
                return learner.step(fraction)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    reason = str(error).splitlines()[0][:300]
                    raise ApprenticeError(
                        f"the network could not learn from these images: {reason}",
                        remedy="Start from another model, or from nothing.",
                    ) from error
            release_memory()
            note = self._shrink(learner)
            if note is None:
                raise OutOfMemoryError(
                    "memory ran out with the smallest batch and patch",
                    remedy="Close other programs, or train on another device.",
                )
            yield Log(f"memory ran out: continuing with {note}", "warning")

    def _shrink(self, learner: Learner) -> str | None:
        if learner.batch_size > 1:
            learner.batch_size //= 2
            return f"{learner.batch_size} patches per step"
        if not self.feed.can_shrink:
            return None
        network = NETWORKS[self.spec.network]
        divisor = network.divisor(ndim=self.spec.ndim, args=self.spec.network_args)
        half = halved(learner.sampler.patch, divisor)
        if half == learner.sampler.patch:
            return None
        learner.sampler.patch = half
        return f"patches of {' × '.join(map(str, half))} voxels"

    # -- checking ---------------------------------------------------------------------

    def _check_while_learning(
        self, learner: Learner, checker: AnyChecker, fraction: float
    ) -> Generator[Event, None, str]:
        """Check, keep and save; return what speaks against going on."""
        before = self.best.score
        result = yield from self._try(learner, checker)
        # Looking must not eat up the time for learning.
        pause = max(1 / self.config.checks, self.budget.share(result.seconds) / _CHECKING_SHARE)
        self.next_check += pause
        # The last look at every case happens within the time the user gave.
        per_case = result.seconds / self._quick(checker)
        self.budget.reserve(per_case * len(checker))
        self._save_last(learner)
        value = score_of(self.task, result.scores)
        yield Metric(checker.metric, learner.step_number, value, self.budget.elapsed)
        if result.preview is not None:
            yield result.preview
        if self._has_waited_enough():
            return f"no better score for {self.config.patience} checks"
        return reason_to_stop(self.task, result.scores, before, self.best, fraction)

    def _check(
        self, state: Weights, checker: AnyChecker, *, most: int | None
    ) -> Generator[Event, None, CheckResult]:
        network = self.blend.network(state)
        return (yield from checker.run(network, self.device.name, most=most))

    def _try(self, learner: Learner, checker: AnyChecker) -> Generator[Event, None, CheckResult]:
        """Check what was learned so far, and keep it where it is better than the best."""
        state = self.blend.state(learner.average)
        result = yield from self._check(state, checker, most=self.feed.quick)
        self._keep_if_better(state, learner, result)
        return result

    def _quick(self, checker: AnyChecker) -> int:
        """Cases that are checked while learning."""
        return min(len(checker), self.feed.quick or len(checker))

    def _keep_if_better(self, state: Weights, learner: Learner, result: CheckResult) -> None:
        score, tie = mark_of(self.task, result.scores), result.tie
        if tie and not learner.step_number:
            tie = -math.inf  # of two that are all right, the one that knows what it was taught
        mark, best = (score, tie), (self.best.score, self.best.tie)
        if mark > best or (mark == best and gains_classes(self.init, self.spec)):
            self.best = Best(score, learner.step_number, tie=tie)
            data = {"step": learner.step_number, "scores": result.scores}
            write_checkpoint(self.folder / BEST, state, data)
        else:
            self.best.checks_since += 1

    def _unmix(self, learner: Learner, checker: AnyChecker) -> Generator[Event, None, None]:
        """Hand over what was learned alone where the mixture with the start is far behind it."""
        if not self.blend.is_mixing:
            return
        alone = yield from self._check(learner.average, checker, most=self.feed.quick)
        if mark_of(self.task, alone.scores) > self.best.score + _MIXING_MAY_COST:
            self._keep_if_better(learner.average, learner, alone)
            yield Log("too far from the start to keep any of it")

    # -- checkpoints and the end ------------------------------------------------------

    def _save_last(self, learner: Learner) -> None:
        data = {
            "learner": learner.data(),
            "spec": self.spec.model_dump(mode="json"),
            "elapsed": self.budget.elapsed,
            "next_check": self.next_check,
            "best": self.best.plain(),
            "fingerprint": self.fingerprint,
            "before": self.before,
        }
        write_checkpoint(self.folder / LAST, learner.tensors(), data)

    def _restore(self, learner: Learner) -> None:
        tensors, data = read_checkpoint(self.folder / LAST)
        if data.get("fingerprint") != self.fingerprint:
            raise BadInputError(
                "the checkpoint was made from other images or annotations",
                path=self.folder / LAST,
                remedy="Start from the interrupted model instead, without resuming.",
            )
        learner.restore(tensors, data["learner"])
        self.budget.continue_from(float(data["elapsed"]))
        self.next_check = float(data["next_check"])
        self.best = Best.read(data["best"])
        self.before = data.get("before")

    def _finish(
        self,
        learner: Learner,
        checker: AnyChecker,
        split: Split,
        before: dict[str, float] | None,
    ) -> Generator[Event, None, TrainResult]:
        """Take the best of all checks, the last state among them, and score it on every held-out case."""
        yield Progress("checking", 0, len(checker), "image")
        result = yield from self._try(learner, checker)
        yield from self._unmix(learner, checker)
        self._save_last(learner)
        best, _ = read_checkpoint(self.folder / BEST)
        is_other = self.blend.is_mixing or self.best.step != learner.step_number
        if is_other or len(checker) > self._quick(checker):
            result = yield from self._check(best, checker, most=None)
        seconds = self.budget.elapsed
        run: dict[str, Any] = {"steps": learner.step_number, "best_step": self.best.step}
        run |= {"seconds": round(seconds, 1), "device": self.device.label}
        run["config"] = self.config.model_dump(mode="json")
        spec = checker.calibrated(self.spec).model_copy(
            update={"name": self.name, "data_fingerprint": self.fingerprint}
        )
        spec = learned_spec(spec, self.init, split, result.scores, run)
        return TrainResult(spec, best, before, result.scores, split, learner.step_number, seconds)
