"""What the colours of numbered objects tell: nothing, how sure the model was, the class, or who said it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.colormaps import DirectLabelColormap, label_colormap
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from ._facts import classes_in
from ._following import Following
from ._object_table import coloring, object_colors

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["Coloring"]

_TITLES = {
    "": "object",
    "score": "score",
    "class": "class",
    "uncertainty": "doubt about the class",
    "by": "who said it",
}
_TIPS = {
    "": "Neighbours differ; the colours mean nothing",
    "score": "From orange (the model was not sure) to blue (it was)",
    "class": "The colours of the classes",
    "uncertainty": "From orange (other classes compete) to blue (none does); gray is what you said",
    "by": "Blue from the network, orange from you",
}


class Coloring(QWidget):
    """A list of what a labels layer can be coloured by; hidden where there is nothing to choose."""

    def __init__(self) -> None:
        super().__init__()
        self._layer: Labels | None = None
        self._painted: tuple[Any, ...] = ()
        self._following = Following()
        self.destroyed.connect(self._following.stop)
        self.choice = QComboBox()
        self.choice.setAccessibleName("colour objects by")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Colour by"))
        row.addWidget(self.choice, 1)
        self.choice.currentIndexChanged.connect(self._on_choice_index)
        self.render()

    def set_layer(self, layer: Labels | None) -> None:
        """Colour another layer, or none; each layer keeps what was chosen for it."""
        if layer is self._layer:
            return
        self._following.stop()
        self._layer, self._painted = layer, ()
        if layer is not None:
            self._following.follow((layer.events.features,), self._on_layer_features)
        self.render()

    def render(self) -> None:
        """Offer what is known of the objects."""
        layer = self._layer
        columns = [] if layer is None else coloring(layer.features)
        was_blocked = self.choice.blockSignals(True)
        self.choice.clear()
        for name in ("", *columns):
            self.choice.addItem(_TITLES[name], name)
        chosen = "" if layer is None else _chosen(layer)
        self.choice.setCurrentIndex(max(0, self.choice.findData(chosen)))
        self.choice.setToolTip(_TIPS[self.choice.currentData()])
        self.choice.blockSignals(was_blocked)
        self.setVisible(bool(columns))

    def _on_layer_features(self, *_: Any) -> None:
        """After every edit: colours of thousands of objects are made anew only where what they tell changed."""
        self.render()
        layer = self._layer
        column = "" if layer is None else _chosen(layer)
        if layer is not None and column and self._painted != _told(layer, column):
            self._paint(layer, column)

    def _on_choice_index(self, _: int) -> None:
        layer, column = self._layer, self.choice.currentData()
        self.choice.setToolTip(_TIPS[column])
        if layer is not None:
            self._paint(layer, column)

    def _paint(self, layer: Labels, column: str) -> None:
        self._painted = _told(layer, column)
        if column and column in layer.features:
            colors = object_colors(layer.features, column, classes_in(layer))
            layer.colormap = DirectLabelColormap(color_dict=colors, name=f"{_MARK}{column}")
        else:
            layer.colormap = label_colormap()


_MARK = "objects by "


def _told(layer: Labels, column: str) -> tuple[Any, ...]:
    """What the colours by a column tell, to compare."""
    if column not in layer.features:
        return ()
    columns = (layer.features[name].fillna(-1).tolist() for name in ("index", column))
    return (column, classes_in(layer), *columns)


def _chosen(layer: Labels) -> str:
    """What a layer is coloured by; its colormap remembers."""
    name = str(layer.colormap.name)
    return name.removeprefix(_MARK) if name.startswith(_MARK) else ""
