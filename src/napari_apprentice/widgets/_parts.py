"""Small parts that several docks are built of: head, job line, error line, model list."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QGuiApplication, QPaintEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_apprentice.core.jobs import FinishReason, JobState
from napari_apprentice.session.text import (
    describe_error,
    describe_status,
    describe_volume,
    error_details,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_apprentice.core.jobs import JobStatus
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.session.choice import ModelChoice
    from napari_apprentice.session.session import Session

__all__ = ["ElidedList", "ErrorLine", "ImageHead", "JobLine", "ModelList", "elided", "wrapped"]


_COMBO_MARGIN = 6


def elided(text: str = "", *, bold: bool = False) -> QElidingLabel:
    """Label of one line that loses its middle, not its ends, where there is no room."""
    label = QElidingLabel(text)
    label.setElideMode(Qt.TextElideMode.ElideMiddle)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    if bold:
        font = label.font()
        font.setBold(True)
        label.setFont(font)
    return label


class _Wrapped(QLabel):
    """Breaks words that are too long for a line, as names of files are, so that they push nothing out of sight."""

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        super().setText(re.sub(r"(\S{24})(?=\S)", "\\1\u200b", text))


def wrapped(text: str = "") -> QLabel:
    """Label of as many lines as it needs, whose text can be copied."""
    label = _Wrapped()
    label.setText(text)
    label.setWordWrap(True)
    label.setTextInteractionFlags(
        Qt.TextInteractionFlag.TextSelectableByMouse
        | Qt.TextInteractionFlag.TextSelectableByKeyboard
    )
    label.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return label


class ImageHead(QWidget):
    """Which image a dock works on, and what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.name = elided(bold=True)
        self.facts = wrapped()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.name)
        layout.addWidget(self.facts)
        self.set_volume(None)

    def set_volume(self, volume: Volume | None) -> None:
        """Show a volume, or that there is none."""
        name, facts = ("No image", "Open or select an image layer.")
        if volume is not None:
            name, facts = describe_volume(volume)
        self.name.setText(name)
        self.facts.setText(facts)
        self.setToolTip(f"{name}\n{facts}")
        self.setAccessibleName(f"{name}, {facts}")


class ElidedList(QComboBox):
    """A list whose chosen entry loses its middle where there is no room, and that never widens a dock."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        # Its hint counts the longest name in a large font, which would push the dock wider.
        self.setMinimumWidth(80)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Draw as Qt does, but leave out the middle of a name that does not fit, where Qt cuts off its end."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, field.width() - _COMBO_MARGIN
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class ModelList(ElidedList):
    """Models: those that fit the image first, the others greyed with the reason."""

    def __init__(self, empty: str) -> None:
        super().__init__()
        self._empty = empty
        self._shown: tuple[Sequence[ModelChoice], str | None, str | None] | None = None

    def set_choices(
        self, choices: Sequence[ModelChoice], chosen: str | None, first: str | None = None
    ) -> None:
        """Show these models; emits nothing.

        Parameters
        ----------
        choices
            In the order they are shown.
        chosen
            Name of the chosen one.
        first
            Text of an entry that is no model and always can be chosen.
        """
        was_blocked = self.blockSignals(True)
        shown, self._shown = self._shown, (choices, chosen, first)
        # Asked for after every stroke; nothing is new then, and a list of models takes as long as all the rest.
        is_new = shown is None or shown[0] is not choices or shown[1:] != (chosen, first)
        if is_new or self.currentData() != chosen:
            self._fill(choices, chosen, first)
        self.blockSignals(was_blocked)

    def _fill(self, choices: Sequence[ModelChoice], chosen: str | None, first: str | None) -> None:
        self.clear()
        if first is not None:
            self.addItem(first, None)
        for choice in choices:
            self._add(choice)
        if not self.count():
            self.addItem(self._empty, None)
        self.setEnabled(bool(choices) or first is not None)
        self.setCurrentIndex(max(0, self.findData(chosen)) if chosen is not None else 0)
        if first is None and choices and chosen is None:
            self.setCurrentIndex(-1)
            self.setPlaceholderText("no model fits this image")
        self.setToolTip(self.currentData(Qt.ItemDataRole.ToolTipRole) or self._empty)

    def _add(self, choice: ModelChoice) -> None:
        text = choice.name if choice.reason is None else f"{choice.name} — {choice.reason}"
        self.addItem(text, choice.name)
        at = self.count() - 1
        tip = (
            choice.describe() if choice.reason is None else f"Not for this image: {choice.reason}."
        )
        self.setItemData(at, tip, Qt.ItemDataRole.ToolTipRole)
        item = self.model().item(at)
        item.setEnabled(choice.reason is None)


class ErrorLine(QFrame):
    """One sentence where the fault is, with details that fold out and can be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.sentence = wrapped()
        self.more = QToolButton()
        self.more.setText("Details")
        self.more.setCheckable(True)
        self.more.setArrowType(Qt.ArrowType.RightArrow)
        self.more.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.copy = QPushButton("Copy")
        self.copy.setToolTip("Copy the details, without names of images and files")
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.details.setMaximumHeight(160)
        row = QHBoxLayout()
        row.addWidget(self.more)
        row.addStretch()
        row.addWidget(self.copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.addWidget(self.sentence)
        layout.addLayout(row)
        layout.addWidget(self.details)
        self.more.toggled.connect(self._on_more_toggled)
        self.copy.clicked.connect(self._on_copy_clicked)
        self.set_error(None)

    def set_error(self, error: Exception | None, private: Sequence[str] = ()) -> None:
        """Show an error, or nothing."""
        self.setVisible(error is not None)
        if error is None:
            return
        self.sentence.setText(f"⚠ {describe_error(error)}")
        self.details.setPlainText(error_details(error, private))
        self.more.setChecked(False)
        self._on_more_toggled(False)
        self._set_has_details(True)

    def set_sentence(self, text: str) -> None:
        """Show a sentence that has no details; an empty one hides the line."""
        self.setVisible(bool(text))
        self.sentence.setText(f"⚠ {text}")
        self._set_has_details(False)

    def _set_has_details(self, has: bool) -> None:
        self.more.setVisible(has)
        self.copy.setVisible(False)
        self.details.setVisible(False)

    def _on_more_toggled(self, is_open: bool) -> None:
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self.more.setArrowType(arrow)
        self.details.setVisible(is_open)
        self.copy.setVisible(is_open)

    def _on_copy_clicked(self) -> None:
        QGuiApplication.clipboard().setText(self.details.toPlainText())


class JobLine(QWidget):
    """The job at work: what, how far, time left, cancel, log; afterwards how it ended.

    Parameters
    ----------
    session
        Whose job it is.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.text = elided()
        self.log = QToolButton()
        self.log.setText("Log")
        self.log.setCheckable(True)
        self.log.setToolTip("Show what the job said")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.cancel = QPushButton("Cancel")
        self.lines = QPlainTextEdit()
        self.lines.setReadOnly(True)
        self.lines.setMaximumHeight(120)
        self.error = ErrorLine()
        self._lay_out()
        self.cancel.clicked.connect(session.cancel)
        self.log.toggled.connect(self.lines.setVisible)
        self.lines.hide()
        self.set_status(session.status)

    def _lay_out(self) -> None:
        top, below = QHBoxLayout(), QHBoxLayout()
        top.addWidget(self.text, 1)
        top.addWidget(self.log)
        below.addWidget(self.bar, 1)
        below.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.error)
        layout.addLayout(top)
        layout.addLayout(below)
        layout.addWidget(self.lines)

    def set_status(self, status: JobStatus) -> None:
        """Show a status; everything here is a function of it."""
        fraction = status.progress.fraction
        self.text.setText(describe_status(status))
        self.text.setToolTip(describe_status(status))
        # Else Qt paints the bar at once, and with it the whole window, canvas included; so it is painted with the rest.
        self.bar.setUpdatesEnabled(False)
        self.bar.setRange(0, 0 if fraction is None else 1000)
        self.bar.setValue(round(1000 * (fraction or 0.0)))
        self.bar.setUpdatesEnabled(True)
        self.bar.setVisible(status.is_running)
        self.cancel.setVisible(status.is_running)
        self.cancel.setEnabled(status.state is JobState.RUNNING)
        self.cancel.setToolTip(
            f"Cancel: {status.name}" if self.cancel.isEnabled() else "Cancelling already"
        )
        has_log = bool(status.log)
        self.log.setVisible(has_log)
        self.lines.setVisible(has_log and self.log.isChecked())
        text = "\n".join(status.log)
        if text != self.lines.toPlainText():
            self.lines.setPlainText(text)
        failed = status.reason is FinishReason.ERRORED and not status.is_running
        if not failed:
            self.error.set_error(None)
        elif status.error is not None:
            self.error.set_error(status.error, self._session.private_names())
        self.setVisible(status.is_running or status.reason is not None)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """No wider than the dock that holds it."""
        return QSize(200, super().sizeHint().height())
