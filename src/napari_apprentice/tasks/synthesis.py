"""Synthesis: images made up by a network that learned what real ones look like, kind by kind."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import ClassSpec, ModelSpec, Normalization
from napari_apprentice.measure.likeness import frechet_distance, kernel_distance, variety

from ._images import image_prediction
from ._plan import kind_of
from ._task import ONE_KIND
from ._vary import vary

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch
    from numpy.typing import NDArray
    from torch import nn

    from napari_apprentice.core.annotation import Annotation, LabelClass
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume

__all__ = ["TASK", "Synthesis"]

_LONGEST, _SHORTEST, _STEP = 64, 32, 16
_LONGEST_WHOLE = 256
_LOOKED_AT = 50
_OUTERMOST = (0.1, 99.9)
_ALIKE = 0.05
_ALIKE_FROM = 0.3
_WORSE = 10.0
_WORSE_FROM = 0.3
_SEEKING = 0.2
_NEAR = 0.02


class Synthesis:
    """Generative adversarial network, taught by the hinge loss of both halves in one step, and to make much of chance.

    Small images are seen as a whole, fitted to the model's size; of large ones patches are seen on their own voxels. What is
    judged is varied alike, real or made (`vary`), so that a few dozen images are enough to begin with. The moving average of
    the weights is what makes images in the end. A set of made-up images is scored by its distance to real ones in the
    features of another network.

    Left to themselves, small networks soon make one image of each kind, whatever the random numbers: so images of one kind
    are asked to lie as far apart as their numbers do (Mao et al., "Mode seeking generative adversarial networks", CVPR 2019).
    """

    name = "synthesis"
    title = "Make images up"
    primary = "frechet_distance"
    substitutes: ClassVar[tuple[str, ...]] = ("kernel_distance",)
    lower_is_better = True
    betas = (0.0, 0.99)
    # Both halves chase each other: the average over some hundred steps is nearer to real images than where they stand.
    ema = 0.998
    peak = 5e-4

    def output_channels(self, spec: ModelSpec) -> int:
        """One verdict per kind of image."""
        return max(1, len(spec.classes))

    def targets(self, annotation: Annotation, spec: ModelSpec) -> NDArray[np.uint8]:
        """Position of the image's kind among ``spec.classes``, an array without axes; the only one where there is one.

        Raises
        ------
        BadInputError
            Nothing was said about the image as a whole, or a kind that the model does not have.
        """
        names = [entry.name.casefold() for entry in spec.classes]
        said = annotation.image_class
        if said is None and len(names) < 2:
            return np.array(0, dtype=np.uint8)
        if said is None or said.casefold() not in names:
            raise BadInputError(
                f"expected one of {', '.join(c.name for c in spec.classes)}, found {said or 'no class'}",
                remedy="Give the image a class, or learn from images of one kind.",
            )
        return np.array(names.index(said.casefold()), dtype=np.uint8)

    def loss(self, output: torch.Tensor, target: torch.Tensor, spec: ModelSpec) -> torch.Tensor:
        """What is asked of images that were made as kinds ``(B,)`` and got the verdicts ``(B, K)``: to look real."""
        return -_as_kind(output, target).mean()

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
        """Sum of both halves' losses, each with gradients for its own weights only; see `HasOwnStep`.

        One backward pass teaches both: the half that judges sees made-up images without their history, and is held still
        while the half that makes them is judged.
        """
        import torch

        contest: Any = network
        latent = torch.randn(len(data), contest.latent, generator=generator).to(data)
        made = contest.make(latent, target.long())
        both = torch.cat([data, made.detach()])
        real, fake = _as_kind(contest(vary(both, varied, generator)), target.repeat(2)).chunk(2)
        with _held(contest.rival):
            judged = contest(vary(made, varied, generator))
        margins = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
        alike = _SEEKING * _sameness(made, latent, target)
        return margins + self.loss(judged, target, spec) + alike

    def decode(self, dense: NDArray[Any], grid: Grid, spec: ModelSpec) -> Prediction:
        """Make a prediction of an image ``(C, *grid.shape)`` from 0 to 1, in the units and numbers of what was learned from."""
        how, dtype = spec.normalization, np.dtype(spec.task_args.get("dtype", "float32"))
        values = np.asarray(dense, np.float32) * np.float32(how.high - how.low) + np.float32(
            how.low
        )
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            values = np.clip(np.rint(values.astype(np.float64)), limits.min, limits.max)
        return image_prediction(values.astype(dtype), grid, summary="made up")

    def score(self, prediction: Prediction, annotation: Annotation) -> Mapping[str, float]:
        """Refuse: one made-up image has no truth.

        Raises
        ------
        BadInputError
            Always; see `judge`.
        """
        raise BadInputError(
            "expected a set of made-up images, found one: only sets can be compared with real images",
            remedy="Look at the scores of the model.",
        )

    def judge(
        self,
        made: NDArray[np.floating],
        real: NDArray[np.floating],
        kinds: NDArray[np.integer] | None = None,
        real_kinds: NDArray[np.integer] | None = None,
    ) -> Mapping[str, float]:
        """Distance between features ``(N, F)`` of made-up and ``(M, F)`` of real images, and how varied the former are.

        The Fréchet distance where there are as many images as features, else the kernel distance; nothing where features
        are no numbers.
        """
        if not np.isfinite(made).all():
            return {}
        enough = min(len(made), len(real)) >= real.shape[1]
        name, distance = (
            (self.primary, frechet_distance) if enough else (self.substitutes[0], kernel_distance)
        )
        varied = variety(made, real, kinds, real_kinds)
        return {name: distance(made, real), "variety": varied}

    def trouble(self, scores: Mapping[str, float], best: float, fraction: float) -> str:
        """Why to go on makes no sense, or nothing where it does; see `HasOwnStep`."""
        distance = scores.get(self.primary, scores.get(self.substitutes[0]))
        if distance is None:
            return "the images are no numbers any more"
        if fraction >= _ALIKE_FROM and scores["variety"] < _ALIKE:
            return "the images that it makes are all alike"
        if fraction >= _WORSE_FROM and distance > _WORSE * max(best, 0.0) and distance > 1.0:
            return f"the images have become unlike the real ones (distance {distance:.3g}, at best {best:.3g})"
        return ""

    def default_spec(
        self, name: str, volumes: Sequence[Volume], classes: Sequence[LabelClass]
    ) -> ModelSpec:
        """Plan a network for whole images of up to 64 pixels, or for patches of 64 pixels where images are large.

        Raises
        ------
        BadInputError
            No images, volumes, or images that do not agree in channels.
        """
        if not volumes:
            raise BadInputError("expected images, found none", remedy="Give a folder of them.")
        ndim, channels, mixed = kind_of(volumes)
        if ndim != 2:
            raise BadInputError(
                "expected flat images to learn to make more of, found volumes",
                path=volumes[0].source or volumes[0].name,
                remedy="Save single slices as images of their own.",
            )
        lengths = np.median([v.grid.spatial_shape for v in volumes], axis=0)
        whole = bool(lengths.max() <= _LONGEST_WHOLE)
        tile = _tile(lengths if whole else np.full(2, _LONGEST))
        kinds = tuple(classes) or (ONE_KIND,)
        dtypes = {str(v.dtype) for v in volumes}
        return ModelSpec(
            name=name,
            task=self.name,
            network="gan",
            network_args={"size": list(tile)},
            task_args={
                "sees": "whole" if whole else "patch",
                "dtype": dtypes.pop() if len(dtypes) == 1 else "float32",
            },
            ndim=2,
            channels=channels,
            grey_as_color=mixed,
            normalization=_window(volumes),
            classes=tuple(ClassSpec(value=c.value, name=c.name, color=c.color) for c in kinds),
            tile=tile,
            mirror_axes=() if whole else (0, 1),
        )


def _as_kind(verdicts: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Of verdicts ``(B, K)`` those on the kinds ``(B,)`` that were asked for."""
    return verdicts.float().gather(1, kinds.long()[:, None])[:, 0]


def _sameness(made: torch.Tensor, latent: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """How much further random numbers lie apart than the images of one kind ``(B, C, *spatial)`` made of them; 0 without pairs."""
    order = kinds.argsort(stable=True)
    made, latent, kinds = made[order], latent[order], kinds[order]
    pairs = kinds[1:] == kinds[:-1]
    if not bool(pairs.any()):
        return made.new_zeros(())
    apart = (made[1:] - made[:-1]).abs().flatten(1).mean(dim=1)[pairs]
    numbers = (latent[1:] - latent[:-1]).abs().mean(dim=1)[pairs]
    return (numbers / (apart + _NEAR)).mean()


@contextmanager
def _held(network: nn.Module) -> Iterator[None]:
    """Hold the weights of a network, and what it remembers of a pass, as they are."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    was_training = network.training
    network.eval()
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        network.train(was_training)
        for parameter in parameters:
            parameter.requires_grad_(True)


def _tile(lengths: NDArray[np.float64]) -> tuple[int, ...]:
    scaled = lengths * min(1.0, _LONGEST / lengths.max())
    return tuple(
        int(np.clip(round(length / _STEP) * _STEP, _SHORTEST, _LONGEST)) for length in scaled
    )


def _window(volumes: Sequence[Volume]) -> Normalization:
    """One range for all images, since brightness is a part of what they look like: that of their numbers, or what is found."""
    if all(v.dtype == np.uint8 for v in volumes):
        return Normalization(kind="window", low=0, high=255)
    ends = []
    for volume in volumes[:: max(1, len(volumes) // _LOOKED_AT)]:
        values = volume.numpy().astype(np.float64)
        known = values[np.isfinite(values)]
        if known.size:
            ends.append(np.percentile(known, _OUTERMOST))
    if not ends:
        return Normalization(kind="window", low=0, high=1)
    low, high = float(np.min(ends)), float(np.max(ends))
    return Normalization(kind="window", low=low, high=high if high > low else low + 1.0)


TASK = Synthesis()
