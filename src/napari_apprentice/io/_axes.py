"""Axes that a file does not name."""

from __future__ import annotations

from typing import Any

__all__ = ["canonical", "guessed", "named"]

_FEW = 4
_COLOURS = (3, 4)


def guessed(shape: tuple[int, ...], *, samples: bool) -> str:
    """Letters for an array without any: the last two are Y and X, before colour samples where there may be some.

    Parameters
    ----------
    shape
        Lengths, slowest first.
    samples
        Whether a last axis of 3 or 4 can be colours.
    """
    colours = samples and len(shape) > 2 and shape[-1] in _COLOURS and shape[-2] > _FEW
    end = "YXS" if colours else "YX"
    return "Q" * (len(shape) - len(end)) + end


def named(axes: str, shape: tuple[int, ...], *, labels: bool) -> tuple[str, bool]:
    """Give every axis longer than one a letter of ``TCZYXS``; others become ``"-"``; and whether it guessed."""
    letters = [
        a if a in "TCZYXS" else ("?" if n > 1 else "-") for a, n in zip(axes, shape, strict=True)
    ]
    unknown = [i for i, letter in enumerate(letters) if letter == "?"]
    for i in reversed(unknown):
        few = shape[i] <= _FEW and not labels and not {"C", "S"} & set(letters)
        wishes = "CZT" if few else "ZT"
        letters[i] = next((w for w in wishes if w not in letters), "")
        if not letters[i]:
            raise ValueError(f"cannot tell what the axes {axes} of lengths {shape} mean")
    return "".join(letters), bool(unknown)


def canonical(array: Any, axes: str) -> tuple[Any, str]:
    """Drop axes of length one, merge samples into channels, and transpose to ``TCZYX``."""
    drop = tuple(i for i, a in enumerate(axes) if a == "-" or (a in "TCZS" and array.shape[i] == 1))
    array = array.squeeze(axis=drop) if drop else array
    axes = "".join(a for i, a in enumerate(axes) if i not in drop)
    if "S" in axes and "C" not in axes:
        axes = axes.replace("S", "C")
    order = "".join(a for a in "TCSZYX" if a in axes)
    array = array.transpose([axes.index(a) for a in order])
    if "S" in order:
        at = order.index("C")
        merged = (*array.shape[:at], array.shape[at] * array.shape[at + 1], *array.shape[at + 2 :])
        array, order = array.reshape(merged), order.replace("S", "")
    return array, order
