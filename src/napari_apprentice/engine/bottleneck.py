"""What the narrow middle of an autoencoder says of images, and a flat map of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_apprentice.core.errors import BadInputError

from .images import fitted
from .prepare import preparing

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from numpy.typing import NDArray

    from napari_apprentice.core.jobs import Progress
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = ["bottleneck_of", "encoder_of", "flat_map"]


def encoder_of(network: torch.nn.Module, spec: ModelSpec) -> Callable[[torch.Tensor], torch.Tensor]:
    """What leads to the narrow middle of a network.

    Raises
    ------
    BadInputError
        It has none.
    """
    encode: Callable[[torch.Tensor], torch.Tensor] | None = getattr(network, "encode", None)
    if encode is None:
        raise BadInputError(
            f"expected a network with a narrow middle, {spec.network} has none",
            remedy="Learn what is normal first: such a model has one.",
        )
    return encode


def bottleneck_of(
    volume: Volume, network: torch.nn.Module, spec: ModelSpec
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Features of an image: it is fitted to the model's tile, and the middle is read; of a volume the mean over planes.

    Parameters
    ----------
    volume
        One time point.
    network
        With an ``encode``; left in evaluation mode, on the CPU.

    Returns
    -------
    ndarray
        One row of float32, of the same length for all images.

    Raises
    ------
    BadInputError
        A network without a narrow middle, or an image that does not fit the model.
    """
    encode = encoder_of(network, spec)
    prepared = yield from preparing(volume, spec)
    parts = yield from fitted(prepared, spec)
    network.eval()
    with torch.inference_mode():
        codes = [encode(torch.from_numpy(part[np.newaxis])).flatten() for part in parts]
        row: NDArray[np.float32] = torch.stack(codes).mean(dim=0).numpy()
    return row


def flat_map(features: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two directions in which rows differ most (principal components).

    Parameters
    ----------
    features
        ``(N, F)``.

    Returns
    -------
    points
        ``(N, 2)``; zeros where there is nothing to differ in.
    shares
        Share of all variance along each of the two.
    """
    centred = np.asarray(features, np.float64) - np.mean(features, axis=0, dtype=np.float64)
    points, shares = np.zeros((len(centred), 2)), np.zeros(2)
    left, spread, _ = np.linalg.svd(centred, full_matrices=False)
    count = min(2, len(spread))
    points[:, :count] = left[:, :count] * spread[:count]
    total = float(np.square(spread).sum())
    if total > 0:
        shares[:count] = np.square(spread[:count]) / total
    return points, shares
