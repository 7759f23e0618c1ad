"""What is asked of a network: one file per task."""

from __future__ import annotations

from napari_apprentice.core.registry import Registry

from ._object_task import ClassesObjects, inputs_of
from ._task import (
    ONE_KIND,
    AnswersWithImage,
    AsksMiddle,
    Believes,
    FindsPlaces,
    GrowsObjects,
    HasOwnStep,
    MakesImages,
    NumbersObjects,
    ReadsBoxes,
    ReducesOutput,
    SizesObjects,
    Task,
    WholeImage,
    primary_of,
)
from ._tells_classes import TellsClasses

__all__ = [
    "ONE_KIND",
    "TASKS",
    "AnswersWithImage",
    "AsksMiddle",
    "Believes",
    "ClassesObjects",
    "FindsPlaces",
    "GrowsObjects",
    "HasOwnStep",
    "MakesImages",
    "NumbersObjects",
    "ReadsBoxes",
    "ReducesOutput",
    "SizesObjects",
    "Task",
    "TellsClasses",
    "WholeImage",
    "inputs_of",
    "primary_of",
]

TASKS: Registry[Task] = Registry("task", "napari_apprentice.tasks", "TASK")
