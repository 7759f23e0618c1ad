"""Image classification: one class for an image or a volume as a whole, with a probability for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ModelSpec

from ._probabilities import (
    class_loss,
    judged,
    picture_facts,
    probabilities,
    with_temperature,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "ImageClass", "probabilities"]

_LONGEST = {2: 128, 3: 64}
_STEP = 32


class ImageClass:
    """Convolutional network with one answer per image, taught by cross-entropy with label smoothing.

    The whole image is fitted to the model's size with its proportions kept. Every class is drawn equally often, so that
    rare ones count. Probabilities are softmax scores after temperature scaling (Guo et al., ICML 2017), fitted on what was
    held out; below a threshold the answer is called unsure. A 2-D model sees a volume plane by plane, and the
    probabilities are averaged.
    """

    name = "image_class"
    title = "Classify images"
    primary = "balanced_accuracy"

    def output_channels(self, spec: ModelSpec) -> int:
        """One channel per class."""
        return len(spec.classes)

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.uint8]:
        """Position of the image's class among ``spec.classes``, an array without axes.

        Raises
        ------
        BadInputError
            Nothing was said about the image as a whole, or a class that the model does not have.
        """
        said = annotation.image_class
        if said is None:
            raise BadInputError(
                "expected the class of the whole image, found none",
                remedy="Give the image a class in Classify, or choose another task.",
            )
        names = [entry.name.casefold() for entry in spec.classes]
        if said.casefold() not in names:
            raise BadInputError(
                f"expected one of {', '.join(c.name for c in spec.classes)}, found {said!r}"
            )
        return np.array(names.index(said.casefold()), dtype=np.uint8)

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Cross-entropy of scores ``(B, K)`` and class positions ``(B,)``, with label smoothing."""
        return class_loss(output, target, spec)

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Read scores ``(K,)``, or ``(N, K)`` of the parts of one image; see `answer`."""
        return self.answer(np.atleast_2d(dense), grid, spec, unsure=0.0)

    def answer(
        self, scores: NDArray[Any], grid: Grid, spec: ModelSpec, *, unsure: float
    ) -> Prediction:
        """Name the most likely class, with the probability of each; see `WholeImage.answer`."""
        shares = probabilities(scores, spec).mean(axis=0)
        best = int(shares.argmax())
        name, sure = spec.classes[best].name, float(shares[best])
        is_unsure = sure < unsure
        return Prediction(
            grid=grid,
            classes=spec.label_classes,
            table={c.name: float(share) for c, share in zip(spec.classes, shares, strict=True)},
            image_class=name,
            is_unsure=is_unsure,
            summary=f"{'unsure: ' if is_unsure else ''}{name} {sure:.2f}",
        )

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """Whether the class of one image is right, and the probability that the truth was given."""
        truth, said = annotation.image_class, prediction.image_class
        if truth is None or said is None:
            raise BadInputError("expected a class of the whole image in prediction and truth")
        return {
            "accuracy": float(said.casefold() == truth.casefold()),
            "probability": float(prediction.table.get(truth, 0.0)),
        }

    def judge(
        self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec
    ) -> Mapping[str, float]:
        """Rates and probability scores over a set of images; see `WholeImage.judge`."""
        return judged(scores, targets, spec)

    def calibrated(self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec) -> ModelSpec:
        """Store the temperature under which the truth is least surprising; see `with_temperature`."""
        return with_temperature(scores, targets, spec)

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan a plain CNN that sees the median image, at most 128 pixels (volumes: 64 voxels) long.

        Raises
        ------
        BadInputError
            Fewer than two classes, or images that do not agree in dimensions and channels.
        """
        if not volumes or len(classes) < 2:
            raise BadInputError(
                f"expected images of two classes or more, found {len(volumes)} images of {len(classes)}",
                remedy="Give images of another class, too.",
            )
        facts = picture_facts(volumes, classes)
        return ModelSpec(
            name=name,
            task=self.name,
            network="cnn",
            tile=_tile([v.grid for v in volumes]),
            **facts,
        )


def _tile(grids: Sequence[Grid]) -> tuple[int, ...]:
    """Lengths of the median image in its finest spacing, in steps that every network takes."""
    lengths = np.median(
        [np.multiply(g.spatial_shape, g.spacing) / min(g.spacing) for g in grids], axis=0
    )
    longest = _LONGEST[len(lengths)]
    scaled = lengths * min(1.0, longest / lengths.max())
    return tuple(int(max(1, round(length / _STEP)) * _STEP) for length in scaled)


TASK = ImageClass()
