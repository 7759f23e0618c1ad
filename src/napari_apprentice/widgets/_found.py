"""Measured objects in the viewer: their table on the layer, rings around those selected, the camera on one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_apprentice.core.annotation import OKABE_ITO
from napari_apprentice.session.measuring import by_number

from . import layers as adapt

if TYPE_CHECKING:
    from collections.abc import Sequence

    import napari
    from napari.layers import Labels, Points

    from napari_apprentice.session.measuring import Measured

__all__ = ["add_objects", "go_to", "mark", "put_table"]

_RINGS = "selected objects"
_RING: dict[str, Any] = {
    "face_color": "transparent",
    "border_color": OKABE_ITO[0],
    "border_width": 0.15,
}


def _facts(layer: Any) -> dict[str, Any]:
    return dict(layer.metadata.get(adapt.METADATA) or {})


def put_table(layer: Labels, measured: Measured) -> None:
    """Make the table the layer's features; what others wrote there about the objects stays."""
    facts = _facts(layer)
    others = layer.features
    stale = [name for name in facts.get("features", ()) if name in others and name != "class"]
    layer.features = by_number(measured.table, others.drop(columns=stale))
    names = [name for name in measured.table if name != "label"]
    layer.metadata = {**layer.metadata, adapt.METADATA: facts | {"features": names}}


def add_objects(viewer: napari.viewer.Viewer, measured: Measured, layer: Labels | None) -> Labels:
    """Show connected components that were measured as a layer of their own.

    Parameters
    ----------
    viewer
        Where.
    measured
        Labels that no layer shows yet.
    layer
        The labels that they are pieces of; None where that layer is gone.
    """
    data = measured.objects.labels
    if layer is None:
        name, facts, placed = "objects", {}, adapt.spatial_kwargs(measured.objects.grid)
    else:
        name, facts = f"{layer.name} ▸ objects", _facts(layer)
        placed = adapt.layer_kwargs(layer, data.ndim)
    kept = {k: v for k, v in facts.items() if k in ("of", "axes", "world", "format", "header")}
    name = adapt.unique_name([one.name for one in viewer.layers], name)
    made = viewer.add_labels(data, name=name, metadata={adapt.METADATA: kept}, **placed)
    made.contour = adapt.contour_width(data.shape)
    return made


def mark(
    viewer: napari.viewer.Viewer, layer: Labels, measured: Measured, rows: Sequence[int]
) -> None:
    """Draw a ring around the centre of each of these objects; without any, take the rings away."""
    rings = next((o for o in viewer.layers if _facts(o).get("rings")), None)
    if rings is not None and (not len(rows) or _facts(rings)["rings"] != str(layer.unique_id)):
        viewer.layers.remove(rings)
        rings = None
    if not len(rows):
        return
    centres, features = measured.centres(rows), {"label": measured.numbers(rows)}
    if rings is None:
        _add_rings(viewer, layer, centres, features)
        return
    # To take a layer away and add another costs napari many times more.
    rings.data, rings.features, rings.visible = centres, features, True
    for name, value in _RING.items():
        setattr(rings, name, value)


def _add_rings(
    viewer: napari.viewer.Viewer, layer: Labels, centres: Any, features: dict[str, Any]
) -> None:
    active = viewer.layers.selection.active
    made: Points = viewer.add_points(
        centres,
        name=adapt.unique_name([one.name for one in viewer.layers], _RINGS),
        features=features,
        metadata={adapt.METADATA: {"rings": str(layer.unique_id)}},
        canvas_size_limits=(14, 28),
        **_RING,
        **adapt.layer_kwargs(layer, layer.ndim),
    )
    made.editable = False
    viewer.layers.selection.active = active


def go_to(viewer: napari.viewer.Viewer, layer: Labels, measured: Measured, row: int) -> None:
    """Bring an object into the middle of the canvas, and its slice into view."""
    world = [float(v) for v in layer.data_to_world(measured.centres([row])[0])]
    axes = list(range(viewer.dims.ndim - layer.ndim, viewer.dims.ndim))
    viewer.dims.set_point(axes, world)
    placed = dict(zip(axes, world, strict=True))
    shown = [placed.get(axis, 0.0) for axis in viewer.dims.displayed]
    viewer.scene.camera.center = (*[0.0] * (3 - len(shown)), *shown)
