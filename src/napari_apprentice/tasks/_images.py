"""What tasks that answer with an image share: losses, the answer as a prediction, scores of all channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.measure.image_quality import channel_scores

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.grid import Grid

__all__ = ["clean_of", "image_prediction", "image_scores", "squared_error"]


def clean_of(annotation: Annotation) -> NDArray[np.float32]:
    """The clean image ``(C, *grid.shape)`` float32 in its own units.

    Raises
    ------
    BadInputError
        There is none.
    """
    if annotation.clean is None:
        raise BadInputError(
            "expected a clean image to compare with, found none",
            remedy="Give the clean counterpart, or learn from the image alone.",
        )
    return np.asarray(annotation.clean, dtype=np.float32)


def squared_error(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean squared error of ``(B, C, *spatial)`` where the target is a number; 0 where it nowhere is."""
    import torch

    counts = torch.isfinite(target)
    if not bool(counts.any()):
        return output.sum() * 0.0
    difference = torch.where(counts, output.float() - torch.nan_to_num(target), 0.0)
    return difference.square().sum() / counts.sum()


def image_prediction(image: NDArray[Any], grid: Grid, **more: Any) -> Prediction:
    """An image ``(M, *grid.shape)`` as a prediction; a single channel has no axis of its own."""
    if len(image) == 1:
        return Prediction(grid=grid, image=image[0], **more)
    return Prediction(grid=grid.with_channels(len(image)), image=image, **more)


def image_scores(prediction: Prediction, annotation: Annotation) -> dict[str, float]:
    """PSNR, SSIM and mean absolute error of a restored image against the clean one; see `channel_scores`."""
    if prediction.image is None:
        raise BadInputError("expected a prediction with an image, found none")
    clean = clean_of(annotation)
    return channel_scores(np.asarray(prediction.image).reshape(clean.shape), clean)
