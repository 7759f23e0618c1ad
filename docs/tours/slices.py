"""A tour of `make_screenshots`: a network that goes from slice to slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from superqt import QCollapsible

from napari_apprentice.session.material import Folders

from .stage import DOCK, SAMPLES

if TYPE_CHECKING:
    from .stage import Stage

BRAIN = SAMPLES / "brain_mri"
MINUTES = "5"
SHOWN = 16


def slices(stage: Stage) -> None:
    """A network that goes from slice to slice, taught from labelled volumes in folders."""
    dock, session = stage.dock, stage.dock.session
    dock.empty.buttons["brain-mri"].click()
    stage.go_to(SHOWN)
    dock.show_step(2)
    learn = dock.learn
    session.set_folders(Folders(BRAIN / "images", BRAIN / "labels"))
    learn.models.setCurrentIndex(learn.models.findData(None))
    learn.form.row("minutes").value = MINUTES
    learn.form.row("network").value = "recurrent_unet"
    fold = learn.form.native.findChild(QCollapsible)
    fold.expand(animate=False)
    stage.settle(1.0)
    learn.scroll.ensureWidgetVisible(learn.form.row("network").native)
    stage.shoot("slices-1-network", DOCK)
    fold.collapse(animate=False)
    learn.button.click()
    stage.wait(lambda: session.candidate is not None, "the new model")
    stage.shoot("slices-2-learned", DOCK)
    learn.card.use.click()
    stage.wait(stage.is_idle, "saving")
    dock.show_step(0)
    dock.predict.button.click()
    stage.wait(stage.is_idle, "the prediction")
    stage.shoot("slices-3-predicted", DOCK)
    stage.viewer.close()
