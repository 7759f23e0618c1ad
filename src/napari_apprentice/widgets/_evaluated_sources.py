"""What is to be scored: two layers, two folders, or a model on a folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Points, Shapes
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_apprentice.session.choice import ModelChoice, image_task, is_of_images, object_tasks
from napari_apprentice.session.evaluating import layer_tasks, place_tasks, scored_tasks

from . import layers as adapt
from ._facts import are_numbered, classes_in, facts_of
from ._parts import ElidedList, ModelList
from ._path_row import PathRow
from ._place_layer import PlacesLayer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import napari
    from napari.layers import Layer

    from napari_apprentice.core.spec import ModelSpec
    from napari_apprentice.core.volume import Volume

__all__ = ["FOLDERS", "LAYERS", "MODEL", "Sources", "Wish"]

LAYERS, FOLDERS, MODEL = "layers", "folders", "model"
_MODES = {
    LAYERS: "layers on screen",
    FOLDERS: "predictions in a folder",
    MODEL: "a model, on a folder",
}
_TABLES = "Tables (*.csv *.tsv *.json)"


@dataclass(frozen=True, eq=False)
class Wish:
    """What a person asks to be scored.

    Parameters
    ----------
    mode
        `LAYERS`, `FOLDERS` or `MODEL`.
    task
        Registry name; of a model its own.
    truth, prediction, images, groups
        Paths.
    model
        Name.
    """

    mode: str
    task: str
    truth: Path | None = None
    prediction: Path | None = None
    images: Path | None = None
    groups: Path | None = None
    model: str | None = None


def _is_cut(layer: Layer) -> bool:
    """Whether a layer shows predicted boxes of a volume slice by slice; the points beside it know their depth."""
    return isinstance(layer, Shapes) and layer.ndim > 2 and bool(facts_of(layer).get("result"))


class Sources(QWidget):
    """The form above the button.

    Parameters
    ----------
    viewer
        Whose layers can be chosen.
    """

    changed = Signal()
    """Something else was chosen."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._specs: dict[str, ModelSpec] = {}
        self.mode, self.task = ElidedList(), ElidedList()
        self.truth_layer, self.prediction_layer = ElidedList(), ElidedList()
        self.models = ModelList("no model yet")
        self.images = PathRow("the images")
        self.truth = PathRow("the truth", files=_TABLES)
        self.prediction = PathRow("the predictions", files=_TABLES)
        self.look_at = PathRow("images to look at", "none (optional)", optional=True)
        self.groups = PathRow(
            "patients: a table with the columns name and group",
            "none (optional)",
            folder=False,
            files=_TABLES,
            optional=True,
        )
        for mode, title in _MODES.items():
            self.mode.addItem(title, mode)
        for title, name in scored_tasks():
            self.task.addItem(title, name)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        self.form = QFormLayout(self)
        self.form.setContentsMargins(0, 0, 0, 0)
        self._rows: dict[QWidget, tuple[str, ...]] = {}
        for text, widget, modes in (
            ("Score", self.mode, tuple(_MODES)),
            ("As", self.task, (LAYERS, FOLDERS)),
            ("Truth", self.truth_layer, (LAYERS,)),
            ("Prediction", self.prediction_layer, (LAYERS,)),
            ("Model", self.models, (MODEL,)),
            ("Images", self.images, (MODEL,)),
            ("Truth", self.truth, (FOLDERS, MODEL)),
            ("Predictions", self.prediction, (FOLDERS,)),
            ("Images", self.look_at, (FOLDERS,)),
            ("Patients", self.groups, (FOLDERS, MODEL)),
        ):
            self.form.addRow(text, widget)
            self._rows[widget] = modes
        self.task.setToolTip(
            "What is scored: classes of voxels, numbered objects, points and boxes, or classes of images"
        )
        self.look_at.label.setToolTip("With them, a click on a case shows its image")
        self._render_rows()

    def _connect(self) -> None:
        for box in (self.mode, self.truth_layer, self.prediction_layer, self.models):
            box.currentIndexChanged.connect(self._on_choice)
        self.task.currentIndexChanged.connect(self._on_task_index)
        for row in (self.images, self.truth, self.prediction, self.look_at, self.groups):
            row.changed.connect(self.changed)

    def _on_choice(self, *_: Any) -> None:
        self._render_rows()
        self.changed.emit()

    def _on_task_index(self, *_: Any) -> None:
        self._list_layers()
        self._on_choice()

    def _render_rows(self) -> None:
        mode = self.mode.currentData()
        for widget, modes in self._rows.items():
            self.form.setRowVisible(widget, mode in modes)
        of_images = self.task_name() is not None and self._is_of_images()
        # Layers say nothing of an image as a whole.
        self.truth.file.setVisible(of_images)
        self.prediction.file.setVisible(of_images)
        is_known = of_images and mode == MODEL
        self.truth.set_empty("the class folders" if is_known else "choose …")

    def _is_of_images(self) -> bool:
        spec = self._specs.get(self.models.currentData() or "")
        if self.mode.currentData() == MODEL:
            return spec is not None and is_of_images(spec)
        return self.task.currentData() == image_task()

    def task_name(self) -> str | None:
        """Registry name of the task whose scores are wanted."""
        if self.mode.currentData() == MODEL:
            spec = self._specs.get(self.models.currentData() or "")
            return None if spec is None else spec.task
        name = self.task.currentData()
        return None if name is None else str(name)

    # -- what there is ------------------------------------------------------------------------

    def set_models(self, specs: Sequence[ModelSpec]) -> None:
        """Offer these models, those of tasks that can be scored."""
        tasks = {name for _, name in scored_tasks()}
        self._specs = {spec.name: spec for spec in specs if spec.task in tasks}
        chosen = self.models.currentData()
        choices = [ModelChoice(spec) for spec in self._specs.values()]
        kept = chosen if chosen in self._specs else next(iter(self._specs), None)
        self.models.set_choices(choices, kept)
        self._render_rows()

    def set_layers(self) -> None:
        """List the layers of the viewer that can be scored."""
        self._list_layers()
        if self.mode.currentData() == LAYERS:  # what lies in folders, layers do not tell
            self._propose_task()
        self.changed.emit()

    @property
    def are_places(self) -> bool:
        """Whether points and boxes are scored, not labels."""
        return self.task.currentData() in place_tasks()

    def _list_layers(self) -> None:
        """What a person made as the truth, what a model made as the prediction."""
        wanted = (Points, Shapes) if self.are_places else Labels
        own = [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, wanted)
            and not adapt.is_helper(layer)
            and not facts_of(layer).get("evaluated")
            and not _is_cut(layer)
        ]
        made = [layer for layer in own if facts_of(layer).get("result")]
        for box, first in (
            (self.truth_layer, [layer for layer in own if layer not in made]),
            (self.prediction_layer, made),
        ):
            chosen = box.currentData() if box.count() > 1 else None
            was_blocked = box.blockSignals(True)
            box.clear()
            for layer in [*first, *(layer for layer in own if layer not in first)]:
                box.addItem(layer.name, layer.unique_id)
            box.setCurrentIndex(max(0, box.findData(chosen)) if box.count() else -1)
            box.blockSignals(was_blocked)

    def _propose_task(self) -> None:
        """Numbered objects where the chosen layer says that it has some; points and boxes where there is nothing else."""
        own = [layer for layer in self._viewer.layers if not adapt.is_helper(layer)]
        labels, places = (any(isinstance(o, kind) for o in own) for kind in (Labels, PlacesLayer))
        if places and not labels:
            self.task.setCurrentIndex(max(0, self.task.findData(next(iter(place_tasks()), None))))
            return
        layer = self.layer(self.truth_layer)
        if layer is not None and are_numbered(facts_of(layer)):
            numbered = next(iter(object_tasks()), None)
            self.task.setCurrentIndex(max(0, self.task.findData(numbered)))

    def layer(self, box: ElidedList) -> Layer | None:
        """The layer that is chosen in a list."""
        key = box.currentData()
        return next((one for one in self._viewer.layers if one.unique_id == key), None)

    def volume(self, box: ElidedList) -> Volume | None:
        """The chosen layer as labels with the names of its classes.

        Raises
        ------
        BadInputError
            A layer that cannot be read.
        """
        layer = self.layer(box)
        if layer is None:
            return None
        known = () if are_numbered(facts_of(layer)) else classes_in(layer)
        classes = {c.value: c.name for c in known}
        return replace(adapt.volume_of(layer), is_labels=True, classes=classes, name=layer.name)

    # -- what is asked ------------------------------------------------------------------------

    def wish(self) -> Wish:
        """What is asked for now."""
        mode = str(self.mode.currentData())
        images = self.images.path if mode == MODEL else self.look_at.path
        return Wish(
            mode,
            self.task_name() or "",
            self.truth.path,
            self.prediction.path,
            images,
            self.groups.path,
            self.models.currentData(),
        )

    def problem(self) -> str | None:
        """Why nothing can be scored yet, or None where it can."""
        mode = self.mode.currentData()
        if mode == LAYERS:
            return self._layers_problem()
        if mode == FOLDERS:
            if self.truth.path is None:
                return "Choose the truth: what a person drew or said."
            return None if self.prediction.path else "Choose the predictions: what a model wrote."
        if self.task_name() is None:
            return "There is no model yet: learn one first, or add one."
        if self.images.path is None:
            return "Choose the images that the model is to predict."
        needs_truth = self.truth.path is None and not self._is_of_images()
        return "Choose the truth of these images." if needs_truth else None

    def _layers_problem(self) -> str | None:
        one, other = self.layer(self.truth_layer), self.layer(self.prediction_layer)
        if self.task.currentData() not in (*layer_tasks(), *place_tasks()):
            return f"“{self.task.currentText()}” is scored from folders: choose them above."
        if self.are_places and (one is None or other is None):
            return "There are no points or boxes on screen: predict and annotate, or open tables of them."
        if one is None or other is None:
            return "There are no labels on screen: predict and annotate, or open label files."
        if one is other:
            return "Truth and prediction are one layer: choose two, or open the other one."
        return None
