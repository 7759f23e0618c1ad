"""Sentences about images, jobs and errors that several docks say alike."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from napari_apprentice.core.errors import ApprenticeError
from napari_apprentice.core.jobs import FinishReason, JobState
from napari_apprentice.core.units import unit_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from napari_apprentice.core.jobs import JobStatus
    from napari_apprentice.core.prediction import Prediction
    from napari_apprentice.core.volume import Volume

__all__ = [
    "describe_answer",
    "describe_error",
    "describe_status",
    "describe_volume",
    "duration",
    "error_details",
    "is_less_better",
    "moment",
    "score_title",
]

_PACKAGE = "napari_apprentice"


def describe_volume(volume: Volume) -> tuple[str, str]:
    """Return a volume's name, and what it is: ``("nuclei", "Y 512 × X 512 · 0.25 µm · uint16")``."""
    grid = volume.grid
    lengths = zip(grid.axes, grid.shape, strict=True)
    shape = " × ".join(f"{a} {n}" for a, n in lengths if not (volume.rgb and a == "C"))
    if grid.unit == "pixel":
        spacing = "voxel size unknown" if grid.ndim == 3 else "pixel size unknown"
    else:
        spacing = f"{_spacing_text(grid.spacing)} {unit_text(grid.unit)}"
    kind = f"{volume.dtype} colour" if volume.rgb else str(volume.dtype)
    made = ("synthetic",) if volume.synthetic is not None else ()
    return volume.name, " · ".join((shape, spacing, kind, *made))


def _spacing_text(spacing: Sequence[float]) -> str:
    texts = [f"{value:.3g}" for value in spacing]
    return texts[0] if len(set(texts)) == 1 else " × ".join(texts)


_SCORES = {
    "dice": "Dice",
    "iou": "IoU",
    "ap": "AP",
    "ap50": "AP50",
    "f1": "F1",
    "psnr": "PSNR",
    "ssim": "SSIM",
}
_SCORES |= {
    "psnr_db": "PSNR in dB",
    "hidden_psnr_db": "PSNR of hidden voxels in dB",
    "rebuilt_psnr_db": "PSNR (dB, rebuilt)",
}


def score_title(name: str) -> str:
    """Write a score, or a curve of one, as people read it: ``"held-out dice"`` → ``"held-out Dice"``."""
    return " ".join(_SCORES.get(word, word) for word in name.split(" ")).replace("_", " ")


def is_less_better(name: str) -> bool:
    """Whether of a score, or of the curve of one, less is better: of distances."""
    return "distance" in name.replace("_", " ").split(" ")


def describe_answer(answer: Prediction) -> str:
    """Say what a prediction found; of whole images the class and the runners-up: ``"CXR 0.98 · Hand 0.01"``."""
    if answer.image_class is None:
        return answer.summary
    others = sorted(answer.table.items(), key=lambda pair: -pair[1])[1:3]
    return " · ".join([answer.summary, *(f"{name} {share:.2f}" for name, share in others)])


def duration(seconds: float) -> str:
    """Write a time with its unit, no finer than anyone needs: ``"45 s"``, ``"3 min"``, ``"1.5 h"``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def moment(when: datetime) -> str:
    """Write a time on the person's clock: ``"21 Nov 2026, 12:13"``."""
    local = when.astimezone()
    return f"{local.day} {local:%b %Y, %H:%M}"


def describe_status(status: JobStatus) -> str:
    """Say how a job stands: ``"tile 3 of 9 · 2 s left"``; empty where none ever ran."""
    if status.state is JobState.CANCELLING:
        return f"{status.name}: cancelling …"
    if status.is_running:
        return _running_text(status)
    several = "s" if status.warnings > 1 else ""
    warned = f" · {status.warnings} warning{several}, see Log" if status.warnings else ""
    return {
        None: "",
        FinishReason.COMPLETED: f"{status.name}: done{warned}",
        FinishReason.CANCELLED: f"{status.name}: cancelled",
        FinishReason.ERRORED: f"{status.name}: failed",
    }[status.reason]


def _running_text(status: JobStatus) -> str:
    progress = status.progress
    parts = [progress.stage or status.name]
    if progress.total and progress.unit:
        # Work in hand is counted as people do: the first tile is "tile 1".
        current = min(progress.done + 1, progress.total)
        parts.append(f"{progress.unit} {current} of {progress.total}")
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    if len(parts) == 1:
        parts[0] += " …"
    return " · ".join(parts)


def describe_error(error: Exception) -> str:
    """Say what happened in one sentence that ends in a full stop."""
    text = str(error).strip() or type(error).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."


def error_details(error: Exception, private: Sequence[str] = ()) -> str:
    """Return the traceback for a report, without paths of this machine and without names of images.

    Parameters
    ----------
    error
        What was raised.
    private
        Names of layers, files and folders that are taken out; patients' names hide in them.
    """
    text = "".join(traceback.format_exception(error)).rstrip()
    text = re.sub(r'File "[^"]*[\\/](?=site-packages[\\/]|' + _PACKAGE + r"[\\/])", 'File "', text)
    text = re.sub(r'File "(?:/|[A-Za-z]:)[^"]*[\\/]([^"\\/]+)"', r'File "\1"', text)
    secrets = [*private]
    if isinstance(error, ApprenticeError) and error.path:
        secrets += [error.path, Path(error.path).name]
    for secret in sorted({s for s in secrets if len(s) > 1}, key=len, reverse=True):
        text = text.replace(secret, "…")
    return re.sub(r"(?<![\w.])(?:/|[A-Za-z]:\\)(?:[^\s/\\:'\"]+[/\\])+[^\s:'\"]*", "…", text)
