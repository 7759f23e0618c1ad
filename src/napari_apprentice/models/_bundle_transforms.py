"""The preprocessing of a MONAI bundle, read as data: spacing, orientation, intensities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_apprentice.core.errors import ModelError
from napari_apprentice.core.spec import Normalization

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Preprocessing", "read_preprocessing"]

Json = dict[str, Any]

# What these do is done by opening a volume here; none changes what the network sees.
_HARMLESS = frozenset(
    {
        "AddChannel",
        "AsChannelFirst",
        "CastToType",
        "EnsureChannelFirst",
        "EnsureType",
        "LoadImage",
        "SelectItems",
        "ToTensor",
    }
)


@dataclass(frozen=True)
class Preprocessing:
    """What a bundle does to a volume before its network.

    Parameters
    ----------
    spacing
        Working spacing in mm, Z Y X order.
    oriented
        Whether patients are turned to a known orientation.
    mirrored
        Spatial axes (Z Y X order) that run against LPS.
    normalization
        How intensities are scaled.
    """

    spacing: tuple[float, ...] | None = None
    oriented: bool = False
    mirrored: tuple[int, ...] = ()
    normalization: Normalization | None = None


def read_preprocessing(steps: list[Json]) -> Preprocessing:
    """Read transforms into what our own preparation does.

    Raises
    ------
    ModelError
        A transform, or one of its arguments, that our preparation has no equal of; or none that scales intensities.
    """
    found = Preprocessing()
    for step in steps:
        name = str(step.get("_target_", "")).split(".")[-1]
        bare = name.removesuffix("Dict").removesuffix("d")
        if bare in _HARMLESS:
            continue
        reader = _READERS.get(bare)
        if reader is None:
            raise ModelError(
                f"expected preprocessing of {', '.join(sorted(_READERS))}, found {name[:60]!r}",
                remedy="Bundles with other preprocessing cannot be used.",
            )
        if bare.startswith(("Scale", "Normalize")) and found.normalization is not None:
            raise ModelError(f"expected one scaling of intensities, found {bare} after another")
        found = reader(found, step)
    if found.normalization is None:
        raise ModelError("expected preprocessing that scales intensities, found none")
    return found


def _numbers(step: Json, *keys: str) -> list[float]:
    values = [step.get(key) for key in keys]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        raise ModelError(f"expected numbers for {', '.join(keys)}, found {values}"[:300])
    return [float(v) for v in values if v is not None]


def _expect(step: Json, key: str, default: Any, *allowed: Any) -> None:
    value = step.get(key, default)
    if value not in allowed:
        raise ModelError(
            f"expected {key} {allowed[0]!r} in {step.get('_target_')}, found {value!r}"[:300]
        )


def _spacing(found: Preprocessing, step: Json) -> Preprocessing:
    sizes = step.get("pixdim")
    if (
        not isinstance(sizes, list)
        or len(sizes) not in (2, 3)
        or not all(isinstance(s, int | float) and 0 < s < 1000 for s in sizes)
    ):
        raise ModelError(f"expected 2 or 3 positive lengths in pixdim, found {sizes!r}"[:300])
    return replace(found, spacing=tuple(float(s) for s in reversed(sizes)))


def _orientation(found: Preprocessing, step: Json) -> Preprocessing:
    codes = str(step.get("axcodes", "")).upper()
    if len(codes) != 3 or any(
        code not in pair for code, pair in zip(codes, ("LR", "PA", "SI"), strict=True)
    ):
        raise ModelError(
            f"expected axcodes in the order left-right, back-front, up-down, found {codes[:20]!r}"
        )
    against = [
        axis for axis, (code, ours) in enumerate(zip(codes, "LPS", strict=True)) if code != ours
    ]
    return replace(found, oriented=True, mirrored=tuple(sorted(2 - axis for axis in against)))


def _range(found: Preprocessing, step: Json) -> Preprocessing:
    low, high = _numbers(step, "a_min", "a_max")
    _expect(step, "b_min", None, 0, 0.0, None)
    _expect(step, "b_max", None, 1, 1.0)
    _expect(step, "clip", False, True)
    return replace(found, normalization=Normalization(kind="window", low=low, high=high))


def _percentiles(found: Preprocessing, step: Json) -> Preprocessing:
    low, high = _numbers(step, "lower", "upper")
    _expect(step, "b_min", None, 0, 0.0)
    _expect(step, "b_max", None, 1, 1.0)
    _expect(step, "clip", False, True)
    _expect(step, "relative", False, False)
    return replace(found, normalization=Normalization(kind="percentile", low=low, high=high))


def _scale(found: Preprocessing, step: Json) -> Preprocessing:
    _expect(step, "minv", 0.0, 0, 0.0)
    _expect(step, "maxv", 1.0, 1, 1.0)
    _expect(step, "factor", None, None)
    return replace(found, normalization=Normalization(kind="percentile", low=0.0, high=100.0))


def _zscore(found: Preprocessing, step: Json) -> Preprocessing:
    _expect(step, "nonzero", False, False)
    _expect(step, "subtrahend", None, None)
    _expect(step, "divisor", None, None)
    return replace(found, normalization=Normalization(kind="zscore"))


_READERS: dict[str, Callable[[Preprocessing, Json], Preprocessing]] = {
    "Spacing": _spacing,
    "Orientation": _orientation,
    "ScaleIntensity": _scale,
    "ScaleIntensityRange": _range,
    "ScaleIntensityRangePercentiles": _percentiles,
    "NormalizeIntensity": _zscore,
}
