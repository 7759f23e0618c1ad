"""Making images up: random numbers by their seed, images of them, and the way from one to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ._sheet import laid_out

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray
    from torch import nn

    from napari_apprentice.core.jobs import Progress

__all__ = ["between", "kinds_in_turn", "latent_of", "made_images", "picture_sheet"]

_BATCH = 32


def latent_of(network: nn.Module, seed: int) -> NDArray[np.float32]:
    """The random numbers ``(latent,)`` of a seed, the same everywhere and always."""
    count = int(getattr(network, "latent"))  # noqa: B009  # an attribute that plain modules do not have
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(count)
    return np.asarray(drawn, np.float32)


def between(
    one: NDArray[np.float32], other: NDArray[np.float32], count: int
) -> NDArray[np.float32]:
    """`count` steps from one set of random numbers to another, both ends among them, ``(count, latent)``.

    Along the arc and not the straight line: numbers half-way along that are smaller than any that were learned with (White,
    "Sampling generative networks", 2016).
    """
    lengths = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    cosine = float(one @ other) / max(1e-12, lengths)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    share = np.linspace(0.0, 1.0, count)[:, np.newaxis]
    if np.sin(angle) < 1e-6:
        return np.asarray((1 - share) * one + share * other, np.float32)
    weights = np.sin((1 - share) * angle), np.sin(share * angle)
    return np.asarray((weights[0] * one + weights[1] * other) / np.sin(angle), np.float32)


def made_images(
    network: nn.Module,
    latent: NDArray[np.float32],
    kinds: NDArray[np.int64],
    device: str,
    now: Progress,
) -> Generator[Progress, None, NDArray[np.float32]]:
    """Images ``(N, C, *tile)`` from 0 to 1 of random numbers ``(N, latent)`` and positions of kinds ``(N,)``.

    Parameters
    ----------
    network
        See `MakesPictures`; left in evaluation mode.
    device
        Where it is.
    now
        Told before each batch.
    """
    import torch

    maker: Any = network.eval()
    found = []
    for start in range(0, len(latent), _BATCH):
        yield now
        part = slice(start, start + _BATCH)
        with torch.inference_mode():
            numbers = torch.from_numpy(latent[part]).to(device)
            made = maker.make(numbers, torch.from_numpy(kinds[part]).long().to(device))
            found.append(made.float().cpu().numpy())
    return np.concatenate(found)


def kinds_in_turn(count: int, shown: int) -> NDArray[np.int64]:
    """Positions of `count` kinds, each as often, about `shown` in all and at least four of each, kind by kind."""
    return np.repeat(np.arange(count), max(4, shown // count))


def picture_sheet(images: NDArray[Any], kinds: NDArray[np.int64]) -> NDArray[Any]:
    """Images ``(N, C, Y, X)`` beside each other, a new row for each kind: ``(C, rows, columns)``.

    Few kinds would make long rows: those are folded, so that the sheet is not much wider than high.
    """
    columns = int(np.bincount(kinds).max())
    while columns % 2 == 0 and columns * columns > 3 * len(images):
        columns //= 2
    return laid_out(images, 0.0, columns)
