"""Points and boxes on screen as truth and answer, on one grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Points

from napari_apprentice.core.annotation import Annotation, LabelClass
from napari_apprentice.core.detections import Detections
from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.prediction import Prediction

from . import layers as adapt
from ._facts import classes_in
from ._place_layer import PlacesLayer
from ._places import boxes_in, detections_in, point_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_apprentice.core.grid import Grid

__all__ = ["truth_and_answer"]

_ALONE = LabelClass(1, "object")


def truth_and_answer(truth: Layer, answer: Layer) -> tuple[Annotation, Prediction]:
    """Read two layers of points or boxes; what the second says is brought to the voxels of the first.

    Classes are those that the layers or their features name.

    Raises
    ------
    BadInputError
        Layers of different axes, of a film, or without anything in them that could be compared.
    """
    if truth.ndim != answer.ndim:
        raise BadInputError(
            f"expected places with {truth.ndim} axes like the truth, found {answer.ndim}",
            path=answer.name,
            remedy="Choose layers of one image.",
        )
    classes = _classes((truth, answer))
    said, found = (_places(layer, classes) for layer in (truth, answer))
    found = _moved(found, answer, truth)
    grid = _grid(truth, np.concatenate([said.centres, found.centres]))
    return (
        Annotation.of_places(grid, said, classes),
        Prediction(grid, classes=classes, detections=found),
    )


def _classes(layers: Sequence[Layer]) -> tuple[LabelClass, ...]:
    """What the layers were made with first, then the names in their features, then one for all."""
    names: dict[str, LabelClass] = {}
    for layer in layers:
        for known in classes_in(layer):
            names.setdefault(known.name, known)
    for layer in layers:
        for name in map(str, layer.features.get("class", ())):
            if name and name != "nan" and name not in names:
                value = max((c.value for c in names.values()), default=0) + 1
                names[name] = LabelClass(value, name)
    values = [c.value for c in names.values()]
    if len(set(values)) < len(values):
        return tuple(LabelClass(n, name) for n, name in enumerate(names, start=1))
    return tuple(names.values()) or (_ALONE,)


def _places(layer: Layer, classes: Sequence[LabelClass]) -> Detections:
    if isinstance(layer, PlacesLayer):  # it may show a part of them, a slice
        found = layer.found
        return detections_in(found.centres, point_features(found, layer.state.classes), classes)
    if isinstance(layer, Points):
        return detections_in(layer.data, layer.features, classes)
    middles, lengths = boxes_in(layer.data, layer.ndim)
    known = detections_in(middles, layer.features, classes)
    flat = (lengths <= 0).any(axis=1)
    lengths[flat] = np.nan
    return Detections.of(middles, lengths, known.kinds, known.scores)


def _moved(found: Detections, layer: Layer, onto: Layer) -> Detections:
    """Places of a layer in the voxels of another, sizes and all."""
    if not len(found):
        return found
    centres = np.array([onto.world_to_data(layer.data_to_world(place)) for place in found.centres])
    share = np.abs(np.asarray(layer.scale, float) / np.asarray(onto.scale, float))
    return Detections.of(centres, found.sizes * share, found.kinds, found.scores)


def _grid(layer: Layer, places: NDArray[np.float64]) -> Grid:
    """A grid as the layer lies, large enough for all places: a layer does not know how large its image was."""
    largest = np.max(places, axis=0, initial=0.0)
    shape = tuple(int(n) + 2 for n in largest)
    nothing = np.broadcast_to(np.uint8(0), shape)
    grid = adapt.volume_from(nothing, layer.as_layer_data_tuple()[1]).grid
    if "T" in grid.axes:
        raise BadInputError("expected places in one image, found a film", path=layer.name)
    return grid
