"""The contract every network file keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from pydantic import BaseModel
    from torch import nn

__all__ = [
    "AnswersPerImage",
    "FindsBoxes",
    "FitsObjects",
    "FitsSpacing",
    "MakesPictures",
    "Network",
    "RebuildsImages",
    "SeesMask",
    "SeesMeasures",
    "answers_per_image",
    "finds_boxes",
    "makes_pictures",
]


class Network(Protocol):
    """A network by name: its arguments as a config, the module, and the sizes it accepts.

    Contract
    --------
    - ``Args`` is a frozen pydantic model whose defaults make a sensible network in 2-D and 3-D.
    - ``build`` returns a module mapping ``(B, in, *spatial)`` to ``(B, out, *spatial)`` in training and evaluation alike,
      or to ``(B, out)`` where the network is an `AnswersPerImage`, or to rows where it `FindsBoxes`.
    - every spatial length of an input must be a multiple of ``divisor(args)`` along its axis; an input of exactly
      one divisor need not be accepted, since one voxel cannot be normalised.
    """

    title: str
    Args: type[BaseModel]

    def build(
        self, *, ndim: int, in_channels: int, out_channels: int, args: Mapping[str, Any]
    ) -> nn.Module:
        """Build the module with fresh weights."""
        ...

    def divisor(self, *, ndim: int, args: Mapping[str, Any]) -> tuple[int, ...]:
        """Factor of every length along each spatial axis."""
        ...


@runtime_checkable
class AnswersPerImage(Protocol):
    """A network that answers once per image, ``(B, in, *spatial)`` to ``(B, out)``; all others answer per voxel."""

    per_image: Literal[True]


@runtime_checkable
class MakesPictures(Protocol):
    """A network that makes images up instead of answering to one.

    Contract
    --------
    - called with images ``(B, in, *spatial)`` the module says how real they look as each of ``out`` kinds, ``(B, out)``.
    - ``make(latent, kinds)`` of it returns images ``(B, in, *size)`` from 0 to 1 for random numbers ``(B, latent)``, where
      ``latent`` is an attribute of it, and positions of kinds ``(B,)``; ``rival`` of it is the part that judges.
    """

    makes_images: Literal[True]


@runtime_checkable
class FindsBoxes(Protocol):
    """A network, and its module likewise, that answers box by box instead of voxel by voxel.

    Contract
    --------
    - the module maps ``(B, in, *spatial)`` of n axes to rows ``(B, R, 4 n + out)``. A row holds, in voxels of the input, the
      middle and the lengths of an anchor (n numbers each; they depend on the shape of the input alone); how far the box it
      tells of lies from there, in lengths of the anchor, and the natural logarithms of its lengths over the anchor's; then a
      logit for each of ``out`` classes.
    - anchors of one shape follow one another.
    - the module answers in two steps: ``features(image)`` are maps ``(B, k, *places)``, one per level, that all rows are read
      from, and ``rows(features)`` those rows.
    """

    finds_boxes: Literal[True]


@runtime_checkable
class FitsObjects(Protocol):
    """A network whose arguments depend on how large the objects are that it learns to find."""

    def args_for_objects(
        self, lengths: NDArray[np.float64], args: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The arguments `args`, completed to suit objects of lengths ``(N, n)`` in working voxels, N at least 1."""
        ...


@runtime_checkable
class SeesMask(Protocol):
    """A network that is shown an object's mask, too, as its last input channel."""

    sees_mask: Literal[True]


@runtime_checkable
class SeesMeasures(Protocol):
    """A network that is told what is measured of an object, too.

    Contract
    --------
    - its argument ``measures`` says how many numbers that are; called with crops and these, ``(B, measures)``, NaN where one
      is not known, the module answers as with crops alone, of which it then knows nothing else.
    - ``learn_measures(crops, measured, targets)`` of the module learns from what is measured of all examples, before any step;
      with fewer than ``fewest`` examples, an attribute of it, or none to check it, no step is worth its while.
    """

    sees_measures: Literal[True]


@runtime_checkable
class RebuildsImages(Protocol):
    """A network that is built around its input: of use only where the answer is an image, too.

    Where ``has_middle`` is true, all that the module gives back has passed through ``encode(x)``, which is narrow.
    """

    rebuilds: Literal[True]
    has_middle: bool


@runtime_checkable
class FitsSpacing(Protocol):
    """A network whose arguments depend on how far voxels are apart."""

    def args_for(self, spacing: Sequence[float]) -> Mapping[str, Any]:
        """Arguments that suit a working spacing, one number per spatial axis; the others keep their defaults."""
        ...


def answers_per_image(network: Network) -> bool:
    """Whether a network answers once per image rather than once per voxel."""
    return isinstance(network, AnswersPerImage)


def makes_pictures(network: Network) -> bool:
    """Whether a network makes images up."""
    return isinstance(network, MakesPictures)


def finds_boxes(network: Network) -> bool:
    """Whether a network answers box by box."""
    return isinstance(network, FindsBoxes)
