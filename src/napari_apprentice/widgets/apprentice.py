"""The main dock: Predict · Correct · Learn, one after the other, on one session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import (
    QHBoxLayout,
    QShortcut,
    QStackedWidget,
    QTabBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ._dock import SessionWidget
from ._empty import EmptyPage
from ._keys import key_for, listed
from ._parts import ImageHead, JobLine
from .correct import KEYS as CORRECT_KEYS
from .correct import CorrectDock
from .learn import LearnDock
from .predict import PredictDock

if TYPE_CHECKING:
    import napari

    from napari_apprentice.session.session import Session

__all__ = ["KEYS", "STEPS", "ApprenticeDock"]

STEPS = ("Predict", "Correct", "Learn")
KEYS = {
    "Alt+1": "Predict",
    "Alt+2": "Correct",
    "Alt+3": "Learn",
    "Ctrl+Return": "Press the button of the step: predict, or learn",
    "Alt+Backspace": "Cancel the job at work",
}
"""Keys of this dock while it is open; none is napari's own."""


class ApprenticeDock(SessionWidget):
    """What is in this image? Predict, correct, learn, and again.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    """

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__(viewer, session)
        self.empty = EmptyPage(viewer)
        self.image = ImageHead()
        self.job = JobLine(self.session)
        self.predict = PredictDock(viewer, self.session, embedded=True)
        self.learn = LearnDock(viewer, self.session, embedded=True)
        self.correct = CorrectDock(viewer, self.session, embedded=True)
        self.steps = QStackedWidget()
        self.tabs = QTabBar()
        self.help = QToolButton()
        self._lay_out()
        self._bind_keys()
        self.tabs.currentChanged.connect(self._on_tabs_index)
        self.listen(self.session.image_changed, self.render)
        self.listen(self.session.status_changed, self._on_session_status)
        self.listen(self.session.annotations_changed, self.render)
        self.render()

    # -- layout -----------------------------------------------------------------------------

    def _lay_out(self) -> None:
        for page in (self.predict, self.correct, self.learn):
            self.steps.addWidget(page)
        work = QWidget()
        column = QVBoxLayout(work)
        column.setContentsMargins(0, 8, 0, 0)
        column.setSpacing(6)
        head = QHBoxLayout()
        head.setContentsMargins(8, 0, 8, 0)
        head.addWidget(self.image, 1)
        head.addWidget(self.help, 0, Qt.AlignmentFlag.AlignTop)
        column.addLayout(head)
        column.addLayout(self._step_row())
        column.addWidget(self.steps, 1)
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(work)
        foot = QVBoxLayout()
        foot.setContentsMargins(8, 0, 8, 8)
        foot.addWidget(self.job)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.pages, 1)
        layout.addLayout(foot)
        self.help.setText("?")
        self.help.setToolTip(
            listed("Keys", KEYS) + "\n\n" + listed("On the annotation", CORRECT_KEYS)
        )
        self.help.setAccessibleName("Keys")

    def _step_row(self) -> QHBoxLayout:
        for number, name in enumerate(STEPS):
            self.tabs.addTab(f"{number + 1}  {name}")
            self.tabs.setTabToolTip(number, f"{name} ({key_for(f'Alt+{number + 1}')})")
        self.tabs.setExpanding(True)
        self.tabs.setDrawBase(False)
        self.tabs.setUsesScrollButtons(False)
        row = QHBoxLayout()
        row.setContentsMargins(8, 0, 8, 0)
        row.addWidget(self.tabs)
        return row

    def _bind_keys(self) -> None:
        does = {
            "Alt+1": lambda: self.show_step(0),
            "Alt+2": lambda: self.show_step(1),
            "Alt+3": lambda: self.show_step(2),
            "Ctrl+Return": self.press,
            "Alt+Backspace": self.session.cancel,
        }
        for key, action in does.items():
            QShortcut(QKeySequence(key_for(key)), self, action)
        self.help.clicked.connect(self._on_help_clicked)

    # -- session → dock ---------------------------------------------------------------------

    def render(self) -> None:
        """Show the session as it is."""
        has_work = self.session.volume is not None or bool(self.session.annotations)
        self.pages.setCurrentIndex(int(has_work))
        self.image.set_volume(self.session.volume)

    def _on_session_status(self, status: object) -> None:
        self.job.set_status(self.session.status)

    # -- the person -------------------------------------------------------------------------

    def show_step(self, number: int) -> None:
        """Go to a step: 0 Predict, 1 Correct, 2 Learn."""
        self.tabs.setCurrentIndex(number)

    def _on_tabs_index(self, number: int) -> None:
        self.steps.setCurrentIndex(number)
        if STEPS[number] == "Correct":
            self.correct.annotator.show_hidden()

    def press(self) -> None:
        """Press the button of the step, where it can be pressed."""
        pages = {0: self.predict.button, 2: self.learn.button}
        button = pages.get(self.steps.currentIndex())
        if button is not None and self.pages.currentIndex() == 1:
            button.click()

    def _on_help_clicked(self) -> None:
        from qtpy.QtWidgets import QToolTip

        below = self.help.mapToGlobal(self.help.rect().bottomLeft())
        QToolTip.showText(below, self.help.toolTip(), self.help)
