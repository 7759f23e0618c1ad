"""A tour through the nuclei: find them, mend a few, say which are blurred, class the rest.

Which nuclei are blurred, a person sees, and this measures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .stage import DOCK, SAMPLES

if TYPE_CHECKING:
    import numpy as np

    from .stage import Stage

BLURRED, MARKED = "blurred nucleus", 10


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

    folder = SAMPLES / "nuclei" / "labels"
    return open_labels(folder / "nuclei_1.tif").numpy()
