"""*Prepare*: what is done to an image before a network sees it, live; made into a layer, or used for new models."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QCheckBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
)

from napari_apprentice.core.annotation import LabelClass
from napari_apprentice.engine.config import TrainConfig
from napari_apprentice.session.choice import object_tasks
from napari_apprentice.session.material import state_items
from napari_apprentice.session.preparing import Previewer, Recipe, glimpse_job, prepare_job
from napari_apprentice.session.text import describe_error

from ._dock import Dock
from ._geometry_tools import GeometryTools
from ._made_layers import MadeLayers
from ._parts import ElidedList, ErrorLine, ModelList, wrapped
from ._recipe_form import RecipeForm

if TYPE_CHECKING:
    import napari
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.glimpse import Glimpse
    from napari_apprentice.session.session import Session

__all__ = ["PrepareDock"]

_MILLISECONDS = 250
_NEW = "a new model"
_STRENGTHS = ("none", "light", "strong")


class PrepareDock(Dock):
    """Filters, normalisation and geometry with a live preview, and what the network will see.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__(viewer, session)
        self.recipe = RecipeForm()
        self.live = QCheckBox("Live preview")
        self.make = QPushButton("Make a layer")
        self.use = QPushButton("Use for new models")
        self.used = wrapped()
        self.refusal = ErrorLine()
        self.geometry_tools = GeometryTools(self.viewer, self.session)
        self.models = ModelList(_NEW)
        self.strength = ElidedList()
        self.count = QSpinBox()
        self.show_patches = QPushButton("Show what the network will see")
        self.previewer = Previewer(self.session.aside())
        self._layers = MadeLayers(self.viewer)
        self._model: str | None = None
        self._soon = QTimer(self, interval=_MILLISECONDS, singleShot=True)
        self._lay_out()
        self._connect()
        self.recipe.set_value(self.session.recipe)
        self.render()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        for widget in (self.live, self.make, self.use):
            row.addWidget(widget)
        for widget in (self.recipe, row, self.used, self.refusal):
            self.body.addWidget(widget) if widget is not row else self.body.addLayout(row)
        shape = QGroupBox("Crop, resample, turn")
        QVBoxLayout(shape).addWidget(self.geometry_tools)
        self.body.addWidget(shape)
        patches = QGroupBox("Augmentation")
        form = QFormLayout(patches)
        form.addRow("As seen by", self.models)
        form.addRow("Varied", self.strength)
        form.addRow("Patches", self.count)
        form.addRow(self.show_patches)
        self.body.addWidget(patches)
        self.body.addStretch()
        self.count.setRange(1, 36)
        self.count.setValue(9)
        for name in _STRENGTHS:
            self.strength.addItem(name, name)
        self.strength.setCurrentIndex(_STRENGTHS.index(self.session.preferences.train.augment))
        self.live.setToolTip("Show a layer with the image as the network will see it")
        self.used.setToolTip(
            "Learn, starting from nothing, does this to every image; the model keeps it"
        )

    def _connect(self) -> None:
        session = self.session
        for signal in (session.image_changed, session.frame_changed):
            self.listen(signal, self._on_session_image)
        for signal in (session.model_changed, session.annotations_changed, session.recipe_changed):
            self.listen(signal, self.render)
        self.listen(session.status_changed, lambda _: self._render_buttons())
        self.listen(session.refused, self.refusal.set_sentence)
        self.listen(self.viewer.dims.events.current_step, self._on_viewer_step)
        self.recipe.changed.connect(self._on_recipe_changed)
        self.live.toggled.connect(self._on_live_toggled)
        self.make.clicked.connect(self._on_make_clicked)
        self.use.clicked.connect(self._on_use_clicked)
        self.models.currentIndexChanged.connect(self._on_models_index)
        self.show_patches.clicked.connect(self._on_patches_clicked)
        self.geometry_tools.made.connect(self._keep)
        self.geometry_tools.failed.connect(self.refusal.set_sentence)
        self.previewer.shown.connect(self._on_previewer_shown)
        self.previewer.failed.connect(self._on_previewer_failed)
        self._soon.timeout.connect(self._ask)
        self.destroyed.connect(partial(_end, self.previewer))

    # -- session → dock ---------------------------------------------------------------------

    def render(self) -> None:
        """Show the session as it is."""
        said = self.session.recipe.describe()
        self.used.setText(f"New models: {said}" if said else "New models: as planned, no filters")
        fitting = [c for c in self.session.choices() if c.reason is None]
        self.models.set_choices(fitting, self._model, first=_NEW)
        self.geometry_tools.render_state()
        self._render_buttons()

    def _render_buttons(self) -> None:
        session, problem = self.session, self.recipe.problem
        no_image = None if session.volume is not None else "Open or select an image first."
        self.live.setEnabled(no_image is None)
        _enable(
            self.make, no_image or problem or session.busy, "Add the whole image as a new layer"
        )
        is_used = problem is None and self.recipe.value() == session.recipe
        nothing_new = "New models do this already." if is_used else None
        _enable(
            self.use, problem or nothing_new, "Learn, starting from nothing, does this to images"
        )
        wanting = no_image or session.material().problem or session.start_problem(self._model)
        tip = "Draw patches as a training would, with their annotation as contours"
        _enable(self.show_patches, wanting or problem or session.busy, tip)

    def _on_session_image(self) -> None:
        self.render()
        self._layers.end_preview()
        self._ask_soon()

    def _on_viewer_step(self) -> None:
        if self.previewer.is_busy:  # the plane on show comes first
            self._ask_soon()

    # -- the live preview -------------------------------------------------------------------

    def _on_recipe_changed(self) -> None:
        self.refusal.set_sentence(self.recipe.problem or "")
        self._render_buttons()
        self._ask_soon()

    def _on_live_toggled(self, is_on: bool) -> None:
        if is_on:
            self._ask_soon()
        else:
            self._end_preview()

    def _ask_soon(self) -> None:
        if self.live.isChecked() and self.isVisible():
            self._soon.start()

    def _ask(self) -> None:
        session = self.session
        if session.volume is None or self.recipe.problem is not None or not self.live.isChecked():
            return
        self.previewer.ask(
            session.volume.frame(session.frame or 0), self.recipe.value(), self._at()
        )

    def _at(self) -> int:
        """Plane on show."""
        volume = self.session.volume
        if volume is None or volume.grid.ndim == 2 or self.viewer.dims.ndim < 3:
            return 0
        inverse = _inverse(volume)
        point = [*self.viewer.dims.point[-3:], 1.0]
        return round(float((inverse @ point)[0]))

    def _on_previewer_shown(self, volume: Volume) -> None:
        if self.live.isChecked() and self.session.key is not None:
            self.refusal.set_sentence("")
            self._layers.preview(volume, self.session.key)

    def _on_previewer_failed(self, error: Exception) -> None:
        self._layers.end_preview()
        self.refusal.set_sentence(describe_error(error))

    def _end_preview(self) -> None:
        self._soon.stop()
        self.previewer.stop()
        self._layers.end_preview()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """Nothing is previewed for a dock that is out of sight."""
        self._end_preview()
        self.geometry_tools.stop()
        super().hideEvent(event)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """Go on previewing."""
        super().showEvent(event)
        self._ask_soon()

    # -- dock → session ---------------------------------------------------------------------

    def _on_make_clicked(self) -> None:
        volume = self.session.volume
        if volume is not None:
            self.refusal.set_sentence("")
            job = prepare_job(volume, self.recipe.value())
            self.session.launch(f"Preparing {volume.name}", job, self._keep)

    def _keep(self, volume: Volume) -> None:
        # A preview of what is prepared already would prepare it twice.
        self.live.setChecked(False)
        self.refusal.set_sentence("")
        self._layers.keep(volume)

    def _on_use_clicked(self) -> None:
        self.session.set_recipe(self.recipe.value())

    def _on_models_index(self, index: int) -> None:
        self._model = self.models.itemData(index)
        self._render_buttons()

    def _on_patches_clicked(self) -> None:
        session, volume, key = self.session, self.session.volume, self.session.key
        if volume is None or key is None:
            return
        recipe, strength = self.recipe.value(), self.strength.currentData()
        spec = None if self._model is None else session.specs.get(self._model)
        task = session.default_task() if spec is None else spec.task
        items = tuple(state_items(session.annotations, session.volumes, session.frames).values())
        job = glimpse_job(
            lambda: items, spec, self._config(recipe, strength), task, self.count.value()
        )

        def done(seen: Glimpse) -> None:
            classes = (
                ()
                if task in object_tasks()
                else tuple(
                    LabelClass(n, c.name, c.color) for n, c in enumerate(seen.spec.classes, 1)
                )
            )
            self._layers.patches(seen, f"patches · {strength}", key, volume, classes)

        self.refusal.set_sentence("")
        session.launch("Drawing patches", job, done)

    def _config(self, recipe: Recipe, strength: str) -> TrainConfig:
        known = self.session.preferences.train.model_dump()
        own: dict[str, Any] = {"filters": recipe.filters, "normalization": recipe.normalization}
        return TrainConfig(**{**known, **own, "augment": strength})


def _inverse(volume: Volume) -> Any:
    import numpy as np

    return np.linalg.inv(volume.grid.matrix)


def _enable(button: QPushButton, problem: str | None, tip: str) -> None:
    button.setEnabled(problem is None)
    button.setToolTip(problem or tip)


def _end(previewer: Previewer, *_: Any) -> None:
    previewer.close()
