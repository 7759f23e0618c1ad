"""*Learn*: from what was corrected, for as long as the person has time; *Stop* keeps the best so far."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
)

from napari_apprentice.session.choice import network_choices
from napari_apprentice.session.material import Folders
from napari_apprentice.session.text import duration

from ._card import ResultCard
from ._dock import Dock
from ._keys import key_for
from ._leftover import LeftoverBar
from ._parts import ElidedList, ErrorLine, ModelList, wrapped
from .curves import CurvePlot
from .form import ConfigForm

if TYPE_CHECKING:
    import napari

    from napari_apprentice.core.jobs import Metric
    from napari_apprentice.session.session import Session

__all__ = ["LearnDock"]

_MILLISECONDS = 300
_SHOWN = 3
_NOTHING = "nothing (a new network)"


class LearnDock(Dock):
    """Teach a model from annotations of this session and from folders of labelled images.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    embedded
        Leave out image and job, because the dock around it has them.
    """

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        session: Session | None = None,
        *,
        embedded: bool = False,
    ) -> None:
        super().__init__(viewer, session, embedded=embedded)
        self.form = ConfigForm(
            self.session.preferences.train,
            main=("minutes",),
            choices={"network": network_choices(self.session.default_task())},
        )
        self.material = wrapped()
        self.extents = wrapped()
        self.folders = QPushButton("Add folders …")
        self.forget = QPushButton("Leave folders out")
        self.models = ModelList(_NOTHING)
        self.tasks = ElidedList()
        self.leftover = LeftoverBar(self.session)
        self.split = wrapped()
        self.plan = wrapped()
        self.button = QPushButton("Learn")
        self.stop = QPushButton("Stop")
        self.resume = QPushButton("Resume")
        self.refusal = ErrorLine()
        self.curves = CurvePlot()
        self.card = ResultCard()
        self._start: str | None = None
        self._is_start_chosen = False
        self._is_task_chosen = False
        self._soon = QTimer(self, interval=_MILLISECONDS, singleShot=True)
        self._lay_out()
        self._connect()
        self.follow_theme(self.curves)
        self.follow_recipe(self.form)
        self.render()
        self._render_split()

    def _lay_out(self) -> None:
        folders = QHBoxLayout()
        folders.addWidget(self.folders)
        folders.addWidget(self.forget)
        form = QFormLayout()
        form.addRow("Learn from", self.material)
        form.addRow("", self.extents)
        form.addRow("", folders)
        form.addRow("Start from", self.models)
        form.addRow("Learn to", self.tasks)
        self._tasks_label = form.labelForField(self.tasks)
        actions = QHBoxLayout()
        for button in (self.button, self.stop, self.resume):
            actions.addWidget(button)
        self.body.addWidget(self.leftover)
        self.body.addLayout(form)
        self.body.addWidget(self.form.native)
        self.body.addWidget(self.split)
        self.body.addWidget(self.plan)
        self.body.addLayout(actions)
        self.body.addWidget(self.refusal)
        self.body.addWidget(self.card)
        self.body.addWidget(self.curves)
        self.body.addStretch()
        self.tasks.setToolTip("What the new network is asked to do")
        self.folders.setToolTip(
            "Learn from labelled images on disk too: images and labels pair by file name"
        )
        self.forget.setToolTip("Learn from the annotations of this session only")
        self.stop.setToolTip("End now and keep the best model so far")
        self.resume.setToolTip("Go on with the training that was interrupted")

    def _connect(self) -> None:
        session = self.session
        self.folders.clicked.connect(self._on_folders_clicked)
        self.forget.clicked.connect(lambda: session.set_folders(None))
        self.models.currentIndexChanged.connect(self._on_models_index)
        self.tasks.activated.connect(self._on_tasks_activated)
        self.form.changed.connect(self._on_form_changed)
        self.button.clicked.connect(self._on_button_clicked)
        self.stop.clicked.connect(self._on_stop_clicked)
        self.resume.clicked.connect(session.resume)
        self._soon.timeout.connect(self._render_split)
        self.card.use.clicked.connect(lambda: session.keep(use=True))
        self.card.both.clicked.connect(lambda: session.keep(use=False))
        self.card.discard.clicked.connect(session.discard)
        self.listen(session.annotations_changed, self._on_session_annotations)
        self.listen(session.image_changed, self.render)
        self.listen(session.model_changed, self.render)
        self.listen(session.candidate_changed, self._on_session_candidate)
        self.listen(session.status_changed, self._on_session_status)
        self.listen(session.metric_added, self._on_session_metric)
        self.listen(session.refused, self.refusal.set_sentence)

    # -- session → dock ---------------------------------------------------------------------

    def render(self, *_: object) -> None:
        """Show the session as it is."""
        session = self.session
        material = session.material()
        lines = [f"{name}: {extent}" for name, extent in material.extents]
        self.material.setText(material.problem or material.describe())
        more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        self.extents.setText("\n".join([*lines[:_SHOWN], *more]))
        self.extents.setToolTip("\n".join(lines))
        self.extents.setVisible(bool(lines))
        # With a result to decide about nothing is planned, and its curves need the room.
        self.plan.setVisible(material.problem is None and session.candidate is None)
        self.forget.setVisible(session.folders is not None)
        if not self._is_start_chosen:
            self._start = session.default_start()
        self.models.set_choices(session.choices(), self._start, first=_NOTHING)
        self._render_tasks()
        self.leftover.render_state()
        problem = self.form.problem or session.start_problem(self._start)
        self.refusal.set_sentence(problem or "")
        self._render_plan(material.describe())
        self._render_buttons()
        self.card.set_candidate(session.candidate)
        self.curves.follow(session.curve)

    def _render_tasks(self) -> None:
        """Ask what to learn only where that is open: from nothing, and with several tasks to choose from."""
        tasks = self.session.tasks()
        if [*tasks] != [self.tasks.itemData(i) for i in range(self.tasks.count())]:
            chosen = self.tasks.currentData()
            self.tasks.clear()
            for name, title in tasks.items():
                self.tasks.addItem(title, name)
            self.tasks.setCurrentIndex(self.tasks.findData(chosen))
        if not self._is_task_chosen or self.tasks.currentIndex() < 0:
            self.tasks.setCurrentIndex(self.tasks.findData(self.session.default_task()))
        self.form.offer("network", network_choices(self.tasks.currentData()))
        for widget in (self.tasks, self._tasks_label):
            widget.setVisible(self._start is None and self.tasks.count() > 1)

    def _render_plan(self, material: str) -> None:
        """One line that says what the button will do: ``1 image, 3 corrections · start from nuclei v1 · 2 min``."""
        parts = [material, f"start from {self._start or 'nothing'}"]
        if self.form.problem is None:
            parts.append(duration(60 * self.form.value().minutes))
        self.plan.setText(" · ".join(parts))

    def _render_buttons(self) -> None:
        session = self.session
        problem = self.form.problem or session.learn_problem(self._start)
        is_learning = session.is_learning
        self.button.setVisible(not is_learning)
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or f"Teach the model ({key_for('Ctrl+Return')})")
        self.stop.setVisible(is_learning)
        if not is_learning:  # the next training, however it is begun, can be stopped again
            self.stop.setEnabled(True)
        self.resume.setVisible(session.can_resume())
        self.leftover.render_state()

    def _render_split(self) -> None:
        note = ""
        is_open = self.session.candidate is None and not self.session.is_learning
        if self.form.problem is None and is_open:
            note = self.session.split_note(self.form.value())
        self.split.setText(note)
        self.split.setVisible(bool(note))

    def _on_session_annotations(self) -> None:
        # A stroke every few milliseconds must not count voxels each time.
        self._soon.start()
        self.render()

    def _on_session_candidate(self) -> None:
        self.render()
        self._render_split()

    def _on_session_status(self, status: object) -> None:
        self._render_buttons()

    def _on_session_metric(self, _: Metric) -> None:
        self.curves.follow(self.session.curve)

    # -- dock → session ---------------------------------------------------------------------

    def _on_models_index(self, index: int) -> None:
        self._start, self._is_start_chosen = self.models.itemData(index), True
        self.render()

    def _on_tasks_activated(self) -> None:
        self._is_task_chosen = True
        self.render()

    def _on_form_changed(self) -> None:
        self.render()
        self._soon.start()

    def _on_button_clicked(self) -> None:
        self.refusal.set_sentence("")
        self.session.learn(self.form.value(), self._start, self.tasks.currentData())

    def _on_stop_clicked(self) -> None:
        self.stop.setEnabled(False)
        self.session.stop()

    def _on_folders_clicked(self) -> None:
        images = QFileDialog.getExistingDirectory(self, "Folder of images")
        labels = QFileDialog.getExistingDirectory(self, "Folder of labels") if images else ""
        if images and labels:
            self.session.set_folders(Folders(Path(images), Path(labels)))
