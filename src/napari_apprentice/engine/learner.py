"""`Learner`: the state of a training and one step of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_apprentice.core.errors import BadInputError, TrainingDivergedError
from napari_apprentice.tasks import FindsPlaces, HasOwnStep

from .augment import RECIPES, apply, magnification, make_parameters
from .images import ImageSampler
from .loading import without_triton

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import Task

    from .adapt import Freezer
    from .config import TrainConfig
    from .contest import PictureSampler
    from .hidden import LessonSampler
    from .sample import PatchSampler
    from .teacher import Teacher

__all__ = ["Learner", "learning_rate", "numpy_generator", "varied"]

_CLIP = 12.0
_BETAS = (0.9, 0.999)
_MOST_BAD_STEPS = 10


def learning_rate(peak: float, warmup: float, fraction: float) -> float:
    """Linear rise over the warm-up, then half a cosine down to a hundredth of the peak.

    Loshchilov & Hutter, "SGDR", ICLR 2017, without restarts.
    """
    if fraction < warmup:
        return peak * max(fraction / warmup, 1e-3)
    rest = min(1.0, (fraction - warmup) / max(1e-9, 1.0 - warmup))
    return peak * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * rest)))


def varied(
    data: Tensor,
    target: Tensor,
    task: Task,
    spec: ModelSpec,
    config: TrainConfig,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Vary a batch as the settings say; see `apply`."""
    spacing = spec.spacing or (1.0,) * spec.ndim
    recipe = RECIPES[config.augment]
    parameters = make_parameters(recipe, data.shape, spacing, spec.mirror_axes, generator)
    data, target = apply(data, target, parameters)
    if isinstance(task, FindsPlaces) and not parameters.identity:
        target = task.magnified(target, magnification(parameters), spec)
    return data, target


@dataclass(eq=False)
class Learner:
    """Network, its moving average, optimiser and every source of chance.

    Parameters
    ----------
    network
        Being trained, on `device`.
    task, spec, config
        What is asked, of what model, and how.
    sampler
        Source of patches or images; owns the NumPy generator.
    device
        Torch device.
    peak
        Peak learning rate.
    freezer
        Keeps some layers as they are, where that is wanted.
    teacher
        Keeps what the start was sure of where nothing was said, where that makes sense.
    """

    network: nn.Module
    task: Task
    spec: ModelSpec
    config: TrainConfig
    sampler: PatchSampler | ImageSampler | LessonSampler | PictureSampler
    device: torch.device
    peak: float
    batch_size: int
    freezer: Freezer | None = None
    teacher: Teacher | None = None

    def __post_init__(self) -> None:
        self.step_number = 0
        self.generator = torch.Generator().manual_seed(self.config.seed)
        thaws = self.freezer is not None and bool(self.config.thaw)
        self.parameters = [p for p in self.network.parameters() if p.requires_grad or thaws]
        with without_triton():
            self.optimizer = torch.optim.AdamW(
                self.parameters,
                lr=self.peak,
                betas=self.task.betas if isinstance(self.task, HasOwnStep) else _BETAS,
                weight_decay=self.config.weight_decay,
                # On a CPU eight times as fast as one tensor after the other: a twentieth of a small network's step.
                fused=True if self.device.type == "cpu" else None,
            )
        self.half = self.config.mixed_precision and self.device.type == "cuda"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.half)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self._bad_steps = 0
        is_wished = "ema" in self.config.model_fields_set
        self._ema = self.config.ema
        if isinstance(self.task, HasOwnStep) and not is_wished:
            self._ema = self.task.ema

    def needs_steps(self, *, is_checked: bool) -> bool:
        """Whether there are enough examples, and strange ones to check it, for steps to be of use; see `SeesMeasures`."""
        fewest = getattr(self.network, "fewest", None)
        return fewest is None or (is_checked and len(self.sampler.arrays) >= fewest)

    def begin(self) -> bool:
        """Learn what needs no steps, if there is such a thing: from what is measured of the examples; see `SeesMeasures`."""
        learn = getattr(self.network, "learn_measures", None)
        if learn is None or not isinstance(self.sampler, ImageSampler):
            return False
        learn(*(torch.from_numpy(array).to(self.device) for array in self.sampler.all()))
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        return True

    # -- one step ---------------------------------------------------------------------

    def step(self, fraction: float) -> float:
        """Draw, vary, learn; return the loss.

        Parameters
        ----------
        fraction
            How much of the training is over, 0 to 1: sets the learning rate.

        Raises
        ------
        TrainingDivergedError
            The loss is NaN or infinite ten times running; the moving average is still good.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.peak, self.config.warmup, fraction)
        data, target, *more = self._batch()
        self.network.train()
        if self.freezer is not None:
            self.freezer.update(fraction)
            self.freezer.calm()
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(data, target, more)
        value = float(loss.detach())
        if self._is_good(value):
            self.scaler.scale(loss).backward()
            self.scaler.unscale_(self.optimizer)
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, _CLIP)
            if self.half or bool(torch.isfinite(norm)):
                self.scaler.step(self.optimizer)
                self.scaler.update()
                self._follow()
        self.step_number += 1
        return value

    def _loss(self, data: Tensor, target: Tensor, more: Sequence[Tensor]) -> Tensor:
        with torch.autocast(self.device.type, dtype=torch.float16, enabled=self.half):
            if isinstance(self.task, HasOwnStep):
                return self.task.step_loss(
                    self.network,
                    data,
                    target,
                    self.spec,
                    varied=self.config.augment,
                    generator=self.generator,
                )
            output = self.network(data, *more)
            known = self.teacher.loss(data, output, target) if self.teacher else 0.0
        return self.task.loss(output, target, self.spec) + known

    def _is_good(self, value: float) -> bool:
        """Leave single bad batches out; give up after several in a row."""
        self._bad_steps = 0 if math.isfinite(value) else self._bad_steps + 1
        if self._bad_steps >= _MOST_BAD_STEPS:
            raise TrainingDivergedError(
                f"the loss became {value} at step {self.step_number}",
                remedy="The best weights so far are kept; try a lower learning rate.",
            )
        return self._bad_steps == 0

    def _batch(self) -> tuple[Tensor, ...]:
        """Images, targets, and what else the network is told of each."""
        arrays = self.sampler.draw(self.batch_size)
        data, target, *more = (
            torch.from_numpy(array).to(self.device, non_blocking=True) for array in arrays
        )
        if not self.sampler.is_varied:
            data, target = varied(data, target, self.task, self.spec, self.config, self.generator)
        return data, target, *more

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the network; young averages follow faster."""
        decay = min(self._ema, (1 + self.step_number) / (10 + self.step_number))
        for key, value in self.network.state_dict().items():
            mean = self.average[key]
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1.0 - decay)
            else:
                mean.copy_(value)

    # -- checkpoints ------------------------------------------------------------------

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that a bit-exact continuation needs, by flat name."""
        state = {f"network/{k}": v for k, v in self.network.state_dict().items()}
        state |= {f"average/{k}": v for k, v in self.average.items()}
        state["generator"] = self.generator.get_state()
        state["torch_generator"] = torch.get_rng_state()
        for number, entry in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer/{number}/{k}": torch.as_tensor(v) for k, v in entry.items()}
        return state

    def data(self) -> dict[str, Any]:
        """The rest of the state as plain data (JSON)."""
        return {
            "step": self.step_number,
            "batch_size": self.batch_size,
            "peak": self.peak,
            "numpy_generator": self.sampler.generator.bit_generator.state,
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, tensors: Mapping[str, Tensor], data: Mapping[str, Any]) -> None:
        """Continue from `tensors` and `data`.

        Raises
        ------
        BadInputError
            The checkpoint belongs to another network.
        """
        try:
            self.network.load_state_dict(_part(tensors, "network/"))
        except RuntimeError as error:
            raise BadInputError(
                "the checkpoint belongs to another network",
                remedy="Resume with the same starting model, or start without --resume.",
            ) from error
        self.average = {k: v.to(self.device) for k, v in _part(tensors, "average/").items()}
        self.generator.set_state(tensors["generator"])
        torch.set_rng_state(tensors["torch_generator"])
        self.sampler.generator.bit_generator.state = data["numpy_generator"]
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _part(tensors, "optimizer/").items():
            number, name = key.split("/", 1)
            state.setdefault(int(number), {})[name] = value
        current = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": state, "param_groups": current["param_groups"]})
        self.scaler.load_state_dict(data["scaler"])
        self.step_number = int(data["step"])
        self.batch_size = int(data["batch_size"])


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}


def numpy_generator(seed: int) -> np.random.Generator:
    """Return the generator the sampler draws from (PCG64: its state is plain integers)."""
    return np.random.Generator(np.random.PCG64(seed))
