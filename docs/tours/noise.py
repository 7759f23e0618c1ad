"""A tour that takes noise away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .stage import DOCK, PANEL

if TYPE_CHECKING:
    from .stage import Stage

RESTORE = "5"


def denoise(stage: Stage) -> None:
    """Noise taken away: smoothed, then learned from the noisy image alone, compared with the image before noise came."""
    viewer = stage.viewer
    _, dock = viewer.window.add_plugin_dock_widget("napari-apprentice", "Restore")
    stage.dock = dock
    viewer.open_sample("napari-apprentice", "nuclei-noisy")
    stage.settle(1.0)
    for method in ("gaussian", "nl_means", "total_variation"):
        dock.methods.setCurrentIndex(dock.methods.findData(f"smooth:{method}"))
        dock.methods.activated.emit(dock.methods.currentIndex())
        dock.button.click()
        stage.wait(stage.is_idle, "the smoothed image")
        print(dock.summary.text())
    dock.teach.form.row("minutes").value = RESTORE
    dock.teach.button.click()
    stage.wait(lambda: dock.session.candidate is not None, "the new model")
    dock.scroll.ensureWidgetVisible(dock.teach.card)
    stage.shoot("noise-1-learned", PANEL, is_noisy=True)
    dock.teach.card.use.click()
    stage.wait(stage.is_idle, "saving")
    dock.button.click()
    stage.wait(stage.is_idle, "the restored image")
    dock.clean.setCurrentIndex(1)
    dock.clean.activated.emit(1)
    dock.compare.click()
    stage.wait(stage.is_idle, "the scores")
    print(dock.scores.text())
    dock.scroll.verticalScrollBar().setValue(0)
    stage.shoot("noise-2-compared", DOCK)
    viewer.close()
