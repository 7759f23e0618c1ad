"""From a frozen pydantic config to a form and back: form → config gives the same value, for every valid value.

Numbers are edited as text where a spin box would round them (a learning rate of 1e-3 must not become 0.0), an empty
field stands for *none*, and the config itself validates: nothing about a parameter is written down a second time.
"""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, Union, get_args, get_origin

from magicgui.widgets import CheckBox, ComboBox, Container, LineEdit, SpinBox
from psygnal import Signal
from pydantic import BaseModel, ValidationError
from qtpy.QtCore import QEvent, QObject
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QVBoxLayout, QWidget
from superqt import QCollapsible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from magicgui.widgets.bases import ValueWidget
    from pydantic.fields import FieldInfo

__all__ = ["ConfigForm", "fold_away"]

C = TypeVar("C", bound=BaseModel)
_INT_LIMIT = 2**31 - 1
_AUTOMATIC = "automatic"
_NARROW = 8
"""Letters."""


class ConfigForm(Generic[C]):
    """A form for one config.

    Parameters
    ----------
    config
        What it shows first; its class says which rows there are.
    main
        Names of the fields that are always seen; the others are folded away.
    title
        What the folded part is called.
    choices
        Fields that may be none and take one of a few values: what a person reads and the value, for each.
    """

    changed = Signal()
    """A value was edited; it may be invalid at the moment, see `problem`."""

    def __init__(
        self,
        config: C,
        main: Sequence[str] = (),
        title: str = "More settings",
        choices: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    ) -> None:
        self._type = type(config)
        known = choices or {}
        self._rows: dict[str, ValueWidget] = {
            name: _row(name, field, getattr(config, name), known.get(name, ()))
            for name, field in self._type.model_fields.items()
        }
        seen = [self._rows[name] for name in main]
        folded = [row for name, row in self._rows.items() if name not in main]
        self.native = QWidget()
        layout = QVBoxLayout(self.native)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        self._containers = [_container(seen), _container(folded)]
        if seen:
            layout.addWidget(self._containers[0].native)
        if folded:
            layout.addWidget(fold_away(self._containers[1].native, title))
        for row in self._rows.values():
            row.changed.connect(self._on_row_changed)

    @property
    def names(self) -> list[str]:
        """Fields that have a row."""
        return list(self._rows)

    def offer(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        """Let a field that was made with choices take these; a value that is none of them becomes none."""
        row = self._rows[name]
        listed = [(_AUTOMATIC, None), *choices]
        values = [value for _, value in listed]
        if not isinstance(row, ComboBox) or list(row.choices) == values:
            return
        value = row.value
        with row.changed.blocked():
            row.choices = listed
            row.value = value if value in values else None

    def row(self, name: str) -> ValueWidget:
        """Row of one field."""
        return self._rows[name]

    def value(self) -> C:
        """Return what the form says.

        Raises
        ------
        ValidationError
            A row holds something that the config does not take; `problem` says it in a sentence.
        """
        given = {
            name: _read(self._type.model_fields[name], row) for name, row in self._rows.items()
        }
        return self._type(**given)

    @property
    def problem(self) -> str | None:
        """What is wrong with the form, or None where it is valid."""
        try:
            self.value()
        except ValidationError as error:
            return _sentence(error, self._type)
        return None

    def set_value(self, config: C) -> None:
        """Show another config; emits nothing."""
        for name, row in self._rows.items():
            with row.changed.blocked():
                _write(row, getattr(config, name))

    def set_fields(self, values: Mapping[str, Any]) -> None:
        """Show other values of some fields."""
        for name, value in values.items():
            _write(self._rows[name], value)

    def _on_row_changed(self) -> None:
        self.changed.emit()


def _container(rows: Sequence[ValueWidget]) -> Container:
    box = Container(widgets=list(rows), labels=True)
    box.margins = (0, 0, 0, 0)
    box.native.layout().setSpacing(4)
    box.native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
    _Aligned(box.native)
    return box


class _Aligned(QObject):
    """Gives the labels of a form the width of the widest, in the font that the window has by then.

    magicgui means to, but has forgotten its rows by the time it measures.
    """

    _WHEN = (QEvent.Type.Show, QEvent.Type.FontChange, QEvent.Type.StyleChange)

    def __init__(self, form: QWidget) -> None:
        super().__init__(form)
        form.installEventFilter(self)

    def eventFilter(self, form: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() in self._WHEN:
            labels = form.findChildren(QLabel)
            widest = max((label.sizeHint().width() for label in labels), default=0)
            for label in labels:
                label.setMinimumWidth(widest)
        return False


def fold_away(widget: QWidget, title: str) -> QCollapsible:
    """Fold a widget away; the arrow is text, since superqt draws its own in black on every theme."""
    fold = QCollapsible(expandedIcon=QIcon(), collapsedIcon=QIcon())
    fold.setDuration(0)
    fold.addWidget(widget)
    fold.layout().setContentsMargins(0, 0, 0, 0)
    fold.content().layout().setContentsMargins(0, 0, 0, 0)
    button = fold.toggleButton()
    # superqt hides the focus frame too, which the keyboard needs.
    button.setStyleSheet("text-align: left;")

    def say(is_open: bool) -> None:
        fold.setText(f"{'▾' if is_open else '▸'} {title}")

    say(False)
    fold.toggled.connect(say)
    return fold


# -- one row ----------------------------------------------------------------------------


def _row(
    name: str, field: FieldInfo, value: Any, known: Sequence[tuple[str, str]] = ()
) -> ValueWidget:
    """Choose the widget that can hold every valid value of a field."""
    kind, optional = _kind(field.annotation)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    unit = f" ({extra['unit']})" if extra.get("unit") else ""
    common: dict[str, Any] = {
        "name": name,
        "label": f"{field.title or name}{unit}",
        "tooltip": field.description or "",
    }
    if kind is bool and not optional:
        return CheckBox(value=value, **{**common, "text": ""})
    if known and optional:
        listed = [(_AUTOMATIC, None), *known]
        if value not in [v for _, v in listed]:
            listed.append((str(value), value))
        return _list(listed, value, common)
    choices = _choices(kind, field, value)
    if choices and not optional:
        return _list(choices, value, common)
    if kind is int and not optional:
        low, high = _bounds(field)
        return SpinBox(value=value, min=low, max=high, **common)
    row = LineEdit(value=_text(value), **common)
    if optional:
        row.native.setPlaceholderText(_AUTOMATIC)
    return row


def _list(choices: Sequence[Any], value: Any, common: Mapping[str, Any]) -> ComboBox:
    """A list that may be narrower than its longest choice, as docks are narrow."""
    row = ComboBox(choices=choices, value=value, **common)
    row.native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    row.native.setMinimumContentsLength(_NARROW)
    return row


def _kind(annotation: Any) -> tuple[Any, bool]:
    """Split ``X | None`` into X and whether None is allowed."""
    if get_origin(annotation) in (Union, types.UnionType):
        others = [a for a in get_args(annotation) if a is not type(None)]
        if len(others) == 1:
            return others[0], True
    return annotation, False


def _choices(kind: Any, field: FieldInfo, value: Any) -> list[str]:
    """Values of a Literal, or the examples of a text field with its present value."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    if kind is str and field.examples:
        known = [str(e) for e in field.examples]
        return known if value in known else [*known, value]
    return []


def _bounds(field: FieldInfo) -> tuple[int, int]:
    low, high = -_INT_LIMIT, _INT_LIMIT
    for rule in field.metadata:
        low = max(low, int(getattr(rule, "ge", low)), int(getattr(rule, "gt", low - 1)) + 1)
        high = min(high, int(getattr(rule, "le", high)), int(getattr(rule, "lt", high + 1)) - 1)
    return low, high


def _text(value: Any) -> str:
    """Write a value so that `_read` gets the same one back."""
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        return " × ".join(_text(v) for v in value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def _read(field: FieldInfo, row: ValueWidget) -> Any:
    if not isinstance(row, LineEdit):
        return row.value
    text = row.value.strip()
    kind, optional = _kind(field.annotation)
    if not text and optional:
        return None
    if get_origin(kind) is tuple:
        return tuple(part for part in re.split(r"[\s,;×x]+", text) if part)
    return text


def _write(row: ValueWidget, value: Any) -> None:
    if isinstance(row, ComboBox) and value not in row.choices:
        row.choices = [*row.choices, value]
    row.value = _text(value) if isinstance(row, LineEdit) else value


def _sentence(error: ValidationError, config: type[BaseModel]) -> str:
    """Say what the first fault is: ``"Tile overlap: input should be less than or equal to 0.8, found 2"``."""
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    field = config.model_fields.get(name)
    title = (field.title if field is not None else None) or name
    message = first["msg"][:1].lower() + first["msg"][1:]
    return f"{title}: {message}, found {first.get('input')!s}"
