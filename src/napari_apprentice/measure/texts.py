"""Scores as people read them: names, units, numbers, intervals."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .bootstrap import Interval

__all__ = ["file_name", "interval_text", "number_text", "title_and_unit"]

_UNIT = re.compile(r"_(?P<unit>px|um|mm|nm|m|db)(?P<power>[23]?)(?=_|$)")
_WORDS = {
    "dice": "Dice",
    "iou": "IoU",
    "hd95": "HD95",
    "assd": "ASSD",
    "ap": "AP",
    "map": "mAP",
    "f1": "F1",
    "pq": "PQ",
    "sq": "SQ",
    "rq": "RQ",
    "mae": "mean absolute error",
    "psnr": "PSNR",
    "ssim": "SSIM",
    "froc": "FROC",
    "roc": "ROC",
    "auc": "AUC",
}
_THRESHOLDED = re.compile(r"^ap(\d+)$")


def title_and_unit(name: str, *, plain: bool = False) -> tuple[str, str]:
    """Take the unit out of a flat name: ``"hd95_mm_tumour"`` → ``"HD95 tumour"``, ``"mm"``; `plain` keeps the letters."""
    found = _UNIT.search(name)
    unit = ""
    if found is not None:
        unit = (
            found["unit"].replace("um", "µm").replace("db", "dB")
            + {"2": "²", "3": "³", "": ""}[found["power"]]
        )
        name = name[: found.start()] + name[found.end() :]
    if plain:
        return name.replace("_", " "), unit
    words = [_THRESHOLDED.sub(r"AP\1", _WORDS.get(w, w)) for w in name.split("_")]
    return " ".join(words), unit


def number_text(value: float) -> str:
    """Write a score with four digits; a dash where it does not apply."""
    if math.isnan(value):
        return "–"
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}").replace(",", " ")


def interval_text(pair: Interval | None) -> str:
    """Write an interval: ``"0.81 – 0.88"``; empty where there is none."""
    return "" if pair is None else f"{number_text(pair[0])} – {number_text(pair[1])}"


def file_name(path: str) -> str:
    """The last part of a path of any system: a report goes to others, and folders name patients and people."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
