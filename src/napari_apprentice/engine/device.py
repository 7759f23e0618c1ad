"""Devices: which one really works, what it has, and giving memory back."""

from __future__ import annotations

import gc
import importlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Device",
    "choose_device",
    "describe_devices",
    "is_out_of_memory",
    "memory_free",
    "release_cache",
    "release_memory",
]

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "alloc_failed",
    "failed to allocate",
    "invalid buffer size",
    "bad_alloc",
)


@dataclass(frozen=True)
class Device:
    """Where a network runs.

    Parameters
    ----------
    name
        As torch calls it: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    kind
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    label
        For people: ``"CPU (8 threads)"``, or the name of the GPU.
    memory_free
        Bytes free when it was chosen; 0 where that cannot be known.
    note
        Why it is not what was wished for; empty where it is.
    """

    name: str
    kind: str
    label: str
    memory_free: int = 0
    note: str = ""


def choose_device(wish: str = "auto") -> Device:
    """Choose a device by trying it out: a real allocation and a small convolution.

    A GPU that is listed but fails (driver too old, no memory, unsupported card) gives the CPU with a note.

    Parameters
    ----------
    wish
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
    """
    if wish == "cpu":
        return _cpu()
    notes = []
    for name in _candidates(wish):
        problem = _try(name)
        if problem is None:
            return _gpu(name)
        notes.append(f"{name} does not work ({problem}): using the CPU")
    if not notes and wish != "auto":
        notes.append(f"no {wish} device found: using the CPU")
    return _cpu("; ".join(notes))


def _candidates(wish: str) -> list[str]:
    import torch

    if wish.startswith("cuda") or (wish == "auto" and torch.cuda.is_available()):
        return [wish if ":" in wish else "cuda:0"]
    if wish == "mps" or (wish == "auto" and torch.backends.mps.is_available()):
        return ["mps"]
    return []


def _try(name: str) -> str | None:
    """Return what is wrong with a device, or None where a convolution on it gives the right numbers."""
    import torch
    import torch.nn.functional as functional

    try:
        device = torch.device(name)
        ones = torch.ones(1, 2, 8, 8, device=device)
        kernel = torch.ones(2, 2, 3, 3, device=device)
        answer = float(functional.conv2d(ones, kernel)[0, 0, 3, 3].cpu())
    except (RuntimeError, AssertionError, OSError, NotImplementedError) as error:
        return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return None if abs(answer - 18.0) < 1e-2 else f"a convolution gave {answer:g} instead of 18"


def _cpu(note: str = "") -> Device:
    import torch

    threads = torch.get_num_threads()
    label = f"CPU ({threads} thread{'s' if threads > 1 else ''})"
    return Device("cpu", "cpu", label, memory_free("cpu"), note)


def _gpu(name: str) -> Device:
    import torch

    kind = name.partition(":")[0]
    label = torch.cuda.get_device_name(name) if kind == "cuda" else "Apple GPU"
    return Device(name, kind, label, memory_free(name))


def memory_free(name: str = "cpu") -> int:
    """Bytes free on a device; 0 where that cannot be known."""
    if name.startswith("cuda"):
        import torch

        free, _ = torch.cuda.mem_get_info(name)
        return int(free)
    if name != "cpu":
        return 0
    return _memory_of_machine().get("available", 0)


def _memory_of_machine() -> dict[str, int]:
    """Main memory in bytes: ``total`` and ``available``, as far as the system tells without other libraries."""
    info = Path("/proc/meminfo")
    if info.exists():
        fields = dict(line.split(":", 1) for line in info.read_text("ascii").splitlines())
        return {
            name: int(fields[key].split()[0]) * 1024
            for name, key in (("total", "MemTotal"), ("available", "MemAvailable"))
            if key in fields
        }
    try:
        psutil = importlib.import_module("psutil")  # napari brings it
    except ImportError:
        return {}
    memory = psutil.virtual_memory()
    return {"total": int(memory.total), "available": int(memory.available)}


def describe_devices() -> dict[str, Any]:
    """Facts about this machine for ``doctor``: plain data, sizes in bytes."""
    import torch

    chosen = choose_device("auto")
    return {
        "torch": torch.__version__,
        "cuda_build": torch.version.cuda,
        "cuda_available": torch.cuda.is_available(),
        "gpus": [_describe_gpu(index) for index in range(_gpu_count())],
        "mps_available": torch.backends.mps.is_available(),
        "cpu": {
            "name": platform.processor() or platform.machine(),
            "cores": os.cpu_count() or 1,
            "threads": torch.get_num_threads(),
            "memory": _memory_of_machine(),
        },
        "chosen": {"name": chosen.name, "label": chosen.label, "note": chosen.note},
    }


def _gpu_count() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _describe_gpu(index: int) -> dict[str, Any]:
    import torch

    name = f"cuda:{index}"
    problem = _try(name)
    facts: dict[str, Any] = {"name": name, "works": problem is None, "problem": problem or ""}
    if problem is None:
        free, total = torch.cuda.mem_get_info(name)
        facts |= {
            "label": torch.cuda.get_device_name(name),
            "memory": {"total": int(total), "available": int(free)},
            "capability": ".".join(map(str, torch.cuda.get_device_capability(name))),
        }
    return facts


def release_memory() -> None:
    """Collect garbage, after memory ran out, and give cached memory of the GPU back.

    To look through all objects of the program stops every thread, the window's too, for half a second.
    """
    gc.collect()
    release_cache()


def release_cache() -> None:
    """Give cached memory of the GPU back to other programs."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on whatever device."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(t in text for t in _OUT_OF_MEMORY)
