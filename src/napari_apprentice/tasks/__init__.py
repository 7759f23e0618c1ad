"""What is asked of a network: one file per task."""

from __future__ import annotations

from napari_apprentice.core.registry import Registry

from ._task import GrowsObjects, NumbersObjects, ReducesOutput, SizesObjects, Task, WholeImage

__all__ = [
    "TASKS",
    "GrowsObjects",
    "NumbersObjects",
    "ReducesOutput",
    "SizesObjects",
    "Task",
    "WholeImage",
]

TASKS: Registry[Task] = Registry("task", "napari_apprentice.tasks", "TASK")
