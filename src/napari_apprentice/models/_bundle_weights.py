"""Weights of a MONAI bundle: safetensors, else PyTorch's restricted loader behind size checks."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import ModelError

from .weights import read_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

__all__ = ["read_bundle_weights", "turn"]

_MAX_BYTES = 2 * 1024**3
_MAX_MEMBERS = 20_000
_WRAPPERS = ("state_dict", "model", "net", "network")


def read_bundle_weights(folder: Path) -> dict[str, Tensor]:
    """Read ``model.safetensors`` or ``model.pt`` from a bundle's ``models`` folder, floating point as float32.

    Raises
    ------
    ModelError
        Neither file, a damaged or swollen one, or one that holds more than tensors.
    """
    path = folder / "model.safetensors"
    if path.is_file():
        return read_weights(path)
    path = folder / "model.pt"
    if not path.is_file():
        raise ModelError("expected model.safetensors or model.pt, found neither", path=folder)
    _check_archive(path)
    return _tensors(_load(path), path)


def _check_archive(path: Path) -> None:
    """Refuse what is not PyTorch's own archive, and archives that are larger inside than outside."""
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise ModelError(
            f"expected at most {_MAX_BYTES // 1024**3} GB, found {size} bytes", path=path
        )
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ModelError(
            "expected an archive as torch.save writes it, found something else",
            path=path,
            remedy="Save the weights again with a current PyTorch, or as model.safetensors.",
        ) from error
    if (
        len(members) > _MAX_MEMBERS
        or any(m.compress_type != zipfile.ZIP_STORED for m in members)
        or sum(m.file_size for m in members) > size
    ):
        raise ModelError("expected plain tensors, found a compressed or swollen archive", path=path)


def _load(path: Path) -> Any:
    import pickle

    import torch

    try:
        # The restricted unpickler builds tensors and plain containers only. There is no way on from here
        # if it refuses: loading without it would run whatever the file says.
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            "expected tensors only, found a pickle that calls other code",
            path=path,
            remedy="Ask for the weights as model.safetensors.",
        ) from error
    except (RuntimeError, ValueError, EOFError, OSError, KeyError, AttributeError) as error:
        raise ModelError("the weights cannot be read: the file is damaged", path=path) from error


def _tensors(loaded: Any, path: Path) -> dict[str, Tensor]:
    import torch

    for key in _WRAPPERS:
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    if not isinstance(loaded, dict) or not loaded:
        raise ModelError(f"expected weights by key, found {type(loaded).__name__}", path=path)
    state = {}
    for key, value in loaded.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor) or value.is_sparse:
            raise ModelError(
                f"expected a tensor for {key!r}, found {type(value).__name__}", path=path
            )
        # A stride of zero lets a few stored bytes claim any size.
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise ModelError(f"expected all of {key!r} in the file, found a part of it", path=path)
        state[key] = value.float() if value.is_floating_point() else value
        if not bool(torch.isfinite(state[key]).all()):
            raise ModelError(
                f"expected finite weights, found NaN or infinity in {key!r}", path=path
            )
    return state


def turn(state: Mapping[str, Tensor], ndim: int, mirrored: Sequence[int] = ()) -> dict[str, Tensor]:
    """Turn kernels ``(…, X, Y, Z)`` to ``(…, Z, Y, X)`` and mirror them along some axes.

    Parameters
    ----------
    state
        Weights by key; only tensors with two axes more than the space are kernels.
    ndim
        Number of spatial axes.
    mirrored
        Spatial axes, Z Y X order.
    """
    turned = {}
    for key, tensor in state.items():
        if tensor.ndim == ndim + 2:
            kernel = tensor.permute(0, 1, *range(ndim + 1, 1, -1))
            turned[key] = kernel.flip([2 + axis for axis in mirrored]).contiguous()
        else:
            turned[key] = tensor.clone()
    return turned
