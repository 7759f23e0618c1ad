"""Detection: where things are and how large, as points and boxes, each with a class and a score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import IGNORE, Annotation, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import Normalization
from napari_apprentice.measure.detection import Case, detection_scores

from ._box_loss import anchor_loss
from ._boxes import suppress_boxes, sure_boxes
from ._heat import forget_sizes, heat_maps, magnified_codes
from ._heat_loss import MIDDLE_SIZE, heat_loss
from ._peaks import find_peaks, suppress
from ._places import detections_of_labels, usual_diameter
from ._plan import plan_unet
from ._summary import places_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "DetectionTask"]

_DIAMETER = 12.0
_LEAST_SCORE = {2: 0.1, 3: 0.05}
"""Where F1 was best on training images of nuclei; in volumes, where scores are lower, nearly always after minutes of learning."""
_PRIOR = 2.2
"""Logits start this much below zero: nearly every voxel is no middle (Lin et al., ICCV 2017)."""
_SAME_OBJECT = 0.45
"""Two peaks nearer than this share of the diameter are one object; chosen on training images of nuclei."""
_LEAST_BOX_SCORE = 0.3
"""Of what was found anchor by anchor, whose scores are lower; chosen likewise."""
_OVERLAP = 0.3
"""Two boxes that overlap by more are one object; chosen likewise."""
_BLUR = 0.075
"""Of the heat maps before peaks are looked for, as a share of the diameter; chosen likewise."""
_NEAR = 128


class DetectionTask:
    """A network that says where objects are and how large each is, in 2-D and 3-D.

    A network that answers voxel by voxel draws a bump at the middle of each object (CenterNet: Zhou et al., arXiv 1904.07850,
    2019): a heat map per class, learned by the penalty-reduced focal loss, and the lengths of the box around the object.
    Peaks are the objects; their heights are the scores. A network that answers box by box (RetinaNet) tells for every anchor
    of what class it is and how its box differs; of boxes that overlap the surest is the object.
    """

    name = "detection"
    title = "Detect points and boxes"
    primary = "f1"

    # -- what the network learns --------------------------------------------------------

    def output_channels(self, spec: ModelSpec) -> int:
        """A length per axis where there are boxes, then a heat map per class; box by box the classes alone. New ones come last."""
        return len(spec.classes) + (0 if _by_box(spec) else _boxes(spec))

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.uint8]:
        """Maps of lengths and middles, ``(lengths + classes, *spatial)``, for every kind of network; 255 where nothing was said.

        Raises
        ------
        BadInputError
            No points or boxes, or a class that the model does not have.
        """
        said = _said(annotation)
        grid = annotation.grid
        kinds = _class_numbers(said, annotation, spec)
        diameter = float(spec.task_args.get("diameter", _DIAMETER))
        usual = diameter * grid.spacing[-1] / np.asarray(grid.spacing)
        sized = Detections.of(
            said.centres, np.where(np.isfinite(said.sizes), said.sizes, usual), said.kinds
        )
        boxes = _boxes(spec)
        maps = heat_maps(sized, kinds, len(spec.classes), grid.shape, boxes=boxes)
        if boxes:
            forget_sizes(maps, said, boxes)
        if not annotation.extent.whole:
            maps[:, ~annotation.counts()] = IGNORE
        return maps

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Loss per object: of heat maps and lengths, see `heat_loss`, or of the anchors, see `anchor_loss`.

        Parameters
        ----------
        output
            ``(B, lengths + classes, *spatial)``, or rows ``(B, R, 4 n + classes)``.
        target
            See `targets`; ``(B, lengths + classes, *spatial)``, uint8.
        """
        boxes = _boxes(spec)
        if _by_box(spec):
            return anchor_loss(output, target, spec.ndim, boxes=boxes, usual=_usual_lengths(spec))
        return heat_loss(output, target, boxes, _PRIOR)

    def magnified(
        self, target: torch.Tensor, factors: torch.Tensor, spec: ModelSpec
    ) -> torch.Tensor:
        """Lengths grow with the image; see `FindsPlaces.magnified`."""
        boxes = _boxes(spec)
        if not boxes:
            return target
        import torch

        return torch.cat([magnified_codes(target[:, :boxes], factors), target[:, boxes:]], dim=1)

    def marks(self, target: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.uint8]:
        """Where each class has its middles; see `FindsPlaces.marks`."""
        heat = target[_boxes(spec) :]
        strongest = heat.argmax(axis=0).astype(np.uint8) + 1
        marks = np.where(heat.max(axis=0) >= _NEAR, strongest, 0).astype(np.uint8)
        marks[heat[0] == IGNORE] = IGNORE
        return marks

    # -- how its answer is read ---------------------------------------------------------

    def class_scores(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Whether an object is there: its middle, from the heat maps, or box by box at each anchor; see `TellsClasses`."""
        import torch

        if _by_box(spec):
            heat = output[..., 4 * spec.ndim :].float().movedim(-1, 1)
        else:
            heat = output[:, _boxes(spec) :].float() - _PRIOR
        return torch.cat([torch.zeros_like(heat[:, :1]), heat], dim=1)

    def told(self, scores: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """The strongest class where it reaches the lowest score that is told; see `TellsClasses`."""
        heat, strongest = (scores[:, 1:] - scores[:, :1]).max(dim=1)
        return (strongest + 1) * (heat >= _logit(_least(spec)))

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Peaks of the heat maps, or the surest boxes, as detections in voxels of `grid`, surest first.

        Parameters
        ----------
        dense
            What the network said, ``(lengths + classes, *spatial)``; box by box what `found` made of it.
        grid
            That the network worked on.
        """
        read = _boxes_of if _by_box(spec) else _peaks_of
        found = read(dense, grid, spec)
        classes = spec.label_classes
        return Prediction(
            grid=grid, classes=classes, detections=found, summary=places_text(found, classes)
        )

    def found(self, rows: torch.Tensor, spec: ModelSpec) -> NDArray[np.float32]:
        """What the anchors of a tile tell; see `ReadsBoxes.found`."""
        return sure_boxes(rows, spec.ndim, least=_least(spec), overlap=_OVERLAP)

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """F1, precision, recall and mean distance where the annotation counts, and AP50 of boxes; see `detection_scores`."""
        if prediction.detections is None:
            raise BadInputError("expected a prediction with points or boxes, found none")
        grid = annotation.grid
        counts = None if annotation.extent.whole else annotation.counts()
        names = {c.value: c.name for c in annotation.classes}
        case = Case(prediction.detections, _said(annotation), grid.spacing, counts)
        return detection_scores([case], grid.unit, names, reach=annotation.reach)

    # -- planning -----------------------------------------------------------------------

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan a residual U-Net that strides in its first layer: middles need no edges, and it learns in a third of the time.

        Raises
        ------
        BadInputError
            No volumes, or volumes that do not agree in dimensions and channels.
        """
        return plan_unet(
            self.name,
            name,
            volumes,
            classes or (LabelClass(1, "object"),),
            channels=(16, 32, 64, 128, 128),
            first_stride=2,
            normalization=Normalization(kind="percentile", low=0.5, high=99.8),
        )

    def planned(self, spec: ModelSpec, annotations: Sequence[Annotation]) -> ModelSpec:
        """Note the usual diameter in working voxels, and whether there are boxes to learn from."""
        if "diameter" in spec.task_args:
            return spec
        voxel = None if spec.spacing is None else spec.spacing[-1]
        # Without a working spacing each image is seen in voxels of its own.
        said = [
            (_said(a), np.asarray(a.grid.spacing) / (voxel or a.grid.spacing[-1]))
            for a in annotations
        ]
        usual = usual_diameter(said)
        diameter = _DIAMETER if usual is None else max(2.0, usual)
        boxes = any(bool(d.are_boxes.any()) for d, _ in said)
        args = {**spec.task_args, "diameter": round(float(diameter), 3), "boxes": boxes}
        return spec.model_copy(update={"task_args": args})

    def network_for(self, annotations: Sequence[Annotation]) -> str | None:
        """RetinaNet for boxes, which it fits better; heat maps for points; see `ReadsBoxes.network_for`."""
        said = [_said(annotation) for annotation in annotations]
        sized = sum(int(d.are_boxes.sum()) for d in said)
        return "retinanet" if sized > sum(map(len, said)) / 2 else None

    def answered_by_boxes(self, spec: ModelSpec, *, boxes: bool) -> ModelSpec:
        """Note how the network answers; see `ReadsBoxes.answered_by_boxes`."""
        args = {key: value for key, value in spec.task_args.items() if key != "anchors"}
        return spec.model_copy(
            update={"task_args": {**args, **({"anchors": True} if boxes else {})}}
        )

    def lengths(self, spec: ModelSpec, annotations: Sequence[Annotation]) -> NDArray[np.float64]:
        """Lengths of the boxes there are; see `ReadsBoxes.lengths`."""
        known = []
        for annotation in annotations:
            said, spacing = _said(annotation), np.asarray(annotation.grid.spacing)
            scale = spacing[-spec.ndim :] / np.asarray(spec.spacing or spacing[-spec.ndim :])
            known.append(said.sizes[said.are_boxes][:, -spec.ndim :] * scale)
        lengths = np.concatenate(known) if known else np.zeros((0, spec.ndim))
        return lengths if len(lengths) else np.array([_usual_lengths(spec)])

    def places_in(self, labels: Volume, grid: Grid, classes: Sequence[LabelClass]) -> Annotation:
        """Middles and boxes of numbered objects; see `FindsPlaces.places_in`."""
        values = {c.name.casefold(): c.value for c in classes}
        kinds = {n: values.get(name.casefold(), 0) for n, name in labels.classes.items()}
        found = detections_of_labels(labels.numpy(), kinds if len(classes) > 1 else {})
        if len(classes) == 1:
            found = Detections.of(found.centres, found.sizes, np.full(len(found), classes[0].value))
        return Annotation.of_places(grid, found, classes)


def _boxes(spec: ModelSpec) -> int:
    """Along how many axes the network says how long an object is."""
    return spec.ndim if spec.task_args.get("boxes", True) else 0


def _by_box(spec: ModelSpec) -> bool:
    """Whether the network answers anchor by anchor."""
    return bool(spec.task_args.get("anchors", False))


def _usual_lengths(spec: ModelSpec) -> list[float]:
    """Lengths in working voxels of an object of the usual diameter."""
    diameter = float(spec.task_args.get("diameter", _DIAMETER))
    spacing = spec.spacing or (1.0,) * spec.ndim
    return [diameter * spacing[-1] / length for length in spacing[-spec.ndim :]]


def _least(spec: ModelSpec) -> float:
    """Lowest score of what is told: as asked for, else what is usual for such an answer."""
    usual = _LEAST_BOX_SCORE if _by_box(spec) else _LEAST_SCORE[spec.ndim]
    return float(np.clip(float(spec.task_args.get("least_score", usual)), 1e-3, 1 - 1e-3))


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def _said(annotation: Annotation) -> Detections:
    if annotation.detections is None:
        raise BadInputError(
            "expected points or boxes, found none",
            remedy="Mark objects with points in Correct, give a table of points, or labels of numbered objects.",
        )
    return annotation.detections


def _class_numbers(said: Detections, annotation: Annotation, spec: ModelSpec) -> NDArray[np.int64]:
    """Position of each detection's class among the model's, by name where names agree, else by value."""
    by_name = {c.name.casefold(): i for i, c in enumerate(spec.classes)}
    numbers = {c.value: i for i, c in enumerate(spec.classes)}
    for entry in annotation.classes:
        numbers[entry.value] = by_name.get(entry.name.casefold(), numbers.get(entry.value, -1))
    if len(spec.classes) == 1:
        return np.zeros(len(said), np.int64)
    unknown = sorted({int(k) for k in said.kinds} - {v for v, i in numbers.items() if i >= 0})
    if unknown:
        raise BadInputError(
            f"expected points of the classes {', '.join(c.name for c in spec.classes)}, "
            f"found class values {unknown[:5]} as well",
            remedy="Give each point one of the classes.",
        )
    return np.array([numbers[int(k)] for k in said.kinds], np.int64)


def _peaks_of(dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Detections:
    """Peaks of heat maps, one per object."""
    boxes = _boxes(spec)
    limit = _logit(_least(spec))
    usual = float(spec.task_args.get("diameter", _DIAMETER)) * grid.spacing[-1]
    blur = [_BLUR * usual / length for length in grid.spacing]
    found = Detections.none(grid.ndim)
    for number, entry in enumerate(spec.classes):
        voxels, places, heights = find_peaks(
            np.asarray(dense[boxes + number], np.float32) - _PRIOR, limit, blur
        )
        sizes = _sizes_at(dense[:boxes], voxels, grid)
        scores = (1 / (1 + np.exp(-heights.astype(np.float64)))).astype(np.float32)
        kinds = np.full(len(voxels), entry.value, np.int32)
        found = found.joined(Detections.of(places, sizes, kinds, scores))
    found = found.select(np.argsort(-found.scores, kind="stable"))
    return found.select(suppress(found.centres, _radii(found, grid, spec), grid.spacing))


def _boxes_of(rows: NDArray[Any], grid: Grid, spec: ModelSpec) -> Detections:
    """The surest of the boxes that overlap; without depth, of those that are near one another."""
    shares = rows[:, 2 * grid.ndim :]
    best = shares.max(axis=1, initial=0.0)
    order = np.argsort(-best, kind="stable")
    rows, shares = (each[order[best[order] >= _least(spec)]] for each in (rows, shares))
    values = np.array([entry.value for entry in spec.classes], np.int32)
    sizes = np.asarray(rows[:, grid.ndim : 2 * grid.ndim], np.float64)
    if not _boxes(spec):
        sizes = np.full(sizes.shape, np.nan)
    found = Detections.of(
        rows[:, : grid.ndim], sizes, values[shares.argmax(axis=1)], shares.max(axis=1, initial=0.0)
    )
    found = found.select(found.in_image(grid.shape))
    if found.are_boxes.all():
        return found.select(suppress_boxes(found.centres, found.sizes, _OVERLAP))
    return found.select(suppress(found.centres, _radii(found, grid, spec), grid.spacing))


def _sizes_at(
    octaves: NDArray[Any], voxels: NDArray[np.int64], grid: Grid
) -> NDArray[np.float64] | None:
    """Lengths of the boxes in voxels; not known along Z where a 2-D network looks at planes."""
    if not len(octaves):
        return None
    sizes = np.full(voxels.shape, np.nan)
    said = octaves[(slice(None), *voxels.T)].astype(np.float64).T
    longest = 2.0 * np.asarray(grid.shape[-len(octaves) :])
    sizes[:, -len(octaves) :] = np.clip(2.0 ** (said + MIDDLE_SIZE), 0.5, longest)
    return sizes


def _radii(found: Detections, grid: Grid, spec: ModelSpec) -> NDArray[np.float64]:
    """How far around each detection there is no other, in the unit of the grid."""
    usual = float(spec.task_args.get("diameter", _DIAMETER)) * grid.spacing[-1]
    lengths = found.sizes * np.asarray(grid.spacing)
    known = np.isfinite(lengths)
    means = np.where(known, lengths, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return _SAME_OBJECT * np.where(known.any(axis=1), means, usual)


TASK = DetectionTask()
