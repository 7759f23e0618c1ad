"""A viewer with an image, a prediction and the Correct dock, for the tests of the dock."""

from __future__ import annotations

import numpy as np

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.core.grid import Grid
from napari_apprentice.core.prediction import Prediction
from napari_apprentice.core.volume import Volume
from napari_apprentice.widgets import layers as adapt
from napari_apprentice.widgets._session import session_for
from napari_apprentice.widgets.correct import CorrectDock

CLASSES = (LabelClass(1, "cell"), LabelClass(2, "nucleus"))
FLAT = Grid.regular("YX", (60, 80), (0.5, 0.5), unit="um")
DEEP = Grid.regular("ZYX", (6, 40, 50), (2.0, 0.5, 0.5), origin=(5.0, 0.0, 0.0), unit="um")


def volume_on(grid, name="image", source="/data/image.tif"):
    data = np.random.default_rng(0).random(grid.shape).astype(np.float32)
    return Volume(data, grid, name=name, source=source)


def add_image(viewer, grid, name="image", source="/data/image.tif"):
    volume = volume_on(grid, name, source)
    for data, kwargs, _ in adapt.layer_tuples(volume):
        viewer.add_image(data, **kwargs)
    return viewer.layers[-1]


def add_prediction(viewer, grid, labels=None, classes=CLASSES, doubts=()):
    if labels is None:
        labels = np.zeros(grid.shape, np.uint8)
        labels[..., 10:20, 10:20] = 1
        labels[..., 25:32, 25:32] = 2
    image = next(o for o in viewer.layers if adapt.image_key_of(o) is None)
    prediction = Prediction(grid, labels, classes=classes, slice_doubts=doubts)
    volume = adapt.volume_of(image)
    made = adapt.prediction_layers(prediction, volume, "image ▸ v1", None, adapt.key_of(image))
    for data, kwargs, _ in made:
        viewer.add_labels(data, **kwargs)
    return viewer.layers[-1]


class Bench:
    """A viewer with an image, perhaps a prediction, and the dock."""

    def __init__(self, viewer, grid, labels=None, classes=CLASSES, predict=True):
        self.viewer, self.grid = viewer, grid
        self.image = add_image(viewer, grid)
        self.prediction = add_prediction(viewer, grid, labels, classes) if predict else None
        self.dock = CorrectDock(viewer)
        self.session = session_for(viewer)

    @property
    def layer(self):
        return self.dock.annotator.layer

    @property
    def state(self):
        return self.dock.annotator.state

    def begin(self):
        button = self.dock.beginning.correct if self.prediction else self.dock.beginning.start
        assert button.isEnabled(), button.toolTip()
        button.click()
        return self

    def stroke(self, *points, value=1):
        """Paint as the brush does: dabs grouped into one stroke."""
        with self.layer.block_history():
            for point in points:
                self.layer.paint(point, value)

    def key(self, text):
        self.viewer.window._qt_viewer.canvas._key_map_handler.press_key(text)
