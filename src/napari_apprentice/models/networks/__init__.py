"""Networks: one file per architecture, each a thin, typed door to MONAI."""

from __future__ import annotations

from napari_apprentice.core.registry import Registry

from ._network import (
    AnswersPerImage,
    FindsBoxes,
    FitsObjects,
    FitsSpacing,
    MakesPictures,
    Network,
    RebuildsImages,
    SeesMask,
    SeesMeasures,
    answers_per_image,
    finds_boxes,
    makes_pictures,
)

__all__ = [
    "NETWORKS",
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

NETWORKS: Registry[Network] = Registry("network", "napari_apprentice.models.networks", "NETWORK")
