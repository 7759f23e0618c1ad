"""Checking a network that answers with an image on what was held out, while it learns."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import Annotation
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.jobs import Preview, Progress
from napari_apprentice.tasks import primary_of

from .check import CheckResult, answer_to, box_of, curve_name, mean_scores
from .hidden import hide, lesson_of, target_of
from .prepare import preparing
from .restore import in_units

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import AnswersWithImage, Task

    from .prepare import Prepared
    from .split import TrainItem

__all__ = ["LessonChecker", "lesson_cases"]

_MOST_DB = 120.0
"""What is perfect counts as: a mean of infinity says nothing."""


@dataclass(frozen=True, eq=False)
class _Case:
    """What the network sees and is asked, cropped to where it counts; `noisy` is the image without hidden voxels."""

    name: str
    seen: Prepared
    noisy: NDArray[np.float32]
    asked: NDArray[np.float32]
    dtype: np.dtype[Any]


def lesson_cases(
    items: Sequence[TrainItem], task: Task, spec: ModelSpec
) -> Generator[Event, None, list[_Case]]:
    """Prepare the items to be checked on, each cropped to what counts; hidden voxels are the same at every check."""
    cases = []
    generator = np.random.default_rng(0)
    for number, item in enumerate(items):
        yield Progress("preparing", number, len(items), "image")
        prepared = yield from preparing(item.volume, spec)
        target = target_of(item, prepared, task, spec)
        start, stop = box_of(np.isfinite(target).any(axis=0), spec)
        crop = (slice(None), *(slice(a, b) for a, b in zip(start, stop, strict=True)))
        noisy, asked = np.ascontiguousarray(prepared.data[crop]), target[crop]
        seen = noisy
        if lesson_of(spec) == "hidden":
            seen, asked = (a[0] for a in hide(noisy[np.newaxis], asked[np.newaxis], generator))
        part = prepared.alone(seen, prepared.grid.crop(start, stop))
        cases.append(_Case(item.name, part, noisy, asked, item.volume.dtype))
    return cases


class LessonChecker:
    """Held-out images and how well a network answers to them.

    Parameters
    ----------
    cases
        Of `lesson_cases`.
    task, spec
        How to read and mark an answer.
    is_held_out
        Whether the network has not learned from them.
    """

    def __init__(
        self, cases: Sequence[_Case], task: Task, spec: ModelSpec, *, is_held_out: bool
    ) -> None:
        self._cases, self._task, self._spec = list(cases), task, spec
        self._is_held_out = is_held_out
        self._images: list[NDArray[np.float32]] = []

    @property
    def metric(self) -> str:
        """Name of the curve: ``"held-out psnr_db"``."""
        hidden = dict.fromkeys(getattr(self._task, "substitutes", ())[:1], 0.0)
        name = primary_of(self._task, hidden if lesson_of(self._spec) == "hidden" else {})
        return curve_name(name, is_held_out=self._is_held_out)

    def __len__(self) -> int:
        return len(self._cases)

    def run(
        self, network: nn.Module, device: str, *, most: int | None = None
    ) -> Generator[Progress, None, CheckResult]:
        """Answer and score the cases (at most `most`); one event per tile; the first case's image is there to look at."""
        began = time.perf_counter()
        rows: list[dict[str, float]] = []
        preview: Preview | None = None
        self._images = []
        chosen = self._cases[:most]
        for number, case in enumerate(chosen):
            now = Progress("checking", number, len(chosen), "image")
            answer = yield from answer_to(
                case.seen, network, device, self._spec, lambda scores: scores, now
            )
            output = np.asarray(answer, dtype=np.float32)
            image = self._image_task.image(output, case.noisy, self._spec)
            rows.append(self._scores(output, image, case))
            self._images.append(image)
            preview = preview or self._preview(image, case)
        return CheckResult(mean_scores(rows, _MOST_DB), preview, time.perf_counter() - began)

    def calibrated(self, spec: ModelSpec) -> ModelSpec:
        """See `AnswersWithImage.calibrated`; only with strangers."""
        if not self._is_held_out:
            return spec
        return self._image_task.calibrated(self._images, spec)

    @property
    def _image_task(self) -> AnswersWithImage:
        return self._task  # type: ignore[return-value]

    def _scores(
        self, output: NDArray[np.float32], image: NDArray[np.float32], case: _Case
    ) -> dict[str, float]:
        """Scores of a case; of hidden voxels how near the guess comes to their noisy value."""
        grid, lesson = case.seen.grid, lesson_of(self._spec)
        if lesson == "hidden":
            return {self._task.substitutes[0]: _agreement(output, case)}  # type: ignore[attr-defined]
        shown = image if self._image_task.keeps_units else output
        said = self._decoded(shown, case)
        try:
            scores = dict(self._task.score(said, Annotation.of_clean(grid, case.asked)))
            if lesson == "pairs":
                before = self._task.score(
                    self._decoded(case.noisy, case), Annotation.of_clean(grid, case.asked)
                )
                scores |= {f"noisy_{name}": value for name, value in before.items()}
        except BadInputError:
            return {}
        return scores

    def _decoded(self, image: NDArray[np.float32], case: _Case) -> Any:
        return self._task.decode(image, case.seen.grid, self._spec)

    def _preview(self, image: NDArray[np.float32], case: _Case) -> Preview:
        shown = image
        if self._image_task.keeps_units:
            shown = in_units(image, case.seen, np.dtype(case.dtype))
        name = curve_name("preview", is_held_out=self._is_held_out)
        flat = shown[0] if len(shown) == 1 else shown.mean(axis=0)
        return Preview(name, flat, case.seen.grid, labels=False)


def _agreement(guess: NDArray[np.float32], case: _Case) -> float:
    """PSNR of guesses against the noisy values that were hidden: noise and all, so never above a certain height."""
    known = np.isfinite(case.asked)
    if not known.any():
        return float("nan")
    error = float(np.mean(np.square(guess[known] - case.asked[known], dtype=np.float64)))
    span = float(np.ptp(case.noisy))
    return float(10 * np.log10(span**2 / error)) if error > 0 and span > 0 else float("nan")
