"""*Predict*: choose a model, see the price, press the button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtWidgets import QFormLayout, QPushButton, QVBoxLayout

from . import layers as adapt
from ._channels import ChannelLists
from ._coloring import Coloring
from ._diameter import DiameterRow
from ._dock import Dock
from ._facts import objects_in
from ._keys import key_for
from ._parts import ErrorLine, ModelList, elided, wrapped
from .form import ConfigForm

if TYPE_CHECKING:
    import napari

    from napari_apprentice.session.session import Session

__all__ = ["PredictDock"]


class PredictDock(Dock):
    """Apply a model to the selected image.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    embedded
        Leave out head and job line, because the dock around it has them.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session | None = None,
        *,
        embedded: bool = False,
    ) -> None:
        super().__init__(viewer, session, embedded=embedded)
        self.form = ConfigForm(self.session.preferences.predict, main=("device", "diameter"))
        self.diameter = DiameterRow(self.form, self.session)
        self.models = ModelList("no model yet")
        self.channels = ChannelLists(self.session)
        self.cost = elided()
        self.button = QPushButton("Predict")
        self.summary = wrapped()
        self.coloring = Coloring()
        self.refusal = ErrorLine()
        self._lay_out()
        self._connect()
        self.render()

    def _lay_out(self) -> None:
        row = QFormLayout()
        row.addRow("Model", self.models)
        line = QVBoxLayout()
        line.setSpacing(2)
        line.addWidget(self.cost)
        line.addWidget(self.button)
        self.body.addLayout(row)
        self.body.addWidget(self.channels)
        self.body.addWidget(self.form.native)
        self.body.addLayout(line)
        self.body.addWidget(self.refusal)
        self.body.addWidget(self.summary)
        self.body.addWidget(self.coloring)
        self.body.addStretch()

    def _connect(self) -> None:
        session = self.session
        self.models.currentIndexChanged.connect(self._on_models_index)
        self.form.changed.connect(self.diameter.tell_session)
        self.form.changed.connect(self.render)
        self.button.clicked.connect(self._on_button_clicked)
        self.listen(session.image_changed, self.render)
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            self.listen(event, self._on_viewer_layers)
        self.listen(session.model_changed, self.render)
        self.listen(session.diameter_changed, self.render)
        self.listen(session.predicted, self.render)
        self.listen(session.status_changed, self._on_session_status)
        self.listen(session.refused, self.refusal.set_sentence)

    # -- session → dock ---------------------------------------------------------------------

    def render(self, *_: object) -> None:
        """Show the session as it is."""
        session = self.session
        self.models.set_choices(session.choices(), session.model)
        self.diameter.render()
        cost = session.cost(self.form.value()) if self.form.problem is None else ""
        self.cost.setText(cost or " ")
        self.cost.setToolTip("Estimated time and extra memory of this prediction")
        self._render_button()
        self.channels.render_state()
        lines = [line for line in (session.summary, *session.notes, session.remark) if line]
        self.summary.setText("\n".join(lines))
        self.summary.setVisible(bool(lines))
        self.refusal.set_sentence(self.form.problem or "")
        self.coloring.set_layer(self._result())

    def _result(self) -> Labels | None:
        """The newest labels that a model made of this image, if they number objects: classes have colours of their own."""
        key = self.session.key
        own = (o for o in reversed(self.viewer.layers) if isinstance(o, Labels))
        newest = next((o for o in own if adapt.is_result_of(o, key)), None)
        return newest if newest is not None and objects_in(newest) else None

    def _render_button(self) -> None:
        problem, session = self.problem(), self.session
        self.button.setEnabled(problem is None)
        name = "" if session.volume is None else session.volume.name
        key = key_for("Ctrl+Return")
        self.button.setToolTip(problem or f"Apply {session.model} to {name} ({key})")

    def problem(self) -> str | None:
        """Why the button cannot be pressed, or None where it can."""
        return self.form.problem or self.session.predict_problem()

    def _on_viewer_layers(self, *_: object) -> None:
        self.coloring.set_layer(self._result())

    def _on_session_status(self, status: object) -> None:
        self._render_button()

    # -- dock → session ---------------------------------------------------------------------

    def _on_models_index(self, index: int) -> None:
        name = self.models.itemData(index)
        if name is not None:
            self.session.use_model(name)

    def _on_button_clicked(self) -> None:
        self.refusal.set_sentence("")
        self.session.predict(self.form.value())
