"""`ModelSpec`: everything about a model but its weights, as plain, versioned data."""

from __future__ import annotations

from math import inf
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from .annotation import LabelClass

__all__ = ["SPEC_VERSION", "ClassSpec", "FilterSpec", "ModelSpec", "Normalization"]

SPEC_VERSION: Final = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClassSpec(_Frozen):
    """One class the model tells apart; value 0 (background) is not listed."""

    value: int = Field(ge=1, le=65534)
    name: str = Field(min_length=1, max_length=100)
    color: str = ""
    auxiliary: bool = Field(
        False,
        description="Only helps the network, as the border between objects does: summaries leave it out",
    )

    def as_class(self) -> LabelClass:
        """Return the class as annotations carry it."""
        return LabelClass(self.value, self.name, self.color)


class Normalization(_Frozen):
    """How intensities are brought to the range the network was trained on, per channel and volume."""

    kind: Literal["zscore", "percentile", "window"] = Field(
        "zscore",
        description="zscore: mean 0, deviation 1; percentile: low..high percentile to 0..1; window: fixed low..high to 0..1",
    )
    low: float = Field(0.5, description="Lower percentile, or lower end of the window")
    high: float = Field(99.5, description="Upper percentile, or upper end of the window")

    @model_validator(mode="after")
    def _ordered(self) -> Normalization:
        if not -inf < self.low < self.high < inf:
            raise ValueError(f"low must be below high, found {self.low} and {self.high}")
        if self.kind == "percentile" and not 0 <= self.low < self.high <= 100:
            raise ValueError(f"percentiles lie within 0..100, found {self.low} and {self.high}")
        return self


class FilterSpec(_Frozen):
    """One step that changes intensities before they are normalised: a filter by name, with its arguments."""

    name: str = Field(min_length=1, max_length=100, description="Registry name: median, …")
    args: dict[str, Any] = Field(default_factory=dict)


class ModelSpec(_Frozen):
    """A model's description; with its weights it is a `Model`.

    On disk it is ``model.json`` beside ``weights.safetensors`` and the model card ``README.md``.
    """

    version: Literal[1] = SPEC_VERSION
    name: str = Field(
        pattern=r"^[\w][\w .+()-]{0,99}$", description="Unique name, also the folder's"
    )
    task: str = Field(description="Registry name of the task: semantic, …")
    network: str = Field(description="Registry name of the network: unet, …")
    network_args: dict[str, Any] = Field(default_factory=dict)
    task_args: dict[str, Any] = Field(default_factory=dict)
    ndim: Literal[2, 3] = Field(description="Spatial axes the network sees at once")
    channels: tuple[str, ...] = Field(("image",), min_length=1, description="Input channels")
    grey_as_color: bool = Field(
        False,
        description="An image of one channel is seen as all of the channels, so that one model takes grey and colour pictures",
    )
    spacing: tuple[float, ...] | None = Field(
        None, description="Working spacing in `unit`, Z Y X order; none: the image's own voxels"
    )
    unit: str = Field("pixel", description="Unit of the working spacing")
    orientation: Literal["LPS"] | None = Field(
        None, description="Patient volumes are turned this way before the network sees them"
    )
    filters: tuple[FilterSpec, ...] = Field(
        (), description="What changes intensities, in order, before they are normalised"
    )
    normalization: Normalization = Normalization()
    classes: tuple[ClassSpec, ...] = ()
    tile: tuple[int, ...] = Field(
        description="Tile (inference) and patch (training) in working voxels"
    )
    overlap: float = Field(
        0.5, ge=0.0, le=0.8, description="Share of a tile that its neighbour repeats in inference"
    )
    mirror_axes: tuple[int, ...] = Field(
        (), description="Spatial axes along which mirroring makes another plausible image"
    )
    description: str = ""
    licence: str = "unknown"
    data: str = Field("", description="What it was trained on, with the data's licence")
    citation: str = ""
    parent: str | None = Field(None, description="Model it was fine-tuned from")
    data_fingerprint: str | None = Field(None, description="SHA-256 over the training items")
    weights_sha256: str | None = None
    scores: dict[str, float] = Field(default_factory=dict, description="Held-out scores")
    created: str = ""
    training: dict[str, Any] = Field(default_factory=dict, description="How it was trained")

    @model_validator(mode="after")
    def _consistent(self) -> ModelSpec:
        if len(self.tile) != self.ndim or any(t < 1 for t in self.tile):
            raise ValueError(f"tile must have {self.ndim} positive lengths, found {self.tile}")
        if self.spacing is not None and (
            len(self.spacing) != self.ndim or not all(0 < s < inf for s in self.spacing)
        ):
            raise ValueError(f"spacing must have {self.ndim} positive values, found {self.spacing}")
        values = [c.value for c in self.classes]
        if len(set(values)) != len(values):
            raise ValueError(f"class values must differ, found {values}")
        return self

    @property
    def label_classes(self) -> tuple[LabelClass, ...]:
        """The classes as annotations and predictions carry them."""
        return tuple(c.as_class() for c in self.classes)
