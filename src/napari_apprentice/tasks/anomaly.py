"""Anomalies: where an image is unlike the normal ones that an autoencoder has learned to rebuild."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import ModelSpec, Normalization
from napari_apprentice.measure.image_quality import channel_scores

from ._images import image_prediction, squared_error
from ._plan import kind_of, scale_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "Anomaly"]

_LONGEST = {2: 128, 3: 48}
_STEP = 16
_BLUR = 1.0
_FEWEST_TO_COMPARE = 5
_SHARES = (50, 90, 95, 99)
_LOOKED_AT = 50


class Anomaly:
    """Autoencoder with a narrow middle, taught to rebuild normal images; what it rebuilds badly is not normal.

    The map is the distance between image and rebuilt image, a little smoothed and averaged over the channels: of colour
    pictures of 8 bits in shares of their scale, so that what is too dark as a whole shows; of others in standard deviations
    of the image. Its mean over the image is the image's score.
    """

    name = "anomaly"
    title = "Find anomalies"
    primary = "rebuilt_psnr_db"
    keeps_units = False
    asks_middle: Literal[True] = True

    def output_channels(self, spec: ModelSpec) -> int:
        """One per channel of the image."""
        return len(spec.channels)

    def planned(self, spec: ModelSpec, *, has_clean: bool) -> ModelSpec:
        """It learns to rebuild the image itself.

        Raises
        ------
        BadInputError
            Clean counterparts were given.
        """
        if has_clean:
            raise BadInputError(
                "expected normal images alone, found clean counterparts",
                remedy="Leave them out, or choose restoration.",
            )
        return spec.model_copy(update={"task_args": {**spec.task_args, "lesson": "itself"}})

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.float32]:
        """What the image should look like, ``(C, *grid.shape)``: nobody has to say so, the engine takes the image itself."""
        channels = len(spec.channels)
        if annotation.clean is None:
            return np.full((channels, *annotation.grid.shape), np.nan, np.float32)
        return np.asarray(annotation.clean, dtype=np.float32)

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Mean squared error of ``(B, C, *spatial)`` where the target is a number."""
        return squared_error(output, target)

    def image(
        self, output: NDArray[Any], seen: NDArray[Any], spec: ModelSpec
    ) -> NDArray[np.float32]:
        """How far image and rebuilt image lie apart, ``(1, *spatial)`` in the units that the network knows."""
        sigma = (0.0,) * (seen.ndim - 1 - spec.ndim) + (_BLUR,) * spec.ndim
        total = np.zeros(seen.shape[1:], np.float32)
        for rebuilt, channel in zip(output, seen, strict=True):
            total += gaussian_filter(np.abs(channel - rebuilt, dtype=np.float32), sigma)
        return total[np.newaxis] / np.float32(len(seen))

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Make a prediction of the map ``(1, *grid.shape)``, with the score of the image as a whole."""
        score = float(np.mean(dense, dtype=np.float64))
        text = f"anomaly score {score:.3g}"
        known = spec.task_args.get("normal_scores")
        if known:
            text += f", {_among(score, known)}"
        return image_prediction(dense, grid, table={"anomaly": score}, summary=text, is_map=True)

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """PSNR of the rebuilt image (``prediction.image``) against the image itself (``annotation.clean``)."""
        if prediction.image is None or annotation.clean is None:
            raise BadInputError("expected a rebuilt image and the image itself, found only one")
        clean = annotation.clean
        found = channel_scores(np.asarray(prediction.image).reshape(clean.shape), clean)
        return {f"rebuilt_{name}": value for name, value in found.items()}

    def calibrated(self, images: Sequence[NDArray[Any]], spec: ModelSpec) -> ModelSpec:
        """Store how high the scores of held-out normal images are, so that others can be told from them."""
        if len(images) < _FEWEST_TO_COMPARE:
            return spec
        scores = [float(np.mean(image)) for image in images]
        told = [s for s in _SHARES if len(scores) * (100 - s) >= 100]
        shares = {str(s): round(float(np.percentile(scores, s)), 5) for s in told}
        shares |= {"count": len(scores), "highest": round(max(scores), 5)}
        return spec.model_copy(update={"task_args": {**spec.task_args, "normal_scores": shares}})

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan an autoencoder whose patch covers the median image, at most 128 pixels (volumes: 48 voxels) long.

        Colour pictures of 8 bits keep one scale, 0 to 255; every other image is brought to its own mean and deviation.
        `classes` are not used.

        Raises
        ------
        BadInputError
            No volumes, or volumes that do not agree in dimensions and channels.
        """
        if not volumes:
            raise BadInputError(
                "expected normal images, found none", remedy="Give a folder of them."
            )
        ndim, channels, mixed = kind_of(volumes)
        shape = np.median([v.grid.spatial_shape for v in volumes], axis=0)
        tile = np.clip(np.ceil(shape / _STEP), 1, _LONGEST[len(shape)] // _STEP) * _STEP
        if (tile == _STEP).all():
            tile[-1] *= 2
        return ModelSpec(
            name=name,
            task=self.name,
            network="autoencoder",
            ndim=3 if ndim == 3 else 2,
            channels=channels,
            grey_as_color=mixed,
            normalization=_scale_of(volumes),
            tile=tuple(int(t) for t in tile),
            mirror_axes=(),
        )


def _among(score: float, known: Mapping[str, float]) -> str:
    """Where a score lies among those of held-out normal images; no finer than their number allows."""
    if score > known.get("highest", math.inf):
        return f"above all {known['count']:.0f} normal images that were held out"
    below = [s for s in _SHARES if score > known.get(str(s), math.inf)]
    return f"above {below[-1]} % of normal images" if below else "as most normal images"


def _scale_of(volumes: Sequence[Volume]) -> Normalization:
    """As `scale_of`, but grey pictures stay grey where they are stored as colours: one scale for them loses most of the difference."""
    is_colored = any(map(_is_colored, volumes[:_LOOKED_AT]))
    return scale_of(volumes) if is_colored else Normalization()


def _is_colored(volume: Volume) -> bool:
    if not volume.rgb:
        return False
    red, green, blue = volume.channel_first()[:3]
    return bool((red != green).any() or (green != blue).any())


TASK = Anomaly()
