"""Instance segmentation: every object gets a number of its own, touching ones too; on request a class as well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import IGNORE, Annotation, LabelClass
from napari_apprentice.core.errors import BadInputError, naming
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import Normalization
from napari_apprentice.measure.diameter import equivalent_diameter
from napari_apprentice.measure.instances import score_instances
from napari_apprentice.measure.pairs import check_instances, no_mask, object_sizes

from ._borders import TOUCHING, border_kinds
from ._class_scores import class_scores
from ._grow import as_found, grow_object, grow_through
from ._losses import dice_cross_entropy
from ._objects import Found, Reading, find_objects
from ._plan import plan_unet
from ._planes import join_planes
from ._summary import count_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "Instance"]

_KINDS = 3
_MOST_CLASSES = (IGNORE - 1 - _KINDS) // _KINDS
_TOUCHING_WEIGHT = 5.0
_DIAMETER = 20.0
_BORDERS_PER_DIAMETER = 12
_BORDER = (1.0, 4.0)
# Shares of the diameter, and of the area or volume of an object of that diameter; chosen on training images.
_BLUR = 0.05
_SMALLEST_CORE, _SMALLEST = 0.06, 0.02
_SMALLEST_BODY = 0.1
_SPECK = 4
"""Side of a square or cube of voxels that noise seldom makes."""
_LEAST_SCORE = 0.6
_OVERLAP = 0.25
"""Of tiles: objects are local. Half as much again finds no more of them and takes twice the time (measured)."""
_SAME_OBJECT = 0.3
"""Overlap (IoU) of one object in two planes; nuclei taper, so that less than one half has to do."""


class Instance:
    """A network that tells background, interior and border apart; objects are what hangs together inside.

    The oldest way to keep touching objects apart with a U-Net (Ronneberger et al., MICCAI 2015; Caicedo et al.,
    Cytometry A 95, 952, 2019): few channels, quick to learn, cheap to read. Borders between two objects weigh more.
    With several classes, further channels say which one; they learn inside of objects only and each object takes the
    class of most of its voxels.
    """

    name = "instance"
    title = "Find objects"
    primary = "ap"

    # -- what the network learns --------------------------------------------------------

    def output_channels(self, spec: ModelSpec) -> int:
        """Background, interior, border; and one per class where there are several."""
        return _KINDS + _classes(spec)

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.uint8]:
        """Kind and class of every voxel as one number: 0 background, else ``kind + 3 · class``.

        Kinds are 1 interior, 2 border, 3 border near another object; classes count from 1 in the order of
        ``spec.classes``, 0 where the object's class is not known or does not matter. 255 where nothing was said.

        Raises
        ------
        BadInputError
            Labels that cannot be object numbers, or more classes than a target can hold.
        """
        if len(spec.classes) > _MOST_CLASSES:
            raise BadInputError(
                f"expected at most {_MOST_CLASSES} classes, found {len(spec.classes)}"
            )
        labels, counts = annotation.labels, annotation.counts()
        _check_numbers(labels)
        spacing = tuple(s / annotation.grid.spacing[-1] for s in annotation.grid.spacing)
        width = _border(spec)
        if labels.ndim > spec.ndim:
            planes = zip(labels, counts, strict=True)
            kinds = np.stack([border_kinds(p, c, spacing[1:], width) for p, c in planes])
        else:
            kinds = border_kinds(labels, counts, spacing, width)
        if _classes(spec):
            objects = (kinds > 0) & (kinds != IGNORE)
            kinds[objects] += _KINDS * _class_numbers(annotation, spec)[objects]
        return kinds

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Dice + cross-entropy of the kinds, and cross-entropy of the classes inside of objects.

        Parameters
        ----------
        output
            Scores ``(B, 3 + classes, *spatial)``.
        target
            See `targets`; ``(B, *spatial)``, uint8.
        """
        import torch
        import torch.nn.functional as functional

        valid = target != IGNORE
        if not bool(valid.any()):
            return output.sum() * 0.0
        code = torch.where(valid, target, torch.zeros_like(target)).long()
        kind = torch.where(code > 0, (code - 1) % _KINDS + 1, code)
        weight = valid.float() * (1 + (_TOUCHING_WEIGHT - 1) * (kind == TOUCHING))
        loss = dice_cross_entropy(output[:, :_KINDS], kind.clamp_max(_KINDS - 1), weight)
        number = (code - 1).div(_KINDS, rounding_mode="floor")
        if output.shape[1] > _KINDS and bool((number > 0).any()):
            wanted = torch.where(number > 0, number - 1, torch.full_like(number, -1))
            classes = output[:, _KINDS:].float()
            loss = loss + functional.cross_entropy(classes, wanted, ignore_index=-1)
        return loss

    # -- how its answer is read ---------------------------------------------------------

    def reduce(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Interior and foreground as probabilities 0…255, and the number of the likeliest class: uint8 maps."""
        import torch

        probability = output[:_KINDS].float().softmax(dim=0)
        maps = [probability[1], 1 - probability[0]]
        levels = torch.stack(maps).mul_(255).round_().to(torch.uint8)
        if output.shape[0] == _KINDS:
            return levels
        winner = output[_KINDS:].argmax(dim=0, keepdim=True).to(torch.uint8)
        return torch.cat([levels, winner])

    def class_scores(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Whether there is an object, inside or at its border, and of which class it is; see `TellsClasses`."""
        import torch

        scores = output.float()
        there = scores[:, 1:_KINDS].logsumexp(dim=1, keepdim=True) - scores[:, :1]
        if output.shape[1] > _KINDS:
            there = there + scores[:, _KINDS:].log_softmax(dim=1)
        return torch.cat([torch.zeros_like(there[:, :1]), there], dim=1)

    def told(self, scores: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """The likeliest class where an object is likelier than none; see `TellsClasses`."""
        is_object = scores[:, 1:].logsumexp(dim=1) > scores[:, 0]
        return (scores[:, 1:].argmax(dim=1) + 1) * is_object

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Numbered objects on `grid`; planes of a 2-D network are joined through Z.

        ``objects`` has the columns ``label``, ``score`` and, where there are several classes, ``class``.
        """
        how, classes = _reading(spec, grid.spacing), _classes(spec)
        if grid.ndim > spec.ndim:
            planes = (
                find_objects(dense[:, z], grid.spacing[1:], how, classes)
                for z in range(dense.shape[1])
            )
            found = join_planes(planes, grid.shape, _SAME_OBJECT)
        else:
            found = find_objects(dense, grid.spacing, how, classes)
        objects = _columns(found, spec)
        return Prediction(
            grid=grid,
            labels=found.labels,
            classes=spec.label_classes,
            objects=objects,
            summary=count_text(objects, found.sizes, grid, spec.label_classes),
        )

    def grow(
        self, dense: NDArray[Any], grid: Grid, spec: ModelSpec, place: Sequence[int]
    ) -> Prediction:
        """The one object at a voxel, also where the network was not sure enough of it; see `grow_object`."""
        how, classes = _reading(spec, grid.spacing), _classes(spec)
        diameter = float(spec.task_args.get("diameter", _DIAMETER))
        seen = grid.spacing[grid.ndim - spec.ndim :]
        usual = diameter**spec.ndim * float(np.prod(grid.spacing[-1] / np.array(seen)))
        if grid.ndim > spec.ndim:
            grown = grow_through(dense, seen, how, usual, place, classes, least_iou=_SAME_OBJECT)
        else:
            grown = grow_object(dense, seen, how, usual, place, classes)
        found = as_found(grown, grid.shape, classes)
        columns = _columns(found, spec)
        return Prediction(grid, found.labels, classes=spec.label_classes, objects=columns)

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """Average precision, F1, panoptic quality and counts where the annotation counts; see `score_instances`.

        Where the annotation tells classes apart, ``ap`` is the mean over the classes, and ``ap_any`` that of objects
        whatever their class.
        """
        if prediction.labels is None:
            raise BadInputError("expected a prediction with labels, found none")
        counts = None if annotation.extent.whole else annotation.counts()
        scores = score_instances(prediction.labels, annotation.labels, counts=counts).to_dict()
        of_classes = class_scores(prediction, annotation)
        return {"ap_any": scores["ap"], **scores, **of_classes} if of_classes else scores

    # -- planning -----------------------------------------------------------------------

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan a residual U-Net with full resolution at its top: borders are thin.

        Raises
        ------
        BadInputError
            No volumes, or volumes that do not agree in dimensions and channels.
        """
        planned = plan_unet(
            self.name,
            name,
            volumes,
            classes or (LabelClass(1, "object"),),
            channels=(16, 32, 64, 128, 256),
            first_stride=1,
            normalization=Normalization(kind="percentile", low=0.5, high=99.8),
        )
        return planned.model_copy(update={"overlap": _OVERLAP})

    def named_classes(self, volumes: Sequence[Volume]) -> tuple[LabelClass, ...]:
        """Classes by the names that files give to their objects, in the order of the alphabet."""
        names = {name for volume in volumes for name in volume.classes.values() if name}
        ordered = sorted(names, key=str.casefold)
        return tuple(LabelClass(value, name) for value, name in enumerate(ordered, start=1))

    def annotation(self, labels: Volume, grid: Grid, classes: Sequence[LabelClass]) -> Annotation:
        """Objects of a file; objects that it names are of the class of that name.

        Raises
        ------
        BadInputError
            Labels that cannot be object numbers; several classes, and objects that name none of them.
        """
        no_mask(labels)
        array = labels.numpy()
        _check_numbers(array, labels.source)
        said = tuple(classes)
        if len(said) < 2:
            return Annotation(grid, array, said)
        values = {c.name.casefold(): c.value for c in said}
        known = {n: values.get(name.casefold()) for n, name in labels.classes.items()}
        chosen = {number: value for number, value in known.items() if value is not None}
        if not chosen and array.any():
            raise BadInputError(
                f"expected objects named {', '.join(c.name for c in said)} in the label file, found no such names",
                path=labels.source,
                remedy="Leave out the classes, or give each object the name of its class.",
            )
        return Annotation(grid, array, said, object_classes=chosen)

    # -- size ---------------------------------------------------------------------------

    def diameter(self, spec: ModelSpec) -> float | None:
        """Object diameter the network was trained at, in working voxels."""
        value = spec.task_args.get("diameter")
        return None if value is None else float(value)

    def with_diameter(self, spec: ModelSpec, diameter: float) -> ModelSpec:
        """Scale the border along with the diameter; a new model's border is a twelfth of it."""
        known = self.diameter(spec)
        if known is None:
            border = float(np.clip(diameter / _BORDERS_PER_DIAMETER, *_BORDER))
        else:
            border = _border(spec) * diameter / known
        args = {**spec.task_args, "diameter": float(diameter), "border": border}
        return spec.model_copy(update={"task_args": args})

    def diameters(self, labels: NDArray[Any], grid: Grid, spec: ModelSpec) -> NDArray[np.float64]:
        """Diameter of the circle or sphere of the same size as each object, in voxels of the last axis."""
        if labels.ndim > spec.ndim:
            plane = grid.plane()
            parts = [self.diameters(part, plane, spec) for part in labels]
            return np.concatenate(parts) if parts else np.zeros(0)
        _, sizes = object_sizes(labels)
        return equivalent_diameter(sizes * grid.voxel_size, grid.ndim) / grid.spacing[-1]


def _check_numbers(labels: NDArray[Any], source: str | None = None) -> None:
    with naming(source):
        check_instances(labels, "labels")
        if labels.dtype.kind == "i" and labels.size and int(labels.min()) < 0:
            raise BadInputError(
                f"expected object numbers from 0 (background) up, found {int(labels.min())}",
                remedy="Give every object a positive number, and the background 0.",
            )


def _classes(spec: ModelSpec) -> int:
    """How many classes are told apart: none where there is only one."""
    return len(spec.classes) if len(spec.classes) > 1 else 0


def _border(spec: ModelSpec) -> float:
    """Width of the border in working voxels."""
    diameter = float(spec.task_args.get("diameter", _DIAMETER))
    width = float(np.clip(diameter / _BORDERS_PER_DIAMETER, *_BORDER))
    return float(spec.task_args.get("border", width))


def _reading(spec: ModelSpec, spacing: Sequence[float]) -> Reading:
    """Thresholds in voxels of the grid that the answer lies on."""
    diameter = float(spec.task_args.get("diameter", _DIAMETER))
    seen = np.asarray(spacing[-spec.ndim :]) / spacing[-1]
    voxels = (np.pi / (2 * spec.ndim)) * diameter**spec.ndim / float(np.prod(seen))
    return Reading(
        blur=_BLUR * diameter,
        spread=(max(1.0, 0.1 * diameter), max(1.0, 0.5 * diameter)),
        reach=1.25 * _border(spec) + 1,
        smallest_core=_SMALLEST_CORE * voxels,
        smallest_body=min(_SPECK**spec.ndim, _SMALLEST_BODY * voxels),
        smallest=_SMALLEST * voxels,
        least_score=_LEAST_SCORE,
    )


def _class_numbers(annotation: Annotation, spec: ModelSpec) -> NDArray[np.uint8]:
    """The number of the class of every voxel's object; 0 where it is not known."""
    names = {c.value: c.name.casefold() for c in annotation.classes}
    numbers = {c.name.casefold(): n for n, c in enumerate(spec.classes, start=1)}
    ids, compact = np.unique(annotation.labels, return_inverse=True)
    table = np.zeros(len(ids), np.uint8)
    for position, number in enumerate(ids.tolist()):
        value = annotation.object_classes.get(number)
        table[position] = numbers.get(names.get(value, ""), 0) if value is not None else 0
    return np.asarray(table[compact].reshape(annotation.labels.shape))


def _columns(found: Found, spec: ModelSpec) -> dict[str, NDArray[Any]]:
    count = len(found.sizes)
    columns: dict[str, NDArray[Any]] = {
        "label": np.arange(1, count + 1, dtype=np.int32),
        "score": found.scores,
    }
    if _classes(spec):
        values = np.array([c.value for c in spec.classes], np.int32)
        columns["class"] = values[found.votes.argmax(axis=1)] if count else values[:0]
    return columns


TASK = Instance()
