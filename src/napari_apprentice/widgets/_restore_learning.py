"""The part of *Restore* that teaches: what from, how long, how it goes, and the decision at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QGroupBox, QPushButton, QVBoxLayout

from napari_apprentice.session.choice import network_choices
from napari_apprentice.session.restoring import LESSONS, lesson_items, lesson_problem, lesson_text

from ._card import ResultCard
from ._dock import SessionWidget
from ._parts import ElidedList, ErrorLine, wrapped
from ._path_row import PathRow
from .curves import CurvePlot
from .form import ConfigForm

if TYPE_CHECKING:
    import napari

    from napari_apprentice.core.jobs import Metric
    from napari_apprentice.session.session import Session

__all__ = ["RestoreLearning"]


class RestoreLearning(SessionWidget):
    """Teach a network to restore, or to know what is normal, from images without labels.

    Parameters
    ----------
    viewer, session
        Of the dock it stands in.
    """

    wanted = Signal(str)
    """Name of a model that was learned and is to be used."""

    def __init__(self, viewer: napari.viewer.Viewer, session: Session) -> None:
        super().__init__(viewer, session)
        self.lessons, self.said = ElidedList(), wrapped()
        self.noisy, self.clean = PathRow("the images to learn from"), PathRow("the clean images")
        self.form = ConfigForm(
            session.preferences.train,
            main=("minutes",),
            choices={"network": network_choices(LESSONS["image"].task)},
        )
        self.button, self.stop = QPushButton("Learn"), QPushButton("Stop")
        self.refusal, self.card, self.curves = ErrorLine(), ResultCard(), CurvePlot()
        for key, lesson in LESSONS.items():
            self.lessons.addItem(lesson.title, key)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        box, outer = QGroupBox("Teach a network"), QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(box)
        column, self.rows = QVBoxLayout(box), QFormLayout()
        self.rows.addRow("Learn from", self.lessons)
        self.rows.addRow("Images", self.noisy)
        self.rows.addRow("Clean", self.clean)
        column.addLayout(self.rows)
        for widget in (self.said, self.form.native, self.button, self.stop):
            column.addWidget(widget)
        for widget in (self.refusal, self.card, self.curves):
            column.addWidget(widget)
        self.stop.setToolTip("End now and keep the best model so far")

    def _connect(self) -> None:
        session = self.session
        self.listen(session.metric_added, self._on_session_metric)
        self.lessons.activated.connect(self.render_state)
        for row in (self.noisy, self.clean, self.form):
            row.changed.connect(self.render_state)
        self.button.clicked.connect(self._on_button_clicked)
        self.stop.clicked.connect(session.stop)
        self.card.use.clicked.connect(self._on_use_clicked)
        self.card.both.clicked.connect(lambda: session.keep(use=False))
        self.card.discard.clicked.connect(session.discard)

    def render_state(self, *_: object) -> None:
        """Show the session as it is."""
        session, key = self.session, self.lessons.currentData()
        lesson, folders = LESSONS[key], (self.noisy.path, self.clean.path)
        self.form.offer("network", network_choices(lesson.task))
        self.rows.setRowVisible(1, lesson.folders > 0)
        self.rows.setRowVisible(2, lesson.folders > 1)
        self.said.setText(lesson_text(key, session.volume, folders))
        problem = session.not_now or self.form.problem
        problem = problem or lesson_problem(key, session.volume, folders)
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or f"Teach a network from {lesson.title}")
        self.button.setVisible(not session.is_learning)
        self.stop.setVisible(session.is_learning)
        self.card.set_candidate(session.candidate)
        self.curves.follow(session.curve)

    def _on_session_metric(self, _: Metric) -> None:
        self.curves.follow(self.session.curve)

    def _on_button_clicked(self) -> None:
        self.refusal.set_sentence("")
        session, key = self.session, self.lessons.currentData()
        items = lesson_items(
            key, session.volume, session.frame or 0, (self.noisy.path, self.clean.path)
        )
        lesson = LESSONS[key]
        name = session.volume.name if session.volume and not lesson.folders else lesson.task
        session.learn_images(items, self.form.value(), None, name, lesson.task)

    def _on_use_clicked(self) -> None:
        candidate = self.session.candidate
        if candidate is not None:
            self.wanted.emit(candidate.name)
        self.session.keep(use=False)
