"""A tour through a volume of nuclei: find them, look at them from all sides, click one that was missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from .stage import DOCK, SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .stage import Stage

    Voxel = tuple[int, ...]


def volume(stage: Stage) -> None:
    """Find nuclei in a volume, and correct them."""
    dock, viewer = stage.dock, stage.viewer
    viewer.open_sample("napari-apprentice", "nuclei-volume")
    stage.settle()
    dock.predict.button.click()
    stage.wait(stage.is_idle, "the prediction")
    go_to(stage, (16, 64, 64))
    viewer.reset_view()
    stage.shoot("volume-1-predicted", DOCK, is_noisy=True)
    from_all_sides(stage)
    dock.show_step(1)
    dock.correct.beginning.correct.click()
    stage.settle()
    dock.correct.annotator.layer.contour = 1
    add_missed(stage)
    stage.shoot("volume-3-added", DOCK, is_noisy=True)
    from_the_side(stage)
    stage.shoot("volume-4-side", DOCK, is_noisy=True)
    viewer.close()


def from_all_sides(stage: Stage) -> None:
    """Show the numbered nuclei as bodies, then slices again."""
    viewer = stage.viewer
    viewer.layers[0].visible = False
    viewer.layers[-1].contour = 0
    viewer.dims.ndisplay = 3
    viewer.camera.angles = (10, 35, 150)
    stage.settle(1.5)
    stage.shoot("volume-2-bodies", DOCK)
    viewer.dims.ndisplay = 2
    viewer.layers[0].visible = True
    stage.settle()


def add_missed(stage: Stage) -> None:
    """Click the largest nucleus that was not found."""
    tools, state = stage.dock.correct.objects, stage.dock.correct.annotator.state
    true = truth()
    sizes = np.bincount(true.ravel())
    found = np.bincount(true[state.labels > 0], minlength=len(sizes))
    sizes[found > 0.1 * sizes] = 0
    place = middle_of(true, int(sizes[1:].argmax()) + 1)
    go_to(stage, place)
    stage.viewer.scene.camera.zoom *= 1.5
    tools.actions()["Shift+A"]()
    tools.take_click(place)
    stage.wait(stage.is_idle, "the clicked nucleus")
    tools.actions()["Shift+A"]()
    stage.settle()


def from_the_side(stage: Stage) -> None:
    """Show slices through Z and Y, as the button for the next order of axes does."""
    stage.viewer.dims.roll()
    go_to(stage, (16, 64, 64))
    stage.viewer.reset_view()


def go_to(stage: Stage, place: Voxel) -> None:
    """Show the slices through a voxel."""
    scale = stage.viewer.layers[0].scale
    for axis, index in enumerate(place):
        stage.viewer.dims.set_point(axis, index * scale[axis])
    stage.settle()


def middle_of(labels: NDArray[Any], number: int) -> Voxel:
    """The voxel of an object that lies deepest in it."""
    depth = ndimage.distance_transform_edt(labels == number, (2, 1, 1))
    return tuple(int(v) for v in np.unravel_index(depth.argmax(), depth.shape))


def truth() -> NDArray[Any]:
    """The sample's own labels."""
    from napari_apprentice.io import open_labels

    return open_labels(SAMPLES / "nuclei_volume" / "labels" / "nuclei_volume.tif").numpy()
