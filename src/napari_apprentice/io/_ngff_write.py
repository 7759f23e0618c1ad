"""Writing an OME-Zarr image: its levels, slab by slab, and its metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.volume import Display

from ._atomic import writing
from ._colors import rgb_of
from ._ngff import GRID, UNITS, ome_of
from ._slabs import BYTES, boxes, grown, read, stored_dtype
from ._zarr_voxels import attributes_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.volume import Volume

__all__ = ["register_label", "write_image"]

_SMALL = 512
_ALIKE = 1.5
_CHUNK = {2: (1024, 1024), 3: (16, 256, 256)}
_PRIMARIES = ("#FF0000", "#00FF00", "#0000FF", "#FFFFFF")
_CHANNELS = (("#FFFFFF",), ("#00FF00", "#FF00FF", "#00FFFF", "#FFFF00", "#FF0000", "#0000FF"))
_TYPES = {"T": "time", "C": "channel"}


def write_image(folder: Path, volume: Volume, version: str, source: str | None = None) -> None:
    """Write a volume into a new group.

    Parameters
    ----------
    folder
        Empty folder; becomes the group.
    volume
        What to write; integer volumes with classes are labels.
    version
        ``"0.4"`` (Zarr 2) or ``"0.5"`` (Zarr 3).
    source
        For labels: where their image lies, as seen from the group.
    """
    import zarr

    group = zarr.open_group(str(folder), mode="w", zarr_format=2 if version == "0.4" else 3)
    factors = list(_factors(volume.grid))
    below: Any = volume.data
    limits = (0.0, 1.0)
    for level, factor in enumerate(factors):
        before = factors[level - 1] if level else factor
        steps = [a // b for a, b in zip(factor, before, strict=True)]
        below, limits = _write_level(group, str(level), volume, below, steps)
    attributes = _attributes(volume, factors, version, source, limits)
    for key, value in attributes.items():
        group.attrs[key] = value


def _factors(grid: Grid) -> Iterator[tuple[int, ...]]:
    """How many voxels of the finest level one voxel of each level spans, axis by axis."""
    lead = len(grid.axes) - grid.ndim
    factor = np.ones(grid.ndim, dtype=int)
    shape, spacing = np.array(grid.spatial_shape), np.array(grid.spacing)
    yield (1,) * len(grid.axes)
    while (-(-shape[-2:] // factor[-2:])).max() > _SMALL:
        size = spacing * factor
        longer = -(-shape // factor) > 1
        halved = longer & (size <= _ALIKE * size[longer].min())
        factor = np.where(halved, factor * 2, factor)
        yield (1,) * lead + tuple(int(f) for f in factor)


def _write_level(
    group: Any, name: str, volume: Volume, below: Any, steps: list[int]
) -> tuple[Any, tuple[float, float]]:
    """Write one level from the one below (or from the voxels themselves, with steps of one); and its range."""
    grid = volume.grid
    shape = tuple(-(-n // s) for n, s in zip(below.shape, steps, strict=True))
    lead = len(shape) - grid.ndim
    chunks = tuple(map(min, (1,) * lead + _CHUNK[grid.ndim], shape))
    dtype = stored_dtype(volume) if all(s == 1 for s in steps) else below.dtype
    names = [a.lower() for a in grid.axes]
    options = (
        {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
        if group.metadata.zarr_format == 2
        else {"dimension_names": names}
    )
    array = group.create_array(name, shape=shape, chunks=chunks, dtype=dtype, **options)
    ranges = []
    for box in boxes(shape, grown(shape, chunks, BYTES // (dtype.itemsize * int(np.prod(steps))))):
        wider = tuple(
            slice(b.start * s, min(b.stop * s, n))
            for b, s, n in zip(box, steps, below.shape, strict=True)
        )
        part = _coarser(read(below, wider), steps, whole=volume.is_labels)
        array[box] = part.astype(dtype, copy=False)
        ranges.append(_range(part))
    return array, (min(low for low, _ in ranges), max(high for _, high in ranges))


def _range(part: NDArray[Any]) -> tuple[float, float]:
    """Lowest and highest number; 0 and 1 where there is none."""
    numbers = part[np.isfinite(part)] if part.dtype.kind == "f" else part
    return (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)


def _coarser(part: NDArray[Any], steps: list[int], *, whole: bool) -> NDArray[Any]:
    """The mean of two voxels along each axis with a step of two, or of labels the first; one may be left at the end."""
    if whole:
        return part[tuple(slice(None, None, step) for step in steps)]
    halved = [axis for axis, step in enumerate(steps) if step == 2]
    if not halved:
        return part
    total = part.astype(_wide(part.dtype))
    for axis in halved:
        pairs = np.moveaxis(total, axis, 0)
        first, second = pairs[0::2].copy(), pairs[1::2]
        first[: len(second)] += second
        first[len(second) :] *= 2
        total = np.moveaxis(first, 0, axis)
    if total.dtype.kind == "f":
        mean = total / 2 ** len(halved)
        rounded: NDArray[Any] = mean if part.dtype.kind == "f" else np.rint(mean)
    else:
        rounded = (total + 2 ** (len(halved) - 1)) >> len(halved)
    return rounded.astype(part.dtype, copy=False)


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A dtype that holds the sum of eight voxels."""
    if dtype.kind == "f":
        return dtype
    if dtype.itemsize == 8:
        return np.dtype(np.float64)
    return np.dtype(f"{'u' if dtype.kind == 'b' else dtype.kind}{max(2, 2 * dtype.itemsize)}")


# -- metadata ------------------------------------------------------------------------------


def _attributes(
    volume: Volume,
    factors: list[tuple[int, ...]],
    version: str,
    source: str | None,
    limits: tuple[float, float],
) -> dict[str, Any]:
    grid = volume.grid
    image: dict[str, Any] = {
        "name": volume.name,
        "axes": [_axis(letter, grid) for letter in grid.axes],
        "datasets": [
            {"path": str(level), "coordinateTransformations": _transforms(grid, factor)}
            for level, factor in enumerate(factors)
        ],
    }
    ome: dict[str, Any] = {"multiscales": [image]}
    if volume.is_labels:
        ome["image-label"] = _label(volume, source)
    else:
        ome["omero"] = {
            "channels": [_channel(volume, i, limits) for i in range(len(volume.channels))]
        }
    own = {} if _is_plain(grid) else {GRID: {"affine": grid.affine, "world": grid.world}}
    if version == "0.4":
        for part in (image, *(ome[k] for k in ("image-label",) if k in ome)):
            part["version"] = version
        return {**ome, **own}
    return {"ome": {"version": version, **ome}, **own}


def _is_plain(grid: Grid) -> bool:
    n = grid.ndim
    straight = np.allclose(grid.matrix[:n, :n], np.diag(grid.spacing), rtol=0, atol=1e-12)
    return grid.world == "stage" and bool(straight)


def _axis(letter: str, grid: Grid) -> dict[str, str]:
    axis = {"name": letter.lower(), "type": _TYPES.get(letter, "space")}
    if letter in "ZYX" and grid.unit in UNITS:
        axis["unit"] = UNITS[grid.unit]
    if letter == "T" and grid.time_step is not None:
        axis["unit"] = "second"
    return axis


def _transforms(grid: Grid, factor: tuple[int, ...]) -> list[dict[str, Any]]:
    n, lead = grid.ndim, len(grid.axes) - grid.ndim
    step = np.array(factor[-n:], dtype=float)
    times = [(grid.time_step or 1.0) if a == "T" else 1.0 for a in grid.axes[:lead]]
    centre = (step - 1) / 2 * np.array(grid.spacing)  # of a block, from its first voxel
    return [
        {"type": "scale", "scale": [*times, *(step * np.array(grid.spacing)).tolist()]},
        {
            "type": "translation",
            "translation": [*(0.0,) * lead, *(grid.matrix[:n, n] + centre).tolist()],
        },
    ]


def _channel(volume: Volume, index: int, limits: tuple[float, float]) -> dict[str, Any]:
    """One channel as the viewers of OMERO show it; `limits` where nothing is known, as the standard asks for a window."""
    shown = volume.display[index] if volume.display else Display()
    made_up = _PRIMARIES if volume.rgb else _CHANNELS[len(volume.channels) > 1]
    low, high = shown.window or limits
    return {
        "label": volume.channels[index],
        "active": True,
        "color": (shown.color or made_up[index % len(made_up)])[1:].upper(),
        "window": {
            "min": min(low, limits[0]),
            "max": max(high, limits[1]),
            "start": low,
            "end": high,
        },
    }


def _label(volume: Volume, source: str | None) -> dict[str, Any]:
    label: dict[str, Any] = {
        "properties": [{"label-value": v, "name": n} for v, n in sorted(volume.classes.items())]
    }
    if volume.colors:
        label["colors"] = [
            {"label-value": v, "rgba": [*rgb_of(c), 255]} for v, c in sorted(volume.colors.items())
        ]
    if source is not None:
        label["source"] = {"image": source}
    return label


def register_label(folder: Path, name: str, version: str) -> None:
    """Add a name to the list of an image's ``labels`` group, making the group where it is missing."""
    attributes = attributes_of(folder)
    known = list(ome_of(attributes).get("labels") or ())
    names = known if name in known else [*known, name]
    if version == "0.4":
        _write_json(folder / ".zgroup", {"zarr_format": 2})
        _write_json(folder / ".zattrs", {**attributes, "labels": names})
        return
    ome = {**attributes.get("ome", {}), "version": version, "labels": names}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {**attributes, "ome": ome}}
    _write_json(folder / "zarr.json", group)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with writing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
