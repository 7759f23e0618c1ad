"""The weights that are checked, kept and handed over: what was learned, mixed with what was known before."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_apprentice.core.annotation import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = ["Blend", "images_told", "share_of_start"]

_SHARE_FOR_ONE_IMAGE = 0.3


def share_of_start(images: float) -> float:
    """Share of the starting weights that is kept after learning from so many images, parts of images counted as parts.

    One corrected image says little about the others: weights half-way between start and end do better on both than
    either (Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022). ``benchmarks/learn.py`` has the figures.
    """
    return float(_SHARE_FOR_ONE_IMAGE / max(1.0, images) ** 0.5)


def images_told(targets: Iterable[NDArray[Any]]) -> float:
    """How many whole images the annotated parts of some images add up to."""
    return float(sum(np.mean(target != IGNORE) for target in targets))


class Blend:
    """Moving average and start, mixed; a second network to try the mixture on.

    Parameters
    ----------
    network
        Being trained; copied when first needed.
    start
        Weights of the starting model by name, as far as the network took them over whole; the others are all learned.
    keep
        Share of the start, 0 to 1; None: as fits the number of images.
    images
        How many images (planes, for a 2-D network) are learned from, see `images_told`.
    """

    def __init__(
        self,
        network: nn.Module,
        start: Mapping[str, Tensor],
        keep: float | None = None,
        *,
        images: float,
    ) -> None:
        self._learning = network
        self._twin: nn.Module | None = None
        self._keep = share_of_start(images) if keep is None else keep
        self._start = dict(start) if self._keep > 0 else {}

    @property
    def is_mixing(self) -> bool:
        """Whether anything of the start is kept."""
        return bool(self._start)

    def state(self, average: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Mix the moving average with the start; whole numbers (counters) are those of the average."""
        mixed = dict(average)
        for name, known in self._start.items():
            if mixed[name].is_floating_point():
                known = known.to(mixed[name].device, mixed[name].dtype)
                mixed[name] = torch.lerp(mixed[name], known, self._keep)
        return mixed

    def network(self, state: Mapping[str, Tensor]) -> nn.Module:
        """The second network, with these weights."""
        if self._twin is None:
            self._twin = copy.deepcopy(self._learning)
        self._twin.load_state_dict(state)
        return self._twin
