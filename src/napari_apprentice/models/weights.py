"""Weights as safetensors: checked before anything is allocated, never unpickled."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, Literal

from napari_apprentice.core.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

__all__ = ["Precision", "encode", "fingerprint_of", "read_weights", "shapes_of", "state_problem"]

Precision = Literal["float32", "float16"]

_MAX_BYTES = 4 * 1024**3
_MAX_HEADER = 16 * 1024**2
_BYTES_OF = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
_DAMAGED = "Copy the model again, or ask for it where it came from."
Shapes = dict[str, tuple[int, ...]]


def encode(state: Mapping[str, Tensor], *, dtype: Precision = "float32") -> bytes:
    """Turn weights into the bytes of a safetensors file.

    Parameters
    ----------
    state
        Tensors by key, on any device.
    dtype
        Kind that floating-point tensors are stored as; ``"float16"`` halves the file.

    Raises
    ------
    ModelError
        A tensor holds NaN or infinity, or a value that float16 cannot hold.
    """
    import torch
    from safetensors.torch import save

    kind = {"float32": torch.float32, "float16": torch.float16}[dtype]
    plain = {}
    for key, tensor in state.items():
        copy = tensor.detach().to("cpu", copy=True)
        plain[key] = (copy.to(kind) if copy.is_floating_point() else copy).contiguous()
        if not bool(torch.isfinite(plain[key]).all()):
            raise ModelError(
                f"expected finite weights, found NaN or infinity in {key!r} as {dtype}",
                remedy="Nothing was written; learn again from the last good model.",
            )
    return bytes(save(plain))


def fingerprint_of(payload: bytes) -> str:
    """SHA-256 of the bytes of a weights file, in hexadecimal."""
    return hashlib.sha256(payload).hexdigest()


def read_weights(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a weights file after checking its size, header and checksum.

    Parameters
    ----------
    path
        A ``.safetensors`` file.
    sha256
        The checksum it must have; none: not checked.

    Returns
    -------
    dict
        Tensors by key on the CPU; floating-point ones as float32.

    Raises
    ------
    ModelError
        No file, not safetensors (a pickle, for instance), truncated, altered, or NaN or infinity in it.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    shapes_of(path)
    payload = _bytes(path)
    found = fingerprint_of(payload)
    if sha256 is not None and found != sha256.lower():
        raise ModelError(
            f"expected weights with SHA-256 {sha256[:12]}…, found {found[:12]}…: the file was altered or damaged",
            path=path,
            remedy=_DAMAGED,
        )
    try:
        state = load(payload)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(
            f"the weights cannot be read ({error})", path=path, remedy=_DAMAGED
        ) from error
    state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    for key, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(
                f"expected finite weights, found NaN or infinity in {key!r}",
                path=path,
                remedy=_DAMAGED,
            )
    return state


def shapes_of(path: Path) -> Shapes:
    """Key and shape of every tensor in a safetensors file, from its header alone (no torch).

    Raises
    ------
    ModelError
        No file, another kind of file, or a header that does not fit the file.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(9)
            length = int.from_bytes(start[:8], "little")
            _refuse_other_kinds(path, start, size)
            file.seek(8)
            if length > min(size - 8, _MAX_HEADER):
                raise ModelError(
                    f"expected safetensors, found another kind of file, or one cut short: its header would be {length} bytes "
                    f"long, the file is {size}",
                    path=path,
                    remedy=_DAMAGED,
                )
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelError(f"the weights cannot be read ({error.strerror})", path=path) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(
            "expected a safetensors header, found something else", path=path
        ) from error
    return _shapes(header, size - 8 - length, path)


def _refuse_other_kinds(path: Path, start: bytes, size: int) -> None:
    # The length of a header may begin like a pickle, but then a brace follows.
    if start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
        raise ModelError(
            "expected safetensors, found a PyTorch pickle file, which can run any code when it is opened",
            path=path,
            remedy="Ask for the weights as safetensors, or convert them where you trust their source.",
        )
    if not 8 < size <= _MAX_BYTES:
        raise ModelError(
            f"expected a weights file of 9 bytes to {_MAX_BYTES // 1024**3} GB, found {size} bytes",
            path=path,
            remedy=_DAMAGED,
        )


def _shapes(header: Any, body: int, path: Path) -> Shapes:
    """Check every entry of a header against the bytes that follow it."""
    try:
        entries = {k: v for k, v in header.items() if k != "__metadata__"}
        shapes = {k: tuple(int(n) for n in v["shape"]) for k, v in entries.items()}
        spans = {k: tuple(int(n) for n in v["data_offsets"]) for k, v in entries.items()}
        kinds = {k: str(v["dtype"]) for k, v in entries.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "expected a safetensors header, found something else", path=path
        ) from error
    for key, shape in shapes.items():
        width = _BYTES_OF.get(kinds[key])
        if width is None:
            raise ModelError(f"expected plain numbers in {key!r}, found {kinds[key]}", path=path)
        start, stop = spans[key] if len(spans[key]) == 2 else (-1, -1)
        if min(shape, default=0) < 0 or start < 0 or stop > body:
            raise ModelError(
                f"expected {key!r} within the file, found it cut off: the file is incomplete",
                path=path,
                remedy=_DAMAGED,
            )
        if stop - start != width * math.prod(shape):
            raise ModelError(
                f"expected {width * math.prod(shape)} bytes for {key!r} of shape {list(shape)}, found {stop - start}",
                path=path,
                remedy=_DAMAGED,
            )
    return shapes


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"the weights cannot be read ({error.strerror})", path=path) from error


def state_problem(expected: Shapes, found: Shapes) -> str | None:
    """Say what keeps weights from fitting a network: the first key that is missing, foreign or misshapen."""
    for key, shape in expected.items():
        if key not in found:
            return f"expected weights {key!r} of shape {list(shape)}, found none"
        if found[key] != shape:
            return f"expected {key!r} of shape {list(shape)}, found {list(found[key])}"
    foreign = next((key for key in found if key not in expected), None)
    if foreign is None:
        return None
    return f"expected no weights {foreign!r} in this network, found shape {list(found[foreign])}"
