"""*Objects*: how many, how big, how bright; a plot in which a lasso selects them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QPushButton

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.measure.feature_config import GROUPS, FeatureConfig
from napari_apprentice.session.measuring import measure_job, save_table_job, with_known

from . import layers as adapt
from ._dock import Dock
from ._facts import are_numbered, classes_in, facts_of
from ._found import add_objects, go_to, mark, put_table
from ._parts import ElidedList, ErrorLine, wrapped
from ._scatter import ObjectPlot
from .form import ConfigForm

if TYPE_CHECKING:
    import napari
    import numpy as np
    from napari.layers import Layer

    from napari_apprentice.core.volume import Volume
    from napari_apprentice.session.measuring import Measured

__all__ = ["ObjectsDock"]

_TABLES = "CSV (*.csv);;Parquet (*.parquet)"


class ObjectsDock(Dock):
    """Measure the objects of a labels layer, plot them, select them, save the table.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    """

    shows_image = False

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.labels = ElidedList()
        self.images = ElidedList()
        self.form = ConfigForm(FeatureConfig(), main=(*GROUPS, "components"))
        self.button = QPushButton("Measure")
        self.refusal = ErrorLine()
        self.summary = wrapped()
        self.table = QPushButton("Features table")
        self.save = QPushButton("Save table…")
        self.plot = ObjectPlot()
        self.chosen = wrapped()
        self.measured: Measured | None = None
        self._shown: Labels | None = None
        self._followed: set[Any] = set()
        self._lay_out()
        self._connect()
        self.follow_theme(self.plot)
        self._on_viewer_layers()
        self._render_result()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Labels", self.labels)
        form.addRow("Image", self.images)
        row = QHBoxLayout()
        row.addWidget(self.table)
        row.addWidget(self.save)
        self.body.addLayout(form)
        for widget in (self.form.native, self.button, self.refusal, self.summary):
            self.body.addWidget(widget)
        self.body.addLayout(row)
        self.body.addWidget(self.plot)
        self.body.addWidget(self.chosen)
        self.body.addStretch()
        self.table.setToolTip(
            "Open napari's table: a row selects its object, and the other way round"
        )
        self.save.setToolTip("Write the table as CSV or Parquet")

    def _connect(self) -> None:
        events = self.viewer.layers.events
        for source in (events.inserted, events.removed, events.reordered):
            self.listen(source, self._on_viewer_layers)
        self.listen(self.viewer.layers.selection.events.active, self._on_viewer_active)
        self.listen(self.session.status_changed, self._render_button)
        self.listen(self.session.refused, self.refusal.set_sentence)
        self.labels.currentIndexChanged.connect(self._on_labels_index)
        self.form.changed.connect(self._render_button)
        self.button.clicked.connect(self._on_button_clicked)
        self.table.clicked.connect(self._on_table_clicked)
        self.save.clicked.connect(self._on_save_clicked)
        self.plot.selected.connect(self._on_plot_selected)
        self.plot.picked.connect(self._on_plot_picked)

    # -- layers → dock ----------------------------------------------------------------------

    def _on_viewer_layers(self, *_: Any) -> None:
        """List labels, and images; channels of one image are one entry."""
        had = self.labels.count()
        shown = [one for one in reversed(self.viewer.layers) if not adapt.is_helper(one)]
        self._fill(self.labels, [(o.name, o.unique_id) for o in shown if isinstance(o, Labels)])
        images: dict[str, tuple[str, str]] = {}
        for layer in (one for one in shown if isinstance(one, Image)):
            facts = layer.metadata.get(adapt.METADATA) or {}
            group = facts.get("group")
            name = facts.get("image", layer.name) if group else layer.name
            images.setdefault(group or layer.unique_id, (name, layer.unique_id))
        self._fill(self.images, [*images.values(), ("none", "")])
        if not had:
            self._on_viewer_active()
        self._on_labels_index()

    @staticmethod
    def _fill(box: ElidedList, entries: list[tuple[str, Any]]) -> None:
        chosen = box.currentData() if box.count() > 1 else None
        was_blocked = box.blockSignals(True)
        box.clear()
        for name, key in entries:
            box.addItem(name, key)
        box.setCurrentIndex(0 if chosen is None else max(0, box.findData(chosen)))
        box.blockSignals(was_blocked)

    def _on_viewer_active(self, *_: Any) -> None:
        active = self.viewer.layers.selection.active
        found = -1 if active is None else self.labels.findData(active.unique_id)
        if found >= 0:
            self.labels.setCurrentIndex(found)

    def _on_labels_index(self, *_: Any) -> None:
        """Choose the image that the labels belong to."""
        layer = self._layer(self.labels)
        if layer is not None:
            key = adapt.image_key_of(layer)
            for row in range(self.images.count()):
                image = self._find(self.images.itemData(row))
                if image is not None and key is not None and adapt.key_of(image) == key:
                    self.images.setCurrentIndex(row)
        self._render_button()

    def _find(self, key: Any) -> Layer | None:
        return next((one for one in self.viewer.layers if one.unique_id == key), None)

    def _layer(self, box: ElidedList) -> Layer | None:
        return self._find(box.currentData())

    def problem(self) -> str | None:
        """Why the button cannot be pressed, or None where it can."""
        if self._layer(self.labels) is None:
            return "There are no labels: predict, annotate, or open a label file first."
        return self.session.busy or self.form.problem

    def _render_button(self, *_: Any) -> None:
        problem = self.problem()
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or "Measure every object of the labels")

    # -- measuring --------------------------------------------------------------------------

    def _on_button_clicked(self) -> None:
        self.refusal.set_sentence("")
        layer = self._layer(self.labels)
        if layer is None:
            return
        try:
            labels, image = self._volumes(layer, self._layer(self.images))
        except ApprenticeError as error:
            self.refusal.set_sentence(str(error))
            return
        key = layer.unique_id
        self.session.launch(
            f"Measuring {layer.name}",
            measure_job(labels, image, self.form.value()),
            lambda measured: self._on_session_measured(measured, key),
        )

    def _volumes(self, labels: Layer, image: Layer | None) -> tuple[Volume, Volume | None]:
        """Both as napari shows them, so that what is found lies where the layers lie."""
        facts = facts_of(labels)
        known = () if are_numbered(facts) else classes_in(labels)
        classes = {c.value: c.name for c in known}
        volume = replace(adapt.volume_of(labels), is_labels=True, classes=classes)
        siblings = [one for one in self.viewer.layers if isinstance(one, Image)]
        return volume, None if image is None else adapt.volume_of(image, siblings)

    def _on_session_measured(self, measured: Measured, key: Any) -> None:
        layer = self._find(key)
        if measured.is_new:
            layer = add_objects(self.viewer, measured, layer)
        self.measured, self._shown = measured, layer
        if layer is not None:
            put_table(layer, measured)
            self._follow(layer)
        self._render_result()

    def _follow(self, layer: Labels) -> None:
        """Hear of changes and of the object that is picked, once per layer."""
        if layer.unique_id in self._followed:
            return
        self._followed.add(layer.unique_id)
        for event in (layer.events.paint, layer.events.data, layer.events.labels_update):
            self.listen(event, self._on_layer_edited)
        self.listen(layer.events.selected_label, self._on_layer_selected)

    def _render_result(self) -> None:
        measured = self.measured
        self.plot.set_measured(measured)
        self.chosen.setText("")
        for widget in (self.plot, self.table, self.save, self.chosen, self.summary):
            widget.setVisible(measured is not None)
        self.summary.setText("" if measured is None else measured.summary)
        self.table.setEnabled(self._shown is not None)

    def _on_layer_edited(self, event: Any) -> None:
        if self.measured is not None and event.source is self._shown:
            self.summary.setText(
                f"{self.measured.summary}\nThe labels have changed since: measure again."
            )

    # -- selecting --------------------------------------------------------------------------

    def _target(self) -> Labels | None:
        """The layer that was measured, while it is there."""
        return self._shown if self._shown in self.viewer.layers else None

    def _on_plot_selected(self, rows: np.ndarray) -> None:
        layer, measured = self._target(), self.measured
        if measured is None:
            return
        self.chosen.setText(f"{len(rows)} of {len(measured.table)} objects selected")
        if layer is not None:
            mark(self.viewer, layer, measured, rows.tolist())

    def _on_plot_picked(self, row: int) -> None:
        layer, measured = self._target(), self.measured
        if measured is None:
            return
        (number,) = measured.numbers([row])
        self.chosen.setText(f"object {number}")
        if layer is not None:
            mark(self.viewer, layer, measured, [row])
            layer.selected_label = number
            go_to(self.viewer, layer, measured, row)

    def _on_layer_selected(self, event: Any) -> None:
        """Follow napari's table and picker into the plot."""
        layer, measured = self._shown, self.measured
        if measured is None or layer is None or event.source is not layer:
            return
        number = layer.selected_label
        self.plot.set_selected(measured.rows([number]))
        self.chosen.setText(f"object {number}")

    # -- the table --------------------------------------------------------------------------

    def _on_table_clicked(self) -> None:
        layer = self._target()
        if layer is not None:
            self.viewer.layers.selection.active = layer
            self.viewer.window.add_plugin_dock_widget("napari", "Features table widget")

    def _on_save_clicked(self) -> None:
        self.refusal.set_sentence("")
        path = self.ask()
        if path is not None and self.measured is not None:
            layer, table = self._target(), self.measured.table
            table = table if layer is None else with_known(table, layer.features)
            job = save_table_job(table, path)
            self.session.launch(f"Saving {path.name}", job, self._on_session_saved)

    def ask(self) -> Path | None:
        """Let the person choose the file; None where they think better of it."""
        given, kind = QFileDialog.getSaveFileName(self, "Save table", "objects.csv", _TABLES)
        if not given:
            return None
        path = Path(given)
        ending = ".parquet" if "parquet" in kind else ".csv"
        return path if path.suffix else path.with_name(path.name + ending)

    def _on_session_saved(self, path: Path) -> None:
        self.chosen.setText(f"✓ Written: {path.name}\nin {path.parent}")
