"""Checkpoints: tensors and plain data in one safetensors file, written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import BadInputError, JobError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

__all__ = ["BEST", "LAST", "peek_checkpoint", "read_checkpoint", "write_checkpoint"]

LAST = "last.safetensors"
BEST = "best.safetensors"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], data: Mapping[str, Any]) -> None:
    """Write tensors and JSON data atomically: temporary file, flush to disk, rename.

    Raises
    ------
    JobError
        The disk is full or the folder cannot be written; the previous checkpoint is untouched.
    """
    from safetensors.torch import save

    payload = save(
        {k: v.detach().to("cpu").contiguous() for k, v in tensors.items()},
        metadata={"data": json.dumps(data)},
    )
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise JobError(
            f"the checkpoint could not be written ({error.strerror or error})",
            path=path,
            remedy="Free some space or choose another folder; the checkpoint before it is intact.",
        ) from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and data back; nothing is executed.

    Raises
    ------
    BadInputError
        There is no checkpoint, or it is not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise BadInputError(
            "there is no checkpoint to resume from", path=path, remedy="Start without --resume."
        )
    try:
        with safe_open(path, framework="pt") as file:
            data = json.loads((file.metadata() or {})["data"])
            # Copies: what safetensors gives is the file itself, which Windows neither replaces nor deletes meanwhile.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise BadInputError(
            f"this is not a checkpoint of a training ({error})",
            path=path,
            remedy="Start again without --resume.",
        ) from error
    return tensors, data


def peek_checkpoint(path: Path) -> dict[str, Any]:
    """Read the data of a checkpoint without its tensors, and without loading torch.

    Raises
    ------
    BadInputError
        There is no checkpoint, or it is not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            data: dict[str, Any] = json.loads((file.metadata() or {})["data"])
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise BadInputError(
            f"this is not a checkpoint of a training ({error})", path=path
        ) from error
    return data
