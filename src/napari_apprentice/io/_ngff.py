"""What OME-Zarr metadata (NGFF 0.4 and 0.5) says: levels, axes, placement, channels, classes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, Field, ValidationError, field_validator

from napari_apprentice.core.errors import FormatError
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.volume import Display

from ._colors import as_color, color_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_apprentice.core.grid import World

__all__ = ["GRID", "UNITS", "Multiscale", "Placement", "channels_of", "classes_of", "multiscale_of", "ome_of", "placement_of"]  # fmt: skip

GRID = "napari-apprentice/grid"
"""Key of our own attribute: an affine that is more than scale and translation."""

UNITS = {"um": "micrometer", "nm": "nanometer", "mm": "millimeter", "m": "meter"}
# Name → (our unit, factor).
_LENGTHS = {
    **{name: (unit, 1.0) for unit, name in UNITS.items()},
    **{unit: (unit, 1.0) for unit in UNITS},
    "centimeter": ("mm", 10.0),
    "inch": ("mm", 25.4),
    "foot": ("mm", 304.8),
    "angstrom": ("nm", 0.1),
    "picometer": ("nm", 1e-3),
    "kilometer": ("m", 1e3),
}
_SECONDS = {
    "second": 1.0, "s": 1.0, "millisecond": 1e-3, "ms": 1e-3, "microsecond": 1e-6, "nanosecond": 1e-9,
    "minute": 60.0, "hour": 3600.0, "day": 86400.0,
}  # fmt: skip
_NAMES = {"t": "T", "time": "T", "c": "C", "channel": "C", "z": "Z", "y": "Y", "x": "X"}
_OLD = ("t", "c", "z", "y", "x")


class Axis(BaseModel):
    """One axis of all levels."""

    name: str
    type: str | None = None
    unit: str | None = None


class Transform(BaseModel):
    """A scale or a translation, one value per axis."""

    type: str
    scale: list[float] | None = None
    translation: list[float] | None = None


class Dataset(BaseModel):
    """One level of the pyramid."""

    path: str
    coordinateTransformations: list[Transform] = []  # noqa: N815  (the standard's name)


class Multiscale(BaseModel):
    """An image: its levels, finest first, on common axes."""

    axes: list[Axis] = []
    datasets: list[Dataset] = Field(min_length=1, max_length=64)
    coordinateTransformations: list[Transform] = []  # noqa: N815
    name: str | None = None
    version: str | None = None

    @field_validator("axes", mode="before")
    @classmethod
    def _named(cls, axes: Any) -> Any:
        """Version 0.3 has names only."""
        return [{"name": a} if isinstance(a, str) else a for a in axes or ()]


def ome_of(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The OME part of a group's attributes: below ``ome`` since 0.5, the attributes themselves before."""
    found = attributes.get("ome", attributes)
    return found if isinstance(found, dict) else {}


def multiscale_of(ome: Mapping[str, Any]) -> Multiscale:
    """The first image of a group.

    Raises
    ------
    FormatError
        Metadata that is no NGFF up to 0.5.
    """
    images = ome.get("multiscales")
    try:
        first = images[0]  # type: ignore[index]
        if "coordinateSystems" in first:
            raise FormatError(
                "expected OME-Zarr 0.4 or 0.5, found coordinate systems of a newer version",
                remedy="Export it as OME-Zarr 0.5.",
            )
        return Multiscale.model_validate(first)
    except ValidationError as error:
        found = error.errors()[0]
        where = ".".join(map(str, found["loc"]))
        raise FormatError(f"multiscales: {where}: {found['msg']}") from error
    except (TypeError, KeyError, IndexError) as error:
        raise FormatError("expected a list of multiscales, found something else") from error


# -- placement -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Placement:
    """Where an array lies: one letter of ``TCZYX`` per axis (``-`` for others of length one), and the rest by letter."""

    axes: str
    scale: Mapping[str, float]
    translation: Mapping[str, float]
    unit: str
    time_step: float | None
    warnings: tuple[str, ...]

    def grid(self, axes: str, shape: tuple[int, ...], attributes: Mapping[str, Any]) -> Grid:
        """Grid of the array in canonical order, from our own attribute where it agrees with the spacing."""
        spatial = [a for a in axes if a in "ZYX"]
        spacing = [self.scale[a] for a in spatial]
        origin = [self.translation[a] for a in spatial]
        step = self.time_step if "T" in axes else None
        plain = Grid.regular(axes, shape, spacing, origin=origin, unit=self.unit, time_step=step)
        affine, world = _own(attributes.get(GRID))
        if affine is None or len(affine) != plain.ndim + 1:
            return plain
        turned = Grid(axes, shape, affine, self.unit, world, step)
        agrees = np.allclose(turned.spacing, spacing, rtol=1e-5)
        return turned if agrees else plain


def _own(note: Any) -> tuple[tuple[tuple[float, ...], ...] | None, World]:
    """Affine and world of our own attribute; nothing where it makes no sense."""
    try:
        given = json.loads(note) if isinstance(note, str) else note
        affine = np.asarray(given["affine"], dtype=float)
        world: World = "LPS" if given.get("world") == "LPS" else "stage"
    except (TypeError, KeyError, ValueError):
        return None, "stage"
    if affine.ndim != 2 or not np.isfinite(affine).all() or abs(np.linalg.det(affine)) == 0:
        return None, "stage"
    return Grid.freeze(affine), world


def placement_of(image: Multiscale, shape: tuple[int, ...]) -> Placement:
    """Axes and placement of the finest level of an image of this shape.

    Raises
    ------
    FormatError
        As many axes as the array does not have, or axes that no volume here has.
    """
    axes = image.axes or [Axis(name=n) for n in (_OLD if len(shape) == 5 else _OLD[-len(shape) :])]
    if len(axes) != len(shape):
        raise FormatError(f"expected {len(axes)} axes, found an array of {shape}")
    letters = [_letter(axis, n) for axis, n in zip(axes, shape, strict=True)]
    used = [letter for letter in letters if letter != "-"]
    if len(set(used)) < len(used) or not {"Y", "X"} <= set(used):
        raise FormatError(f"expected axes of t, c, z, y, x, found {[a.name for a in axes]}")
    scale, translation, warnings = _composed(image, len(shape))
    unit, factors = _unit([axes[letters.index(a)] for a in "ZYX" if a in letters])
    lengths = dict(zip([a for a in "ZYX" if a in letters], factors, strict=True))
    by_letter = list(zip(letters, scale, translation, strict=True))
    step = None
    if "T" in letters:
        at = letters.index("T")
        seconds = _SECONDS.get(axes[at].unit or "")
        step = scale[at] * seconds if seconds else None
    return Placement(
        "".join(letters),
        {a: s * lengths.get(a, 1.0) for a, s, _ in by_letter},
        {a: t * lengths.get(a, 1.0) for a, _, t in by_letter},
        unit,
        step,
        warnings,
    )


def _letter(axis: Axis, length: int) -> str:
    kinds = {"time": "T", "channel": "C"}
    letter = kinds.get(axis.type or "") or _NAMES.get(axis.name.lower())
    if letter is None and length > 1:
        raise FormatError(f"expected axes of t, c, z, y, x, found {axis.name!r} of length {length}")
    return letter or "-"


def _composed(image: Multiscale, n: int) -> tuple[list[float], list[float], tuple[str, ...]]:
    """Scale and translation of the finest level: its own transformations, then those of the image."""
    scale, translation = np.ones(n), np.zeros(n)
    steps = [*image.datasets[0].coordinateTransformations, *image.coordinateTransformations]
    for step in steps:
        if step.type == "identity":
            continue
        values = np.asarray(step.scale if step.type == "scale" else step.translation, dtype=float)
        if step.type not in ("scale", "translation") or values.shape != (n,):
            raise FormatError(f"expected a scale or translation of {n} values, found {step}")
        if step.type == "scale":
            scale, translation = scale * values, translation * values
        else:
            translation = translation + values
    good = np.isfinite(scale) & (scale > 0) & np.isfinite(translation)
    if good.all():
        return scale.tolist(), translation.tolist(), ()
    warning = "scale or translation is not a finite, positive number; 1 and 0 are taken instead"
    scale, translation = np.where(good, scale, 1.0), np.where(good, translation, 0.0)
    return scale.tolist(), translation.tolist(), (warning,)


def _unit(axes: Sequence[Axis]) -> tuple[str, list[float]]:
    """The unit of the last axis, and the factor of each axis to it; pixels where an axis does not say one."""
    known = [_LENGTHS.get(axis.unit or "") for axis in axes]
    metres = {"nm": 1e-9, "um": 1e-6, "mm": 1e-3, "m": 1.0}
    last = known[-1]
    if last is None or any(k is None for k in known):
        return "pixel", [1.0] * len(axes)
    return last[0], [k[1] * metres[k[0]] / metres[last[0]] for k in known if k is not None]


# -- channels and classes ------------------------------------------------------------------


def channels_of(ome: Mapping[str, Any], count: int) -> tuple[tuple[str, ...], tuple[Display, ...]]:
    """Names and looks of the channels, where the metadata has as many as the image."""
    omero = ome.get("omero")
    found = omero.get("channels") if isinstance(omero, dict) else None
    if not isinstance(found, list) or len(found) != count:
        return (), ()
    channels = [c if isinstance(c, dict) else {} for c in found]
    names = tuple(str(c.get("label") or "") for c in channels)
    shown = tuple(Display(as_color(c.get("color")), _window(c.get("window"))) for c in channels)
    return names if all(names) else (), shown if any(d != Display() for d in shown) else ()


def _window(window: Any) -> tuple[float, float] | None:
    try:
        low, high = float(window["start"]), float(window["end"])
    except (TypeError, KeyError, ValueError):
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None


def classes_of(ome: Mapping[str, Any]) -> tuple[dict[int, str], dict[int, str]]:
    """Value → name and value → colour of a label image; background (0) is left out."""
    label = ome.get("image-label")
    if not isinstance(label, dict):
        return {}, {}
    names, colors = {}, {}
    for value, entry in _by_value(label.get("properties")):
        name = entry.get("name") or entry.get("class")
        if isinstance(name, str):
            names[value] = name
    for value, entry in _by_value(label.get("colors")):
        rgba = entry.get("rgba")
        if isinstance(rgba, list) and len(rgba) >= 3 and all(type(v) is int for v in rgba):
            colors[value] = color_of(*rgba[:3])
    return names, colors


def _by_value(entries: Any) -> list[tuple[int, dict[str, Any]]]:
    found = [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []
    values = ((e.get("label-value"), e) for e in found)
    return [(value, e) for value, e in values if type(value) is int and value > 0]
