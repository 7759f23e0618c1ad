"""Checking a network that makes images up: how far its images lie from real ones, and what they look like."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_apprentice.core.grid import Grid
from napari_apprentice.core.jobs import Preview, Progress
from napari_apprentice.tasks import primary_of

from .check import CheckResult, curve_name
from .looks import Looks, with_kinds
from .made import kinds_in_turn, latent_of, made_images, picture_sheet

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import MakesImages, Task

    from .images import ImageArray

__all__ = ["PictureChecker", "real_set", "sheet_preview"]

_MOST = 600
_FEWEST = 64
_SHOWN = 24
_PATCHES = 64
_SEED = 1_000_000
"""Of the first image that is made to be checked; those that a person asks for begin with 0."""


def real_set(
    arrays: Sequence[ImageArray], spec: ModelSpec
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Real images ``(N, C, *tile)`` with their kinds, the same at every call: at most some hundred, of large ones some patches each."""
    generator = np.random.default_rng(0)
    order = generator.permutation(len(arrays))[:_MOST]
    is_large = any(a.data.shape[1:] != spec.tile for a in arrays)
    each = min(_PATCHES, max(1, _MOST // len(order))) if is_large else 1
    images, kinds = [], []
    for number in order:
        data = arrays[number].data
        for _ in range(each):
            starts = [
                int(generator.integers(0, n - t + 1))
                for n, t in zip(data.shape[1:], spec.tile, strict=True)
            ]
            place = tuple(slice(s, s + t) for s, t in zip(starts, spec.tile, strict=True))
            images.append(data[(slice(None), *place)])
            kinds.append(arrays[number].target)
    return np.stack(images), np.array(kinds)


class PictureChecker:
    """Real images that were held out, or where there are none those that are learned from.

    The same random numbers are asked for at every check, as many images of each kind as there are real ones, so that
    distances of one training can be compared.

    Parameters
    ----------
    arrays
        Prepared images.
    task, judge, spec
        What is asked of images that are made up.
    is_held_out
        Whether the images are strangers to the network.
    """

    def __init__(
        self,
        arrays: Sequence[ImageArray],
        task: Task,
        judge: MakesImages,
        spec: ModelSpec,
        *,
        is_held_out: bool,
    ) -> None:
        self._task, self._judge, self._spec = task, judge, spec
        self._is_held_out = is_held_out
        self._real, self._kinds = real_set(arrays, spec)
        self._known: NDArray[np.float64] | None = None
        self._looks = Looks()
        self._scale = 1.0
        self._name = task.primary

    @property
    def metric(self) -> str:
        """Name of the curve, of the distance that the last check took: ``"held-out frechet_distance"``."""
        return curve_name(self._name, is_held_out=self._is_held_out)

    def __len__(self) -> int:
        return len(self._real)

    def run(
        self, network: nn.Module, device: str, *, most: int | None = None
    ) -> Generator[Progress, None, CheckResult]:
        """Make images, compare them with the real ones, and lay some of them side by side to look at.

        Parameters
        ----------
        network
            Left in evaluation mode.
        device
            Torch device name.
        most
            Not used: a distance of a few images says nothing.
        """
        began = time.perf_counter()
        now = Progress("checking", 0, 1, "set of images")
        if self._known is None:
            yield from self._look_at_real(now)
        repeats = -(-_FEWEST // len(self._kinds))
        kinds = np.tile(self._kinds, repeats)
        made = yield from self._made(network, kinds, _SEED, device, now)
        features = yield from self._looks.of(torch.from_numpy(made), now)
        count = self._task.output_channels(self._spec)
        features = with_kinds(features, kinds, count, self._scale)
        assert self._known is not None  # noqa: S101  # looked at above; mypy cannot see it
        scores = dict(self._judge.judge(features, self._known, kinds, self._kinds))
        self._name = primary_of(self._task, scores) if scores else self._name
        preview = yield from self._preview(network, device, now)
        return CheckResult(scores, preview, time.perf_counter() - began)

    def calibrated(self, spec: ModelSpec) -> ModelSpec:
        """Nothing to add."""
        return spec

    def _look_at_real(self, now: Progress) -> Generator[Progress, None, None]:
        features = yield from self._looks.of(torch.from_numpy(self._real), now)
        self._scale = float(np.sqrt(np.var(features, axis=0).sum()))
        count = self._task.output_channels(self._spec)
        self._known = with_kinds(features, self._kinds, count, self._scale)

    def _made(
        self,
        network: nn.Module,
        kinds: NDArray[np.int64],
        seed: int,
        device: str,
        now: Progress,
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        latent = np.stack([latent_of(network, seed + n) for n in range(len(kinds))])
        return (yield from made_images(network, latent, kinds, device, now))

    def _preview(
        self, network: nn.Module, device: str, now: Progress
    ) -> Generator[Progress, None, Preview]:
        """Some images beside each other, a kind in each row; the same places hold the same random numbers at every check."""
        kinds = kinds_in_turn(self._task.output_channels(self._spec), _SHOWN)
        made = yield from self._made(network, kinds, 0, device, now)
        return sheet_preview(np.nan_to_num(made), kinds, self._task, self._spec)


def sheet_preview(
    made: NDArray[np.float32], kinds: NDArray[np.int64], task: Task, spec: ModelSpec
) -> Preview:
    """Images that were made up beside each other, in the values of the images that were learned from."""
    sheet = picture_sheet(made, kinds)
    grid = Grid.regular("YX", sheet.shape[1:])
    answer = task.decode(sheet, grid, spec)
    assert answer.image is not None  # noqa: S101  # a task that makes images; mypy cannot see it
    return Preview("made-up images", answer.image, answer.grid, labels=False)
