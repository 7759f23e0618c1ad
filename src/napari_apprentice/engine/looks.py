"""What images look like, as numbers: the features in which made-up images are compared with real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from napari_apprentice.models.store import ModelStore, load_model

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_apprentice.core.jobs import Progress

__all__ = ["Looks", "with_kinds"]

_STARTER = "modality"
_BATCH = 64
_LEVEL = 10.0
"""Weight of brightness and contrast, 0 to 1, beside features that spread over some units."""


class Looks:
    """Features of flat images: what the starter for kinds of images sees in each channel, its brightness and its contrast.

    The starter (`modality`, see its card) is asked for what its last layer gets: 128 numbers. It sees every channel on its
    own, with the contrast stretched as it was when it learned, so brightness and contrast stand beside. The features do not
    depend on the model that is judged: distances of models can be compared where they learned from the same images.
    """

    def __init__(self) -> None:
        model = load_model(ModelStore().starters / _STARTER)
        self._tile = model.spec.tile
        self._low, self._high = model.spec.normalization.low, model.spec.normalization.high
        layers = list(model.build().children())
        last = max(n for n, layer in enumerate(layers) if isinstance(layer, nn.Linear))
        self._network = nn.Sequential(*layers[:last]).eval()

    def of(self, images: Tensor, progress: Progress) -> Generator[Progress, None, NDArray[Any]]:
        """Features ``(N, F)`` float64 of images ``(N, C, Y, X)`` from 0 to 1; tells `progress` now and then."""
        rows = []
        for start in range(0, len(images), _BATCH):
            yield progress
            with torch.inference_mode():
                rows.append(self._some(images[start : start + _BATCH].float().cpu()).numpy())
        return np.concatenate(rows).astype(np.float64)

    def _some(self, images: Tensor) -> Tensor:
        count, channels = images.shape[:2]
        flat = images.reshape(count * channels, 1, *images.shape[2:])
        values = flat.flatten(1)
        ends = torch.tensor([self._low, self._high]) / 100
        low, high = torch.quantile(values, ends, dim=1)
        span = torch.where(high > low, high - low, torch.ones_like(low))
        seen = ((flat - low[:, None, None, None]) / span[:, None, None, None]).clamp(0, 1)
        if tuple(seen.shape[2:]) != tuple(self._tile):
            seen = functional.interpolate(
                seen, size=self._tile, mode="bilinear", align_corners=False, antialias=True
            )
        level = _LEVEL * torch.stack([values.mean(dim=1), values.std(dim=1)], dim=1)
        return torch.cat([self._network(seen), level], dim=1).reshape(count, -1)


def with_kinds(
    features: NDArray[Any], kinds: NDArray[Any], count: int, scale: float
) -> NDArray[Any]:
    """Features with a column for each kind of image: images that look real, but as another kind, lie apart, too.

    After the Fréchet joint distance (DeVries et al., 2019).

    Parameters
    ----------
    features, kinds
        ``(N, F)`` and positions ``(N,)``.
    count
        How many kinds there are; a single one adds nothing.
    scale
        What a column is worth: the deviation of all features of real images together.
    """
    if count < 2:
        return features
    return np.concatenate([features, scale * np.eye(count)[np.asarray(kinds, int)]], axis=1)
