"""A device is believed only after it has worked; one that lies gives the CPU and a note."""

from __future__ import annotations

import json
import weakref
from typing import Any

import pytest
import torch

from napari_apprentice.engine import device
from napari_apprentice.engine.device import (
    choose_device,
    describe_devices,
    is_out_of_memory,
    memory_free,
    release_memory,
)


def test_the_cpu_is_always_there() -> None:
    chosen = choose_device("cpu")
    assert (chosen.name, chosen.kind, chosen.note) == ("cpu", "cpu", "")
    assert f"{torch.get_num_threads()} thread" in chosen.label
    assert chosen.memory_free > 0


def test_cuda_that_lies_gives_the_cpu_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> torch.Tensor:
        raise RuntimeError("CUDA error: no kernel image is available for execution\nmore")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", refuse)
    chosen = choose_device("auto")
    assert chosen.name == "cpu"
    assert chosen.note == (
        "cuda:0 does not work (CUDA error: no kernel image is available for execution): "
        "using the CPU"
    )


def test_a_gpu_that_computes_wrongly_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "device", lambda name: None)
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *_: torch.zeros(1, 2, 6, 6))
    assert "gave 0 instead of 18" in choose_device("auto").note


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_wish_that_cannot_be_met_is_said() -> None:
    chosen = choose_device("cuda")
    assert chosen.kind == "cpu"
    assert "cuda:0 does not work" in chosen.note
    assert choose_device("auto").note == ""


@pytest.mark.gpu
def test_a_gpu_that_works_is_taken() -> None:
    chosen = choose_device("auto")
    assert chosen.kind == "cuda"
    assert chosen.memory_free > 0


def test_doctor_gets_plain_facts() -> None:
    facts = json.loads(json.dumps(describe_devices()))
    assert facts["torch"] == torch.__version__
    assert facts["cpu"]["cores"] >= 1
    assert facts["cpu"]["memory"]["total"] > facts["cpu"]["memory"]["available"] > 0
    assert facts["chosen"]["name"] in {"cpu", "cuda:0", "mps"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
        (KeyError("x"), False),
    ],
)
def test_errors_that_mean_no_memory(error: Exception, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_a_real_allocation_that_fails_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_memory_without_proc(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(device, "Path", lambda _: tmp_path / "absent")
    assert memory_free("cpu") > 0
    monkeypatch.setattr(device.importlib, "import_module", _absent)
    assert memory_free("cpu") == 0


def _absent(name: str) -> None:
    raise ImportError(name)


def test_memory_can_be_released_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cycle:
        pass

    cycle = Cycle()
    cycle.itself = cycle  # type: ignore[attr-defined]
    held, emptied = weakref.ref(cycle), []
    del cycle
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("cuda"))
    release_memory()
    assert held() is None, "garbage may hold tensors"
    assert emptied == ["cuda"]
