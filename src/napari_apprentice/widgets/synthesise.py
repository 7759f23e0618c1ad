"""*Synthesise*: more images like these? Teach a network what they look like, look at what it makes, add some to a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton, QSpinBox

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.engine.synthesise import SynthesisConfig
from napari_apprentice.session.choice import network_choices
from napari_apprentice.session.synthesising import (
    STEPS,
    TASK,
    Way,
    add,
    class_names,
    makers,
    picture_items,
    picture_problem,
    picture_text,
    show_sheet,
    show_way,
)
from napari_apprentice.session.text import describe_error

from . import layers as adapt
from ._between import BetweenRow
from ._card import ResultCard
from ._dock import Dock
from ._gallery_view import FLAT, GalleryView
from ._parts import ElidedList, ErrorLine, wrapped
from ._path_row import PathRow
from .curves import CurvePlot
from .form import ConfigForm

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_apprentice.core.jobs import Metric
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.engine.synthesise import Added
    from napari_apprentice.session.samples import Sample
    from napari_apprentice.session.session import Session

__all__ = ["SynthesiseDock"]

_FOLDER, _OPEN = "folder", "open"
_ALL = "all classes"
_SHEET, _WAY = "made-up images", "made up, between two seeds"


class SynthesiseDock(Dock):
    """Teach a network to make images up, look at them, add them to a folder.

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
        self.view = GalleryView(self.viewer)
        self.sources, self.said = ElidedList(), wrapped()
        self.folder = PathRow("images, or one folder of them for each class")
        self.form = ConfigForm(
            self.session.preferences.train,
            main=("minutes",),
            choices={"network": network_choices(TASK)},
        )
        self.learn, self.stop = QPushButton("Learn"), QPushButton("Stop")
        self.refusal = ErrorLine()
        self.card, self.curves = ResultCard(), CurvePlot()
        self.models, self.classes = ElidedList(), ElidedList()
        self.new = QPushButton("New samples")
        self.between = BetweenRow(STEPS)
        self.target, self.count = PathRow("where the images go"), QSpinBox()
        self.add, self.added = QPushButton("Add"), wrapped()
        self._seed = 0
        self._way: tuple[Way, list[Volume]] | None = None
        self._wanted: str | None = None
        self.sources.addItem("a folder, or class folders", _FOLDER)
        self.sources.addItem("the flat images that are open", _OPEN)
        self._lay_out()
        self._connect()
        self.follow_theme(self.curves)
        self.render()

    def _lay_out(self) -> None:
        self.rows, made, where = QFormLayout(), QFormLayout(), QHBoxLayout()
        self.rows.addRow("Learn from", self.sources)
        self.rows.addRow("Images", self.folder)
        self.body.addLayout(self.rows)
        below = (self.said, self.form.native, self.learn, self.stop, self.refusal, self.card)
        for widget in (*below, self.curves):
            self.body.addWidget(widget)
        made.addRow("Model", self.models)
        made.addRow("Class", self.classes)
        made.addRow("", self.new)
        made.addRow("Between", self.between)
        made.addRow("Add to", self.target)
        where.addWidget(self.count)
        where.addWidget(self.add, 1)
        made.addRow("Images", where)
        self.made = made
        self.body.addLayout(made)
        self.body.addWidget(self.added)
        self.body.addStretch()
        self.count.setRange(1, 10_000)
        self.count.setValue(20)
        self.count.setToolTip("How many images of each class")
        self.count.setAccessibleName(self.count.toolTip())
        self.stop.setToolTip("End now and keep the best model so far")

    def _connect(self) -> None:
        session, events = self.session, self.viewer.layers.events
        for signal in (events.inserted, events.removed):
            self.listen(signal, self.render)
        for signal in (session.model_changed, session.candidate_changed, session.status_changed):
            self.listen(signal, self.render)
        self.listen(session.metric_added, self._on_session_metric)
        self.listen(session.refused, self.refusal.set_sentence)
        self.sources.activated.connect(self.render)
        for row in (self.folder, self.form, self.target):
            row.changed.connect(self.render)
        self.models.activated.connect(self._on_maker_changed)
        self.classes.activated.connect(self.render)
        self.learn.clicked.connect(self._on_learn_clicked)
        self.stop.clicked.connect(session.stop)
        self.new.clicked.connect(self._on_new_clicked)
        self.between.moved.connect(self._on_between_moved)
        self.add.clicked.connect(self._on_add_clicked)
        self.card.use.clicked.connect(lambda: self._keep(use=True))
        self.card.both.clicked.connect(lambda: self._keep(use=False))
        self.card.discard.clicked.connect(session.discard)

    # -- session → dock ---------------------------------------------------------------------

    def render(self, *_: object) -> None:
        """Show the session as it is."""
        self._render_learning()
        self._render_makers()
        session, model = self.session, self.models.currentData()
        problem = session.busy
        if model is None:
            problem = "Learn a model that makes images up first."
        for control in (self.new, self.between):
            control.setEnabled(problem is None)
        self.new.setToolTip(problem or "Show other images that the model makes")
        self.between.slider.setToolTip(
            problem or "Go from the image of the one seed to that of the other"
        )
        if problem is None and self.target.path is None:
            problem = "Choose the folder to add images to."
        self.add.setEnabled(problem is None)
        self.add.setToolTip(problem or "Write images that say that they were made up")
        self.added.setVisible(bool(self.added.text()))

    def _render_learning(self) -> None:
        session, is_folder = self.session, self.is_folder
        chosen = self._chosen()
        self.rows.setRowVisible(1, is_folder)
        self.said.setText(picture_text(*chosen, is_folder=is_folder))
        problem = session.not_now or self.form.problem
        problem = problem or picture_problem(*chosen, is_folder=is_folder)
        self.learn.setEnabled(problem is None)
        self.learn.setToolTip(problem or "Teach a network to make more images like these")
        self.learn.setVisible(not session.is_learning)
        self.stop.setVisible(session.is_learning)
        self.card.set_candidate(session.candidate)
        self.curves.follow(session.curve)

    def _render_makers(self) -> None:
        names = makers(self.session)
        chosen = self._wanted if self._wanted in names else self.models.currentData()
        if chosen == self._wanted:
            self._wanted = None
        if names != [self.models.itemData(n) for n in range(self.models.count())]:
            self.models.clear()
            for name in names:
                self.models.addItem(name, name)
            if not names:
                self.models.addItem("none yet", None)
        self.models.setCurrentIndex(max(0, self.models.findData(chosen)))
        known = class_names(self.session, self.models.currentData())
        if known != [self.classes.itemData(n) for n in range(1, self.classes.count())]:
            self.classes.clear()
            self.classes.addItem(_ALL, None)
            for name in known:
                self.classes.addItem(name, name)
        self.made.setRowVisible(1, bool(known))

    @property
    def is_folder(self) -> bool:
        """Whether images come from a folder."""
        return bool(self.sources.currentData() == _FOLDER)

    def _chosen(self) -> tuple[Any, tuple[Sample, ...]]:
        """The folder, or the open images."""
        if self.is_folder:
            return self.folder.path, ()
        try:
            return None, self.view.samples(FLAT)
        except ApprenticeError as error:
            self.refusal.set_sentence(describe_error(error))
            return None, ()

    def _on_session_metric(self, _: Metric) -> None:
        self.curves.follow(self.session.curve)

    # -- dock → session ---------------------------------------------------------------------

    def _on_learn_clicked(self) -> None:
        self.refusal.set_sentence("")
        folder, samples = self._chosen()
        name = folder.name if folder is not None else "made-up images"
        config = self.form.value()
        self.session.learn_images(picture_items(folder, samples), config, None, name, TASK)

    def _keep(self, *, use: bool) -> None:
        if use and self.session.candidate is not None:
            self._wanted = self.session.candidate.name
        self.session.keep(use=False)

    def _on_maker_changed(self, *_: object) -> None:
        self.added.setText("")
        self.render()

    def _on_new_clicked(self) -> None:
        self.refusal.set_sentence("")
        model, kind = self.models.currentData(), self.classes.currentData()
        if show_sheet(self.session, model, kind, self._seed, lambda v: self._show(_SHEET, v)):
            self._seed += 1000

    def _on_between_moved(self, value: int) -> None:
        """Show the image there; where they are not made yet, make them all first."""
        model, ends = self.models.currentData(), self.between
        if model is None:
            return
        way = Way(model, self.classes.currentData(), ends.first.value(), ends.last.value())
        if self._way is not None and self._way[0] == way:
            self._show(_WAY, self._way[1][value])
            return

        def done(volumes: list[Volume]) -> None:
            self._way = (way, volumes)
            self._show(_WAY, volumes[ends.slider.value()])

        if self.session.busy is None:
            show_way(self.session, way, done)

    def _show(self, name: str, volume: Volume) -> None:
        """Show an image on a layer of that name, which is no image to work on."""
        data, kwargs, _ = adapt.layer_tuples(volume)[0]
        facts = kwargs["metadata"][adapt.METADATA] | {"of": "made up"}
        layer = self._layer(name)
        if layer is not None and layer.data.shape == data.shape:
            layer.data = np.asarray(data)
            layer.metadata = {adapt.METADATA: facts}
            return
        if layer is not None:
            self.viewer.layers.remove(layer)
        kwargs |= {"name": name, "metadata": {adapt.METADATA: facts}}
        self.viewer.add_image(np.asarray(data), **kwargs)
        self.viewer.reset_view()

    def _layer(self, name: str) -> Layer | None:
        return next(
            (
                o
                for o in self.viewer.layers
                if adapt.image_key_of(o) == "made up" and o.name == name
            ),
            None,
        )

    def _on_add_clicked(self) -> None:
        self.refusal.set_sentence("")
        model, folder = self.models.currentData(), self.target.path
        if model is None or folder is None:
            return
        config = SynthesisConfig(count=self.count.value(), device=self.form.value().device)
        add(self.session, model, self.classes.currentData(), folder, config, self._on_added)

    def _on_added(self, added: Added) -> None:
        self.added.setText(added.describe())
        self.render()
