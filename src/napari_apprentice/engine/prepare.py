"""From a volume to what a network sees, and the way back: orientation, spacing, filters, intensities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.annotation import Extent
from napari_apprentice.core.errors import BadInputError, GridMismatchError
from napari_apprentice.core.jobs import Progress, run_to_end

from ._resample import resample, slabs
from .filters import filtering

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_apprentice.core.annotation import Annotation
    from napari_apprentice.core.detections import Detections
    from napari_apprentice.core.grid import Grid
    from napari_apprentice.core.spec import ModelSpec, Normalization
    from napari_apprentice.core.volume import Volume

__all__ = [
    "Prepared",
    "annotation_to_working",
    "axis_zooms",
    "finite",
    "fits",
    "has_spacing",
    "intensity_levels",
    "labels_to_working",
    "metres",
    "normalize",
    "places_from_working",
    "prepare",
    "preparing",
    "read",
    "reorient",
    "resize_nearest",
    "restore",
    "turn",
    "working_grid",
]

_SAME_SPACING = 0.1
_STATISTICS_VOXELS = 4_000_000
_METRES = {"nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A volume as a network sees it.

    Parameters
    ----------
    data
        float32 ``(C, *working)``; normalised.
    grid
        Working grid, spatial axes only. 2-D models on 3-D volumes keep the source's Z.
    turned
        The source grid after reorientation: same voxels as the source, in working order.
    source
        Spatial grid of the source.
    order, flips
        How source axes were permuted and flipped to become `turned`.
    notes
        What the user should know: unknown spacing, NaN voxels replaced.
    shift, scale
        Per channel of the source: ``data * scale + shift`` is in its own units. The scale of a constant channel is 0.
    """

    data: NDArray[np.float32]
    grid: Grid
    turned: Grid
    source: Grid
    order: tuple[int, ...]
    flips: tuple[bool, ...]
    notes: tuple[str, ...] = ()
    shift: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    def alone(self, data: NDArray[np.float32], grid: Grid) -> Prepared:
        """The same with other voxels, as if they had come on this working grid: nothing is turned or resampled again."""
        n = grid.ndim
        return replace(
            self,
            data=data,
            grid=grid,
            turned=grid,
            source=grid,
            order=tuple(range(n)),
            flips=(False,) * n,
        )


def fits(volume: Volume, spec: ModelSpec) -> str | None:
    """Return why this model cannot take this volume, as a short phrase, or None where it can."""
    grid = volume.grid
    if spec.ndim == 3 and grid.ndim == 2:
        return "expects 3-D"
    expected, found = len(spec.channels), grid.length("C")
    if expected != found and not (found == 1 and spec.grey_as_color):
        colour = " (a colour image)" if volume.rgb else ""
        return f"expects {expected} channel{'s' if expected > 1 else ''}, found {found}{colour}"
    if np.issubdtype(volume.dtype, np.complexfloating) or volume.dtype.kind not in "biuf":
        return f"expects numbers, found {volume.dtype}"
    return None


def prepare(volume: Volume, spec: ModelSpec, zoom: float = 1.0) -> Prepared:
    """Run `preparing` to its end."""
    return run_to_end(preparing(volume, spec, zoom))


def preparing(
    volume: Volume, spec: ModelSpec, zoom: float = 1.0
) -> Generator[Progress, None, Prepared]:
    """Turn, resample, filter and normalise one frame of a volume for a model.

    The one way for learning, checking and predicting: a recipe cannot differ between them.

    Parameters
    ----------
    volume
        A volume without a time axis (see `Volume.frame`); read into memory here, a slab at a time.
    spec
        The model's description.
    zoom
        How much larger the network sees the image than the model's spacing asks, along the axes that it sees; see
        `axis_zooms`.

    Yields
    ------
    Progress
        Before each slab.

    Raises
    ------
    BadInputError
        The volume does not fit the model; the message says why.
    """
    reason = fits(volume, spec)
    if reason is not None:
        raise BadInputError(
            f"the model {spec.name} {reason}",
            path=volume.source or volume.name,
            remedy="Choose another model, or another layer.",
        )
    source = volume.grid.without("C").spatial
    order, flips = turn(source, spec)
    turned = source.reoriented(order, flips)
    working, notes = working_grid(turned, spec, zoom)
    data, bad = finite((yield from read(volume)))
    if bad:
        notes = (*notes, f"{bad} voxels were NaN or infinite and were replaced by the median")
    data = yield from resample(reorient(data, order, flips), working.spatial_shape)
    near = working.spacing[-spec.ndim :]
    data = yield from filtering(data, spec.filters, ndim=spec.ndim, spacing=near)
    levels = intensity_levels(data, spec.normalization)
    data = _as_channels(_leveled(np.ascontiguousarray(data), levels, spec.normalization), spec)
    shift, scale = zip(*levels, strict=True)
    return Prepared(data, working, turned, source, order, flips, notes, shift, scale)


def _as_channels(data: NDArray[np.float32], spec: ModelSpec) -> NDArray[np.float32]:
    """A single channel as all that the model expects: a view, where nothing is kept twice."""
    if len(data) == len(spec.channels):
        return data
    return np.lib.stride_tricks.as_strided(
        data, (len(spec.channels), *data.shape[1:]), (0, *data.strides[1:])
    )


def read(volume: Volume) -> Generator[Progress, None, NDArray[np.float32]]:
    """Read all voxels of one frame as ``(C, *spatial)`` float32, all channels of some planes at a time."""
    if "T" in volume.grid.axes:
        raise BadInputError(
            "expected a single time point; call frame() first", path=volume.source or volume.name
        )
    shape = (volume.grid.length("C"), *volume.grid.spatial_shape)
    data = np.empty(shape, np.float32)
    lead = (slice(None),) if "C" in volume.grid.axes else ()
    # A single plane is decoded as a whole, however little of it is asked for.
    rows = shape[1] if volume.grid.ndim == 3 else 1
    for slab in slabs(rows, 4 * data.size // rows):
        place = slab if volume.grid.ndim == 3 else slice(None)
        yield Progress("reading the image", slab.start, rows, "plane")
        data[:, place] = np.asarray(volume.data[(*lead, place)])
    return data


def turn(source: Grid, spec: ModelSpec) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """How the source's spatial axes are permuted and flipped for a model (see `Grid.reoriented`)."""
    if spec.orientation == "LPS" and source.world == "LPS" and source.ndim == 3:
        return source.closest_orientation()
    return tuple(range(source.ndim)), (False,) * source.ndim


def reorient(array: NDArray[Any], order: Sequence[int], flips: Sequence[bool]) -> NDArray[Any]:
    """Permute, then flip, the last axes of an array (a view); see `Grid.reoriented`."""
    n = len(order)
    lead = array.ndim - n
    turned = array.transpose(*range(lead), *(lead + o for o in order))
    return turned[(..., *(slice(None, None, -1) if f else slice(None) for f in flips))]


def restore(array: NDArray[Any], order: Sequence[int], flips: Sequence[bool]) -> NDArray[Any]:
    """Undo `reorient` on the last axes of an array (a view)."""
    n = len(order)
    lead = array.ndim - n
    back = array[(..., *(slice(None, None, -1) if f else slice(None) for f in flips))]
    return back.transpose(*range(lead), *(lead + list(order).index(axis) for axis in range(n)))


def working_grid(turned: Grid, spec: ModelSpec, zoom: float = 1.0) -> tuple[Grid, tuple[str, ...]]:
    """Choose the grid the network works on: the source's own where the spacing is about the model's.

    `zoom` makes it finer or coarser along the axes that the network sees; see `axis_zooms`.
    """
    grid, notes = _spaced_grid(turned, spec)
    if zoom == 1.0:
        return grid, notes
    lead = grid.ndim - spec.ndim
    zooms = axis_zooms(grid.spacing[lead:], zoom)
    lengths = [max(1, round(n * z)) for n, z in zip(grid.shape[lead:], zooms, strict=True)]
    return grid.with_shape((*grid.shape[:lead], *lengths)), notes


def axis_zooms(spacing: Sequence[float], zoom: float) -> tuple[float, ...]:
    """How an image is zoomed along each axis, where its last one is zoomed by `zoom`.

    Where slices lie further apart than pixels, zooming out makes only pixels coarser until voxels are as long as wide:
    few slices hold all there is to tell objects that lie behind one another apart.
    """
    if zoom >= 1:
        return (zoom,) * len(spacing)
    return tuple(min(1.0, zoom * max(1.0, step / spacing[-1])) for step in spacing)


def _spaced_grid(turned: Grid, spec: ModelSpec) -> tuple[Grid, tuple[str, ...]]:
    if spec.spacing is None:
        return turned, ()
    if not has_spacing(turned, spec):
        note = f"voxel size unknown: used as if it were {_text(spec.spacing)} {spec.unit}"
        return turned, () if turned.unit == spec.unit else (note,)
    factor = _METRES[spec.unit] / _METRES[turned.unit]
    wanted = [s * factor for s in spec.spacing]
    if spec.ndim == 2 and turned.ndim == 3:
        wanted = [turned.spacing[0], *wanted]
    ratio = np.array(wanted) / np.array(turned.spacing)
    if (np.abs(ratio - 1) <= _SAME_SPACING).all():
        return turned, ()
    return turned.resampled(wanted), ()


def metres(unit: str) -> float:
    """Length of a unit that `has_spacing` knows, in metres."""
    return _METRES[unit]


def has_spacing(grid: Grid, spec: ModelSpec) -> bool:
    """Whether model and image both know how large a voxel is."""
    return spec.spacing is not None and grid.unit in _METRES and spec.unit in _METRES


def _text(values: Sequence[float]) -> str:
    return " × ".join(f"{v:g}" for v in values)


def finite(data: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    """Replace NaN and infinity by the channel's median; return how many there were."""
    bad = ~np.isfinite(data)
    count = int(np.count_nonzero(bad))
    if count:
        data = data.copy()
        for channel, mask in zip(data, bad, strict=True):
            good = channel[~mask]
            channel[mask] = np.median(good) if good.size else 0.0
    return data, count


def normalize(data: NDArray[np.float32], how: Normalization) -> NDArray[np.float32]:
    """Bring each channel of ``(C, *spatial)`` to the range the network knows; constant channels become 0."""
    return _leveled(data, intensity_levels(data, how), how)


def intensity_levels(data: NDArray[np.float32], how: Normalization) -> list[tuple[float, float]]:
    """What is taken off each channel of ``(C, *spatial)``, and by what it is divided; 0 of constant channels.

    Statistics of very large volumes are taken on a regular sub-sample of about four million voxels.
    """
    levels = []
    for channel in data:
        flat = channel.ravel()
        sample = flat[:: max(1, flat.size // _STATISTICS_VOXELS)]
        if how.kind == "zscore":
            shift, scale = float(sample.mean(dtype=np.float64)), float(sample.std(dtype=np.float64))
        else:
            low, high = (how.low, how.high)
            if how.kind == "percentile":
                low, high = (float(v) for v in np.percentile(sample, (how.low, how.high)))
            shift, scale = low, high - low
        levels.append((shift, 0.0 if scale <= 1e-12 * max(1.0, abs(shift)) else scale))
    return levels


def _leveled(
    data: NDArray[np.float32], levels: Sequence[tuple[float, float]], how: Normalization
) -> NDArray[np.float32]:
    result = np.empty_like(data)
    for channel, out, (shift, scale) in zip(data, result, levels, strict=True):
        np.subtract(channel, np.float32(shift), out=out)
        out *= np.float32(1.0 / scale if scale else 0.0)
        if how.kind != "zscore":
            np.clip(out, 0.0, 1.0, out=out)
    return result


def annotation_to_working(annotation: Annotation, prepared: Prepared) -> Annotation:
    """Bring an annotation to the working grid: labels, and where they count.

    Raises
    ------
    GridMismatchError
        It has another shape than the source.
    """
    labels = labels_to_working(annotation.labels, prepared)
    places = annotation.detections
    moved = replace(
        annotation,
        grid=prepared.grid,
        labels=labels,
        detections=None if places is None else _places_to_working(places, prepared),
        extent=Extent(whole=True),
        painted=None,
    )
    if annotation.extent.whole:
        return moved
    counts = labels_to_working(annotation.counts(), prepared)
    return replace(moved, extent=Extent(strokes=True), painted=counts)


def _places_to_working(places: Detections, prepared: Prepared) -> Detections:
    turned = places.reoriented(prepared.source.shape, prepared.order, prepared.flips)
    return turned.resized(prepared.turned.shape, prepared.grid.shape)


def places_from_working(places: Detections, prepared: Prepared) -> Detections:
    """Bring points and boxes from the grid the network worked on to that of the source, sizes and all."""
    turned = places.resized(prepared.grid.shape, prepared.turned.shape)
    return turned.restored(prepared.source.shape, prepared.order, prepared.flips)


def labels_to_working(labels: NDArray[Any], prepared: Prepared) -> NDArray[Any]:
    """Bring an integer array from the source grid to the working grid by nearest neighbour.

    Raises
    ------
    GridMismatchError
        The labels have another shape than the source.
    """
    if tuple(labels.shape) != prepared.source.shape:
        raise GridMismatchError(
            f"expected labels of {prepared.source.shape}, found {tuple(labels.shape)}",
            remedy="Labels must lie on the image's own grid.",
        )
    turned = reorient(labels, prepared.order, prepared.flips)
    return resize_nearest(turned, prepared.grid.shape)


def resize_nearest(array: NDArray[Any], shape: Sequence[int]) -> NDArray[Any]:
    """Nearest-neighbour resize with outer faces kept: index ``floor((i + 1/2) · old / new)``."""
    if array.shape == tuple(shape):
        return np.ascontiguousarray(array)
    picks = [
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for old, new in zip(array.shape, shape, strict=True)
    ]
    return array[np.ix_(*picks)]
