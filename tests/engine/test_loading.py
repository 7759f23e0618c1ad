"""Loading libraries in a worker must not stop the window for a full garbage collection."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

from napari_apprentice.engine.loading import calm_collector

CODE = """
import gc
full = []
gc.callbacks.append(lambda phase, info: full.append(1) if info["generation"] == 2 else None)
from napari_apprentice.engine.loading import load_libraries
load_libraries(training=True)
import sys
assert "torch._dynamo" in sys.modules, "the first optimizer would load it"
assert "monai.networks.nets" in sys.modules
import torch
torch.optim.AdamW([torch.zeros(1)])
for _ in range(20_000):
    []
assert not full, "a full collection stops every thread"
assert gc.isenabled()
"""


def test_libraries_come_without_a_full_collection() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=False, timeout=200, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_was_garbage_meanwhile_is_collected_later() -> None:
    class Cycle:
        pass

    with calm_collector():
        assert not gc.isenabled()
        cycle = Cycle()
        cycle.itself = cycle  # type: ignore[attr-defined]
        held = weakref.ref(cycle)
        del cycle
    assert gc.isenabled()
    gc.collect()
    assert held() is None


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with calm_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
