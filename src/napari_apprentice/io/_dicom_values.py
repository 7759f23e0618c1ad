"""Values out of DICOM data sets that may lie: numbers that are finite, text without control characters, or nothing."""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset

__all__ = [
    "clock",
    "first_item",
    "number",
    "numbers",
    "quiet",
    "text",
    "texts",
    "value_of",
    "whole",
]

_LOCK = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom's remarks on odd values to itself; what matters is checked here.

    The filters of warnings belong to the whole process: two threads that set and restore them at once would leave them off.
    """
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def value_of(data: Dataset, keyword: str) -> Any:
    """Return an element's value, or None where it is absent, empty or cannot be understood."""
    try:
        value = data.get(keyword)
    except Exception:  # noqa: BLE001  # pydicom converts on access; a broken value is no value
        return None
    return None if value is None or value == "" else value


def numbers(data: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """Finite numbers of an element; None where there are none, or not `count` of them."""
    value = value_of(data, keyword)
    if value is None:
        return None
    try:
        many = [value] if isinstance(value, str | int | float) else list(value)
        found = tuple(float(one) for one in many)
    except (TypeError, ValueError, OverflowError):
        return None
    if not found or not all(map(math.isfinite, found)) or count not in (None, len(found)):
        return None
    return found


def number(data: Dataset, keyword: str) -> float | None:
    """First number of an element."""
    found = numbers(data, keyword)
    return None if found is None else found[0]


def whole(data: Dataset, keyword: str, default: int = 0) -> int:
    """First number of an element as a whole one."""
    found = number(data, keyword)
    return default if found is None else int(found)


def texts(data: Dataset, keyword: str) -> tuple[str, ...]:
    """Texts of an element, one per value."""
    value = value_of(data, keyword)
    if value is None:
        return ()
    many = [value] if isinstance(value, str) else _items(value)
    return tuple("".join(c for c in str(one) if c.isprintable()).strip() for one in many)


def _items(value: Any) -> Iterator[Any]:
    try:
        yield from value
    except TypeError:
        yield value


def text(data: Dataset, keyword: str) -> str:
    """Text of an element on one line; empty where it is absent."""
    return " ".join(texts(data, keyword))


def clock(data: Dataset, keyword: str) -> float | None:
    """Seconds of a time (TM) or of a date with time (DT), the latter since the year 0 of equally long months.

    Good for putting in order, and for differences within a day.
    """
    digits = text(data, keyword).split("+")[0].split("&")[0].replace(":", "")
    whole_part, _, fraction = digits.partition(".")
    if not whole_part.isdecimal():
        return None
    days = 0.0
    if len(whole_part) > 6:
        year, month, day = whole_part[:4], whole_part[4:6] or "1", whole_part[6:8] or "1"
        days = (int(year) * 12 + int(month)) * 31.0 + int(day)
        whole_part = whole_part[8:]
    padded = whole_part.ljust(6, "0")
    seconds = int(padded[:2]) * 3600 + int(padded[2:4]) * 60 + int(padded[4:6])
    return days * 86400 + seconds + (float(f"0.{fraction}") if fraction.isdecimal() else 0.0)


def first_item(data: Dataset | None, keyword: str) -> Dataset | None:
    """First item of a sequence, or None."""
    sequence = None if data is None else value_of(data, keyword)
    try:
        item: Dataset | None = sequence[0] if sequence else None
    except (TypeError, IndexError, KeyError):
        return None
    return item if hasattr(item, "get") else None
