"""What is asked of a network: one file per task."""

from __future__ import annotations

from napari_apprentice.core.registry import Registry

from ._task import ReducesOutput, Task

__all__ = ["TASKS", "ReducesOutput", "Task"]

TASKS: Registry[Task] = Registry("task", "napari_apprentice.tasks", "TASK")
