"""Scoring a classifier on the images that were held out, all at once: rates belong to sets, not to images."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from .check import CheckResult, curve_name
from .image_scores import scores_of

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from napari_apprentice.core.jobs import Progress
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import ClassesObjects, Task, WholeImage

    from .images import ImageArray

__all__ = ["ImageChecker"]

_FEWEST_TO_CALIBRATE = 10


class ImageChecker:
    """Held-out images, or where there are none those that are learned from.

    Parameters
    ----------
    arrays
        Prepared images.
    task, spec
        How to mark answers.
    is_held_out
        Whether the images are strangers to the network.
    """

    def __init__(
        self,
        arrays: Sequence[ImageArray],
        task: Task,
        spec: ModelSpec,
        judge: WholeImage | ClassesObjects,
        *,
        is_held_out: bool,
    ) -> None:
        self._primary, self._spec, self._judge = task.primary, spec, judge
        self._is_held_out = is_held_out
        self._data = torch.from_numpy(np.stack([a.data for a in arrays]))
        self._targets = np.array([a.target for a in arrays])
        known = [a.measured for a in arrays if a.measured is not None]
        self._measured = torch.from_numpy(np.stack(known)) if known else None
        self._scores: NDArray[np.float32] | None = None

    @property
    def metric(self) -> str:
        """Name of the curve."""
        return curve_name(self._primary, is_held_out=self._is_held_out)

    def __len__(self) -> int:
        return len(self._data)

    def run(
        self, network: nn.Module, device: str, *, most: int | None = None
    ) -> Generator[Progress, None, CheckResult]:
        """Answer and score all images, one event per batch.

        Parameters
        ----------
        network
            Left in evaluation mode.
        device
            Torch device name.
        most
            Not used: a rate over a few images says nothing, and images are quick.
        """
        began = time.perf_counter()
        self._scores = yield from scores_of(network, self._data, device, measured=self._measured)
        scores = dict(self._judge.judge(self._scores, self._targets, self._spec))
        known = {name: value for name, value in scores.items() if np.isfinite(value)}
        seconds = time.perf_counter() - began
        # All right is soon reached; among such states the least surprised one is best.
        return CheckResult(known, None, seconds, tie=-known["log_loss"])

    def calibrated(self, spec: ModelSpec) -> ModelSpec:
        """Fit what makes probabilities honest to the last answers, where they are to enough strange images."""
        enough = self._is_held_out and len(self) >= _FEWEST_TO_CALIBRATE
        if self._scores is None or not enough:
            return spec
        return self._judge.calibrated(self._scores, self._targets, spec)
