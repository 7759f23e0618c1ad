"""A tour through the brain sample: segment, correct, teach.

What a person would paint along the border of the hippocampus is copied here from the sample's own labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .stage import SAMPLES

if TYPE_CHECKING:
    import numpy as np

    from .stage import Stage

SLICES = (7, 10, 13, 16, 19, 22, 25, 28)
SHOWN = 16
MINUTES = "3"


def tour(stage: Stage) -> None:
    """Segment, correct, teach: the brain sample."""
    dock, viewer = stage.dock, stage.viewer
    stage.shoot("1-start")
    dock.empty.buttons["brain-mri"].click()
    stage.go_to(SHOWN)
    stage.shoot("2-image")
    dock.predict.button.click()
    stage.wait(stage.is_idle, "the prediction")
    stage.shoot("3-predicted")
    dock.show_step(1)
    dock.correct.beginning.correct.click()
    stage.go_to(SHOWN)
    stage.shoot("4-correcting")
    correct(stage, truth())
    stage.go_to(SHOWN + 1)
    stage.shoot("5-finished")
    stage.go_to(SHOWN)
    dock.show_step(2)
    dock.learn.form.row("minutes").value = MINUTES
    stage.settle(1.0)
    stage.shoot("6-learn")
    dock.learn.button.click()
    stage.wait(lambda: sum(m.name != "loss" for m in dock.session.curve) >= 4, "the curve")
    stage.shoot("7-learning")
    stage.wait(lambda: dock.session.candidate is not None, "the new model")
    stage.shoot("8-learned")
    dock.learn.card.use.click()
    stage.wait(stage.is_idle, "saving")
    dock.show_step(0)
    dock.predict.button.click()
    stage.wait(stage.is_idle, "the second prediction")
    stage.shoot("9-again")
    viewer.close()


def correct(stage: Stage, labels: np.ndarray) -> None:
    """Mend slices as a person would, and finish each."""
    layer: Any = stage.dock.correct.annotator.layer
    for index in SLICES:
        stage.go_to(index)
        rows, columns = (layer.data[index] != labels[index]).nonzero()
        planes = rows * 0 + index
        layer.data_setitem((planes, rows, columns), labels[index, rows, columns])
        stage.dock.correct.counting.toggle_slice()


def truth() -> np.ndarray:
    """The sample's own labels."""
    from napari_apprentice.io import open_labels

    folder = SAMPLES / "brain_mri" / "labels"
    return open_labels(folder / "brain_mri_1.nii.gz").numpy()
