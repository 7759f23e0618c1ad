"""What a TIFF file says about voxel size, time, channels and class names."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from ._colors import by_value
from ._tiff_display import of_lsm, shown_by_imagej, shown_by_ome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from napari_apprentice.core.grid import World
    from napari_apprentice.core.volume import Display

__all__ = ["CLASSES", "COLORS", "GRID", "MADE", "Facts", "facts_of"]

CLASSES = "napari-apprentice/classes"
COLORS = "napari-apprentice/colors"
GRID = "napari-apprentice/grid"
MADE = "napari-apprentice/synthetic"
"""Namespaces of our OME map annotations, and keys of our JSON in ImageJ's Info."""

# Name → (our unit, factor).
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometer", "\\u00b5m"), ("um", 1.0)),
    **dict.fromkeys(("nm", "nanometer", "nanometers"), ("nm", 1.0)),
    **dict.fromkeys(("mm", "millimeter", "millimeters"), ("mm", 1.0)),
    **dict.fromkeys(("cm", "centimeter"), ("mm", 10.0)),
    **dict.fromkeys(("m", "meter", "metre"), ("m", 1.0)),
    **dict.fromkeys(("inch", "in", "inches"), ("mm", 25.4)),
    **dict.fromkeys(("pm",), ("nm", 1e-3)),
    **dict.fromkeys(("å", "angstrom"), ("nm", 0.1)),
}
_METRES = {"nm": 1e-9, "um": 1e-6, "mm": 1e-3, "m": 1.0}
_SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0, "h": 3600.0, "d": 86400.0}
# What programs write when they do not know: 1 and the usual resolutions of screens and printers.
_PRINT_DPI = (1, 72, 75, 90, 96, 100, 120, 144, 150, 180, 200, 240, 300, 400, 600, 1200)
_ASCII = 1_000_000


@dataclass(frozen=True)
class Facts:
    """What the file says.

    Parameters
    ----------
    kind
        ``"OME-TIFF"``, ``"ImageJ TIFF"`` or ``"TIFF"``.
    spacing
        Z, Y, X distances in `unit`.
    affine
        Affine of the spatial axes where the file has one.
    """

    kind: str
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    unit: str = "pixel"
    time_step: float | None = None
    channels: tuple[str, ...] = ()
    display: tuple[Display, ...] = ()
    is_labels: bool = False
    classes: Mapping[int, str] = field(default_factory=dict)
    colors: Mapping[int, str] = field(default_factory=dict)
    affine: tuple[tuple[float, ...], ...] | None = None
    world: World = "stage"
    warnings: tuple[str, ...] = ()
    synthetic: str = ""


def facts_of(file: Any, series: Any, index: int) -> Facts:
    """Collect what the file says; what it says wrongly is left out with a warning."""
    if series.kind == "ome" and file.ome_metadata:
        return _ome(str(file.ome_metadata), series.keyframe, index)
    if series.kind == "lsm" and file.lsm_metadata:
        spacing, step, names, shown = of_lsm(file.lsm_metadata)
        return Facts("LSM", spacing, "um", step, names, shown)
    if file.is_imagej and file.imagej_metadata:
        return _imagej(file.imagej_metadata, series.keyframe)
    return _plain(file, series.keyframe)


def _positive(value: Any) -> float | None:
    """Return a positive finite number, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None


# -- OME ----------------------------------------------------------------------------------


def _ome(text: str, page: Any, index: int) -> Facts:
    # A document type could define entities that grow without end.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        return Facts("OME-TIFF", warnings=("the OME-XML defines entities and was not read",))
    root = ElementTree.fromstring(text)  # noqa: S314  (document types were refused)
    pixels = _pixels_of(root, page, index)
    if pixels is None:
        return Facts("OME-TIFF")
    spacing, unit, warnings = _physical_size(pixels)
    step = _positive(pixels.get("TimeIncrement"))
    second = _SECONDS.get(pixels.get("TimeIncrementUnit", "s"))
    names = [e.get("Name") or "" for e in _children(pixels, "Channel")]
    notes = {ns: dict(values) for ns, values in _annotations(root)}
    affine, world, ours = _stored_grid(notes.get(GRID, {}))
    return Facts(
        "OME-TIFF",
        spacing,
        ours or unit,
        step * second if step and second else None,
        tuple(names) if all(names) else (),
        shown_by_ome([e.get("Color") for e in _children(pixels, "Channel")]),
        CLASSES in notes,
        _class_names(notes.get(CLASSES, {})),
        by_value(notes.get(COLORS, {})),
        affine,
        world,
        warnings,
        str(notes.get(MADE, {}).get("by", "")),
    )


def _children(element: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    """All elements below of this tag, whatever the schema's year in its namespace."""
    return (e for e in element.iter() if e.tag.rpartition("}")[2] == tag)


def _pixels_of(root: ElementTree.Element, page: Any, index: int) -> ElementTree.Element | None:
    """Pixels element of a series: the one at its place if the sizes agree, else the first that agrees."""
    found = list(_children(root, "Pixels"))
    for element in [*found[index : index + 1], *found]:
        size = (element.get("SizeX"), element.get("SizeY"))
        if size == (str(page.imagewidth), str(page.imagelength)):
            return element
    return None


def _physical_size(
    pixels: ElementTree.Element,
) -> tuple[tuple[float, float, float], str, tuple[str, ...]]:
    """Z, Y, X in one unit: that of X; and warnings."""
    sizes: list[float | None] = []
    metres: list[float | None] = []
    units = []
    for axis in "ZYX":
        size = _positive(pixels.get(f"PhysicalSize{axis}"))
        name = pixels.get(f"PhysicalSize{axis}Unit", "µm").strip().lower()
        unit, factor = _UNITS.get(name, ("pixel", 1.0))
        units.append(unit)
        sizes.append(size and size * factor)
        metres.append(size * factor * _METRES[unit] if size and unit in _METRES else None)
    if sizes[1] is None and sizes[2] is None:
        return (1.0, 1.0, 1.0), "pixel", ()
    unit = units[2] if sizes[2] is not None else units[1]
    values = [
        s if m is None or unit not in _METRES else m / _METRES[unit]
        for s, m in zip(sizes, metres, strict=True)
    ]
    y, x = values[1] or values[2] or 1.0, values[2] or values[1] or 1.0
    warnings = () if values[0] else ("the file does not say the distance between planes",)
    has_depth = int(pixels.get("SizeZ", "1") or 1) > 1
    return (values[0] or x, y, x), unit, warnings if has_depth else ()


def _annotations(root: ElementTree.Element) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for element in _children(root, "MapAnnotation"):
        pairs = [(m.get("K") or "", m.text or "") for m in _children(element, "M")]
        yield element.get("Namespace") or "", pairs


def _class_names(pairs: Mapping[str, Any]) -> dict[int, str]:
    return {int(k): str(v) for k, v in pairs.items() if str(k).isdecimal()}


def _stored_grid(
    note: Mapping[str, Any],
) -> tuple[tuple[tuple[float, ...], ...] | None, World, str | None]:
    """Affine, world and unit from our own annotation; nothing where it makes no sense."""
    try:
        rows = json.loads(note["affine"])
        affine = tuple(tuple(float(v) for v in row) for row in rows)
    except (KeyError, TypeError, ValueError):
        return None, "stage", None
    if any(not math.isfinite(v) for row in affine for v in row):
        return None, "stage", None
    world: World = "LPS" if note.get("world") == "LPS" else "stage"
    unit = str(note.get("unit", "pixel"))
    return affine, world, unit if unit in (*_METRES, "pixel") else None


# -- ImageJ and plain ----------------------------------------------------------------------


def _imagej(metadata: Mapping[str, Any], page: Any) -> Facts:
    name = str(metadata.get("unit") or "pixel").strip().lower()
    unit, factor = _UNITS.get(name, ("pixel", 1.0))
    y, x = _per_unit(page)
    warnings: tuple[str, ...] = ()
    z = _positive(abs(float(metadata.get("spacing") or 0)))
    if z is None and int(metadata.get("slices", 1)) > 1 and unit != "pixel":
        warnings = ("the file does not say the distance between planes",)
    spacing = tuple(factor * v for v in (z or x or 1.0, y or 1.0, x or 1.0))
    ours = _info(metadata)
    colors = ours.get(COLORS)
    return Facts(
        "ImageJ TIFF",
        (spacing[0], spacing[1], spacing[2]),
        unit,
        _positive(metadata.get("finterval")),
        display=shown_by_imagej(metadata),
        is_labels=CLASSES in ours,
        classes=_class_names(ours.get(CLASSES, {})),
        colors=by_value(colors if isinstance(colors, dict) else {}),
        warnings=warnings,
        synthetic=str(ours.get(MADE, "")),
    )


def _info(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Our JSON in ImageJ's free text, if it is ours."""
    text = metadata.get("Info")
    if not isinstance(text, str) or len(text) > _ASCII or not (CLASSES in text or MADE in text):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get(CLASSES, {}), dict) else {}


def _per_unit(page: Any) -> tuple[float | None, float | None]:
    """Y and X distances, from pixels per unit."""
    sizes = []
    for name in ("YResolution", "XResolution"):
        tag = page.tags.get(name)
        value = tag.value if tag is not None else None
        try:
            sizes.append(_positive(value[1] / value[0]) if value else None)
        except (ArithmeticError, TypeError, IndexError):
            sizes.append(None)
    return sizes[0], sizes[1]


def _plain(file: Any, page: Any) -> Facts:
    shaped: dict[str, Any] = (file.shaped_metadata or ({},))[0] if file.is_shaped else {}
    y, x = _per_unit(page)
    name = str(shaped.get("unit") or "").strip().lower()
    if name in _UNITS:
        unit, factor = _UNITS[name]
        z = _positive(shaped.get("spacing"))
        values = [factor * v for v in (z or x or 1.0, y or 1.0, x or 1.0)]
        return Facts("TIFF", (values[0], values[1], values[2]), unit)
    tag = page.tags.get("ResolutionUnit")
    factor = {2: 25400.0, 3: 10000.0}.get(int(tag.value) if tag is not None else 0, 0.0)
    if not factor or y is None or x is None or _is_default(1 / x) or _is_default(1 / y):
        return Facts("TIFF")
    return Facts("TIFF", (x * factor, y * factor, x * factor), "um")


def _is_default(density: float) -> bool:
    """Whether pixels per inch or centimetre are a usual setting and no measurement."""
    known = [*_PRINT_DPI, *(dpi / 2.54 for dpi in _PRINT_DPI)]
    return any(abs(density - k) < 0.01 * k for k in known)
