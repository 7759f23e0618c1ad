"""Restoration: the image as it would look without noise, learned from pairs or from noisy images alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_apprentice.core.spec import Normalization

from ._images import clean_of, image_prediction, image_scores, squared_error
from ._plan import plan_unet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "Restoration"]


class Restoration:
    """U-Net that answers with the image without its noise, taught by squared error.

    From pairs it learns the clean image. From noisy images alone it learns to guess voxels that are hidden from it from
    those around them (Krull et al., "Noise2Void", CVPR 2019): noise that is independent from voxel to voxel cannot be
    guessed, so what it learns is what lies beneath.
    """

    name = "restoration"
    title = "Restore images"
    primary = "psnr_db"
    substitutes: ClassVar[tuple[str, ...]] = ("hidden_psnr_db",)
    keeps_units = True

    def output_channels(self, spec: ModelSpec) -> int:
        """One per channel of the image."""
        return len(spec.channels)

    def planned(self, spec: ModelSpec, *, has_clean: bool) -> ModelSpec:
        """Fix what is learned from: pairs, or hidden voxels of noisy images."""
        lesson = "pairs" if has_clean else "hidden"
        return spec.model_copy(update={"task_args": {**spec.task_args, "lesson": lesson}})

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.float32]:
        """The clean image ``(C, *grid.shape)`` in its own units."""
        return clean_of(annotation)

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Mean squared error of ``(B, C, *spatial)`` where the target is a number."""
        return squared_error(output, target)

    def image(
        self, output: NDArray[Any], seen: NDArray[Any], spec: ModelSpec
    ) -> NDArray[np.float32]:
        """The network's output as it is, ``(C, *spatial)`` in normalised units."""
        return np.asarray(output, dtype=np.float32)

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Make a prediction of the restored image ``(C, *grid.shape)``, in the units of the source."""
        low, high = float(dense.min()), float(dense.max())
        return image_prediction(dense, grid, summary=f"restored, values {low:.4g} to {high:.4g}")

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """PSNR, SSIM and mean absolute error against the clean image; see `image_scores`."""
        return image_scores(prediction, annotation)

    def calibrated(self, images: Sequence[NDArray[Any]], spec: ModelSpec) -> ModelSpec:
        """Nothing to add."""
        return spec

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan a U-Net that keeps the full resolution on its first level and sees the image's own voxels.

        `classes` are not used.

        Raises
        ------
        BadInputError
            No volumes, or volumes that do not agree in dimensions and channels.
        """
        spec = plan_unet(
            self.name,
            name,
            volumes,
            None,
            channels=(16, 32, 64, 128),
            first_stride=1,
            normalization=Normalization(),
        )
        own_voxels = {"spacing": None, "unit": "pixel", "orientation": None}
        args = {k: v for k, v in spec.network_args.items() if k in ("channels", "strides")}
        axes = {"mirror_axes": tuple(range(spec.ndim))}
        network = {"network": "restoring_unet", "network_args": args}
        return spec.model_copy(update={**own_voxels, **network, **axes})


TASK = Restoration()
