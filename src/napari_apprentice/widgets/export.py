"""*Export*: a layer, a format, a file; and copies of DICOM files without the patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtWidgets import QFileDialog, QFormLayout, QPushButton

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.session.exporting import export_job, preferred, suggested_name, targets

from . import layers as adapt
from ._dock import Dock
from ._labels import labels_of
from ._parts import ElidedList, ErrorLine, wrapped
from ._patient import PatientBox

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

    from napari_apprentice.core.volume import Volume
    from napari_apprentice.session.exporting import Target

__all__ = ["ExportDock"]


class ExportDock(Dock):
    """Write a layer to a file that other programs open at the same place.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    """

    shows_image = False

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.layers = ElidedList()
        self.formats = ElidedList()
        self.facts = wrapped()
        self.button = QPushButton("Export…")
        self.refusal = ErrorLine()
        self.done = wrapped()
        self.patient = PatientBox(self.session)
        self._volume: Volume | None = None
        self._targets: list[Target] = []
        self._lay_out()
        self._connect()
        self._on_viewer_layers()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Layer", self.layers)
        form.addRow("Format", self.formats)
        self.body.addLayout(form)
        for widget in (self.facts, self.button, self.refusal, self.done, self.patient):
            self.body.addWidget(widget)
        self.body.addStretch()

    def _connect(self) -> None:
        events = self.viewer.layers.events
        for source in (events.inserted, events.removed, events.reordered):
            self.listen(source, self._on_viewer_layers)
        self.listen(self.viewer.layers.selection.events.active, self._on_viewer_active)
        self.layers.currentIndexChanged.connect(self._on_layers_index)
        self.formats.currentIndexChanged.connect(self._render_button)
        self.button.clicked.connect(self._on_button_clicked)
        self.listen(self.session.status_changed, self._render_button)
        self.listen(self.session.refused, self.refusal.set_sentence)

    # -- layers → dock ----------------------------------------------------------------------

    def _on_viewer_layers(self, *_: Any) -> None:
        """List what can be exported; channels of one image are one entry."""
        chosen = self.layers.currentData()
        was_blocked = self.layers.blockSignals(True)
        self.layers.clear()
        seen: set[str] = set()
        for layer in reversed(self.viewer.layers):
            if not isinstance(layer, Image | Labels) or adapt.is_helper(layer):
                continue
            facts = layer.metadata.get(adapt.METADATA) or {}
            group = facts.get("group")
            if group in seen:
                continue
            seen |= {group} if group else set()
            self.layers.addItem(facts.get("image") if group else layer.name, layer.unique_id)
        self.layers.setCurrentIndex(max(0, self.layers.findData(chosen)))
        self.layers.blockSignals(was_blocked)
        if self.layers.currentData() != chosen or chosen is None:
            self._on_viewer_active()
        self._on_layers_index()

    def _on_viewer_active(self, *_: Any) -> None:
        active = self.viewer.layers.selection.active
        if active is None:
            return
        group = adapt.channel_group(active, list(self.viewer.layers))
        found = max(self.layers.findData(layer.unique_id) for layer in group)
        if found >= 0:
            self.layers.setCurrentIndex(found)

    def _layer(self) -> Layer | None:
        wanted = self.layers.currentData()
        return next((one for one in self.viewer.layers if one.unique_id == wanted), None)

    def _on_layers_index(self, *_: Any) -> None:
        """Find what the chosen layer can be written as."""
        self._volume, problem = self._read(self._layer())
        self._targets = [] if self._volume is None else targets(self._volume)
        self.done.setText("")
        self.refusal.set_sentence(problem)
        classes = {} if self._volume is None else self._volume.classes
        self.facts.setText("Classes: " + ", ".join(dict.fromkeys(classes.values())))
        self.facts.setVisible(bool(classes))
        self._render_formats()
        self.patient.set_source(None if self._volume is None else self._volume.source, self._volume)
        self._render_button()

    def _read(self, layer: Layer | None) -> tuple[Volume | None, str]:
        if layer is None:
            return None, ""
        try:
            if isinstance(layer, Labels):
                return labels_of(*layer.as_layer_data_tuple()[:2]), ""
            siblings = [one for one in self.viewer.layers if isinstance(one, Image)]
            return adapt.as_stored(adapt.volume_of(layer, siblings)), ""
        except ApprenticeError as error:
            return None, str(error)

    def _render_formats(self) -> None:
        was_blocked = self.formats.blockSignals(True)
        self.formats.clear()
        for target in self._targets:
            self.formats.addItem(target.describe(), target)
            item = self.formats.model().item(self.formats.count() - 1)
            item.setEnabled(target.problem is None)
            item.setToolTip(
                target.problem or f"Write a file ending in {' or '.join(target.suffixes)}"
            )
        best = None if self._volume is None else preferred(self._volume, self._targets)
        self.formats.setCurrentIndex(-1 if best is None else self._targets.index(best))
        self.formats.blockSignals(was_blocked)

    def _render_button(self, *_: Any) -> None:
        problem = self.problem()
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or "Choose a file name and write it")

    def problem(self) -> str | None:
        """Why the button cannot be pressed, or None where it can."""
        if self._volume is None:
            return "Open an image first: there is no layer to export."
        target = self.formats.currentData()
        if target is None:
            return "No format can hold this layer."
        if target.problem is not None:
            return str(target.problem)
        return self.session.busy

    # -- dock → file ------------------------------------------------------------------------

    def _on_button_clicked(self) -> None:
        self.refusal.set_sentence("")
        target, volume = self.formats.currentData(), self._volume
        if volume is None or target is None:
            return
        path = self.ask(suggested_name(volume, target.suffixes[0]), target)
        if path is not None:
            self.done.setText("")
            name = f"Exporting {volume.name}"
            self.session.launch(name, export_job(volume, path), self._on_session_exported)

    def ask(self, name: str, target: Target) -> Path | None:
        """Let the person choose the file; None where they think better of it."""
        given, _ = QFileDialog.getSaveFileName(
            self, "Export", name, f"{target.title} ({' '.join('*' + s for s in target.suffixes)})"
        )
        if not given:
            return None
        path = Path(given)
        fits = path.name.lower().endswith(target.suffixes)
        return path if fits else path.with_name(path.name + target.suffixes[0])

    def _on_session_exported(self, path: Path) -> None:
        self.done.setText(f"✓ Written: {path.name}\nin {path.parent}")
        self.done.setToolTip(str(path))
