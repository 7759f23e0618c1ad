"""*Restore*: how would it look without noise? Try a method, compare, teach a network from the image itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QPushButton

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.engine.baselines import SmoothConfig
from napari_apprentice.session.restoring import (
    Method,
    methods,
    restore,
    score_job,
)
from napari_apprentice.session.text import describe_error

from . import layers as adapt
from ._dock import Dock
from ._image_map import ImageMapView
from ._parts import ElidedList, ErrorLine, wrapped
from ._restore_learning import RestoreLearning
from .form import ConfigForm, fold_away

if TYPE_CHECKING:
    import napari

    from napari_apprentice.session.session import Session

__all__ = ["RestoreDock"]


class RestoreDock(Dock):
    """Restore images, compare, teach.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__(viewer, session)
        self.methods = ElidedList()
        self.strength = ConfigForm(SmoothConfig(), main=("strength",))
        self.button, self.toggle = QPushButton("Restore"), QPushButton("Show before")
        self.summary, self.scores = wrapped(), wrapped()
        self.clean, self.compare = ElidedList(), QPushButton("Compare")
        self.refusal = ErrorLine()
        self.teach = RestoreLearning(self.viewer, self.session)
        self.map = ImageMapView(self.viewer, self.session)
        self._wanted: str | None = None
        self._known: list[Method] = []
        self._lay_out()
        self._connect()
        for plot in (self.teach.curves, self.map.plot):
            self.follow_theme(plot)
        self.render()

    def _lay_out(self) -> None:
        self.rows, beside = QFormLayout(), QHBoxLayout()
        self.rows.addRow("Method", self.methods)
        self.body.addLayout(self.rows)
        self.body.addWidget(self.strength.native)
        for button in (self.button, self.toggle):
            beside.addWidget(button)
        self.body.addLayout(beside)
        self.body.addWidget(self.summary)
        against = QHBoxLayout()
        against.addWidget(self.clean, 1)
        against.addWidget(self.compare)
        lower = QFormLayout()
        lower.addRow("Clean image", against)
        self.body.addLayout(lower)
        self.body.addWidget(self.scores)
        for widget in (
            self.refusal,
            self.teach,
            fold_away(self.map, "Map of a folder of images"),
        ):
            self.body.addWidget(widget)
        self.body.addStretch()
        self.toggle.setCheckable(True)
        self.toggle.setToolTip("Hide the restored image while this is pressed")
        self.clean.setToolTip("An image without noise of the same place, to score the results")

    def _connect(self) -> None:
        session, events = self.session, self.viewer.layers.events
        for signal in (events.inserted, events.removed, session.image_changed):
            self.listen(signal, self.render)
        for signal in (session.model_changed, session.candidate_changed, session.status_changed):
            self.listen(signal, self.render)
        self.listen(session.predicted, self._on_session_predicted)
        self.listen(session.refused, self.refusal.set_sentence)
        self.methods.activated.connect(self.render)
        self.strength.changed.connect(self.render)
        self.button.clicked.connect(self._on_button_clicked)
        self.toggle.toggled.connect(self._on_toggle_toggled)
        self.clean.activated.connect(self._on_clean_activated)
        self.compare.clicked.connect(self._on_compare_clicked)
        self.teach.wanted.connect(self._on_teach_wanted)
        self.map.mapped.connect(lambda: self.reveal(self.map.plot))

    # -- session → dock ---------------------------------------------------------------------

    def render(self, *_: object) -> None:
        """Show the session as it is."""
        session = self.session
        self._render_methods()
        self._render_clean()
        method, result = self.method, self._result()
        self.strength.native.setVisible(method is not None and not method.is_model)
        problem = session.busy or (None if session.volume else "Open or select an image first.")
        problem = problem or self.strength.problem or (method.reason if method else None)
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or f"Apply {method.title if method else ''} to the image")
        self.toggle.setEnabled(result is not None)
        self.summary.setText(session.summary if result is not None else "")
        self.summary.setVisible(bool(self.summary.text()))
        is_clean = self.clean.currentData() is not None
        self.compare.setEnabled(is_clean and session.busy is None)
        tip = (
            "PSNR and SSIM of the image and of all results"
            if is_clean
            else "Choose an image without noise, open as another layer"
        )
        self.compare.setToolTip(session.busy or tip)
        self.scores.setVisible(bool(self.scores.text()))
        self.teach.render_state()
        chosen = session.specs.get(method.name) if method is not None and method.is_model else None
        self.map.set_model(chosen.name if chosen and chosen.task == "anomaly" else None)

    def _render_methods(self) -> None:
        known = methods(self.session)
        if self._wanted is not None and any(m.key == self._wanted for m in known):
            chosen, self._wanted = self._wanted, None
        else:
            chosen = self.methods.currentData()
        if known != self._known:
            self._known = known
            self.methods.clear()
            for at, method in enumerate(known):
                title = (
                    method.title if method.reason is None else f"{method.title} — {method.reason}"
                )
                self.methods.addItem(title, method.key)
                self.methods.setItemData(at, title, Qt.ItemDataRole.ToolTipRole)
                self.methods.model().item(at).setEnabled(method.reason is None)
        fitting = [m.key for m in known if m.reason is None]
        self.methods.setCurrentIndex(
            self.methods.findData(chosen if chosen in fitting else fitting[0])
        )

    def _render_clean(self) -> None:
        """List the other images of the same size."""
        volume, chosen = self.session.volume, self.clean.currentData()
        shape = None if volume is None else volume.grid.without("C").shape
        others = [
            o
            for o in self.viewer.layers
            if isinstance(o, Image)
            and not adapt.is_helper(o)
            and not adapt.is_result_of(o, self.session.key)
            and adapt.key_of(o) != self.session.key
            and o.data.shape[: len(shape or ())] == shape
        ]
        self.clean.clear()
        self.clean.addItem("none", None)
        for layer in others:
            self.clean.addItem(layer.name, layer.unique_id)
        self.clean.setCurrentIndex(max(0, self.clean.findData(chosen)))

    @property
    def method(self) -> Method | None:
        """The chosen method."""
        key = self.methods.currentData()
        return next((m for m in self._known if m.key == key), None)

    def _results(self) -> list[Image]:
        """Images that were made of this one, newest last."""
        key = self.session.key
        return [
            o for o in self.viewer.layers if isinstance(o, Image) and adapt.is_result_of(o, key)
        ]

    def _result(self) -> Image | None:
        return next(reversed(self._results()), None)

    def _on_session_predicted(self, *_: object) -> None:
        self.toggle.setChecked(False)
        self.scores.setText("")
        self.render()

    # -- dock → session ---------------------------------------------------------------------

    def _on_button_clicked(self) -> None:
        self.refusal.set_sentence("")
        if self.method is not None:
            restore(self.session, self.method, self.strength.value())

    def _on_toggle_toggled(self, is_before: bool) -> None:
        """Hide or show the newest result."""
        result = self._result()
        self.toggle.setText("Show after" if is_before else "Show before")
        if result is not None:
            result.visible = not is_before

    def _on_clean_activated(self, _: int) -> None:
        self.scores.setText("")
        self.render()

    def _on_compare_clicked(self) -> None:
        named = {o.unique_id: o for o in self.viewer.layers}
        layer, volume = named.get(self.clean.currentData()), self.session.volume
        if layer is None or volume is None:
            return
        try:
            clean = adapt.volume_of(layer)
            others = {volume.name: volume}
            others |= {
                o.name.removeprefix(f"{volume.name} ▸ "): adapt.volume_of(o)
                for o in self._results()
                if o.data.shape == layer.data.shape
            }
        except ApprenticeError as error:
            self.refusal.set_sentence(describe_error(error))
            return
        self.session.launch("Comparing", score_job(clean, others), self._on_compared)

    def _on_compared(self, found: dict[str, dict[str, float]]) -> None:
        lines = [
            f"{name}: PSNR {scores['psnr_db']:.2f} dB · SSIM {scores['ssim']:.3f}"
            for name, scores in found.items()
        ]
        self.scores.setText("\n".join(lines))
        self.render()

    def _on_teach_wanted(self, name: str) -> None:
        self._wanted = f"model:{name}"
