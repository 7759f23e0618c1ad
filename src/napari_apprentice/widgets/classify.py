"""*Classify*: what kind of image is it? Look at one after the other, give classes with the number keys, learn from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QShortcut

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.choice import (
    ModelChoice,
    image_task,
    is_of_images,
    network_choices,
)
from napari_apprentice.session.gallery import Gallery, ask, explain
from napari_apprentice.session.samples import folder_samples
from napari_apprentice.session.text import describe_answer, describe_error

from ._card import ResultCard
from ._class_list import ClassList
from ._dock import Dock
from ._following import Following
from ._gallery_view import GalleryView, layer_sources
from ._keys import key_for
from ._parts import ElidedList, ErrorLine, ModelList, elided, wrapped
from .curves import CurvePlot
from .form import ConfigForm

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from qtpy.QtGui import QHideEvent, QShowEvent

    from napari_apprentice.core.jobs import Metric
    from napari_apprentice.session.session import Session

__all__ = ["KEYS", "ClassifyDock"]

KEYS = {
    "1 … 9": "give the image the first … ninth class, and go to the next one without a class",
    "Shift+Right": "go to the next image",
    "Shift+Left": "go to the image before",
    "Shift+Down": "go to the image without a class that the model is least sure of",
    "Shift+Z": "take back the class that was given last",
}
_NOTHING = "nothing (a new network)"
_FOLDER = "folder"


class ClassifyDock(Dock):
    """Give images classes, ask a model for theirs, teach it.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    """

    shows_image = False

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__(viewer, session)
        self.gallery = Gallery()
        self.view = GalleryView(self.viewer)
        self.sources = ElidedList()
        self.folder = QPushButton("Folder …")
        self.place, self.progress = elided(bold=True), wrapped()
        self.answer = wrapped()
        self.back, self.next = QPushButton("◀ Back"), QPushButton("Next ▶")
        self.unsure, self.undo = QPushButton("Next unsure"), QPushButton("Undo")
        self.classes = ClassList()
        self.models = ModelList(_NOTHING)
        self.ask, self.why = QPushButton("Predict all"), QPushButton("Why?")
        self.save = QPushButton("Save table …")
        self.form = ConfigForm(
            self.session.preferences.train,
            main=("minutes",),
            choices={"network": network_choices(image_task())},
        )
        self.learn, self.stop = QPushButton("Learn"), QPushButton("Stop")
        self.refusal = ErrorLine()
        self.card, self.curves = ResultCard(), CurvePlot()
        self._model: str | None = None
        self._wanted: str | None = None
        self._folder = ""
        self._keys = Following()
        self._actions: dict[str, Callable[[], object]] = {
            str(n + 1): partial(self.classes.pick, n) for n in range(9)
        } | {
            "Shift+Right": lambda: self.gallery.step(1),
            "Shift+Left": lambda: self.gallery.step(-1),
            "Shift+Down": lambda: self.gallery.next_unsure(),
            "Shift+Z": lambda: self._tried(self.gallery.undo),
        }
        self._moves = dict(
            zip(
                list(self._actions)[9:], (self.next, self.back, self.unsure, self.undo), strict=True
            )
        )
        self._lay_out()
        self._connect()
        self.follow_recipe(self.form)
        self._on_viewer_layers()
        self.follow_theme(self.curves)
        self.render()

    def _lay_out(self) -> None:
        form, images = QFormLayout(), QHBoxLayout()
        images.addWidget(self.sources, 1)
        images.addWidget(self.folder)
        form.addRow("Images", images)
        form.addRow("Model", self.models)
        self.body.addLayout(form)
        for widget in (self.place, self.answer, self.classes):
            self.body.addWidget(widget)
        for row in ((self.back, self.next), (self.unsure, self.undo), (self.ask, self.why)):
            line = QHBoxLayout()
            for button in row:
                line.addWidget(button)
            self.body.addLayout(line)
        given = QHBoxLayout()
        given.addWidget(self.progress, 1)
        given.addWidget(self.save)
        self.body.addLayout(given)
        for widget in (
            self.form.native,
            self.learn,
            self.stop,
            self.refusal,
            self.card,
            self.curves,
        ):
            self.body.addWidget(widget)
        self.body.addStretch()
        self.folder.setToolTip("Pictures of a folder, or of a folder with one folder per class")
        for key, button in self._moves.items():
            does = KEYS[key]
            button.setToolTip(f"{does[:1].upper()}{does[1:]} ({key_for(key)})")
        self.save.setToolTip("Write files and classes as a table, as trainings read it")
        self.stop.setToolTip("End now and keep the best model so far")

    def _connect(self) -> None:
        session, events = self.session, self.viewer.layers.events
        for signal in (events.inserted, events.removed):
            self.listen(signal, self._on_viewer_layers)
        self.listen(self.gallery.changed, self._on_gallery_changed)
        for signal in (session.model_changed, session.candidate_changed, session.status_changed):
            self.listen(signal, self.render)
        self.listen(session.metric_added, self._on_session_metric)
        self.listen(session.refused, self.refusal.set_sentence)
        self.sources.activated.connect(self._on_sources_activated)
        self.folder.clicked.connect(self._on_folder_clicked)
        self.classes.picked.connect(lambda name: self._tried(partial(self.gallery.say, name)))
        self.classes.added.connect(lambda name: self._tried(partial(self.gallery.add_class, name)))
        self.save.clicked.connect(self._on_save_clicked)
        self.models.currentIndexChanged.connect(self._on_models_index)
        self.form.changed.connect(self.render)
        self.ask.clicked.connect(self._on_ask_clicked)
        self.why.clicked.connect(self._on_why_clicked)
        self.learn.clicked.connect(self._on_learn_clicked)
        self.stop.clicked.connect(session.stop)
        self.card.use.clicked.connect(lambda: self._keep(use=True))
        self.card.both.clicked.connect(lambda: self._keep(use=False))
        self.card.discard.clicked.connect(session.discard)
        for key, action in self._actions.items():
            shortcut = QShortcut(QKeySequence(key), self, action)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        for key, button in self._moves.items():
            button.clicked.connect(self._actions[key])
        self.destroyed.connect(self._keys.stop)

    # -- session → dock ---------------------------------------------------------------------

    def render(self, *_: object) -> None:
        """Show gallery and session as they are."""
        gallery, session = self.gallery, self.session
        models = [ModelChoice(s) for s in session.specs.values() if is_of_images(s)]
        names = {choice.name for choice in models}
        if self._wanted in names:
            self._model, self._wanted = self._wanted, None
        if self._model not in names:
            self._model = None
        self.models.set_choices(models, self._model, first=_NOTHING)
        sample = gallery.sample
        count = len(gallery.samples)
        self.place.setText(f"{gallery.at + 1} of {count} · {sample.name}" if sample else "")
        self.classes.set_classes(gallery.classes)
        self.classes.set_chosen(gallery.said.get(gallery.at))
        self.classes.setEnabled(sample is not None)
        said = gallery.answers.get(gallery.at)
        self.answer.setText(f"model: {describe_answer(said) if said else 'no answer'}")
        self.why.setEnabled(said is not None and session.busy is None)
        self.why.setToolTip("Show where the evidence was" if said else "Predict all first")
        self.answer.setVisible(bool(gallery.answers))
        self.progress.setText(gallery.describe() or "Choose a stack, several images, or a folder.")
        for button in (self.back, self.next, self.undo):
            button.setEnabled(count > 0)
        self.unsure.setEnabled(bool(gallery.answers))
        self.save.setEnabled(bool(gallery.said))
        self._render_buttons()
        self.card.set_candidate(session.candidate)
        self.curves.follow(session.curve)

    def _render_buttons(self) -> None:
        session = self.session
        start = None if self.gallery.samples else "Choose images first."
        model = None if self._model else "Choose a model first, or teach one."
        problem = session.busy or start or model
        self.ask.setEnabled(problem is None)
        self.ask.setToolTip(problem or f"Ask {self._model} about all images")
        problem = self.form.problem or session.not_now or self.gallery.problem()
        self.learn.setEnabled(problem is None)
        self.learn.setToolTip(problem or "Teach the model from the classes you gave")
        self.learn.setVisible(not session.is_learning)
        self.stop.setVisible(session.is_learning)

    def _on_gallery_changed(self) -> None:
        sample = self.gallery.sample
        self.refusal.set_sentence("")
        if sample is not None:
            try:
                self.view.show(self.gallery.at, sample)
            except ApprenticeError as error:
                self.refusal.set_sentence(describe_error(error))
        self._bind_keys()
        self.render()

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        """The picture goes with the dock, and its keys."""
        if self.view.leave_with(event):
            self._keys.stop()
        super().hideEvent(event)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        """The picture comes back with the dock, and its keys."""
        super().showEvent(event)
        if self.gallery.sample is not None and self.view.is_missing:
            self._on_gallery_changed()
        else:
            self._bind_keys()

    def _bind_keys(self) -> None:
        """On a layer of our own the plain numbers; elsewhere they are napari's, and Ctrl goes with them."""
        self._keys.stop()
        layer = self.view.layer
        if layer is not None:
            lead = "" if layer is self.view.own else "Control-"
            keys = {k: lead + k if k.isdecimal() else k for k in self._actions}
            self._keys.bind(layer, {keys[k]: action for k, action in self._actions.items()})

    def _on_session_metric(self, _: Metric) -> None:
        self.curves.follow(self.session.curve)

    def _on_viewer_layers(self, *_: object) -> None:
        """List what can be classified."""
        chosen = self.sources.currentData()
        self.sources.clear()
        self.sources.addItem("choose …", None)
        for title, key in layer_sources(self.viewer):
            self.sources.addItem(title, key)
        if chosen == _FOLDER:
            self.sources.addItem(self._folder, _FOLDER)
        self.sources.setCurrentIndex(max(0, self.sources.findData(chosen)))

    # -- dock → session ---------------------------------------------------------------------

    def _on_sources_activated(self, index: int) -> None:
        key = self.sources.itemData(index)
        if key is not None and key != _FOLDER:
            self._tried(lambda: self._look_at(key))

    def _look_at(self, key: str) -> None:
        self.gallery.set_samples(self.view.samples(key), source=self.view.known_by(key))

    def _on_folder_clicked(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of images")
        if folder:
            self.open_folder(Path(folder))

    def open_folder(self, folder: Path) -> None:
        """Look at the images of a folder."""
        self._tried(lambda: self._look_into(folder))

    def _look_into(self, folder: Path) -> None:
        samples, said = folder_samples(folder)
        self._folder = f"folder {folder.name}"
        if self.sources.findData(_FOLDER) < 0:
            self.sources.addItem(self._folder, _FOLDER)
        self.view.from_folder()
        at = self.sources.findData(_FOLDER)
        self.sources.setItemText(at, self._folder)
        self.sources.setCurrentIndex(at)
        self.gallery.set_samples(samples, said, source=str(folder.resolve()))

    def _tried(self, action: Callable[[], object]) -> None:
        """Do something, and say so where it cannot be done."""
        try:
            action()
        except ApprenticeError as error:
            self.refusal.set_sentence(describe_error(error))

    def _on_save_clicked(self) -> None:
        given, _ = QFileDialog.getSaveFileName(self, "Save table", "classes.csv", "Table (*.csv)")
        if given:
            self._tried(lambda: self.gallery.save(Path(given).with_suffix(".csv")))

    def _on_models_index(self, index: int) -> None:
        self._model = self.models.itemData(index)
        spec = None if self._model is None else self.session.specs.get(self._model)
        if spec is not None:
            self.gallery.use_classes(spec.label_classes)
        self.render()

    def _on_ask_clicked(self) -> None:
        if self._model is not None:
            ask(self.session, self.gallery, self._model)

    def _on_why_clicked(self) -> None:
        if self._model is not None:
            explain(self.session, self.gallery, self._model, self.view.add_map)

    def _on_learn_clicked(self) -> None:
        self.refusal.set_sentence("")
        lesson = self.gallery.lesson()
        self.session.learn_images(lesson, self.form.value(), self._model, "my classes")

    def _keep(self, *, use: bool) -> None:
        if use and self.session.candidate is not None:
            self._wanted = self.session.candidate.name
        self.session.keep(use=False)
