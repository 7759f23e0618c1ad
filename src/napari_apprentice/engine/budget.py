"""How long a training lasts: a number of steps, or minutes of the clock."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from napari_apprentice.core.jobs import Progress

if TYPE_CHECKING:
    from .config import TrainConfig

__all__ = ["Budget"]

_STEPS_PER_EPOCH = 10
_LARGEST_RESERVE = 0.2


class Budget:
    """Counts a training against its limit.

    Parameters
    ----------
    config
        ``steps`` or ``epochs`` count steps; else ``minutes`` of the clock count.
    images
        Training arrays; an epoch shows about each of them once, and is ten steps at least.
    batch_size
        Arrays per step.
    """

    def __init__(self, config: TrainConfig, images: int, batch_size: int) -> None:
        self.steps = config.steps
        if self.steps is None and config.epochs is not None:
            per_epoch = max(_STEPS_PER_EPOCH, math.ceil(images / batch_size))
            self.steps = config.epochs * per_epoch
        self._seconds = config.minutes * 60
        self._reserve = 0.0
        self._before = 0.0
        self._began = time.perf_counter()

    def continue_from(self, seconds: float) -> None:
        """Count the seconds that were spent before an interruption."""
        self._before = seconds
        self._began = time.perf_counter()

    def reserve(self, seconds: float) -> None:
        """Keep time at the end for the last look at the held-out part (at most a fifth of all)."""
        self._reserve = min(_LARGEST_RESERVE * self._seconds, seconds)

    def share(self, seconds: float) -> float:
        """Share of the whole time that so many seconds are; 0 where steps are counted."""
        return 0.0 if self.steps is not None else seconds / self._seconds

    @property
    def elapsed(self) -> float:
        """Seconds spent so far, those before an interruption included."""
        return self._before + time.perf_counter() - self._began

    def fraction(self, step: int) -> float:
        """Share of the training that is over; 1 or more means it is done."""
        if self.steps is not None:
            return step / self.steps
        return self.elapsed / max(1e-6, self._seconds - self._reserve)

    def progress(self, step: int) -> Progress:
        """Progress after `step` steps, with the seconds left."""
        if self.steps is not None:
            left = self.elapsed / step * (self.steps - step) if step else None
            return Progress("learning", step, self.steps, "step", left)
        left = max(0.0, self._seconds - self._reserve - self.elapsed)
        seconds = round(self._seconds)
        return Progress("learning", min(seconds, round(self.elapsed)), seconds, "second", left)
