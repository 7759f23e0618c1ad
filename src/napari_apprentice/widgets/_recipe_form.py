"""A recipe as a form: which normalisation, which filters in which order, and the arguments of the one that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QListWidget,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.core.spec import FilterSpec
from napari_apprentice.engine.filters import FILTERS
from napari_apprentice.engine.recipe import (
    WINDOWS,
    filters_text,
    normalization_text,
    parse_filters,
    parse_normalization,
    window,
)
from napari_apprentice.session.preparing import Recipe

from ._parts import ElidedList
from .form import ConfigForm

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RecipeForm"]

_KINDS = (
    ("automatic; unchanged in a layer", None),
    ("z-score: mean 0, deviation 1", "zscore"),
    ("percentiles to 0…1", "percentile"),
    ("window to 0…1", "window"),
)
_ROWS = 3


class RecipeForm(QWidget):
    """Edits a `Recipe`."""

    changed = Signal()
    """It was edited; it may be invalid at the moment, see `problem`."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = ElidedList()
        self.low, self.high = QLineEdit(), QLineEdit()
        self.list = QListWidget()
        self.more = ElidedList()
        self.up, self.down = QPushButton("↑"), QPushButton("↓")
        self.remove = QPushButton("Remove")
        self.args: ConfigForm[Any] | None = None
        self._steps: list[FilterSpec] = []
        self._args_room = QVBoxLayout()
        self._fill()
        self._lay_out()
        self._connect()
        self._render()

    def _fill(self) -> None:
        for title, kind in _KINDS:
            self.kinds.addItem(title, kind)
        for name, (centre, width) in WINDOWS.items():
            self.kinds.addItem(f"CT {name}: centre {centre:g}, width {width:g} HU", name)
        self.more.addItem("Add a filter …", None)
        for name, entry in FILTERS.items():
            self.more.addItem(entry.title, name)

    def _lay_out(self) -> None:
        limits = QHBoxLayout()
        limits.addWidget(self.low)
        limits.addWidget(self.high)
        form = QFormLayout()
        form.addRow("Intensities", self.kinds)
        form.addRow("From, to", limits)
        self._limits_label = form.labelForField(limits)
        buttons = QHBoxLayout()
        buttons.addWidget(self.more, 1)
        for button, tip in (
            (self.up, "Apply the chosen filter earlier"),
            (self.down, "Apply the chosen filter later"),
            (self.remove, "Leave the chosen filter out"),
        ):
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            buttons.addWidget(button)
        for button in (self.up, self.down):
            button.setFixedWidth(32)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.list)
        column.addLayout(buttons)
        column.addLayout(self._args_room)
        column.addLayout(form)
        row = self.list.fontMetrics().height() + 8
        self.list.setFixedHeight(_ROWS * row + 8)
        self.list.setToolTip(
            "Filters, applied from top to bottom, before intensities are normalised"
        )
        self.list.setAccessibleName("Filters")
        self.list.setVisible(False)

    def _connect(self) -> None:
        self.kinds.currentIndexChanged.connect(self._on_kinds_index)
        for line in (self.low, self.high):
            line.textChanged.connect(lambda _: self.changed.emit())
        self.more.activated.connect(self._on_more_activated)
        self.list.currentRowChanged.connect(self._on_list_row)
        self.up.clicked.connect(lambda: self._move(-1))
        self.down.clicked.connect(lambda: self._move(1))
        self.remove.clicked.connect(self._on_remove_clicked)

    # -- value ------------------------------------------------------------------------------

    def value(self) -> Recipe:
        """What the form says.

        Raises
        ------
        BadInputError
            It says nothing that can be done; `problem` says why.
        """
        if self.args is not None and self.args.problem is not None:
            raise BadInputError(self.args.problem)
        kind = self.kinds.currentData()
        if kind in ("percentile", "window"):
            text = f"{kind}:{self.low.text().strip()}:{self.high.text().strip()}"
            kind = normalization_text(parse_normalization(text))
        return Recipe(filters_text(self._steps), kind)

    @property
    def problem(self) -> str | None:
        """Why the form cannot be used, or None where it can."""
        try:
            self.value()
        except BadInputError as error:
            return str(error)
        return None

    def set_value(self, recipe: Recipe) -> None:
        """Show another recipe; emits nothing."""
        self._steps = list(parse_filters(recipe.filters))
        text = recipe.normalization
        with self.changed.blocked():
            kind = text if text is None or text in WINDOWS else parse_normalization(text).kind
            self.kinds.setCurrentIndex(self.kinds.findData(kind))
            if text is not None and kind in ("percentile", "window"):
                how = parse_normalization(text)
                self.low.setText(f"{how.low:.12g}")  # as `normalization_text` writes them
                self.high.setText(f"{how.high:.12g}")
            self._render(0 if self._steps else -1)

    # -- what a person does -----------------------------------------------------------------

    def _on_kinds_index(self) -> None:
        kind = self.kinds.currentData()
        with self.changed.blocked():
            if kind == "percentile":
                self.low.setText("0.5")
                self.high.setText("99.5")
            elif kind == "window":
                usual = window("soft tissue")
                self.low.setText(f"{usual.low:g}")
                self.high.setText(f"{usual.high:g}")
            self._render_limits()
        self.changed.emit()

    def _on_more_activated(self, index: int) -> None:
        name = self.more.itemData(index)
        self.more.setCurrentIndex(0)
        if name is not None:
            self._steps += parse_filters(name)
            self._change(len(self._steps) - 1)

    def _on_list_row(self, row: int) -> None:
        self._render_args()

    def _on_remove_clicked(self) -> None:
        row = self.list.currentRow()
        if 0 <= row < len(self._steps):
            del self._steps[row]
            self._change(min(row, len(self._steps) - 1))

    def _move(self, by: int) -> None:
        row = self.list.currentRow()
        if 0 <= row < len(self._steps) and 0 <= row + by < len(self._steps):
            self._steps.insert(row + by, self._steps.pop(row))
            self._change(row + by)

    def _on_args_changed(self) -> None:
        row, form = self.list.currentRow(), self.args
        if form is not None and form.problem is None and 0 <= row < len(self._steps):
            args = form.value().model_dump(mode="json")
            self._steps[row] = FilterSpec(name=self._steps[row].name, args=args)
            self.list.item(row).setText(_titled(self._steps[row]))
        self.changed.emit()

    def _change(self, row: int) -> None:
        self._render(row)
        self.changed.emit()

    # -- on show ----------------------------------------------------------------------------

    def _render(self, row: int = -1) -> None:
        self.list.blockSignals(True)
        self.list.clear()
        self.list.addItems([_titled(step) for step in self._steps])
        self.list.setCurrentRow(row)
        self.list.blockSignals(False)
        self.list.setVisible(bool(self._steps))
        self._render_args()
        self._render_limits()

    def _render_args(self) -> None:
        row, count = self.list.currentRow(), len(self._steps)
        if self.args is not None:
            self.args.native.setParent(None)
            self.args.native.deleteLater()
            self.args = None
        if 0 <= row < count:
            step = self._steps[row]
            config = FILTERS[step.name].Args(**step.args)
            self.args = ConfigForm(config, main=tuple(type(config).model_fields))
            self.args.changed.connect(self._on_args_changed)
            self._args_room.addWidget(self.args.native)
        self.remove.setEnabled(0 <= row < count)
        self.up.setEnabled(0 < row < count)
        self.down.setEnabled(0 <= row < count - 1)

    def _render_limits(self) -> None:
        has = self.kinds.currentData() in ("percentile", "window")
        for widget in (self.low, self.high, self._limits_label):
            widget.setVisible(has)


def _titled(step: FilterSpec) -> str:
    """``"Median · radius=2"``."""
    _, _, own = filters_text([step]).partition(":")
    parts: Sequence[str] = [FILTERS[step.name].title, own.replace(":", ", ")]
    return " · ".join(filter(None, parts))
