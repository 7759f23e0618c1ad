"""Object classification: of which class each numbered object is, learned from a few that a person has classed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.spec import ModelSpec
from napari_apprentice.measure.boxes import object_boxes
from napari_apprentice.measure.classification import classification_scores

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

__all__ = ["TASK", "ObjectClass"]

_WIDE = {2: 32, 3: 24}
_WIDTHS = {2: [16, 32, 48], 3: [8, 16, 32]}
_DEEP = (4, 16)
_STEP = 4
_ROOM = 1.3
"""Length of a crop in lengths of a large object: some of what is around it tells, too."""
_LARGE = 90


class ObjectClass:
    """What is measured of each object, and a network on a crop around it, with the object's mask as a further channel.

    Size, shape, intensities, texture and colour are those of *Measure*, in the unit and the raw intensities of the image, so that
    brightness and colour between images tell, too. Crops have one size in the world, planned for the objects that were
    classed; for them each image is normalised as a whole, and texture is measured in them at several scales. From these
    measures logistic regression decides: a few classed objects are enough. Convolutions on the crops learn from 300
    classed objects on, and count where held-out objects show that they help. All classes count equally.
    """

    name = "object_class"
    title = "Classify objects"
    primary = "f1"

    def output_channels(self, spec: ModelSpec) -> int:
        """One channel per class."""
        return len(spec.classes)

    def input_channels(self, spec: ModelSpec) -> int:
        """Those of the image, and the mask."""
        return len(spec.channels) + 1

    def known_objects(
        self, annotation: Annotation, spec: ModelSpec
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Numbers of the objects that are there and of known class, and its position; classes meet by name.

        Raises
        ------
        BadInputError
            An object of a class that the model does not have.
        """
        names = {entry.value: entry.name for entry in annotation.classes}
        positions = {entry.name.casefold(): n for n, entry in enumerate(spec.classes)}
        there = set(object_boxes(annotation.labels))
        said = {n: names.get(v, "") for n, v in annotation.object_classes.items() if n in there}
        unknown = sorted({name for name in said.values() if name.casefold() not in positions})
        if unknown:
            raise BadInputError(
                f"expected objects of {', '.join(c.name for c in spec.classes)}, "
                f"found some of {', '.join(map(repr, unknown))}"
            )
        numbers = np.array(sorted(said), dtype=np.int64)
        kinds = [positions[said[n].casefold()] for n in numbers.tolist()]
        return numbers, np.array(kinds, dtype=np.uint8)

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.uint8]:
        """Position of the class of each object that has one, ``(N,)``."""
        return self.known_objects(annotation, spec)[1]

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Cross-entropy of scores ``(B, K)`` and class positions ``(B,)``, with label smoothing."""
        return class_loss(output, target, spec)

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Read scores ``(N, K)`` of the objects 1 … N."""
        return _told(np.atleast_2d(dense), np.arange(1, len(dense) + 1), None, grid, spec)

    def classed(
        self,
        scores: NDArray[Any],
        numbers: NDArray[Any],
        labels: NDArray[Any],
        grid: Grid,
        spec: ModelSpec,
    ) -> Prediction:
        """The most likely class of each object, with its probability and how much the others compete.

        ``objects`` has the columns ``label``, ``class``, ``score`` (the probability of that class) and ``uncertainty``
        (entropy of all of them, as a share of the largest there can be).
        """
        return _told(scores, numbers, labels, grid, spec)

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """Accuracy, balanced accuracy, precision, recall and F1 over the objects whose true class is known.

        Raises
        ------
        BadInputError
            No object of known class has a predicted one.
        """
        truth = {c.value: c.name.casefold() for c in annotation.classes}
        found = {c.value: c.name.casefold() for c in prediction.classes}
        columns = prediction.objects
        said = dict(zip(columns["label"].tolist(), columns["class"].tolist(), strict=True))
        pairs = [
            (found.get(said[n], ""), truth.get(v, ""))
            for n, v in annotation.object_classes.items()
            if n in said
        ]
        if not pairs:
            raise BadInputError("expected objects of known class in the truth, found none")
        names = sorted({name for pair in pairs for name in pair})
        number = {name: position for position, name in enumerate(names)}
        predicted, actual = np.array([[number[a], number[b]] for a, b in pairs]).T
        return classification_scores(predicted, actual, range(len(names))).flat(
            dict(enumerate(names))
        )

    def judge(
        self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec
    ) -> Mapping[str, float]:
        """Rates and probability scores over a set of objects; see `ClassesObjects.judge`."""
        return judged(scores, targets, spec)

    def calibrated(self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec) -> ModelSpec:
        """Store the temperature under which the truth is least surprising; see `with_temperature`."""
        return with_temperature(scores, targets, spec)

    # -- planning -----------------------------------------------------------------------

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan a small network for crops 32 voxels wide (24 in 3-D); `planned` chooses how large a voxel is.

        Raises
        ------
        BadInputError
            Fewer than two classes, or images that do not agree in dimensions and channels.
        """
        if not volumes or len(classes) < 2:
            found = f"{len(classes)} class{'' if len(classes) == 1 else 'es'}"
            raise BadInputError(
                f"expected objects of two classes or more, found {found}",
                remedy="Say of some objects that they are of another class.",
            )
        facts = picture_facts(volumes, classes)
        ndim = facts["ndim"]
        return ModelSpec(
            name=name,
            task=self.name,
            network="object_net",
            network_args={"channels": _WIDTHS[ndim]},
            tile=(_DEEP[1], _WIDE[ndim], _WIDE[ndim])[3 - ndim :],
            **facts,
        )

    def planned(self, spec: ModelSpec, annotations: Sequence[Annotation]) -> ModelSpec:
        """Choose working voxels in which nine of ten classed objects fit into a crop with room around them.

        Never finer than the image; along Z not coarser than within the planes.
        """
        found = [_lengths(a) for a in annotations]
        known = [lengths for lengths in found if len(lengths)]
        if not known:
            return spec
        grids = [a.grid for a in annotations]
        spacing = np.median([g.spacing for g in grids], axis=0)
        lengths = _ROOM * np.percentile(np.concatenate(known), _LARGE, axis=0)
        near = min(1.0, float(min(spec.tile[-2:]) * spacing[-1] / lengths[-2:].max()))
        has_size = all(g.unit == grids[0].unit != "pixel" for g in grids)
        working = spacing / near
        if has_size and spec.ndim == 3:
            working[0] = max(spacing[0], min(working[0], working[-1]))
        changes: dict[str, Any] = {"task_args": {**spec.task_args, "zoom": near}}
        if has_size:
            changes |= {"spacing": tuple(float(s) for s in working), "unit": grids[0].unit}
        if spec.ndim == 3:
            deep = int(np.clip(np.ceil(lengths[0] / working[0] / _STEP) * _STEP, *_DEEP))
            changes["tile"] = (deep, *spec.tile[-2:])
        return spec.model_copy(update=changes)

    def zoom(self, spec: ModelSpec) -> float:
        """How much larger the network sees images whose voxels have no size; see `planned`."""
        return 1.0 if spec.spacing is not None else float(spec.task_args.get("zoom", 1.0))


def _lengths(annotation: Annotation) -> NDArray[np.float64]:
    """Lengths ``(N, ndim)`` of the boxes around classed objects, in the unit of the grid."""
    boxes = object_boxes(annotation.labels)
    chosen = [boxes[n] for n in sorted(annotation.object_classes) if n in boxes]
    voxels = np.array([[part.stop - part.start for part in box] for box in chosen], dtype=float)
    return np.asarray(voxels.reshape(-1, annotation.grid.ndim) * np.array(annotation.grid.spacing))


def _told(
    scores: NDArray[Any],
    numbers: NDArray[Any],
    labels: NDArray[Any] | None,
    grid: Grid,
    spec: ModelSpec,
) -> Prediction:
    shares = probabilities(scores, spec) if len(scores) else np.zeros((0, len(spec.classes)))
    best = shares.argmax(axis=1) if len(shares) else np.zeros(0, np.int64)
    entropy = -(shares * np.log(np.clip(shares, 1e-12, 1.0))).sum(axis=1)
    values = np.array([c.value for c in spec.classes])
    counts = [f"{int((best == n).sum())} {c.name}" for n, c in enumerate(spec.classes)]
    return Prediction(
        grid=grid,
        labels=labels,
        classes=spec.label_classes,
        objects={
            "label": np.asarray(numbers),
            "class": values[best],
            "score": shares.max(axis=1, initial=0.0),
            "uncertainty": np.clip(entropy / np.log(len(values)), 0.0, 1.0),
        },
        summary=" · ".join(counts),
    )


TASK = ObjectClass()
