"""Loading torch and what belongs to it without stopping the window."""

from __future__ import annotations

import gc
import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["calm_collector", "load_libraries", "without_triton"]


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


@contextmanager
def without_triton() -> Iterator[None]:
    """Let torch believe that triton is not installed, where there is no GPU for it.

    The first optimizer imports ``torch._dynamo``, which imports triton if it is there. Its LLVM and the one of Mesa's
    software OpenGL, which draws napari's canvas on machines without a GPU, do not bear each other: the process dies.
    """
    if "triton" in sys.modules or importlib.import_module("torch").cuda.is_available():
        yield
        return
    sys.modules["triton"] = None  # type: ignore[assignment]  # the import system's way to say "not to be found"
    try:
        yield
    finally:
        del sys.modules["triton"]


def load_libraries(*, training: bool = False) -> None:
    """Load torch and MONAI's networks; for training also what the first optimizer would load (800 modules)."""
    with calm_collector():
        torch = importlib.import_module("torch")
        importlib.import_module("monai.networks.nets")
        if training:
            with without_triton():
                torch.optim.SGD([torch.zeros(1)])
