"""*Evaluate*: how good is it, how sure is that, where is it wrong, is it better than the one before."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QTabWidget

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.engine.config import EvaluateConfig
from napari_apprentice.session import evaluating as jobs
from napari_apprentice.session.score_tables import case_table, score_table
from napari_apprentice.session.text import describe_error

from ._case_layers import CaseLayers
from ._dock import Dock
from ._evaluated_places import truth_and_answer
from ._evaluated_sources import FOLDERS, LAYERS, Sources
from ._figure_view import FigureView
from ._parts import ElidedList, ErrorLine, wrapped
from ._score_view import ScoreView
from .form import ConfigForm

if TYPE_CHECKING:
    import napari

    from napari_apprentice.core.jobs import Job
    from napari_apprentice.measure.report import Comparison
    from napari_apprentice.session.evaluating import Evaluation, Opened
    from napari_apprentice.session.session import Session

__all__ = ["EvaluateDock"]

_EMPTY = (
    "Scores appear here, with how sure they are, curves, and every case: a click on a case shows "
    "where it is wrong."
)
_MOST = 12
_TABS = 330


class EvaluateDock(Dock):
    """Score predictions, look at what is wrong, compare, and write a report.

    Parameters
    ----------
    viewer
        The viewer it stands in.
    session
        Default: the one that all docks of the viewer share.
    """

    shows_image = False

    def __init__(self, viewer: napari.viewer.Viewer, session: Session | None = None) -> None:
        super().__init__(viewer, session)
        self.sources = Sources(self.viewer)
        self.form = ConfigForm(EvaluateConfig(), main=())
        self.button = QPushButton("Evaluate")
        self.refusal = ErrorLine()
        self.summary = wrapped(_EMPTY)
        self.against = ElidedList()
        self.tabs = QTabWidget()
        self.tabs.setFixedHeight(_TABS)
        self.scores, self.cases = ScoreView("scores"), ScoreView("cases")
        self.figures = FigureView()
        self.said = wrapped()
        self.csv, self.html = QPushButton("Save table…"), QPushButton("Save report…")
        self.evaluations: list[Evaluation] = []
        self.shown: Evaluation | None = None
        self.comparison: Comparison | None = None
        self._layers = CaseLayers(self.viewer)
        self._is_on_screen = False
        self._lay_out()
        self._connect()
        self._on_session_models()
        self._on_viewer_layers()
        self.follow_theme(self.figures)
        self.render()

    def _lay_out(self) -> None:
        for widget in (self.sources, self.form.native, self.button, self.refusal, self.summary):
            self.body.addWidget(widget)
        self.summary.setTextFormat(Qt.TextFormat.PlainText)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        for view, title in (
            (self.scores, "Scores"),
            (self.figures, "Curves"),
            (self.cases, "Cases"),
        ):
            self.tabs.addTab(view, title)
        row = QFormLayout()
        row.addRow("Compare with", self.against)
        self.body.addLayout(row)
        self._compare_row = row
        self.body.addWidget(self.said)
        self.body.addWidget(self.tabs)
        line = QHBoxLayout()
        line.addWidget(self.csv)
        line.addWidget(self.html)
        self.body.addLayout(line)
        self.body.addStretch()
        self.csv.setToolTip("Write one row per case as CSV")
        self.html.setToolTip(
            "Write scores, curves and cases as one HTML page; it names files without their folders"
        )
        self.against.setToolTip("Another evaluation of the same images: differences with intervals")

    def _connect(self) -> None:
        session, events = self.session, self.viewer.layers.events
        for signal in (events.inserted, events.removed):
            self.listen(signal, self._on_viewer_layers)
        self.listen(session.model_changed, self._on_session_models)
        self.listen(session.status_changed, self._render_buttons)
        self.listen(session.refused, self.refusal.set_sentence)
        self.sources.changed.connect(self._render_buttons)
        self.form.changed.connect(self._render_buttons)
        self.button.clicked.connect(self._on_button_clicked)
        self.against.activated.connect(self._on_against_activated)
        self.cases.chosen.connect(self.open_case)
        self.csv.clicked.connect(self._on_csv_clicked)
        self.html.clicked.connect(self._on_html_clicked)

    # -- session → dock ---------------------------------------------------------------------

    def _on_session_models(self) -> None:
        self.sources.set_models(list(self.session.specs.values()))

    def _on_viewer_layers(self, *_: Any) -> None:
        self.sources.set_layers()

    def render(self) -> None:
        """Show the evaluation as it is."""
        shown = self.shown
        self.summary.setText(_EMPTY if shown is None else shown.describe())
        for widget in (self.tabs, self.csv, self.html):
            widget.setVisible(shown is not None)
        others = [one for one in self.evaluations if shown is not None and self._fits(one)]
        self._compare_row.setRowVisible(self.against, bool(others))
        self.against.clear()
        self.against.addItem("nothing", None)
        for one in others:
            self.against.addItem(one.name, self.evaluations.index(one))
        if shown is not None:
            self.scores.set_table(score_table(shown.report))
            self.cases.set_table(case_table(shown.report))
            self.figures.set_figures(shown.figures)
            known = shown.report.uncertainty
            few = "One case or patient says nothing about others: no intervals."
            self.said.setText(shown.remark + (few if known is None else known.describe()))
        self.said.setVisible(shown is not None)
        self._render_buttons()

    def _fits(self, other: Evaluation) -> bool:
        """Whether another evaluation can be compared with the one on show."""
        return (
            self.shown is not None
            and other is not self.shown
            and other.found.task == self.shown.found.task
        )

    def problem(self) -> str | None:
        """Why the button cannot be pressed, or None where it can."""
        return self.session.busy or self.form.problem or self.sources.problem()

    def _render_buttons(self, *_: Any) -> None:
        problem = self.problem()
        self.button.setEnabled(problem is None)
        self.button.setToolTip(problem or "Score every case")
        busy = self.session.busy
        for button in (self.csv, self.html):
            button.setEnabled(busy is None)
        self.against.setEnabled(busy is None)
        if self.shown is None:
            self.summary.setText(self.sources.problem() or _EMPTY)

    # -- scoring ----------------------------------------------------------------------------

    def _on_button_clicked(self) -> None:
        self.refusal.set_sentence("")
        try:
            job, name = self._job()
        except ApprenticeError as error:
            self.refusal.set_sentence(describe_error(error))
            return
        on_screen = self.sources.wish().mode == LAYERS
        self.session.launch(
            f"Evaluating {name}", job, lambda found: self._on_session_evaluated(found, on_screen)
        )

    def _job(self) -> tuple[Job[Evaluation], str]:
        wish, config, session = self.sources.wish(), self.form.value(), self.session
        if wish.mode == LAYERS and self.sources.are_places:
            return self._places_job(wish.task)
        if wish.mode == LAYERS:
            truth = self.sources.volume(self.sources.truth_layer)
            said = self.sources.volume(self.sources.prediction_layer)
            if truth is None or said is None:
                raise ApprenticeError(self.sources.problem() or "no labels")
            return jobs.layers_job(truth, said, None, wish.task, config), said.name
        if wish.mode == FOLDERS and wish.truth is not None and wish.prediction is not None:
            job = jobs.files_job(
                wish.truth, wish.prediction, wish.task, config, wish.images, wish.groups
            )
            return job, wish.prediction.name
        if wish.model is None or wish.images is None:
            raise ApprenticeError(self.sources.problem() or "nothing to score")
        how = session.preferences.predict.model_copy(update={"diameter": session.diameter})
        job = jobs.model_job(
            session.store,
            wish.model,
            wish.images,
            wish.truth,
            config,
            how,
            session.predictor,
            wish.groups,
            session.diameter_unit,
        )
        return job, wish.model

    def _places_job(self, task: str) -> tuple[Job[Evaluation], str]:
        sources = self.sources
        truth, said = (sources.layer(b) for b in (sources.truth_layer, sources.prediction_layer))
        if truth is None or said is None:
            raise ApprenticeError(sources.problem() or "no points or boxes")
        annotation, answer = truth_and_answer(truth, said)
        pairs = (truth.name, annotation), (said.name, answer)
        return jobs.places_job(*pairs, task, self.form.value()), said.name

    def _on_session_evaluated(self, found: Evaluation, on_screen: bool) -> None:
        self._layers.clear()
        self.evaluations = [*self.evaluations, found][-_MOST:]
        self.shown, self.comparison, self._is_on_screen = found, None, on_screen
        self.render()
        if len(found.found.cases) == 1:
            self.said.setText(
                "Click the case under Cases to see where it is wrong. " + self.said.text()
            )

    # -- looking ----------------------------------------------------------------------------

    def open_case(self, number: int) -> None:
        """Show one case: its image, truth, prediction and errors."""
        self.refusal.set_sentence("")
        shown = self.shown
        if shown is not None:
            name = shown.report.cases[number].name
            job = jobs.open_case_job(shown, number)
            self.session.launch(f"Opening {Path(name).name}", job, self._on_session_opened)

    def _on_session_opened(self, case: Opened) -> None:
        self._layers.show(case, beside=self._is_on_screen)
        self.said.setText(f"{case.name}: {case.says}")

    # -- comparing --------------------------------------------------------------------------

    def _on_against_activated(self, index: int) -> None:
        number = self.against.itemData(index)
        if self.shown is None:
            return
        if number is None:
            self._on_session_compared(None)
            return
        other = self.evaluations[number]
        job = jobs.compare_job(self.shown, other, self.form.value())
        self.session.launch(f"Comparing with {other.name}", job, self._on_session_compared)

    def _on_session_compared(self, comparison: Comparison | None) -> None:
        self.comparison = comparison
        if self.shown is None:
            return
        self.scores.set_table(score_table(self.shown.report, comparison))
        self.tabs.setCurrentWidget(self.scores)
        if comparison is not None:
            count = len(comparison.first.cases)
            self.said.setText(
                f"{comparison.names[0]} minus {comparison.names[1]} on {count} cases; * the interval leaves out zero"
            )

    # -- saving -----------------------------------------------------------------------------

    def _on_csv_clicked(self) -> None:
        path = self.ask("Save table", "scores.csv", "CSV (*.csv)")
        if path is not None and self.shown is not None:
            job = jobs.csv_job(self.shown.report, path)
            self.session.launch(f"Saving {path.name}", job, self._on_session_saved)

    def _on_html_clicked(self) -> None:
        path = self.ask("Save report", "report.html", "HTML (*.html)")
        if path is not None and self.shown is not None:
            report = self.comparison or self.shown.report
            job = jobs.html_job(report, path, self.shown.found.task)
            self.session.launch(f"Saving {path.name}", job, self._on_session_saved)

    def ask(self, title: str, name: str, kinds: str) -> Path | None:
        """Let the person choose the file; None where they think better of it."""
        given, _ = QFileDialog.getSaveFileName(self, title, name, kinds)
        if not given:
            return None
        path = Path(given)
        return path if path.suffix else path.with_suffix(Path(name).suffix)

    def _on_session_saved(self, path: Path) -> None:
        self.said.setText(f"✓ Written: {path.name}\nin {path.parent}")
