"""What a network says about whole images: scores, some images at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_apprentice.core.jobs import Log, Progress

from .device import is_out_of_memory, release_memory
from .images import fitted
from .tiles import mirrorings

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray
    from torch import nn

    from napari_apprentice.core.jobs import Event
    from napari_apprentice.core.spec import ModelSpec

    from .prepare import Prepared

__all__ = ["scores_of", "scores_of_image"]

_BATCH_VOXELS = 2**20


def scores_of(
    network: nn.Module,
    data: torch.Tensor,
    device: str,
    mirror: Sequence[int] = (),
    measured: torch.Tensor | None = None,
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Scores ``(N, K)`` of images ``(N, C, *tile)``.

    Parameters
    ----------
    network
        Left in evaluation mode.
    data
        On any device.
    device
        Where the network is.
    mirror
        Spatial axes along which mirrored copies are asked, too; their scores are averaged.
    measured
        What else the network is told of each, ``(N, M)``; see `SeesMeasures`.
    """
    network.eval()
    size = max(1, _BATCH_VOXELS // max(1, data[0].numel()))
    flips = mirrorings(mirror)
    found = []
    for start in range(0, len(data), size):
        yield Progress("looking", start, len(data), "image")
        # Modes of torch belong to the thread, not to the generator: none may stay on across a yield.
        with torch.inference_mode():
            part = slice(start, start + size)
            batch = data[part].to(device)
            more = () if measured is None else (measured[part].to(device),)
            seen = [network(batch.flip(axes) if axes else batch, *more).float() for axes in flips]
            found.append(torch.stack(seen).mean(dim=0).cpu().numpy())
    return np.concatenate(found)


def scores_of_image(
    network: nn.Module,
    prepared: Prepared,
    spec: ModelSpec,
    device: str,
    mirror: Sequence[int] = (),
) -> Generator[Event, None, NDArray[np.float32]]:
    """Scores ``(N, K)`` of a prepared image, or of the N planes of a volume for a 2-D model.

    Where a GPU has too little memory, the CPU does the work.
    """
    data = torch.from_numpy((yield from fitted(prepared, spec)))
    try:
        return (yield from scores_of(network.to(device), data, device, mirror))
    except RuntimeError as error:
        if device == "cpu" or not is_out_of_memory(error):
            raise
    release_memory()
    yield Log("memory ran out: continuing with the network on the CPU", "warning")
    return (yield from scores_of(network.to("cpu"), data, "cpu", mirror))
