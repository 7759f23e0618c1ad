"""Take the pictures of the docs: drive the real window through its steps, with the samples and starters of the package.

Needs a display of 1280 × 800; a virtual one will do::

    xvfb-run -a -s "-screen 0 1280x800x24" python docs/make_screenshots.py

With ``--only NAME`` it takes those of one tour. With ``--data FOLDER`` it takes the pictures of scans and microscopes instead, from the real images described in CONTRIBUTING.

What a person would paint along the border of the hippocampus is copied here from the sample's own labels; which nuclei are
blurred, a person sees, and this script measures.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cell_tours
from cell_tours import DOCK, HOW_TO, IMAGES, SIZE
from mark_and_restore_tours import denoise, mark
from PIL import Image
from slice_tour import slices

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    import numpy as np


SLICES = (7, 10, 13, 16, 19, 22, 25, 28)
SHOWN = 16
MINUTES = "3"
SYNTHESIS_MINUTES = "3"
BLURRED, MARKED = "blurred nucleus", 10
_PATIENCE = 1200.0
_LARGEST = 240_000
_FEW = 64


def main() -> int:
    """Take all pictures; a temporary home keeps the person's own models and settings out of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, help="folder of the real images")
    parser.add_argument(
        "--only",
        choices=(
            "brain",
            "cells",
            "cells-more",
            "cells-unlike",
            "count",
            "detect",
            "evaluate",
            "explain",
            "explain-objects",
            "mark",
            "objects",
            "prepare",
            "restore",
            "slices",
            "synthesise",
        ),
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_APPRENTICE_HOME"] = home
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "settings.yaml")
        if given.data is not None:
            scans(given.data)
            return 0
        tours = {
            "brain": lambda: tour(Stage()),
            "count": lambda: count(Stage()),
            "cells": lambda: cell_tours.classify(Stage("Classify")),
            "cells-unlike": lambda: cell_tours.unlike(Stage("Restore")),
            "cells-more": lambda: cell_tours.made_up(Stage("Synthesise")),
            "objects": lambda: objects(Stage("Objects", HOW_TO)),
            "evaluate": lambda: evaluate(Stage("Evaluate", HOW_TO)),
            "explain": lambda: explain(Stage("Explain", HOW_TO)),
            "explain-objects": lambda: explain_objects(Stage("Explain", HOW_TO)),
            "mark": lambda: mark(Stage()),
            "restore": lambda: denoise(Stage()),
            "slices": lambda: slices(Stage()),
            "synthesise": lambda: synthesise(Stage("Synthesise", HOW_TO)),
            "detect": lambda: detect(Stage("Apprentice", HOW_TO)),
            "prepare": lambda: prepare(Stage("Prepare", HOW_TO)),
        }
        for name, take in tours.items():
            if given.only in (None, name):
                take()
    return 0


class Stage:
    """One window with the Apprentice dock, and a camera."""

    def __init__(self, dock: str = "Apprentice", images: Path = IMAGES) -> None:
        import napari

        self.images = images
        images.mkdir(parents=True, exist_ok=True)

        self.viewer: napari.Viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*SIZE)
        _, widget = self.viewer.window.add_plugin_dock_widget("napari-apprentice", dock)
        self.dock: Any = widget
        self.settle()

    def settle(self, seconds: float = 0.6) -> None:
        """Let the window catch up."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def wait(self, done: Callable[[], bool], what: str) -> None:
        """Let the window live until something is so."""
        end = time.monotonic() + _PATIENCE
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} did not come within {_PATIENCE:.0f} s")
            self.settle(0.05)
        self.settle()

    def shoot(
        self,
        name: str,
        box: tuple[int, int, int, int] | None = None,
        *,
        colors: int | None = None,
        is_noisy: bool = False,
    ) -> None:
        """Save the window, or a part of it, in so many colours; where the image is noisy, fixed ones leave text as it is.

        Parameters
        ----------
        name
            Of the picture.
        box
            Left, top, right and bottom of the part.
        colors, is_noisy
            How many colours; whether they are fixed.
        """
        self.settle()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "window.png"
            self.viewer.window.screenshot(str(path), flash=False, canvas_only=False)
            picture = Image.open(path).convert("RGB")
        picture = picture.crop(box) if box else picture
        path = self.images / f"{name}.png"
        picture.save(path, optimize=True)
        is_dock = box == DOCK or is_noisy
        if path.stat().st_size > _LARGEST or is_dock:
            method = Image.Quantize.FASTOCTREE if is_noisy else Image.Quantize.MEDIANCUT
            colors = colors or (_FEW if is_dock else 256)
            picture.quantize(colors, method, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{name}: {picture.size}, {path.stat().st_size // 1000} kB")

    def is_idle(self) -> bool:
        """Whether no job is at work."""
        return not self.dock.session.status.is_running

    def go_to(self, index: int) -> None:
        """Show a slice."""
        self.viewer.dims.set_current_step(0, index)
        self.settle()


def scans(data: Path) -> None:
    """Scans and microscopes, each in a window of its own."""
    shown = {
        "export-ct": data / "ct" / "example_ct_dicom",
        "export-channels": data / "formats" / "tiff" / "cell_3channel_16bit_imagej.tif",
    }
    for name, path in shown.items():
        stage = Stage("Export", HOW_TO)
        stage.viewer.open(path, plugin="napari-apprentice")
        stage.shoot(name)
        stage.viewer.close()
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        for name in ("hippocrop_1mm", "t1post_brain_6p5mm"):
            shutil.copytree(data / "dicom_mr" / name, study / name)
        stage = Stage("Series", HOW_TO)
        stage.dock.look_in(study)
        stage.wait(stage.is_idle, "the list of series")
        stage.shoot("series", (0, 0, *SIZE))
        stage.viewer.close()


def objects(stage: Stage) -> None:
    """Measured objects: a plot, and a part of it chosen."""
    import numpy as np

    from napari_apprentice.io import open_labels
    from napari_apprentice.widgets._labels import labels_tuple

    folder = Path(__file__).parents[1] / "sample_data" / "nuclei"
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
    stage.shoot("objects")


def synthesise(stage: Stage) -> None:
    """Patches of nuclei made up, and one image on the way to another."""
    dock, session = stage.dock, stage.dock.session
    dock.folder.set_path(Path(__file__).parents[1] / "sample_data" / "nuclei" / "images")
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
    folder = Path(__file__).parents[1] / "sample_data" / "nuclei" / "images"
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

    folder = Path(__file__).parents[1] / "sample_data" / "brain_mri" / "images"
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

    folder = Path(__file__).parents[1] / "sample_data" / "brain_mri" / "labels"
    return open_labels(folder / "brain_mri_1.nii.gz").numpy()


def count(stage: Stage) -> None:
    """Count and classify nuclei: find them, mend a few, say which are blurred, class the rest."""
    dock, viewer = stage.dock, stage.viewer
    dock.empty.buttons["nuclei"].click()
    stage.settle()
    dock.predict.button.click()
    stage.wait(stage.is_idle, "the prediction")
    viewer.reset_view()
    color_by(stage, dock.predict.coloring, "score")
    stage.shoot("count-1-predicted", DOCK)
    dock.show_step(1)
    correct = dock.correct
    correct.beginning.correct.click()
    stage.settle()
    tools, layer = correct.objects, correct.annotator.layer
    viewer.scene.camera.zoom *= 2.5
    tools.doubt()
    stage.shoot("count-2-doubtful", DOCK)
    mend(stage)
    stage.shoot("count-3-mended", DOCK)
    correct.classes.added.emit(BLURRED)
    layer.contour = 2
    classify(stage)
    viewer.reset_view()
    color_by(stage, tools.coloring, "class")
    correct.scroll.verticalScrollBar().setValue(0)
    stage.shoot("count-4-classes", DOCK)
    class_the_rest(stage)


def class_the_rest(stage: Stage) -> None:
    """Let the rest be classed, and go to the nucleus whose class is least certain."""
    correct, viewer = stage.dock.correct, stage.viewer
    correct.classing.button.click()
    stage.wait(stage.is_idle, "the classes")
    stage.settle(1.0)
    correct.scroll.ensureWidgetVisible(correct.classing.summary)
    stage.shoot("count-5-classified", DOCK)
    correct.objects.doubt()
    viewer.scene.camera.zoom *= 2.5
    correct.scroll.verticalScrollBar().setValue(0)
    stage.shoot("count-6-competing", DOCK)
    viewer.close()


def color_by(stage: Stage, coloring: Any, column: str) -> None:
    """Choose what the colours mean."""
    coloring.choice.setCurrentIndex(coloring.choice.findData(column))
    stage.settle()


def mend(stage: Stage) -> None:
    """Click what was missed, and cut what is glued, as the sample's own labels say."""
    import numpy as np
    from scipy import ndimage

    tools, state = stage.dock.correct.objects, stage.dock.correct.annotator.state
    true = nuclei_truth()
    tools.actions()["Shift+D"]()  # the one in view, to be clicked again
    centres = np.round(ndimage.center_of_mass(true > 0, true, range(1, true.max() + 1))).astype(int)
    tools.actions()["Shift+A"]()
    for place in centres:
        if not state.labels[tuple(place)]:
            tools.take_click(tuple(int(v) for v in place))
            stage.wait(stage.is_idle, "the clicked nucleus")
    tools.actions()["Shift+A"]()
    for number in state.index.numbers():
        inside = [p for p in centres if state.labels[tuple(p)] == number]
        if len(inside) == 2:
            one, other = (np.array(p, float) for p in inside)
            across = (other - one)[::-1] * (1, -1) / 2
            middle = (one + other) / 2
            tools.actions()["Shift+L"]()
            stage.viewer.layers.selection.active.add_lines(
                np.array([middle - across, middle + across])
            )
            stage.settle()


def classify(stage: Stage) -> None:
    """Say of the sharpest and of the most blurred nuclei which they are."""
    import numpy as np
    from scipy import ndimage

    correct = stage.dock.correct
    state, layer = correct.annotator.state, correct.annotator.layer
    image = np.asarray(stage.dock.session.volume.data, dtype=float)
    edges = ndimage.gaussian_gradient_magnitude(image, 1.0)
    numbers = state.index.numbers()
    rims = ndimage.maximum(edges, state.labels, numbers)
    heights = ndimage.maximum(ndimage.gaussian_filter(image, 1.0), state.labels, numbers)
    order = numbers[np.argsort(rims / (heights - np.median(image)))]
    for chosen, value in ((order[-MARKED:], 1), (order[:MARKED], 2)):
        for number in chosen:
            layer.selected_label = int(number)
            correct.pick(value)
    stage.settle(1.0)


def nuclei_truth() -> np.ndarray:
    """The sample's own labels."""
    from napari_apprentice.io import open_labels

    folder = Path(__file__).parents[1] / "sample_data" / "nuclei" / "labels"
    return open_labels(folder / "nuclei_1.tif").numpy()


def evaluate(stage: Stage) -> None:
    """The starter of the hippocampus on the samples: scores, and the case that it finds hardest."""
    samples = Path(__file__).parents[1] / "sample_data" / "brain_mri"
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


def _uncertainty(stage: Stage, sample: str, model: str) -> None:
    images = Path(__file__).parents[1] / "sample_data" / sample / "images"
    stage.viewer.open(sorted(images.iterdir())[0], plugin="napari-apprentice")
    stage.settle(1)
    dock = stage.dock
    dock.session.use_model(model)
    dock.ways.setCurrentIndex(dock.ways.findData("uncertainty"))
    dock.button.click()
    stage.wait(stage.is_idle, "the map")


if __name__ == "__main__":
    sys.exit(main())
