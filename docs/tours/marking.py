"""A tour through the nuclei: find and mark them with points and boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from .stage import DOCK, PANEL, SAMPLES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .stage import Stage

LEARN = "5"
_FITS, _FOUND = 0.65, 0.3


def mark(stage: Stage) -> None:
    """Boxes around nuclei: predicted, corrected in a corner, learned, taken over, scored."""
    find(stage)
    dock, page = stage.dock, stage.dock.correct.points
    dock.show_step(1)
    dock.correct.beginning.correct.click()
    page.as_boxes.click()
    page.threshold.setValue(20)
    stage.settle()
    print(page.delete.full)
    page.delete.click()
    page.threshold.setValue(0)
    look_at_corner(stage)
    first, last = (stage.viewer.layers[0].corner_pixels[n].astype(int) for n in (0, 1))
    mend(stage, tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True)))
    dock.correct.annotator.pointing.layer.selected_data = {4}
    stage.shoot("mark-2-boxes", DOCK, is_noisy=True)
    page.view.click()
    learn(stage)
    predict(stage)
    dock.show_step(1)
    stage.settle()
    page.take_over.click()
    stage.viewer.reset_view()
    mend(stage, (slice(0, 512), slice(0, 512)))
    page.whole.click()
    score(stage)
    stage.viewer.close()


def find(stage: Stage) -> None:
    """Open the image, with contrast to see all nuclei, and predict."""
    stage.viewer.open(SAMPLES / "nuclei" / "images" / "nuclei_4.tif", plugin="napari-apprentice")
    stage.settle()
    image = stage.viewer.layers[0]
    light = np.percentile(np.asarray(image.data), (1, 99.3))
    image.contrast_limits = [float(value) for value in light]
    stage.viewer.reset_view()
    stage.dock.session.use_model("nuclei-centres")
    predict(stage)
    stage.shoot("mark-1-predicted", DOCK, is_noisy=True)


def predict(stage: Stage) -> None:
    """Press Predict on its page."""
    stage.dock.show_step(0)
    stage.dock.predict.button.click()
    stage.wait(stage.is_idle, "the points")
    print(stage.dock.session.summary)


def look_at_corner(stage: Stage) -> None:
    """Zoom into the upper left quarter of the image."""
    stage.viewer.reset_view()
    camera = stage.viewer.scene.camera
    camera.zoom *= 2.2
    camera.center = (0, 38.0, 28.0)
    stage.settle()


def learn(stage: Stage) -> None:
    """Learn from what is finished, and keep the model."""
    dock = stage.dock
    dock.show_step(2)
    dock.learn.form.row("minutes").value = LEARN
    stage.settle(1.0)
    dock.learn.button.click()
    stage.wait(lambda: dock.session.candidate is not None, "the new model")
    stage.shoot("mark-3-learned", PANEL, is_noisy=True)
    dock.learn.card.use.click()
    stage.wait(stage.is_idle, "saving")


def mend(stage: Stage, part: tuple[slice, slice]) -> None:
    """Do to the boxes of a part what a person would: draw the missing, resize what does not fit, delete the rest."""
    layer: Any = stage.dock.correct.annotator.pointing.layer
    lows, highs = true_boxes()
    inside = [
        n for n, (a, b) in enumerate(zip(lows, highs, strict=True)) if is_in((a + b) / 2, part)
    ]
    rows: dict[int, int] = {}
    shapes = [np.asarray(one) for one in layer.data]
    for n in inside:
        fits = [overlap(one.min(axis=0), one.max(axis=0), lows[n], highs[n]) for one in shapes]
        best = int(np.argmax(fits))
        if fits[best] >= _FOUND and best not in rows:
            rows[best] = n
    changed = {
        row: rectangle(lows[n], highs[n])
        for row, n in rows.items()
        if overlap(shapes[row].min(axis=0), shapes[row].max(axis=0), lows[n], highs[n]) < _FITS
    }
    extra = {r for r, one in enumerate(shapes) if r not in rows and is_in(one.mean(axis=0), part)}
    missing = sorted(set(inside) - set(rows.values()))
    print(
        f"mended: {len(inside)} true, {len(changed)} resized, {len(extra)} deleted, {len(missing)} drawn"
    )
    if changed:
        layer.data = [changed.get(row, one) for row, one in enumerate(shapes)]
    if extra:
        layer.selected_data = extra
        layer.remove_selected()
    for n in missing:
        layer.add_rectangles(rectangle(lows[n], highs[n]))
    stage.settle()


def score(stage: Stage) -> None:
    """Hold both predictions beside what was finished."""
    _, evaluate = stage.viewer.window.add_plugin_dock_widget("napari-apprentice", "Evaluate")
    stage.settle()
    sources: Any = evaluate.sources
    for name in ("nuclei_4 ▸ nuclei-centres", "nuclei_4 ▸ nuclei-centres v2"):
        box = sources.prediction_layer
        box.setCurrentIndex(box.findText(name))
        evaluate.button.click()
        stage.wait(stage.is_idle, "the scores")
        print(evaluate.summary.text())
    stage.shoot("mark-4-scores", PANEL, is_noisy=True)


def true_boxes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper corners of the boxes around the sample's own labels, ``(N, 2)`` each."""
    from napari_apprentice.io import open_labels

    found = ndimage.find_objects(
        open_labels(SAMPLES / "nuclei" / "labels" / "nuclei_4.tif").numpy()
    )
    lows = np.array([[s.start for s in box] for box in found], float) - 0.5
    return lows, np.array([[s.stop for s in box] for box in found], float) - 0.5


def rectangle(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Corners of a box, as a shapes layer wants them."""
    return np.array([low, (low[0], high[1]), high, (high[0], low[1])], float)


def overlap(low: Any, high: Any, other_low: Any, other_high: Any) -> float:
    """Share of two boxes that is in both."""
    shared = np.prod(np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0, None))
    return float(shared / (np.prod(high - low) + np.prod(other_high - other_low) - shared))


def is_in(place: NDArray[Any], part: tuple[slice, slice]) -> bool:
    """Whether a place lies in a part of the image."""
    return all(s.start - 0.5 <= x < s.stop - 0.5 for x, s in zip(place, part, strict=True))
