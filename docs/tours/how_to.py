"""Short tours of single docks, for the how-to pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .brain import SHOWN, truth
from .stage import DOCK, SAMPLES, SIZE

if TYPE_CHECKING:
    from .stage import Stage

SYNTHESIS_MINUTES = "3"


def objects(stage: Stage) -> None:
    """Measured objects: a plot, and a part of it chosen."""
    import numpy as np

    from napari_apprentice.io import open_labels
    from napari_apprentice.widgets._labels import labels_tuple

    folder = SAMPLES / "nuclei"
    stage.viewer.open(folder / "images" / "nuclei_1.tif", plugin="napari-apprentice")
    data, kwargs, _ = labels_tuple(open_labels(folder / "labels" / "nuclei_1.tif"))
    stage.viewer.add_labels(data, **kwargs | {"name": "nuclei_1 ▸ objects"}).contour = 2
    stage.settle()
    stage.dock.button.click()
    stage.wait(stage.is_idle, "the table")
    plot = stage.dock.plot
    plot.up.setCurrentText("intensity mean")
    stage.settle()
    points = plot.points()
    left = np.quantile(points[:, 0], 0.8)
    (_, low), (right, high) = points.min(axis=0) - 1, points.max(axis=0) + 1
    plot.select_in(np.array([[left, low], [right, low], [right, high], [left, high]]))
    stage.settle()
    bar = stage.dock.scroll.verticalScrollBar()
    bar.setValue(bar.maximum())
    stage.shoot("objects")


def synthesise(stage: Stage) -> None:
    """Patches of nuclei made up, and one image on the way to another."""
    dock, session = stage.dock, stage.dock.session
    dock.folder.set_path(SAMPLES / "nuclei" / "images")
    dock.form.set_fields({"tile": (32, 32)})
    dock.form.row("minutes").value = SYNTHESIS_MINUTES
    dock.learn.click()
    stage.wait(lambda: session.candidate is not None, "the new model")
    dock.card.use.click()
    stage.wait(stage.is_idle, "saving")
    dock.new.click()
    stage.wait(stage.is_idle, "the samples")
    dock.between.slider.setValue(12)
    stage.wait(stage.is_idle, "the images between two")
    stage.viewer.layers.remove(stage.viewer.layers[-1])
    stage.viewer.reset_view()
    dock.scroll.verticalScrollBar().setValue(dock.scroll.verticalScrollBar().maximum())
    stage.shoot("synthesise", DOCK)


def detect(stage: Stage) -> None:
    """Points and boxes: predicted, then corrected."""
    folder = SAMPLES / "nuclei" / "images"
    stage.viewer.open(folder / "nuclei_1.tif", plugin="napari-apprentice")
    stage.settle()
    session, dock = stage.dock.session, stage.dock
    session.use_model("nuclei-centres")
    dock.predict.button.click()
    stage.wait(stage.is_idle, "the points")
    dock.show_step(1)
    dock.correct.beginning.correct.click()
    dock.correct.points.threshold.setValue(50)
    stage.shoot("detect")
    dock.correct.points.threshold.setValue(0)
    dock.correct.points.as_boxes.click()
    stage.viewer.scene.camera.zoom *= 2
    dock.correct.annotator.pointing.layer.selected_data = {30}
    stage.shoot("detect-boxes", DOCK)


def prepare(stage: Stage) -> None:
    """An image as it is, as a recipe makes it, and patches of it as a network sees them."""
    from napari_apprentice.core.annotation import LabelClass
    from napari_apprentice.session.edits import AnnotationState
    from napari_apprentice.session.preparing import Recipe

    folder = SAMPLES / "brain_mri" / "images"
    stage.viewer.open(folder / "brain_mri_1.nii.gz", plugin="napari-apprentice")
    dock, session, classes = stage.dock, stage.dock.session, ("anterior", "posterior")
    stage.go_to(SHOWN)
    state = AnnotationState(
        session.volume.name,
        session.volume.grid.spatial,
        truth(),
        tuple(LabelClass(n, name) for n, name in enumerate(classes, 1)),
    )
    state.finish_all()
    session.annotations[session.key] = state
    dock.recipe.set_value(Recipe("bias_field, median", "percentile"))
    dock.live.setChecked(True)
    stage.settle(1.0)
    stage.wait(lambda: not dock.previewer.is_busy, "the preview")
    dock.strength.setCurrentText("strong")
    dock.count.setValue(4)
    dock.show_patches.click()
    stage.wait(stage.is_idle, "the patches")
    stage.shoot("prepare", (0, 0, *SIZE))


def evaluate(stage: Stage) -> None:
    """The starter of the hippocampus on the samples: scores, and the case that it finds hardest."""
    samples = SAMPLES / "brain_mri"
    dock = stage.dock
    dock.sources.mode.setCurrentIndex(dock.sources.mode.findData("model"))
    dock.sources.models.setCurrentIndex(dock.sources.models.findData("hippocampus-mri"))
    dock.sources.images.set_path(samples / "images")
    dock.sources.truth.set_path(samples / "labels")
    dock.button.click()
    stage.wait(stage.is_idle, "the scores")
    worst = min(
        range(len(dock.shown.found.cases)), key=lambda n: dock.shown.report.cases[n].scores["dice"]
    )
    dock.open_case(worst)
    stage.wait(stage.is_idle, "the case")
    stage.shoot("evaluate", (0, 0, *SIZE))
    stage.viewer.close()


def explain(stage: Stage) -> None:
    """Where the starter of the hippocampus is unsure."""
    _uncertainty(stage, "brain_mri", "hippocampus-mri")
    stage.go_to(SHOWN)
    stage.shoot("explain", (0, 0, *SIZE))
    stage.viewer.close()


def explain_objects(stage: Stage) -> None:
    """Where the starter of the nuclei is unsure."""
    _uncertainty(stage, "nuclei", "nuclei")
    stage.viewer.scene.camera.zoom *= 2.2
    stage.shoot("explain-objects", (DOCK[0], 0, SIZE[0], 480))
    stage.viewer.close()


def explain_boxes(stage: Stage) -> None:
    """Where copies of the image do not agree on the boxes around its nuclei."""
    _uncertainty(stage, "nuclei", "nuclei-boxes")
    stage.viewer.scene.camera.zoom *= 2.2
    stage.shoot("explain-boxes", (DOCK[0], 0, SIZE[0], 480))
    stage.viewer.close()


def _uncertainty(stage: Stage, sample: str, model: str) -> None:
    images = SAMPLES / sample / "images"
    stage.viewer.open(sorted(images.iterdir())[0], plugin="napari-apprentice")
    stage.settle(1)
    dock = stage.dock
    dock.session.use_model(model)
    dock.ways.setCurrentIndex(dock.ways.findData("uncertainty"))
    dock.button.click()
    stage.wait(stage.is_idle, "the map")
