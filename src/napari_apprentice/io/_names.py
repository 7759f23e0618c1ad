"""File names without the suffixes of a format."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["bare_name"]


def bare_name(name: str, suffixes: Iterable[str]) -> str:
    """Name without the longest of the suffixes that it ends in; upper and lower case are the same.

    Any other ending goes too, unless it is a number: folders and files of scanners are often named ``1.2.840.10008``.

    Examples
    --------
    >>> bare_name("case.1.NII.GZ", (".nii", ".nii.gz"))
    'case.1'
    """
    low = name.lower()
    for suffix in sorted(suffixes, key=len, reverse=True):
        if low.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    head, _, tail = name.rpartition(".")
    return name if tail.isdecimal() else head or name
