"""Semantic segmentation: one class per voxel, learned from complete or sparse annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import IGNORE
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import Normalization
from napari_apprentice.measure.semantic import semantic_scores

from ._losses import dice_cross_entropy
from ._plan import plan_unet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "Semantic"]

_SURE = 0.9
_MOST_DOUBT = 255


class Semantic:
    """Encoder-decoder segmentation with Dice + cross-entropy.

    The network answers with one channel per class after a background channel; `IGNORE` in a target leaves a voxel
    out of both terms. The sum of both losses is what nnU-Net uses (Isensee et al., Nature Methods 18, 203, 2021).
    """

    name = "semantic"
    title = "Segment"
    primary = "dice"

    def output_channels(self, spec: ModelSpec) -> int:
        """Background plus one channel per class."""
        return len(spec.classes) + 1

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.uint8]:
        """Class numbers (0 background, 1… in the order of ``spec.classes``), 255 where nothing was said.

        Raises
        ------
        BadInputError
            A label value that is none of the model's classes, or more classes than a target can hold.
        """
        if len(spec.classes) >= IGNORE:
            raise BadInputError(f"expected at most {IGNORE - 1} classes, found {len(spec.classes)}")
        counts = annotation.counts()
        labels = annotation.labels
        number = self._number_of(annotation, spec)
        found = np.unique(labels[counts]) if counts.any() else np.empty(0, dtype=int)
        unknown = [int(v) for v in found if int(v) != 0 and int(v) not in number]
        if unknown:
            raise BadInputError(
                f"expected label values {sorted(number)}, found {unknown[:5]} as well",
                remedy="Add these classes, or erase those voxels.",
            )
        target = np.zeros(labels.shape, dtype=np.uint8)
        for value, index in number.items():
            target[labels == value] = index
        target[~counts] = IGNORE
        return target

    @staticmethod
    def _number_of(annotation: Annotation, spec: ModelSpec) -> dict[int, int]:
        """Map the annotation's values to the model's channel numbers, by class name where names agree."""
        by_name = {c.name.casefold(): i for i, c in enumerate(spec.classes, start=1)}
        by_value = {c.value: i for i, c in enumerate(spec.classes, start=1)}
        numbers = dict(by_value)
        for label_class in annotation.classes:
            index = by_name.get(label_class.name.casefold(), by_value.get(label_class.value))
            if index is not None:
                numbers[label_class.value] = index
        return numbers

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Cross-entropy plus one minus the batch Dice of the foreground classes, over voxels that count.

        Parameters
        ----------
        output
            Scores ``(B, K, *spatial)``.
        target
            Class numbers ``(B, *spatial)``, uint8; 255 is left out.
        """
        import torch

        valid = target != IGNORE
        if not bool(valid.any()):
            return output.sum() * 0.0
        numbers = torch.where(valid, target, torch.zeros_like(target)).long()
        return dice_cross_entropy(output, numbers, valid.float())

    def believed(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Class numbers where the network gives one class at least 0.9; see `Believes`."""
        import torch

        sure, number = output.float().softmax(dim=1).max(dim=1)
        return torch.where(sure >= _SURE, number, IGNORE).to(torch.uint8)

    def class_scores(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """The answer as it is; see `TellsClasses`."""
        return output

    def told(self, scores: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """The likeliest; see `TellsClasses`."""
        return scores.argmax(dim=1)

    def reduce(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Label value of the strongest class, and how likely it is wrong (0 to 255).

        ``(K, *spatial)`` scores to ``(2, *spatial)`` uint8 or int32.
        """
        import torch

        best, winner = output.max(dim=0)
        values = [0, *(c.value for c in spec.classes)]
        kind = torch.uint8 if max(values) < 256 else torch.int32
        if values != list(range(len(values))):
            winner = torch.tensor(values, dtype=kind, device=output.device)[winner]
        sure = (output - best).exp_().sum(dim=0).reciprocal_()
        return torch.stack([winner.to(kind), ((1 - sure) * _MOST_DOUBT).to(kind)])

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Labels on `grid`, with the volume of each class as the summary, and where a volume's slices are in doubt."""
        labels, doubt = dense
        # A copy, lest the labels keep the doubts in memory.
        labels = labels.astype(np.uint16 if labels.dtype == np.int32 else labels.dtype)
        return Prediction(
            grid=grid,
            labels=labels,
            classes=spec.label_classes,
            summary=_summary(labels, grid, spec),
            slice_doubts=_slice_doubts(doubt) if grid.ndim == 3 else (),
        )

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """Overlap and surface scores per class where the annotation counts; see `semantic_scores`."""
        if prediction.labels is None:
            raise BadInputError("expected a prediction with labels, found none")
        names = {c.value: c.name for c in annotation.classes}
        counts = None if annotation.extent.whole else annotation.counts()
        return semantic_scores(
            prediction.labels,
            annotation.labels,
            names,
            annotation.grid.spacing,
            annotation.grid.unit,
            counts=counts,
        )

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan a residual U-Net for these volumes.

        Working spacing is the median over the volumes, as nnU-Net plans it; the tile covers the median volume up
        to a budget of voxels; along an axis much coarser than the others the network pools less.

        Raises
        ------
        BadInputError
            No volumes, no classes, or volumes that do not agree in dimensions and channels.
        """
        return plan_unet(
            self.name,
            name,
            volumes,
            classes,
            channels=(32, 64, 128, 256),
            first_stride=2,
            normalization=Normalization(),
        )


def _slice_doubts(doubt: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    """How many voxels of each slice along each axis are likely wrong; those that the network is sure of do not add up.

    Parameters
    ----------
    doubt
        ``(Z, Y, X)``: probability that the label is wrong, 0 to 255.
    """
    sums = [np.zeros(length) for length in doubt.shape]
    for z, plane in enumerate(doubt):
        unsure = np.where(plane > (1 - _SURE) * _MOST_DOUBT, plane, 0) / np.float32(_MOST_DOUBT)
        along_y = unsure.sum(axis=1)
        sums[0][z] = along_y.sum()
        sums[1] += along_y
        sums[2] += unsure.sum(axis=0)
    return tuple(total.astype(np.float32) for total in sums)


def _summary(labels: NDArray[Any], grid: Grid, spec: ModelSpec) -> str:
    """Size of each class in physical units, for the line under the button; auxiliary ones mean nothing to a person.

    ``"class 1: 2 051 mm³"``: without the colon the two numbers would read as one.
    """
    sizes = np.zeros(max((c.value for c in spec.classes), default=0) + 1, dtype=np.int64)
    for slab in labels:  # bincount makes 8 bytes of every voxel: one slab at a time
        sizes += np.bincount(slab.ravel(), minlength=len(sizes))[: len(sizes)]
    power = "" if grid.unit == "pixel" else ("²" if grid.ndim == 2 else "³")
    unit = {"um": "µm", "pixel": "pixels" if grid.ndim == 2 else "voxels"}.get(grid.unit, grid.unit)
    parts = []
    for entry in [c for c in spec.classes if not c.auxiliary] or spec.classes:
        size = float(sizes[entry.value]) if entry.value < len(sizes) else 0.0
        amount = size * grid.voxel_size
        number = f"{amount:,.0f}" if amount >= 1000 else f"{amount:.4g}"
        parts.append(f"{entry.name}: {number.replace(',', ' ')} {unit}{power}")
    return " · ".join(parts)


TASK = Semantic()
