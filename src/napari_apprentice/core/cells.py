"""Text in the cells of tables: a spreadsheet must not take a name for a formula and run it."""

from __future__ import annotations

__all__ = ["inert", "original"]

_ALWAYS = ("=", "@", "\t", "\r")
_WITH_MORE = ("+", "-")
_GUARD = "'"


def inert(value: object) -> object:
    """Return text that a spreadsheet would take for a formula with an apostrophe before it, all else as it is.

    File and class names come from anywhere; numbers that are numbers stay numbers. (OWASP, *CSV Injection*.)
    """
    return f"{_GUARD}{value}" if isinstance(value, str) and _is_formula(value) else value


def original(text: str) -> str:
    """Return what `inert` was given."""
    inner = text.removeprefix(_GUARD)
    return inner if inner != text and _is_formula(inner) else text


def _is_formula(text: str) -> bool:
    return text.startswith(_ALWAYS) or (text.startswith(_WITH_MORE) and not _is_plain(text))


def _is_plain(text: str) -> bool:
    """A sign alone, or a number."""
    try:
        float(text)
    except ValueError:
        return len(text) == 1
    return True
