"""What a user may set: validation, form, tooltip, command-line flag and JSON in one place each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from napari_apprentice.core.errors import BadInputError

from .recipe import parse_filters, parse_normalization

__all__ = ["DEVICE", "DeviceWish", "EvaluateConfig", "PredictConfig", "TrainConfig"]

DeviceWish = str
DEVICE = Field(
    "auto",
    title="Device",
    description="Where the network runs: auto takes a GPU that really works, else the CPU",
    pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
    examples=["auto", "cpu", "cuda"],
)


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PredictConfig(_Config):
    """How a model is applied to a volume."""

    device: DeviceWish = DEVICE
    overlap: float | None = Field(
        None,
        ge=0.0,
        le=0.8,
        title="Tile overlap",
        description="Share of a tile that its neighbour repeats; none: the model's own",
    )
    mirror: bool = Field(
        False,
        title="Mirror",
        description="Also predict mirrored copies and average them: slower, a little better (models that allow it)",
    )
    tile: tuple[int, ...] | None = Field(
        None, title="Tile", description="Tile size in working voxels; none: the model's own"
    )
    diameter: float | None = Field(
        None,
        gt=0,
        title="Object diameter",
        description="Typical diameter of the objects in the image's unit (pixels where it has none); none: estimated "
        "where the model needs it",
    )
    mixed_precision: bool = Field(
        True, title="Mixed precision", description="Half precision on CUDA: faster, half the memory"
    )
    unsure: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        title="Unsure below",
        description="Probability below which the class of a whole image is called unsure",
    )
    least_score: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        title="Lowest score",
        description="Points and boxes that are less sure are left out; none: the model's own, else "
        "0.1 for heat maps in planes, 0.05 in volumes, and 0.3 box by box",
    )


class TrainConfig(_Config):
    """How a model learns from annotations."""

    device: DeviceWish = DEVICE
    minutes: float = Field(
        5.0,
        gt=0,
        le=100_000,
        title="Time",
        description="Longest training time in minutes",
        json_schema_extra={"unit": "min"},
    )
    epochs: int | None = Field(
        None,
        ge=1,
        title="Epochs",
        description="Stop after so many passes instead of after the time",
    )
    steps: int | None = Field(
        None, ge=1, title="Steps", description="Stop after so many steps instead of after the time"
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=256,
        title="Batch",
        description="Patches or images per step; none: 2 patches, 32 whole images",
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1,
        title="Learning rate",
        description="Peak learning rate; none: 2e-3 from nothing (5e-4 to make images up), 2e-4 from a model",
    )
    warmup: float = Field(
        0.05, ge=0, lt=1, title="Warm-up", description="Share of the time over which the rate rises"
    )
    keep: float | None = Field(
        None,
        ge=0,
        le=1,
        title="Kept of the start",
        description="Share of the starting model's weights that stays in the learned ones, so that a few corrections "
        "do not cost what it knew of other images; none: 0.3 divided by the square root of the number of annotated images, parts counted as parts, at most 0.3",
    )
    believe: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Belief in the start",
        description="Weight of what the starting model is sure of where nothing was said, against what was; 0: none",
    )
    weight_decay: float = Field(
        1e-2, ge=0, le=1, title="Weight decay", description="AdamW weight decay"
    )
    ema: float = Field(
        0.99,
        ge=0,
        lt=1,
        title="Averaging",
        description="Decay of the moving average of the weights",
    )
    augment: Literal["none", "light", "strong"] = Field(
        "light", title="Augmentation", description="How much patches are varied"
    )
    mirror: bool = Field(
        True,
        title="Mirror",
        description="Learn from mirrored copies, too, where the model allows it; off where left and right are different things",
    )
    foreground: float = Field(
        0.5,
        ge=0,
        le=1,
        title="Foreground patches",
        description="Share of patches centred on a labelled object",
    )
    balance: float = Field(
        1.0,
        ge=0,
        le=1,
        title="Class balance",
        description="Whole images: 1 draws every class equally often, 0 as often as it occurs",
    )
    held_out: float = Field(
        0.2,
        ge=0,
        lt=1,
        title="Held out",
        description="Share kept for checking; 0 trains on everything",
    )
    checks: int = Field(
        10,
        ge=1,
        le=1000,
        title="Checks",
        description="How often the held-out part is scored during training",
    )
    patience: int | None = Field(
        None,
        ge=1,
        title="Patience",
        description="Stop after so many checks without a better score; none: use the whole time",
    )
    mixed_precision: bool = Field(
        True, title="Mixed precision", description="Half precision on CUDA"
    )
    freeze: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Frozen share",
        description="Leading share of the network's layers that does not change (transfer learning)",
    )
    thaw: float = Field(
        0.0,
        ge=0,
        le=1,
        title="Thaw",
        description="Share of the training over which frozen layers begin to learn, the last ones first; 0: never",
    )
    network: str | None = Field(
        None,
        title="Network",
        description="Network of a model from nothing, with its defaults; none: the one the task plans",
    )
    tile: tuple[int, ...] | None = Field(
        None,
        title="Size",
        description="Size of patches, or that whole images are fitted to, of a model from nothing; none: as planned",
    )
    filters: str = Field(
        "",
        title="Filters",
        description="What changes the images of a model from nothing before it sees them, in order, such as bias_field, median:radius=2",
    )
    normalization: str | None = Field(
        None,
        title="Intensities",
        description="How a model from nothing normalises them: zscore, percentile:1:99, window:-160:240 or a CT window "
        "(brain, lung, bone, soft tissue, mediastinum); none: as planned",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Makes a run repeatable")

    @field_validator("filters")
    @classmethod
    def _known_filters(cls, text: str) -> str:
        return _read_by(parse_filters, text)

    @field_validator("normalization")
    @classmethod
    def _known_normalization(cls, text: str | None) -> str | None:
        return None if text is None else _read_by(parse_normalization, text)


def _read_by(parse: Callable[[str], object], text: str) -> str:
    """Refuse what cannot be read, in pydantic's way."""
    try:
        parse(text)
    except BadInputError as error:
        raise PydanticCustomError("recipe", "{reason}", {"reason": str(error)}) from error
    return text


class EvaluateConfig(_Config):
    """How sure scores are is estimated from the cases themselves."""

    resamples: int = Field(
        1000,
        ge=0,
        le=100_000,
        title="Resamples",
        description="How often the cases are drawn again, with replacement, for the intervals of the scores; 0: no intervals",
    )
    level: float = Field(
        0.95,
        gt=0,
        lt=1,
        title="Interval",
        description="Share of the resamples that an interval covers",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Makes the draws repeatable")
    distance: float | None = Field(
        None,
        gt=0,
        title="Distance",
        description="Points and boxes: how far one may be from its object, in the unit of the files (pixels where they "
        "know none); none: the radius of each object",
    )
