"""Semantic segmentation: one class per voxel, learned from complete or sparse annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import IGNORE
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization
from napari_apprentice.measure.semantic import semantic_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "Semantic"]

_ANISOTROPIC = 2.0
_SMOOTH = 1e-5


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
        import torch.nn.functional as functional

        valid = target != IGNORE
        if not bool(valid.any()):
            return output.sum() * 0.0
        output = output.float()
        numbers = torch.where(valid, target, torch.zeros_like(target)).long()
        weight = valid.float()
        log_probability = functional.log_softmax(output, dim=1)
        picked = log_probability.gather(1, numbers.unsqueeze(1)).squeeze(1)
        cross_entropy = -(picked * weight).sum() / weight.sum()

        probability = log_probability.exp()[:, 1:] * weight.unsqueeze(1)
        classes = torch.arange(1, output.shape[1], device=output.device)
        classes = classes.view(1, -1, *(1,) * (target.ndim - 1))
        truth = (numbers.unsqueeze(1) == classes) * weight.unsqueeze(1)
        dims = (0, *range(2, output.ndim))
        overlap = (probability * truth).sum(dims)
        size = probability.sum(dims) + truth.sum(dims)
        dice = (2 * overlap + _SMOOTH) / (size + _SMOOTH)
        return cross_entropy + 1.0 - dice.mean()

    def reduce(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Label value of the strongest class, ``(K, *spatial)`` scores to ``(*spatial)`` uint8 or int32."""
        import torch

        winner = output.argmax(dim=0)
        values = [0, *(c.value for c in spec.classes)]
        kind = torch.uint8 if max(values) < 256 else torch.int32
        if values == list(range(len(values))):
            return winner.to(kind)
        return torch.tensor(values, dtype=kind, device=output.device)[winner]

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Labels on `grid`, with the volume of each class as the summary."""
        labels = dense.astype(np.uint16) if dense.dtype == np.int32 else dense
        return Prediction(
            grid=grid,
            labels=labels,
            classes=spec.label_classes,
            summary=_summary(labels, grid, spec),
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
        if not volumes or not classes:
            raise BadInputError(
                f"expected images and classes, found {len(volumes)} images and {len(classes)} classes",
                remedy="Annotate at least one class.",
            )
        kinds = {(v.grid.ndim, v.grid.length("C")) for v in volumes}
        if len(kinds) > 1:
            raise BadInputError(
                f"expected images of one kind, found (dimensions, channels) {sorted(kinds)}",
                remedy="Learn from images of one kind at a time.",
            )
        ndim, _ = kinds.pop()
        grids = [v.grid for v in volumes]
        patient = all(g.world == "LPS" for g in grids)
        known = all(g.unit == grids[0].unit != "pixel" for g in grids)
        spacing = np.median([g.spacing for g in grids], axis=0)
        lengths = np.median(
            [np.array(g.spatial_shape) * g.spacing / spacing for g in grids], axis=0
        )
        strides = _strides(ndim, spacing, lengths)
        return ModelSpec(
            name=name,
            task=self.name,
            network="unet",
            network_args={"channels": [32, 64, 128, 256], "strides": strides, "num_res_units": 1},
            ndim=3 if ndim == 3 else 2,
            channels=volumes[0].channels,
            spacing=tuple(float(s) for s in spacing) if known else None,
            unit=grids[0].unit if known else "pixel",
            orientation="LPS" if patient and ndim == 3 else None,
            normalization=Normalization(),
            classes=tuple(ClassSpec(value=c.value, name=c.name, color=c.color) for c in classes),
            tile=_tile(lengths, np.prod(strides, axis=0)),
            mirror_axes=() if patient else tuple(range(ndim)),
        )


def _strides(
    ndim: int, spacing: NDArray[np.float64], lengths: NDArray[np.float64]
) -> list[list[int]]:
    """Pool an axis only while it is not much coarser or shorter than the finest one."""
    current = np.array(spacing, dtype=float)
    left = np.array(lengths, dtype=float)
    strides = []
    for _ in range(3):
        pool = (current < _ANISOTROPIC * current.min()) & (left >= 8)
        stride = np.where(pool, 2, 1)
        strides.append([int(s) for s in stride])
        current, left = current * stride, left / stride
    return strides


def _tile(lengths: NDArray[np.float64], pooled: NDArray[np.int64]) -> tuple[int, ...]:
    """Cover the median volume, rounded up to what the network divides by, within a budget of voxels.

    The deepest level gets more than one voxel: a single one cannot be normalised.
    """
    budget = 160_000 if len(lengths) == 3 else 256 * 256
    step = np.array(pooled, dtype=float)
    tile = np.ceil(np.asarray(lengths) / step) * step
    if (tile == step).all():
        tile[-1] *= 2
    while np.prod(tile) > budget and (tile > step).any():
        widest = int(np.argmax(np.where(tile > step, tile, 0)))
        tile[widest] -= step[widest]
    return tuple(int(t) for t in tile)


def _summary(labels: NDArray[Any], grid: Grid, spec: ModelSpec) -> str:
    """Size of each class in physical units, for the line under the button; auxiliary ones mean nothing to a person."""
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
        parts.append(f"{entry.name} {number} {unit}{power}".replace(",", " "))
    return " · ".join(parts)


TASK = Semantic()
