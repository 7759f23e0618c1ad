"""Loading libraries in a worker must not stop the window for a full garbage collection."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path

from napari_apprentice.engine.loading import calm_collector

CODE = """
import gc
import os
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


def test_without_a_gpu_triton_is_left_alone(tmp_path: Path) -> None:
    """Its LLVM and that of software OpenGL in one process end it."""
    (tmp_path / "triton.py").write_text("raise SystemExit('triton was imported')")
    code = (
        "import sys, torch; torch.cuda.is_available = lambda: False\n"
        "from napari_apprentice.engine.loading import load_libraries\n"
        "load_libraries(training=True)\n"
        "assert 'torch._dynamo' in sys.modules\n"
        "assert 'triton' not in sys.modules\n"
        "print('alive')"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    assert found.stdout.strip() == "alive", found.stderr
