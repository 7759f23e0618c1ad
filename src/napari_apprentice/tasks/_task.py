"""The contract every task keeps; the engine knows tasks only through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from napari_apprentice.core.annotation import LabelClass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = [
    "ONE_KIND",
    "AnswersWithImage",
    "AsksMiddle",
    "FindsPlaces",
    "GrowsObjects",
    "HasOwnStep",
    "MakesImages",
    "ReadsBoxes",
    "ReducesOutput",
    "Task",
    "WholeImage",
    "primary_of",
]

ONE_KIND = LabelClass(1, "image")
"""The class of all images where nobody tells kinds of images apart."""


@runtime_checkable
class Task(Protocol):
    """What is asked of a network: how to teach it, how to read its answer, how to mark it.

    Contract
    --------
    - ``targets`` gets the annotation on the grid the network works on, and returns an array of small integers there;
      `IGNORE` (255) marks what does not count.
    - ``loss`` takes network output ``(B, K, *spatial)`` and batched targets ``(B, *spatial)`` and ignores 255.
    - ``decode`` takes the network's answer on the *source* grid and makes a `Prediction` there.
    - ``score`` returns flat names and numbers; higher ``primary`` is better.
    """

    name: str
    title: str
    primary: str

    def output_channels(self, spec: ModelSpec) -> int:
        """Channels the network must answer with."""
        ...

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[Any]:
        """Turn an annotation into what the network should have said, ``annotation.grid.shape``."""
        ...

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Scalar loss of a batch; zero-gradient where the target is `IGNORE`."""
        ...

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Make a prediction of the network's answer (reduced, where the task reduces), on `grid`."""
        ...

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """Scores of one case where the annotation counts."""
        ...

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Propose a model for these volumes: network, spacing, tile, normalisation."""
        ...


@runtime_checkable
class ReducesOutput(Protocol):
    """A task whose answer can be decided voxel by voxel, so that full-size scores never exist."""

    def reduce(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Turn scores ``(K, *spatial)`` of a slab into its answer, of small integers.

        One map ``(*spatial)``, or several ``(n, *spatial)`` that ``decode`` gets together.
        """
        ...


@runtime_checkable
class Believes(Protocol):
    """A task whose targets can be read from a network's own answer, where that is sure enough."""

    def believed(self, output: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """Targets ``(B, *spatial)`` from scores ``(B, K, *spatial)``; `IGNORE` where the network is not sure."""
        ...

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """See `Task.loss`."""
        ...


@runtime_checkable
class NumbersObjects(Protocol):
    """A task whose labels number objects: values are no classes, and there may be any number of them."""

    def named_classes(self, volumes: Sequence[Volume]) -> tuple[LabelClass, ...]:
        """Classes by the names that files give to their objects; empty where they give none."""
        ...

    def annotation(self, labels: Volume, grid: Grid, classes: Sequence[LabelClass]) -> Annotation:
        """What a file of numbered objects says, on `grid`; the whole of it counts.

        Parameters
        ----------
        labels
            Object numbers; where the file names them, the names are the classes of the objects.
        classes
            Of all files together.
        """
        ...


@runtime_checkable
class GrowsObjects(Protocol):
    """A task that finds the object at a place where a person says that there is one."""

    def grow(
        self, dense: NDArray[Any], grid: Grid, spec: ModelSpec, place: Sequence[int]
    ) -> Prediction:
        """Make a prediction of the one object at a voxel: labels 0 and 1, one row of ``objects``; of none where there is none.

        Parameters
        ----------
        dense
            The network's answer, as ``decode`` gets it.
        place
            The voxel, one index per spatial axis of `grid`.
        """
        ...


@runtime_checkable
class SizesObjects(Protocol):
    """A task whose network is trained at one size of objects: images are zoomed so that theirs meet it."""

    def diameter(self, spec: ModelSpec) -> float | None:
        """Diameter of the objects in voxels of the last axis; None where the model does not say."""
        ...

    def with_diameter(self, spec: ModelSpec, diameter: float) -> ModelSpec:
        """The description for objects of this diameter: of a new model, or for reading an answer on another grid."""
        ...

    def diameters(self, labels: NDArray[Any], grid: Grid, spec: ModelSpec) -> NDArray[np.float64]:
        """Diameter of each object in voxels of the last axis, in the planes or volumes that the network sees."""
        ...


@runtime_checkable
class FindsPlaces(Protocol):
    """A task whose answers are points and boxes, learned from annotations with ``detections``.

    Contract
    --------
    - ``targets`` returns several maps ``(n, *spatial)``, ``loss`` takes batches of them ``(B, n, *spatial)``.
    - ``decode`` is given the answer on the grid the network worked on, and its detections lie there: the engine brings
      them to the grid of the image, sizes and all.
    """

    def planned(self, spec: ModelSpec, annotations: Sequence[Annotation]) -> ModelSpec:
        """A new model's description with what the annotations tell: whether there are boxes, how large things are."""
        ...

    def marks(self, target: NDArray[np.uint8], spec: ModelSpec) -> NDArray[np.uint8]:
        """Where to draw patches from: number of the class near each centre, 0 elsewhere, 255 where nothing counts.

        Parameters
        ----------
        target
            Maps ``(n, *spatial)``, as of ``targets``; the result is ``(*spatial)``.
        """
        ...

    def magnified(
        self, target: torch.Tensor, factors: torch.Tensor, spec: ModelSpec
    ) -> torch.Tensor:
        """The maps ``(B, n, *spatial)`` of images that were magnified by so much ``(B,)``: sizes grow along."""
        ...

    def places_in(self, labels: Volume, grid: Grid, classes: Sequence[LabelClass]) -> Annotation:
        """What labels of numbered objects say: their middles and the boxes around them; the whole of it counts.

        Parameters
        ----------
        labels
            Object numbers; where the file names them, the names are the classes of the objects.
        classes
            Of all files together.
        """
        ...


@runtime_checkable
class ReadsBoxes(Protocol):
    """A task that also reads the answers of networks that answer box by box (`FindsBoxes` of the networks).

    Contract
    --------
    - for a description made by ``answered_by_boxes``, ``output_channels`` is the number of classes, ``loss`` takes the rows
      ``(B, R, 4 n + classes)`` of such a network, and ``decode`` what ``found`` made of those of all tiles: ``(N, 2 m + classes)``
      with the m axes of the grid, lengths NaN along axes that the network does not see.
    """

    def answered_by_boxes(self, spec: ModelSpec, *, boxes: bool) -> ModelSpec:
        """The description of a new model whose network answers box by box, or does not."""
        ...

    def network_for(self, annotations: Sequence[Annotation]) -> str | None:
        """Name of the network that learns best from these; None for that of ``default_spec``."""
        ...

    def found(self, rows: torch.Tensor, spec: ModelSpec) -> NDArray[np.float32]:
        """What the rows ``(R, 4 n + classes)`` of a tile tell: ``(M, 2 n + classes)``, middles and lengths in its voxels first."""
        ...

    def lengths(self, spec: ModelSpec, annotations: Sequence[Annotation]) -> NDArray[np.float64]:
        """Lengths of the objects there are, ``(N, n)`` in working voxels; the usual ones, once, where none is known."""
        ...


@runtime_checkable
class WholeImage(Protocol):
    """A task that asks for one answer per image instead of one per voxel; its networks are `AnswersPerImage`.

    Contract
    --------
    - an annotation says ``image_class``, and every image is one sample: fitted to the model's tile as a whole.
    - ``targets`` returns an array without axes; ``loss`` takes output ``(B, K)`` and targets ``(B,)``.
    - ``decode`` takes scores ``(K,)``; ``judge`` scores many answers at once, since rates are of sets, not of images.
    """

    def answer(
        self, scores: NDArray[Any], grid: Grid, spec: ModelSpec, *, unsure: float
    ) -> Prediction:
        """Make a prediction of scores ``(N, K)`` of the N parts of one image (its planes, for a 2-D model).

        Parameters
        ----------
        unsure
            Probability below which the answer is called unsure.
        """
        ...

    def judge(
        self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec
    ) -> Mapping[str, float]:
        """Scores of N answers ``(N, K)`` to images of known class ``(N,)``: the task's ``primary`` and ``log_loss``."""
        ...

    def calibrated(self, scores: NDArray[Any], targets: NDArray[Any], spec: ModelSpec) -> ModelSpec:
        """The model's description with what makes its probabilities honest, from images it has not learned from."""
        ...


@runtime_checkable
class AsksMiddle(Protocol):
    """A task whose network has to lead everything through a narrow middle."""

    asks_middle: Literal[True]


@runtime_checkable
class AnswersWithImage(Protocol):
    """A task whose network answers with an image and learns from images: no labels, no classes.

    Contract
    --------
    - ``spec.task_args["lesson"]`` says what is learned from: ``"pairs"`` of an image and its clean counterpart,
      ``"hidden"`` voxels of the image itself that the network has to guess, or the image ``"itself"``.
    - ``targets`` returns the clean image ``(C, *grid.shape)`` float32 in its own units; the engine brings it to the range of
      the image. ``loss`` takes output ``(B, K, *spatial)`` and targets ``(B, C, *spatial)`` and ignores NaN.
    - ``decode`` takes the image ``(M, *spatial)`` that `image` made, in the source's units where `keeps_units`.
    """

    keeps_units: bool
    """Whether the answer is an image in the units of the source, rather than a map of something else."""

    def planned(self, spec: ModelSpec, *, has_clean: bool) -> ModelSpec:
        """The description, fixed to what is learned from."""
        ...

    def image(
        self, output: NDArray[Any], seen: NDArray[Any], spec: ModelSpec
    ) -> NDArray[np.float32]:
        """Make the image ``(M, *spatial)`` of the network's output ``(K, *spatial)`` and of what it saw ``(C, *spatial)``.

        All in the normalised units that the network knows.
        """
        ...

    def calibrated(self, images: Sequence[NDArray[Any]], spec: ModelSpec) -> ModelSpec:
        """The description with what the answers ``(M, *spatial)`` to held-out images tell about later ones."""
        ...


@runtime_checkable
class HasOwnStep(Protocol):
    """A task of which a step of learning is more than an answer and its loss, and that can go wrong beyond repair."""

    betas: tuple[float, float]
    """Of AdamW: how long gradients and their squares are remembered."""
    ema: float
    """Decay of the moving average of the weights, where nobody asked for another."""
    peak: float
    """Peak learning rate from nothing."""

    def step_loss(
        self,
        network: nn.Module,
        data: torch.Tensor,
        target: torch.Tensor,
        spec: ModelSpec,
        *,
        varied: str,
        generator: torch.Generator,
    ) -> torch.Tensor:
        """Scalar loss of a batch, of which one backward pass teaches every weight.

        Parameters
        ----------
        network
            In training mode.
        data, target
            ``(B, C, *spatial)`` and a batch of ``targets``.
        varied
            How much is varied: ``"none"``, ``"light"`` or ``"strong"``.
        generator
            Where chance comes from, on the CPU.
        """
        ...

    def trouble(self, scores: Mapping[str, float], best: float, fraction: float) -> str:
        """Why to go on makes no sense after a check, or an empty text.

        Parameters
        ----------
        scores
            Of this check.
        best
            The best main score before it; infinite where there is none.
        fraction
            How much of the training is over, 0 to 1.
        """
        ...


@runtime_checkable
class MakesImages(Protocol):
    """A task whose network makes images up; it is never applied to one, and its networks are `MakesPictures`.

    Contract
    --------
    - an annotation says ``image_class``, or nothing where there is one kind; ``targets`` returns an array without axes.
    - ``spec.normalization`` is a window, and ``spec.task_args["sees"]`` is ``"whole"`` (images are fitted to the model's
      tile) or ``"patch"`` (patches of them are seen on their own voxels).
    - ``decode`` takes a made-up image ``(C, *tile)`` from 0 to 1.
    """

    lower_is_better: bool

    def judge(
        self,
        made: NDArray[np.floating],
        real: NDArray[np.floating],
        kinds: NDArray[np.integer] | None = None,
        real_kinds: NDArray[np.integer] | None = None,
    ) -> Mapping[str, float]:
        """Scores of features ``(N, F)`` of made-up images beside ``(M, F)`` of real ones; empty where they are no numbers.

        Positions of their kinds are ``(N,)`` and ``(M,)``; None: all are of one kind.
        """
        ...


def primary_of(task: Task, scores: Mapping[str, float]) -> str:
    """Name of the main score among these: the task's own, else the one that stands in for it."""
    names = (task.primary, *getattr(task, "substitutes", ()))
    return next((name for name in names if name in scores), task.primary)
