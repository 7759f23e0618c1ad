"""Reports of an evaluation as files."""

from __future__ import annotations

from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import BadInputError
from napari_apprentice.io import save_text
from napari_apprentice.measure.html import page
from napari_apprentice.measure.report import Comparison

if TYPE_CHECKING:
    import os

    from napari_apprentice.measure.report import Report

__all__ = ["check_report_path", "save_html"]

_SUFFIXES = (".html", ".htm")


def check_report_path(path: os.PathLike[str] | str) -> None:
    """Refuse a name under which no report can be written, before any work is done for it.

    Raises
    ------
    BadInputError
        Another ending than ``.html``.
    """
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise BadInputError(
            f"expected a file name ending in .html, found {Path(path).suffix!r}", path=Path(path)
        )


def save_html(report: Report | Comparison, path: os.PathLike[str] | str, *, task: str = "") -> None:
    """Write a report as one HTML page with its figures inside; a complete file, or none.

    It holds scores, and names of files without their folders; nothing in it is loaded from anywhere or run.

    Parameters
    ----------
    report
        Of `napari_apprentice.evaluate` or `napari_apprentice.compare`.
    path
        Ends in ``.html``.
    task
        What was asked, for the head of the page.

    Raises
    ------
    BadInputError
        Another ending, or a folder that cannot be written to.
    """
    check_report_path(path)
    title = "Comparison" if isinstance(report, Comparison) else "Evaluation"
    made = f"napari-apprentice {version('napari-apprentice')} · {date.today().isoformat()}"
    facts = [f"task {task} · {made}" if task else made]
    save_text(page(report, title=title, facts=facts), path)
