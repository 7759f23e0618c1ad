"""What a network is fed while it learns: patches, images, crops around objects, pictures to make more of.

All else of a training is the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_apprentice.core.jobs import Progress
from napari_apprentice.tasks import (
    AnswersWithImage,
    ClassesObjects,
    MakesImages,
    NumbersObjects,
    WholeImage,
)

from .adapt import adapt_image_spec, adapt_spec
from .arrays import prepare_items
from .check import Checker
from .contest import PictureSampler, check_pictures, parts_of, picture_spec, sees_whole
from .hidden import LessonArray, LessonSampler, lesson_of, prepare_lessons
from .image_split import check_images, find_leaks, plan_image_split
from .images import ImageArray, ImageSampler, prepare_images
from .lessons import check_lessons, lesson_patch, lesson_spec
from .object_feed import check_objects, plan_object_split, prepare_objects
from .object_measures import with_measures
from .sample import PatchSampler, TrainArray
from .split import check_items, measured, plan_split

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import numpy as np

    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.tasks import Task

    from .config import TrainConfig
    from .contest_check import PictureChecker
    from .image_check import ImageChecker
    from .lesson_check import LessonChecker
    from .split import Split, TrainItem

__all__ = ["AnyChecker", "Feed", "feed_of"]

_CASES_WHILE_LEARNING = 8
_FEWEST_TO_COMPARE = 8


def _looked_at(split: Split) -> tuple[TrainItem, ...]:
    """What scores are on where nothing is held out: what is learned from, but for made-up images where there are others."""
    return measured(split.train) or split.train


class Patches:
    """Patches, where a network answers voxel by voxel."""

    batch_size = 2
    can_shrink = True
    quick: int | None = _CASES_WHILE_LEARNING

    def __init__(self, task: Task) -> None:
        self._task = task

    def check(self, items: Sequence[TrainItem]) -> None:
        """See `check_items`."""
        check_items(items)

    def split(self, items: Sequence[TrainItem], config: TrainConfig) -> Split:
        """See `plan_split`."""
        return plan_split(items, config, numbered=isinstance(self._task, NumbersObjects))

    def adapted(self, parent: ModelSpec, classes: Sequence[LabelClass]) -> ModelSpec:
        """See `adapt_spec`."""
        return adapt_spec(parent, classes)

    def fixed(self, spec: ModelSpec, items: Sequence[TrainItem]) -> ModelSpec:
        """Nothing to fix."""
        return spec

    def prepare(
        self, items: Sequence[TrainItem], spec: ModelSpec
    ) -> Generator[Event, None, tuple[list[TrainArray], str]]:
        """See `prepare_items`."""
        return prepare_items(items, self._task, spec)

    def sampler(
        self,
        arrays: list[TrainArray],
        spec: ModelSpec,
        config: TrainConfig,
        generator: np.random.Generator,
    ) -> PatchSampler:
        """See `PatchSampler`."""
        return PatchSampler(arrays, spec.tile, foreground=config.foreground, generator=generator)

    def checker(
        self, split: Split, arrays: list[Any], spec: ModelSpec
    ) -> Generator[Event, None, Checker]:
        """Score what was held out; without that, some of what is learned from."""
        yield Progress("preparing", 1, 1, "image")
        items = split.held_out or _looked_at(split)[:_CASES_WHILE_LEARNING]
        return Checker(items, self._task, spec, is_held_out=bool(split.held_out))


class Images:
    """Whole images, where a network answers once for each."""

    batch_size = 32
    can_shrink = False
    quick: int | None = None

    def __init__(self, task: Task, judge: WholeImage | ClassesObjects) -> None:
        self._task, self._judge = task, judge

    def check(self, items: Sequence[TrainItem]) -> None:
        """See `check_images`."""
        check_images(items)

    def split(self, items: Sequence[TrainItem], config: TrainConfig) -> Split:
        """See `plan_image_split`."""
        return plan_image_split(items, config)

    def adapted(self, parent: ModelSpec, classes: Sequence[LabelClass]) -> ModelSpec:
        """See `adapt_image_spec`."""
        return adapt_image_spec(parent, classes)

    def fixed(self, spec: ModelSpec, items: Sequence[TrainItem]) -> ModelSpec:
        """Nothing to fix."""
        return spec

    def prepare(
        self, items: Sequence[TrainItem], spec: ModelSpec
    ) -> Generator[Event, None, tuple[list[ImageArray], str]]:
        """See `prepare_images`."""
        return prepare_images(items, self._task, spec)

    def sampler(
        self,
        arrays: list[ImageArray],
        spec: ModelSpec,
        config: TrainConfig,
        generator: np.random.Generator,
    ) -> ImageSampler:
        """See `ImageSampler`."""
        return ImageSampler(arrays, balance=config.balance, generator=generator)

    def checker(
        self, split: Split, arrays: list[Any], spec: ModelSpec
    ) -> Generator[Event, None, ImageChecker]:
        """Score what was held out; without that, what is learned from. Warn of pictures on both sides."""
        from .image_check import ImageChecker

        real = {item.name for item in _looked_at(split)}
        seen = [array for array in arrays if array.name in real]
        if split.held_out:
            seen, _ = yield from self.prepare(split.held_out, spec)
        yield from find_leaks(arrays, seen if split.held_out else ())
        return ImageChecker(seen, self._task, spec, self._judge, is_held_out=bool(split.held_out))


class Objects(Images):
    """Crops around objects, where a network answers once for each."""

    def __init__(self, task: Task, judge: ClassesObjects) -> None:
        super().__init__(task, judge)
        self._objects = judge

    def check(self, items: Sequence[TrainItem]) -> None:
        """See `check_objects`."""
        check_objects(items)

    def fixed(self, spec: ModelSpec, items: Sequence[TrainItem]) -> ModelSpec:
        """See `with_measures`."""
        return with_measures(spec, has_colors=any(item.volume.rgb for item in items))

    def split(self, items: Sequence[TrainItem], config: TrainConfig) -> Split:
        """See `plan_object_split`."""
        return plan_object_split(items, config)

    def prepare(
        self, items: Sequence[TrainItem], spec: ModelSpec
    ) -> Generator[Event, None, tuple[list[ImageArray], str]]:
        """See `prepare_objects`."""
        return prepare_objects(items, self._objects, spec)


class Lessons:
    """Patches of images without labels, where a network answers with an image."""

    batch_size = 8
    can_shrink = True
    quick: int | None = _CASES_WHILE_LEARNING

    def __init__(self, task: Task, maker: AnswersWithImage) -> None:
        self._task, self._maker = task, maker

    def check(self, items: Sequence[TrainItem]) -> None:
        """See `check_lessons`."""
        check_lessons(items)

    def split(self, items: Sequence[TrainItem], config: TrainConfig) -> Split:
        """See `plan_split`."""
        return plan_split(items, config, labelled=False)

    def adapted(self, parent: ModelSpec, classes: Sequence[LabelClass]) -> ModelSpec:
        """There are no classes to adapt to."""
        return parent

    def fixed(self, spec: ModelSpec, items: Sequence[TrainItem]) -> ModelSpec:
        """See `lesson_spec`."""
        return lesson_spec(spec, self._maker, items)

    def prepare(
        self, items: Sequence[TrainItem], spec: ModelSpec
    ) -> Generator[Event, None, tuple[list[LessonArray], str]]:
        """See `prepare_lessons`."""
        return prepare_lessons(items, self._task, spec)

    def sampler(
        self,
        arrays: list[LessonArray],
        spec: ModelSpec,
        config: TrainConfig,
        generator: np.random.Generator,
    ) -> LessonSampler:
        """See `LessonSampler`."""
        return LessonSampler(
            arrays,
            lesson_patch(spec, config),
            hides=lesson_of(spec) == "hidden",
            axes=() if config.augment == "none" else spec.mirror_axes,
            generator=generator,
        )

    def checker(
        self, split: Split, arrays: list[Any], spec: ModelSpec
    ) -> Generator[Event, None, LessonChecker]:
        """Score what was held out; without that, some of what is learned from."""
        from .lesson_check import LessonChecker, lesson_cases

        items = split.held_out or _looked_at(split)[:_CASES_WHILE_LEARNING]
        cases = yield from lesson_cases(items, self._task, spec)
        return LessonChecker(cases, self._task, spec, is_held_out=bool(split.held_out))


class Pictures:
    """Flat images of some kinds, where a network learns to make more of them."""

    batch_size = 16
    can_shrink = False
    quick: int | None = None

    def __init__(self, task: Task, judge: MakesImages) -> None:
        self._task, self._judge = task, judge

    def check(self, items: Sequence[TrainItem]) -> None:
        """See `check_pictures`."""
        check_pictures(measured(items) or items)

    def split(self, items: Sequence[TrainItem], config: TrainConfig) -> Split:
        """See `plan_image_split`; made-up images are left out, since what is made of them drifts away from real ones."""
        real = measured(items)
        split = plan_image_split(real, config)
        left = len(items) - len(real)
        if not left:
            return split
        return replace(split, note=f"{split.note}; {left} made-up images left out")

    def adapted(self, parent: ModelSpec, classes: Sequence[LabelClass]) -> ModelSpec:
        """See `adapt_image_spec`; nothing changes where nobody tells kinds apart."""
        return adapt_image_spec(parent, classes) if classes else parent

    def fixed(self, spec: ModelSpec, items: Sequence[TrainItem]) -> ModelSpec:
        """See `picture_spec`."""
        return picture_spec(spec, items)

    def prepare(
        self, items: Sequence[TrainItem], spec: ModelSpec
    ) -> Generator[Event, None, tuple[list[ImageArray], str]]:
        """See `prepare_images`."""
        return prepare_images(items, self._task, spec, parts_of)

    def sampler(
        self,
        arrays: list[ImageArray],
        spec: ModelSpec,
        config: TrainConfig,
        generator: np.random.Generator,
    ) -> PictureSampler:
        """See `PictureSampler`."""
        axes = () if config.augment == "none" else spec.mirror_axes
        return PictureSampler(
            arrays, spec.tile, balance=config.balance, axes=axes, generator=generator
        )

    def checker(
        self, split: Split, arrays: list[Any], spec: ModelSpec
    ) -> Generator[Event, None, PictureChecker]:
        """Compare with what was held out; with too little of that, with what is learned from."""
        from .contest_check import PictureChecker

        seen = arrays
        if split.held_out:
            seen, _ = yield from prepare_images(split.held_out, self._task, spec, parts_of)
        is_enough = bool(split.held_out) and (
            len(seen) >= _FEWEST_TO_COMPARE or not sees_whole(spec)
        )
        if is_enough:
            yield from find_leaks(arrays, seen)
        return PictureChecker(
            seen if is_enough else arrays, self._task, self._judge, spec, is_held_out=is_enough
        )


Feed: TypeAlias = Patches | Images | Lessons | Pictures
AnyChecker: TypeAlias = "Checker | ImageChecker | LessonChecker | PictureChecker"


def feed_of(task: Task) -> Feed:
    """What the networks of a task are fed."""
    if isinstance(task, AnswersWithImage):
        return Lessons(task, task)
    if isinstance(task, MakesImages):
        return Pictures(task, task)
    if isinstance(task, ClassesObjects):
        return Objects(task, task)
    return Images(task, task) if isinstance(task, WholeImage) else Patches(task)
