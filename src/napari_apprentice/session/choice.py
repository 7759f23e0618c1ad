"""Which models there are for an image, and which of them to offer first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from napari_apprentice.engine.prepare import fits, has_spacing, metres

from .channels import default_channels, outline
from .text import score_title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

    from ._said import Kind

__all__ = [
    "ModelChoice",
    "answers_with_image",
    "best_choice",
    "image_task",
    "is_of_images",
    "is_of_objects",
    "kind_of_task",
    "makes_images",
    "model_choices",
    "network_choices",
    "object_class_task",
    "object_tasks",
    "place_tasks",
]

_UNKNOWN = 3.0


@dataclass(frozen=True)
class ModelChoice:
    """A model as a list shows it.

    Parameters
    ----------
    spec
        Its description.
    reason
        Why it cannot take the image, or None where it can.
    is_partial
        Whether it takes only some channels of the image.
    """

    spec: ModelSpec
    reason: str | None = None
    is_partial: bool = False

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.spec.name

    def describe(self) -> str:
        """Say what it is in one line, for the tooltip."""
        spec = self.spec
        classes = ", ".join(c.name for c in spec.classes) or "no classes"
        parts = [f"{spec.task} · {spec.ndim}-D · {classes}"]
        if spec.description:
            parts.append(spec.description)
        if spec.parent:
            parts.append(f"learned from {spec.parent}")
        parts += [
            f"{score_title(name)} {value:.2f}" for name, value in list(spec.scores.items())[:1]
        ]
        return " · ".join(parts)


def model_choices(specs: Mapping[str, ModelSpec], volume: Volume | None) -> list[ModelChoice]:
    """List all models: those that fit first and the nearest among them on top; without an image by name.

    A model for fewer channels than the image has fits: the person chooses which feed it (`default_channels`).
    """
    if volume is None:
        unknown = [ModelChoice(spec) for spec in specs.values()]
        return sorted(unknown, key=lambda c: c.name.casefold())
    fed = {name: default_channels(volume, spec) for name, spec in specs.items()}
    choices = [
        ModelChoice(spec, _reason(outline(volume, fed[name]), spec), fed[name] is not None)
        for name, spec in specs.items()
    ]
    # What finds something in an image is offered before what makes another of it, or says which kind of image it is.
    return sorted(
        choices,
        key=lambda c: (
            c.reason is not None,
            is_of_images(c.spec),
            answers_with_image(c.spec),
            c.spec.task in place_tasks(),
            c.is_partial,
            _distance(c.spec, volume),
        ),
    )


def _reason(volume: Volume, spec: ModelSpec) -> str | None:
    if is_of_objects(spec):
        return "classes objects that are there: use it in Correct"
    return "makes images up" if makes_images(spec) else fits(volume, spec)


def makes_images(spec: ModelSpec) -> bool:
    """Whether a model makes images up, and is never applied to one."""
    from napari_apprentice.tasks import TASKS, MakesImages

    return spec.task in TASKS.fulfilling(MakesImages)


def is_of_objects(spec: ModelSpec) -> bool:
    """Whether a model says of which class numbered objects are."""
    from napari_apprentice.tasks import TASKS, ClassesObjects

    return spec.task in TASKS.fulfilling(ClassesObjects)


def object_class_task() -> str:
    """Name of the task that gives numbered objects a class."""
    from napari_apprentice.tasks import TASKS, ClassesObjects

    return TASKS.fulfilling(ClassesObjects)[0]


def is_of_images(spec: ModelSpec) -> bool:
    """Whether a model says of which class an image is as a whole."""
    from napari_apprentice.tasks import TASKS, WholeImage

    return spec.task in TASKS.fulfilling(WholeImage)


def answers_with_image(spec: ModelSpec) -> bool:
    """Whether a model answers with another image, and learns from images without labels."""
    from napari_apprentice.tasks import TASKS, AnswersWithImage

    return spec.task in TASKS.fulfilling(AnswersWithImage)


def object_tasks() -> tuple[str, ...]:
    """Names of the tasks whose labels number objects."""
    from napari_apprentice.tasks import TASKS, NumbersObjects

    return TASKS.fulfilling(NumbersObjects)


def kind_of_task(name: str) -> Kind:
    """What the annotations speak of from which a task learns."""
    if name in place_tasks():
        return "places"
    return "objects" if name in object_tasks() else "classes"


def place_tasks() -> tuple[str, ...]:
    """Names of the tasks whose answers are points and boxes."""
    from napari_apprentice.tasks import TASKS, FindsPlaces

    return TASKS.fulfilling(FindsPlaces)


def image_task() -> str:
    """Name of the task that gives whole images a class."""
    from napari_apprentice.tasks import TASKS, WholeImage

    return TASKS.fulfilling(WholeImage)[0]


def best_choice(choices: list[ModelChoice]) -> str | None:
    """Name of the model to offer; None where none fits."""
    return next((c.name for c in choices if c.reason is None), None)


def _distance(spec: ModelSpec, volume: Volume) -> tuple[bool, bool, float, str]:
    """Order models by likeness to an image: dimensions, patient or microscope, voxel size, newest first."""
    grid = volume.grid
    patient = spec.orientation == "LPS" or spec.unit == "mm"
    scale = _UNKNOWN
    if spec.spacing is not None and has_spacing(grid, spec):
        factor = metres(spec.unit) / metres(grid.unit)
        pairs = zip(spec.spacing[::-1], grid.spacing[::-1], strict=False)
        scale = round(max(abs(math.log2(a * factor / b)) for a, b in pairs), 1)
    newest_first = "".join(chr(0x10FFFF - ord(letter)) for letter in spec.created)
    return spec.ndim != grid.ndim, patient != (grid.world == "LPS"), scale, newest_first


@cache
def network_choices(task: str | None) -> tuple[tuple[str, str], ...]:
    """Titles and names of the networks that can answer a task; none of no task."""
    from napari_apprentice.engine.wishes import networks_for
    from napari_apprentice.models.networks import NETWORKS
    from napari_apprentice.tasks import TASKS

    names = [] if task is None else networks_for(TASKS[task])
    return tuple(sorted((NETWORKS[name].title, name) for name in names))
