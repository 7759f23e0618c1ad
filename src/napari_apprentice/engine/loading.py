"""Loading torch and what belongs to it without stopping the window."""

from __future__ import annotations

import gc
import importlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["calm_collector", "load_libraries"]


@contextmanager
def calm_collector() -> Iterator[None]:
    """Load modules without a full garbage collection, which holds the GIL and so stops every other thread.

    The hundreds of thousands of objects of torch count as growth of the heap, which makes Python look through all of it:
    half a second in which the window stands still (measured). Modules stay for ever, so they are put straight into the
    oldest generation: `gc.freeze` and `gc.unfreeze` move everything there and do not count it as growth. Nothing is kept
    from being collected later.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.unfreeze()
        if was_enabled:
            gc.enable()


def load_libraries(*, training: bool = False) -> None:
    """Load torch and MONAI's networks; for training also what the first optimizer would load (800 modules)."""
    with calm_collector():
        torch = importlib.import_module("torch")
        importlib.import_module("monai.networks.nets")
        if training:
            torch.optim.SGD([torch.zeros(1)])
