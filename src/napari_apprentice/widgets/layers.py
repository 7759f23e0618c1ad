"""Pure adapters between napari layers and volumes: nothing here touches a viewer or draws."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.grid import AXES_ORDER, Grid
from napari_apprentice.core.volume import Volume

from ._display import class_colors, contour_width, label_colors, levels, look
from ._facts import METADATA, facts_of
from ._object_table import features_of, notes_from
from ._places import place_layers
from ._upright import as_stored, upright

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_apprentice.core.prediction import Prediction

__all__ = [
    "METADATA",
    "as_stored",
    "channel_group",
    "class_colors",
    "contour_width",
    "facts_of",
    "image_key_of",
    "is_helper",
    "is_result_of",
    "key_of",
    "label_colors",
    "layer_kwargs",
    "layer_tuples",
    "prediction_layers",
    "spatial_kwargs",
    "unique_name",
    "volume_from",
    "volume_of",
]

LayerTuple = tuple[Any, dict[str, Any], str]

_AXES_BY_NDIM = {2: "YX", 3: "ZYX", 4: "TZYX"}
_UNITS = {
    "micrometer": "um",
    "millimeter": "mm",
    "nanometer": "nm",
    "centimeter": "cm",
    "meter": "m",
    "pixel": "pixel",
}
_SPATIAL = "ZYX"
_COLOURS = ("red", "green", "blue", "alpha")
_LARGE_BYTES = 2**24
_HELPERS = ("veil", "preview", "gallery", "recipe")


# -- layer → volume ---------------------------------------------------------------------


def volume_of(layer: Layer, siblings: Sequence[Layer] = ()) -> Volume:
    """Return what a layer shows as a volume on its grid; voxels are shared and lazy ones stay lazy.

    The placement is the layer's own (a user may have moved it); unit, world and channel names come from our reader
    where it opened the image. Multiscale layers give their finest level.

    Parameters
    ----------
    layer
        An image or labels layer.
    siblings
        Layers with the other channels of the same image, see `channel_group`; stacked on a channel axis.

    Raises
    ------
    BadInputError
        A layer that is neither, or has more axes than ``TZYX``.
    """
    group = channel_group(layer, siblings)
    if len(group) < 2:
        return volume_from(*layer.as_layer_data_tuple()[:2])
    volumes = [volume_of(one) for one in group]
    first, shapes = volumes[0], {v.grid.shape for v in volumes}
    if len(shapes) > 1:
        return volume_of(layer)
    grid = first.grid.with_channels(len(volumes))
    stacked = _stack([v.data for v in volumes], grid.axes.index("C"))
    names = tuple(v.channels[0] for v in volumes)
    return replace(first, data=stacked, grid=grid, channels=names, name=facts_of(layer)["image"])


def _stack(arrays: Sequence[Any], axis: int) -> Any:
    if all(isinstance(a, np.ndarray) and a.nbytes < _LARGE_BYTES for a in arrays):
        return np.stack(arrays, axis=axis)
    import dask.array as da

    return da.stack([da.asarray(a) for a in arrays], axis=axis)


def channel_group(layer: Layer, others: Sequence[Layer]) -> list[Layer]:
    """Layers that our reader made of one image, this one included, in the order of its channels."""
    group = facts_of(layer).get("group")
    if group is None:
        return [layer]
    members = [o for o in others if o is not layer and facts_of(o).get("group") == group]
    return sorted([layer, *members], key=lambda o: int(facts_of(o).get("channel", 0)))


def volume_from(data: Any, state: Mapping[str, Any]) -> Volume:
    """Return a volume for a layer's data and its state, as napari's writers get them.

    Parameters
    ----------
    data
        Array, or a list of levels.
    state
        ``scale``, ``translate``, ``rotate``, ``shear``, ``affine``, ``units``, ``axis_labels``, ``metadata``, ``name``.
    """
    if state.get("multiscale"):
        data = data[0]
    facts = dict((state.get("metadata") or {}).get(METADATA) or {})
    rgb = bool(state.get("rgb"))
    ndim = len(data.shape) - rgb
    axes = _axes(ndim, facts, state.get("axis_labels"))
    n = sum(a in _SPATIAL for a in axes)
    matrix = _world_matrix(state, ndim)
    keep = [*range(ndim - n, ndim), ndim]
    unit = _unit((state.get("units") or ())[-n:])
    grid = Grid(
        axes,
        tuple(data.shape[:ndim]),
        Grid.freeze(matrix[np.ix_(keep, keep)]),
        unit,
        facts.get("world", "stage"),
        facts.get("time_step"),
    )
    name = str(state.get("name") or "image")
    colours: tuple[str, ...] = ()
    if rgb:
        data, grid = _channels_first(data, grid)
        colours = tuple(facts.get("channels") or _COLOURS[: data.shape[grid.axes.index("C")]])
    return Volume(
        data,
        grid,
        channels=colours or (facts.get("name") or name,),
        name=name,
        source=facts.get("source"),
        format=facts.get("format"),
        rgb=rgb,
        metadata=facts.get("header") or {},
    )


def _axes(ndim: int, facts: Mapping[str, Any], labels: Sequence[str] | None) -> str:
    """Axes as our reader noted them, as the layer's labels say, or the usual ones."""
    noted = str(facts.get("axes", ""))
    said = "".join(str(label)[-1:].upper() for label in labels or ())
    for axes in (noted, said):
        is_plain = axes[-2:] == "YX" and [a for a in AXES_ORDER if a in axes] == list(axes)
        if len(axes) == ndim and is_plain and "C" not in axes:
            return axes
    if ndim not in _AXES_BY_NDIM:
        raise BadInputError(
            f"expected an image of 2 to 4 axes (T Z Y X), found {ndim}",
            remedy="Split it into layers with right click ▸ Split Stack.",
        )
    return _AXES_BY_NDIM[ndim]


def _world_matrix(state: Mapping[str, Any], ndim: int) -> NDArray[np.float64]:
    """Compose a layer's transforms as napari does: affine · translate · rotate · shear · scale."""
    from napari.utils.transforms import Affine

    given = {
        name: state[name]
        for name in ("scale", "translate", "rotate", "shear")
        if state.get(name) is not None
    }
    own = np.asarray(Affine(**given, ndim=ndim).affine_matrix, dtype=float)
    affine = state.get("affine")
    outer = np.eye(ndim + 1) if affine is None else _matrix_of(affine, ndim)
    return outer @ own


def _matrix_of(affine: Any, ndim: int) -> NDArray[np.float64]:
    matrix = np.asarray(getattr(affine, "affine_matrix", affine), dtype=float)
    if matrix.shape == (ndim + 1, ndim + 1):
        return matrix
    padded = np.eye(ndim + 1)
    n = matrix.shape[0]
    padded[-n:, -n:] = matrix
    return padded


def _unit(units: Sequence[Any]) -> str:
    names = {_UNITS.get(str(unit), "pixel") for unit in units}
    return names.pop() if len(names) == 1 else "pixel"


def _channels_first(data: Any, grid: Grid) -> tuple[Any, Grid]:
    grid = grid.with_channels(int(data.shape[-1]))
    order = list(range(data.ndim - 1))
    order.insert(grid.axes.index("C"), data.ndim - 1)
    return data.transpose(order), grid


def key_of(layer: Layer) -> str:
    """What a layer's image is known by: the file it came from, else the layer itself."""
    facts = facts_of(layer)
    return str(facts.get("source") or facts.get("group") or layer.unique_id)


def image_key_of(layer: Layer) -> str | None:
    """Key of the image that a result or an annotation belongs to; None for layers that are neither."""
    key = facts_of(layer).get("of")
    return None if key is None else str(key)


def is_result_of(layer: Layer, key: str | None) -> bool:
    """Whether a model made this layer of the image with that key."""
    facts = facts_of(layer)
    return bool(facts.get("result")) and facts.get("of") == key and not is_helper(layer)


def is_helper(layer: Layer) -> bool:
    """Whether a layer only helps to see and holds nothing of the person's."""
    return any(facts_of(layer).get(name) for name in _HELPERS)


# -- volume → layers --------------------------------------------------------------------


def spatial_kwargs(grid: Grid) -> dict[str, Any]:
    """Keyword arguments that place a layer on a grid (without its channel axis).

    Grids along the world's axes get scale and translate. Any other keeps its spacing in ``scale`` and the rest in
    ``affine``, so that scale bars and other plugins see the voxel size. World axes are ``z, y, x``; of patients in LPS.
    """
    grid = grid.without("C")
    n, ndim = grid.ndim, len(grid.axes)
    lead = [grid.time_step or 1.0] * (ndim - n)
    matrix, spacing = grid.matrix, np.array(grid.spacing)
    units = ("second" if grid.time_step else "pixel",) * (ndim - n) + (grid.unit,) * n
    placed: dict[str, Any] = {
        "scale": (*lead, *map(float, spacing)),
        "units": units,
        "axis_labels": tuple(grid.axes.lower()),
    }
    if np.array_equal(matrix[:n, :n], np.diag(spacing)):
        return placed | {"translate": (*(0.0 for _ in lead), *map(float, matrix[:n, n]))}
    affine = np.eye(ndim + 1)
    affine[-n - 1 : -1, -n - 1 : -1] = matrix[:n, :n] / spacing
    affine[-n - 1 : -1, -1] = matrix[:n, n]
    return placed | {"affine": affine}


def layer_kwargs(layer: Layer, ndim: int) -> dict[str, Any]:
    """Placement of another layer for a result with as many or fewer axes, copied exactly where they are as many."""
    if layer.ndim == ndim:
        names = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
        placed = {name: getattr(layer, name) for name in names}
        return placed | {"affine": placed["affine"].affine_matrix.copy()}
    return spatial_kwargs(volume_of(layer).grid.spatial)


def layer_tuples(volume: Volume) -> list[LayerTuple]:
    """Layers that show a volume: one, or one per channel; colour pictures stay one.

    A volume stored along other axes than the world's is turned, voxels and grid alike, since napari cannot slice it
    otherwise; `as_stored` turns it back.
    """
    volume = upright(volume)
    facts: dict[str, Any] = {
        "axes": volume.grid.without("C").axes,
        "world": volume.grid.world,
        "time_step": volume.grid.time_step,
        "source": volume.source,
        "format": volume.format,
        "header": dict(volume.metadata),
        "image": volume.name,
    }
    placed = spatial_kwargs(volume.grid)
    if volume.rgb:
        facts["channels"] = list(volume.channels)
        at = volume.grid.axes.index("C")
        colours = np.moveaxis(volume.numpy(), at, -1)
        return [(colours, placed | _named(volume.name, facts) | {"rgb": True}, "image")]
    count = volume.grid.length("C")
    if "C" not in volume.grid.axes:
        data, levelled = levels(volume)
        return [(data, placed | _named(volume.name, facts) | look(volume, 0) | levelled, "image")]
    group = uuid.uuid4().hex
    tuples = []
    for index, channel in enumerate(volume.channels):
        own = facts | {"group": group, "channel": index, "name": channel}
        data, levelled = levels(volume.select((index,)))
        name = f"{volume.name} · {channel}" if count > 1 else volume.name
        shown = placed | _named(name, own) | look(volume, index) | levelled
        tuples.append((data, shown, "image"))
    return tuples


def _named(name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "metadata": {METADATA: dict(facts)}}


def prediction_layers(
    prediction: Prediction,
    volume: Volume,
    name: str,
    placed: Mapping[str, Any] | None = None,
    key: str = "",
) -> list[LayerTuple]:
    """Layers that show a prediction.

    Parameters
    ----------
    prediction
        The answer of a model.
    volume
        The image it was made of.
    name
        Name of the labels layer.
    placed
        Placement: `layer_kwargs` of the image's layer; default: that of the prediction's grid.
    key
        Key of the image it was made of.
    """
    facts: dict[str, Any] = {
        "of": key,
        "axes": prediction.grid.without("C").axes,
        "world": prediction.grid.world,
        "time_step": prediction.grid.time_step,
        "classes": [asdict(c) for c in prediction.classes],
        "summary": prediction.summary,
        "objects": dict(prediction.objects),
        "doubts": prediction.slice_doubts,
        "result": True,
        "format": volume.format,
        "header": dict(volume.metadata),
    }
    placed = spatial_kwargs(prediction.grid) if placed is None else placed
    if prediction.provenance is not None:
        facts["provenance"] = asdict(prediction.provenance)
    layers: list[LayerTuple] = []
    if prediction.image is not None:
        label = name if prediction.labels is None else f"{name} · image"
        for data, title, more in _shown_images(prediction, volume, label):
            layers.append((data, {**placed, **_named(title, facts), **more}, "image"))
    if prediction.labels is not None:
        look = _objects_look(prediction) if prediction.objects else label_colors(prediction)
        layers.append((prediction.labels, {**placed, **_named(name, facts), **look}, "labels"))
    return [*layers, *place_layers(prediction, name, placed, {METADATA: facts})]


def _shown_images(
    prediction: Prediction, volume: Volume, name: str
) -> list[tuple[Any, str, dict[str, Any]]]:
    """Data, name and look of the layers of an image: one, or one per channel; colour pictures stay one."""
    image, grid = prediction.image, prediction.grid
    if prediction.is_map:
        return [(image, name, {"colormap": "inferno"})]
    if image is None or "C" not in grid.axes:
        return [(image, name, {})]
    at = grid.axes.index("C")
    if volume.rgb:
        return [(np.moveaxis(image, at, -1), name, {"rgb": True})]
    if len(volume.channels) == 1:
        return [(image.take(0, axis=at), name, look(volume, 0))]
    return [
        (image.take(n, axis=at), f"{name} · {channel}", look(volume, n))
        for n, channel in enumerate(volume.channels)
    ]


def _objects_look(prediction: Prediction) -> dict[str, Any]:
    """What is known of numbered objects, as features; not of several frames, which number theirs alike."""
    if "frame" in prediction.objects:
        return {}
    numbers = prediction.objects["label"].tolist()
    if not numbers:
        return {}
    return {"features": features_of(numbers, notes_from(prediction.objects), prediction.classes)}


def unique_name(taken: Sequence[str], name: str) -> str:
    """`name`, or ``"name [1]"`` … where a layer already has it: results never overwrite."""
    if name not in taken:
        return name
    return next(n for n in (f"{name} [{i}]" for i in range(1, len(taken) + 2)) if n not in taken)
