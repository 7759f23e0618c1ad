"""*Explain*: why did the model say so, and where is it unsure? Answers are image layers on the image's own grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QPushButton

from napari_apprentice.explain import ExplainConfig
from napari_apprentice.session import explaining as jobs

from . import layers as adapt
from ._channels import ChannelLists
from ._diameter import DiameterRow
from ._dock import Dock
from ._parts import ElidedList, ErrorLine, ModelList, elided, wrapped
from .form import ConfigForm

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.session.session import Session

__all__ = ["ExplainDock"]

_COMMONEST = "the one it finds most of"


class ExplainDock(Dock):
    """Ask the chosen model about the selected image.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__(viewer, session)
        self._ways = {way.key: way for way in jobs.ways()}
        self._maps: list[Layer] = []
        self.models = ModelList("no model yet")
        self.channels = ChannelLists(self.session)
        self.ways, self.classes = ElidedList(), ElidedList()
        self.about = wrapped()
        self.form = ConfigForm(ExplainConfig(), main=())
        self.diameter = DiameterRow(self.form, self.session)
        self.cost = elided()
        self.button = QPushButton("Explain")
        self.refusal = ErrorLine()
        self.said = wrapped()
        for way in self._ways.values():
            self.ways.addItem(way.title, way.key)
        self._lay_out()
        self._connect()
        self.render()

    def _lay_out(self) -> None:
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.rows = QFormLayout()
        self.rows.addRow("Model", self.models)
        self.rows.addRow("Way", self.ways)
        self.rows.addRow("Class", self.classes)
        self.body.addLayout(self.rows)
        below = (self.channels, self.about, self.form.native, self.cost, self.button)
        for widget in (*below, self.refusal, self.said):
            self.body.addWidget(widget)
        self.body.addStretch()

    def _connect(self) -> None:
        session = self.session
        for signal in (session.image_changed, session.model_changed, session.status_changed):
            self.listen(signal, self.render)
        self.listen(session.diameter_changed, self.render)
        self.listen(session.refused, self.refusal.set_sentence)
        self.models.currentIndexChanged.connect(self._on_models_index)
        self.ways.currentIndexChanged.connect(self.render)
        self.form.changed.connect(self.diameter.tell_session)
        self.form.changed.connect(self.render)
        self.button.clicked.connect(self._on_button_clicked)

    # -- session → dock ---------------------------------------------------------------------

    def render(self, *_: Any) -> None:
        """Show the session as it is."""
        session, way = self.session, self._ways[self.ways.currentData()]
        self.models.set_choices(session.choices(), session.model)
        self.channels.render_state()
        self._render_classes()
        self.rows.setRowVisible(self.classes, way.asks_class)
        self.about.setText(f"{way.description}.")
        self.form.row("passes").visible = way.key == "uncertainty"
        self.form.row("seed").visible = way.key == "uncertainty"
        self.form.row("cells").visible = way.key == "occlusion"
        self.diameter.render()
        problem = self.problem()
        if not session.busy:
            self.cost.setText(" " if problem else self._cost())
        self.cost.setToolTip("Estimated before anything runs; cancel at any time")
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or f"Ask {session.model}")
        self.refusal.set_sentence("" if session.busy or problem is None else problem)

    def _render_classes(self) -> None:
        spec, chosen = self.session.spec, self.classes.currentData()
        names = [] if spec is None else [c.name for c in spec.classes if not c.auxiliary]
        was_blocked = self.classes.blockSignals(True)
        self.classes.clear()
        self.classes.addItem(_COMMONEST, None)
        for name in names:
            self.classes.addItem(name, name)
        self.classes.setCurrentIndex(max(0, self.classes.findData(chosen)))
        self.classes.blockSignals(was_blocked)

    def _cost(self) -> str:
        session, volume, spec = self.session, self.session.volume, self.session.spec
        if volume is None or spec is None or self.form.problem is not None:
            return " "
        key = self.ways.currentData()
        return jobs.describe_cost(key, volume, session.channels, spec, self.form.value())

    def problem(self) -> str | None:
        """Why the button cannot be pressed, or None where it can."""
        session, spec = self.session, self.session.spec
        if session.volume is None:
            return "Open or select an image first."
        if spec is None:
            return "No model fits this image: learn one, or add one."
        unfit = jobs.problem_of(self.ways.currentData(), spec)
        return session.unfit or session.busy or self.form.problem or unfit

    # -- dock → session ---------------------------------------------------------------------

    def _on_models_index(self, index: int) -> None:
        name = self.models.itemData(index)
        if name is not None:
            self.session.use_model(name)

    def _on_button_clicked(self) -> None:
        session, volume, key = self.session, self.session.volume, self.session.key
        if volume is None or key is None or session.model is None:
            return
        self.said.setText("")
        job = jobs.explain_job(
            session.store,
            session.model,
            volume,
            session.frame or 0,
            session.channels,
            self.ways.currentData(),
            self.form.value(),
            self.classes.currentData(),
        )
        model = session.model
        session.launch(
            f"Explaining {volume.name}", job, lambda answer: self._show(answer, volume, key, model)
        )

    def _show(self, answer: Prediction, volume: Volume, key: str, model: str) -> None:
        """Add the map above the image; the image stays the one that is worked on."""
        made = answer.provenance
        self.said.setText("\n".join((answer.summary, *(made.notes if made else ()))))
        active = self.viewer.layers.selection.active
        way = "uncertainty" if answer.image_class is None or answer.table else answer.image_class
        name = f"{volume.name} ▸ {model} ▸ {made.parameters['method'] if made else 'map'} {way}"
        for before in self._maps:  # two maps over each other would read as one
            before.visible = False
        self._maps = []
        for data, kwargs, _ in adapt.prediction_layers(answer, volume, name, None, key):
            kwargs["name"] = adapt.unique_name([one.name for one in self.viewer.layers], name)
            look = {"colormap": "inferno", "opacity": 0.5, "contrast_limits": (0, 1)}
            added: Any = self.viewer.add_image(data, **{**kwargs, **look})
            self._maps.append(added)
        if active is not None and active in self.viewer.layers:
            self.viewer.layers.selection.active = active
