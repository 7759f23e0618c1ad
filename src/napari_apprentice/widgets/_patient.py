"""Copies of DICOM files without the patient: the part of *Export* that images from a scanner have."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
)

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.io import deidentify_job, place_of

from ._parts import wrapped

if TYPE_CHECKING:
    from napari_apprentice.core.volume import Volume
    from napari_apprentice.io import DeidentifyReport
    from napari_apprentice.session.session import Session

__all__ = ["PatientBox"]

_DATES = {"Remove": "remove", "Shift by the same days": "shift"}


class PatientBox(QGroupBox):
    """Writes de-identified copies of the DICOM files that an image came from; hidden for other images.

    Parameters
    ----------
    session
        Runs the job.
    """

    def __init__(self, session: Session) -> None:
        super().__init__("Without the patient")
        self._session = session
        self._source: str | None = None
        self._report: DeidentifyReport | None = None
        self.dates = QComboBox()
        for title, value in _DATES.items():
            self.dates.addItem(title, value)
        self.dates.setToolTip("What becomes of dates; shifting keeps the time between two scans")
        self.checked = QCheckBox("No text in the pixels names the patient")
        self.checked.setToolTip(
            "Tick this only after looking at the images. Without it, files whose pixels may show a name are refused."
        )
        self.button = QPushButton("De-identified copies…")
        self.button.setToolTip(
            "Write copies of the DICOM files without names, numbers and private elements"
        )
        self.result = wrapped()
        self.save = QPushButton("Save report…")
        self.save.setToolTip(
            "Which elements were removed or replaced, as JSON or CSV. Keep it with the originals."
        )
        self._lay_out()
        self.button.clicked.connect(self._on_button_clicked)
        self.save.clicked.connect(self._on_save_clicked)
        self.set_source(None, None)

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.addRow("Dates", self.dates)
        row = QHBoxLayout()
        row.addWidget(self.button, 1)
        row.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.checked)
        layout.addLayout(row)
        layout.addWidget(self.result)

    def set_source(self, source: str | None, volume: Volume | None) -> None:
        """Show the box for an image read from DICOM files."""
        is_dicom = source is not None and volume is not None and volume.format == "dicom"
        # A series among several is ``folder#key``: the copies are of the whole folder.
        place = str(place_of(source)[0]) if is_dicom and source is not None else None
        if place != self._source:
            self._report = None
            self.checked.setChecked(False)
        self._source = place
        self.setVisible(is_dicom)
        self._render()

    def _render(self) -> None:
        report = self._report
        self.save.setVisible(report is not None)
        self.result.setVisible(report is not None)
        if report is not None:
            self.result.setText("\n".join([_summary(report), *(f"⚠ {w}" for w in report.warnings)]))

    def _on_button_clicked(self) -> None:
        if self._source is None:
            return
        target = self.ask()
        if target is None:
            return
        job = deidentify_job(
            self._source,
            target,
            dates=self.dates.currentData(),
            pixels_checked=self.checked.isChecked(),
        )
        self._report = None
        self._render()
        self._session.launch("De-identifying", job, self._on_session_done)

    def ask(self) -> Path | None:
        """Let the person choose an empty folder."""
        given = QFileDialog.getExistingDirectory(self, "Empty folder for the de-identified copies")
        return Path(given) if given else None

    def ask_report(self) -> Path | None:
        """Let the person choose where the report goes."""
        given, _ = QFileDialog.getSaveFileName(
            self, "Save report", "deidentified.json", "Report (*.json *.csv)"
        )
        return Path(given) if given else None

    def _on_session_done(self, report: Any) -> None:
        self._report = report
        self._render()

    def _on_save_clicked(self) -> None:
        path = None if self._report is None else self.ask_report()
        if path is None or self._report is None:
            return
        try:
            self._report.save(path)
        except ApprenticeError as error:
            self.result.setText(f"⚠ {error}")


def _summary(report: DeidentifyReport) -> str:
    touched = sum(int(action["count"]) for action in report.actions)
    text = f"✓ {len(report.files)} files written, {touched} elements removed or replaced."
    return text + (f" {len(report.skipped)} left out." if report.skipped else "")
